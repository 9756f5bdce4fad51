// Package masterdata is the desk where people look after what requests rest on:
// institutions, PKS, machine types, accounts and API keys. It says who may, and
// makes each change one transaction with its audit row. The API and the pages
// share it.
package masterdata

import (
	"context"
	"errors"
	"slices"
	"time"

	"dukcapil.go.id/sifilma/pkg/audit"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/identity"
	"dukcapil.go.id/sifilma/pkg/institution"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/report"
)

// ErrForbidden says that somebody's role does not look after this.
var ErrForbidden = errors.New("masterdata: not for this role")

// Desk is where the master data is looked after.
type Desk struct {
	db     *postgres.DB
	office clock.Office
	now    func() time.Time // of the machine clock: keys and passwords for once expire by it
	once   time.Duration    // how long a password for once can be used
}

// New returns a desk that gives out passwords for once that can be used for so
// long.
func New(db *postgres.DB, office clock.Office, now func() time.Time, once time.Duration) *Desk {
	return &Desk{db: db, office: office, now: now, once: once}
}

// May says whether a role looks after the master data.
func May(role machine.Role) bool { return slices.Contains(identity.Keepers, role) }

// Now is the time by which keys and passwords for once expire.
func (d *Desk) Now() time.Time { return d.now() }

// Today is the office's day.
func (d *Desk) Today() clock.Date { return clock.Today(d.office) }

// change runs a change by one of the keepers.
func (d *Desk) change(ctx context.Context, who identity.Account, do func(ctx context.Context, tx *postgres.Tx) (audit.Entry, error)) error {
	if !May(who.Role) {
		return ErrForbidden
	}
	return d.note(ctx, who, do)
}

// note runs a change with its audit row.
func (d *Desk) note(ctx context.Context, who identity.Account, do func(ctx context.Context, tx *postgres.Tx) (audit.Entry, error)) error {
	return d.db.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		e, err := do(ctx, tx)
		if err != nil {
			return err
		}
		e.Actor = who.Username
		return audit.Record(ctx, tx, e)
	})
}

// historyShown is how many audit rows a row's history shows.
const historyShown = 50

// history is what was done to a row; it names the office's people, so it is for
// the office only.
func (d *Desk) history(ctx context.Context, who identity.Account, subject string) ([]audit.Told, error) {
	if report.Outside(who) {
		return nil, nil
	}
	return audit.About(ctx, d.db, subject, historyShown)
}

// CreateInstitution writes a new institution. Errors: ErrForbidden, form.Faults.
func (d *Desk) CreateInstitution(ctx context.Context, who identity.Account, in institution.Institution) (made institution.Institution, err error) {
	err = d.change(ctx, who, func(ctx context.Context, tx *postgres.Tx) (audit.Entry, error) {
		made, err = institution.Create(ctx, tx, in)
		return audit.Entry{Action: "institution.create", Subject: made.ID, Detail: map[string]any{"institution": made}}, err
	})
	return made, err
}

// ChangeInstitution changes one as of its version in in: keepers any; its own
// people theirs, but for its name. Errors: ErrForbidden, form.Faults,
// institution.ErrNotFound, postgres.ErrStale.
func (d *Desk) ChangeInstitution(ctx context.Context, who identity.Account, in institution.Institution) (made institution.Institution, err error) {
	write := institution.Change
	if !May(who.Role) {
		if who.InstitutionID == nil {
			return in, ErrForbidden
		}
		if *who.InstitutionID != in.ID {
			return in, institution.ErrNotFound
		}
		write = institution.Correct
	}
	err = d.note(ctx, who, func(ctx context.Context, tx *postgres.Tx) (audit.Entry, error) {
		before, err := institution.Get(ctx, tx, in.ID)
		if err != nil {
			return audit.Entry{}, err
		}
		made, err = write(ctx, tx, in)
		return audit.Entry{Action: "institution.change", Subject: made.ID, Detail: map[string]any{"from": before, "to": made}}, err
	})
	return made, err
}

