package capacity

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"dukcapil.go.id/sifilma/pkg/audit"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/form"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
)

// Modes of a work order: how its cards are personalised.
const (
	ModeStation = "station" // at a station, unattended
	ModeManual  = "manual"  // by hand in another tool (features.md F12 to F18)
)

// ModeLabels are the Indonesian names of the modes.
var ModeLabels = map[string]string{ModeStation: "Di stasiun", ModeManual: "Manual"}

var (
	// ErrOrdersOpen says that work orders of the request are released: their mode is kept.
	ErrOrdersOpen = errors.New("capacity: work orders of the request are released")
	// ErrNumbersOpen says that cards of the request have numbers by hand and no result.
	ErrNumbersOpen = errors.New("capacity: cards of the request were numbered by hand")
)

// modeKeepers are the roles that plan and personalise (users.md A.3).
var modeKeepers = []machine.Role{request.Operator, request.Kasubdit}

// MaySetMode says whether a role decides on the mode of work orders.
func MaySetMode(role machine.Role) bool { return slices.Contains(modeKeepers, role) }

// RequestMode is how the cards of a request are personalised, and who decided so.
type RequestMode struct {
	Mode    string     `db:"mode" json:"mode"`
	Reason  string     `db:"reason" json:"reason"`
	By      string     `db:"set_by" json:"set_by"`
	At      *time.Time `db:"set_at" json:"set_at"`
	Version int64      `db:"version" json:"version"` // 0 while nobody has decided
}

// ModeOf returns the mode of a request's work orders to come.
func ModeOf(ctx context.Context, rd postgres.Reader, requestID string) (m RequestMode, err error) {
	err = rd.Get(ctx, &m, `SELECT mode, reason, set_by, set_at, version FROM order_mode WHERE request_id = $1`, requestID)
	if errors.Is(err, sql.ErrNoRows) {
		return RequestMode{Mode: ModeStation}, nil
	}
	if err != nil {
		return m, fmt.Errorf("capacity: reading the mode: %w", err)
	}
	return m, nil
}

// SetMode decides how the cards of a request are personalised that are not released
// yet. seen is the version of the decision that was seen. The same mode again changes
// nothing. Errors: form.Faults, *machine.RoleError, request.ErrNotFound,
// ErrNotPlannable, ErrOrdersOpen, ErrNumbersOpen, postgres.ErrStale.
func SetMode(ctx context.Context, tx *postgres.Tx, requestID, mode string, seen int64, ch request.Change) (RequestMode, error) {
	if !MaySetMode(ch.Actor.Role) {
		return RequestMode{}, &machine.RoleError{Machine: Machine.Name, Verb: verbPlan, Role: ch.Actor.Role}
	}
	var wrong form.Faults
	if ModeLabels[mode] == "" {
		wrong.Add("/mode", "unknown_value", "Pilih station atau manual.")
	}
	if ch.Reason == "" {
		wrong.Add("/reason", "missing", "Alasan wajib diisi.")
	}
	if err := wrong.Err(); err != nil {
		return RequestMode{}, err
	}
	// The planner's lock first: orders are made and released under it.
	if err := Lock(ctx, tx); err != nil {
		return RequestMode{}, err
	}
	r, err := request.Lock(ctx, tx, requestID)
	if err != nil {
		return RequestMode{}, err
	}
	if !plannableState(r) {
		return RequestMode{}, ErrNotPlannable
	}
	now, err := ModeOf(ctx, tx, requestID)
	if err != nil || now.Mode == mode {
		return now, err
	}
	if now.Version != seen {
		return now, postgres.ErrStale
	}
	if err := settled(ctx, tx, requestID); err != nil {
		return now, err
	}
	at := ch.OfficeAt.UTC()
	if err := tx.ExecOne(ctx, `
		INSERT INTO order_mode (request_id, mode, reason, set_by, set_at) VALUES ($1,$2,$3,$4,$5)
		ON CONFLICT (request_id) DO UPDATE SET mode = $2, reason = $3, set_by = $4, set_at = $5, version = order_mode.version + 1`,
		requestID, mode, ch.Reason, ch.Actor.Name, at); err != nil {
		return now, fmt.Errorf("capacity: setting the mode: %w", err)
	}
	if _, err := tx.Exec(ctx, `UPDATE work_order SET mode = $2 WHERE request_id = $1 AND state = 'planned'`, requestID, mode); err != nil {
		return now, fmt.Errorf("capacity: setting the mode of orders: %w", err)
	}
	if err := audit.Record(ctx, tx, audit.Entry{
		Actor: ch.Actor.Name, Action: "work_order.mode", Subject: requestID, Request: requestID,
		Detail: map[string]any{"from": now.Mode, "to": mode, "reason": ch.Reason},
	}); err != nil {
		return now, err
	}
	return RequestMode{Mode: mode, Reason: ch.Reason, By: ch.Actor.Name, At: &at, Version: now.Version + 1}, nil
}

// settled says whether nothing of a request is under way in its present mode.
func settled(ctx context.Context, tx *postgres.Tx, requestID string) error {
	var open struct {
		Orders bool `db:"orders"`
		Cards  bool `db:"cards"`
	}
	if err := tx.Get(ctx, &open, `
		SELECT EXISTS (SELECT FROM work_order WHERE request_id = $1 AND state IN ('released','closing')) AS orders,
		       EXISTS (SELECT FROM card WHERE request_id = $1 AND by_hand AND state IN ('numbered','claimed')) AS cards`, requestID); err != nil {
		return fmt.Errorf("capacity: what is under way: %w", err)
	}
	switch {
	case open.Orders:
		return ErrOrdersOpen
	case open.Cards:
		return ErrNumbersOpen
	}
	return nil
}

// ManualOrder is ClaimOrder for a card that is personalised by hand.
func ManualOrder(ctx context.Context, tx *postgres.Tx, requestID string, today clock.Date) (WorkOrder, error) {
	return claimOrder(ctx, tx, requestID, ModeManual, today)
}
