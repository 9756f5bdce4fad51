package planning

import (
	"context"

	"dukcapil.go.id/sifilma/pkg/audit"
	"dukcapil.go.id/sifilma/pkg/capacity"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/identity"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/report"
)

// Downtimes lists those that touch the days from..to, by their begin. Error:
// ErrInside.
func (d Desk) Downtimes(ctx context.Context, who identity.Account, from, to clock.Date) ([]capacity.Downtime, error) {
	if report.Outside(who) {
		return nil, ErrInside
	}
	return capacity.Downtimes(ctx, d.DB, from, to)
}

// Downtime reads one. Errors: ErrInside, capacity.ErrNoEntry.
func (d Desk) Downtime(ctx context.Context, who identity.Account, id string) (capacity.Downtime, error) {
	if report.Outside(who) {
		return capacity.Downtime{}, ErrInside
	}
	return capacity.GetDowntime(ctx, d.DB, id)
}

// AddDowntime records that a station will stand still, once however often it is sent. Errors: ErrNotDowntime, and
// those of capacity.AddDowntime.
func (d Desk) AddDowntime(ctx context.Context, who identity.Account, down capacity.Downtime, reason string) (made capacity.Downtime, err error) {
	if !MayDowntime(who.Role) {
		return made, ErrNotDowntime
	}
	err = d.note(ctx, who, func(ctx context.Context, tx *postgres.Tx) (audit.Entry, error) {
		var fresh bool
		made, fresh, err = capacity.AddDowntime(ctx, tx, down, d.why(who, reason))
		e := audit.Entry{Action: "downtime.create", Subject: made.ID, Detail: map[string]any{"downtime": made}}
		if !fresh {
			e.Detail["already_recorded"] = true
		}
		return e, err
	})
	return made, err
}

// ChangeDowntime changes one as of its version, such as its last day. Errors:
// ErrNotDowntime, and those of capacity.ChangeDowntime.
func (d Desk) ChangeDowntime(ctx context.Context, who identity.Account, down capacity.Downtime, reason string) (made capacity.Downtime, err error) {
	if !MayDowntime(who.Role) {
		return made, ErrNotDowntime
	}
	err = d.note(ctx, who, func(ctx context.Context, tx *postgres.Tx) (audit.Entry, error) {
		made, err = capacity.ChangeDowntime(ctx, tx, down, d.why(who, reason))
		return audit.Entry{Action: "downtime.change", Subject: down.ID, Detail: map[string]any{"downtime": made}}, err
	})
	return made, err
}

// RemoveDowntime takes one back that has not begun. Errors: ErrNotDowntime, and
// those of capacity.RemoveDowntime.
func (d Desk) RemoveDowntime(ctx context.Context, who identity.Account, id string, version int64, reason string) error {
	if !MayDowntime(who.Role) {
		return ErrNotDowntime
	}
	return d.note(ctx, who, func(ctx context.Context, tx *postgres.Tx) (audit.Entry, error) {
		err := capacity.RemoveDowntime(ctx, tx, id, version, d.why(who, reason))
		return audit.Entry{Action: "downtime.remove", Subject: id, Detail: map[string]any{"reason": reason}}, err
	})
}