// SetInstitutionActive takes one out of use, or back. Errors: ErrForbidden,
// institution.ErrNotFound, institution.ErrAlready, postgres.ErrStale.
func (d *Desk) SetInstitutionActive(ctx context.Context, who identity.Account, id string, version int64, active bool) (made institution.Institution, err error) {
	err = d.change(ctx, who, func(ctx context.Context, tx *postgres.Tx) (audit.Entry, error) {
		made, err = institution.SetActive(ctx, tx, id, version, active)
		return audit.Entry{Action: onOff("institution", active), Subject: id, Detail: map[string]any{"version": made.Version}}, err
	})
	return made, err
}

func onOff(what string, active bool) string {
	if active {
		return what + ".activate"
	}
	return what + ".deactivate"
}

// Institution is one with what belongs to it.
type Institution struct {
	institution.Institution
	KindLabel   string       `json:"kind_label"`
	FormerNames []string     `json:"former_names"`
	History     []audit.Told `json:"history,omitempty"`
}

// Institution reads one: the office's people any, others their own. Error:
// institution.ErrNotFound.
func (d *Desk) Institution(ctx context.Context, who identity.Account, id string) (Institution, error) {
	if scope := report.Scope(who); scope != "" && scope != id {
		return Institution{}, institution.ErrNotFound
	}
	in, err := institution.Get(ctx, d.db, id)
	if err != nil {
		return Institution{}, err
	}
	v := Institution{Institution: in, KindLabel: institution.KindLabels[in.Kind]}
	if v.FormerNames, err = institution.FormerNames(ctx, d.db, id); err != nil {
		return v, err
	}
	v.History, err = d.history(ctx, who, id)
	return v, err
}

// Institutions lists them: for the office's people all, for others their own.
func (d *Desk) Institutions(ctx context.Context, who identity.Account, f institution.Filter) ([]institution.Institution, error) {
	f.ID = report.Scope(who)
	return institution.List(ctx, d.db, f)
}

// MachineTypes lists the machine types: for the office's people all, for others
// those in use.
func (d *Desk) MachineTypes(ctx context.Context, who identity.Account) ([]institution.MachineType, error) {
	list, err := institution.MachineTypes(ctx, d.db)
	if report.Outside(who) {
		list = slices.DeleteFunc(list, func(m institution.MachineType) bool { return !m.Active })
	}
	return list, err
}

// MachineType reads one. Error: institution.ErrNotFound.
func (d *Desk) MachineType(ctx context.Context, code string) (institution.MachineType, error) {
	return institution.MachineTypeByCode(ctx, d.db, code)
}

// CreateMachineType writes a new machine type. Errors: ErrForbidden, form.Faults.
func (d *Desk) CreateMachineType(ctx context.Context, who identity.Account, m institution.MachineType) (made institution.MachineType, err error) {
	err = d.change(ctx, who, func(ctx context.Context, tx *postgres.Tx) (audit.Entry, error) {
		made, err = institution.CreateMachineType(ctx, tx, m)
		return audit.Entry{Action: "machine_type.create", Subject: made.Code, Detail: map[string]any{"machine_type": made}}, err
	})
	return made, err
}

// ChangeMachineType changes one as of its version in m. Errors: ErrForbidden,
// form.Faults, institution.ErrNotFound, postgres.ErrStale.
func (d *Desk) ChangeMachineType(ctx context.Context, who identity.Account, m institution.MachineType) (made institution.MachineType, err error) {
	err = d.change(ctx, who, func(ctx context.Context, tx *postgres.Tx) (audit.Entry, error) {
		before, err := institution.MachineTypeByCode(ctx, tx, m.Code)
		if err != nil {
			return audit.Entry{}, err
		}
		made, err = institution.ChangeMachineType(ctx, tx, m)
		return audit.Entry{Action: "machine_type.change", Subject: m.Code, Detail: map[string]any{"from": before, "to": made}}, err
	})
	return made, err
}

// SetMachineTypeActive takes one out of use for new requests, or back. Errors:
// ErrForbidden, institution.ErrNotFound, institution.ErrAlready, postgres.ErrStale.
func (d *Desk) SetMachineTypeActive(ctx context.Context, who identity.Account, code string, version int64, active bool) (made institution.MachineType, err error) {
	err = d.change(ctx, who, func(ctx context.Context, tx *postgres.Tx) (audit.Entry, error) {
		made, err = institution.SetMachineTypeActive(ctx, tx, code, version, active)
		return audit.Entry{Action: onOff("machine_type", active), Subject: code, Detail: map[string]any{"version": made.Version}}, err
	})
	return made, err
}
