package handover

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/lib/pq"

	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
)

// How a piece is known at the counter.
const (
	Barcode = "barcode"
	Chip    = "chip"
)

var (
	// ErrGone says that the cards have changed hands already.
	ErrGone = errors.New("handover: delivered already")
	// ErrTakenBack says that the handover was cancelled: its cards are in none, or in
	// another one.
	ErrTakenBack = errors.New("handover: cancelled")
	// ErrPast says that an appointment lies in the past.
	ErrPast = errors.New("handover: appointment in the past")
)

// UnscannedError says that some pieces were scanned and others not: the tray is not
// whole, or not looked through.
type UnscannedError struct{ Missing []string }

func (e *UnscannedError) Error() string {
	return fmt.Sprintf("handover: %d cards are not scanned", len(e.Missing))
}

// waiting says that a handover's cards are still in the office, and that whoever asks
// may have to do with them.
func (h Handover) waiting(c request.Change) error {
	switch {
	case h.State == Cancelled:
		return ErrTakenBack
	case h.State != Prepared && h.State != BASTDrafted:
		return ErrGone
	case c.Actor.Role != request.Operator:
		return &machine.RoleError{Machine: Machine.Name, Verb: VerbDeliver, Role: c.Actor.Role}
	}
	return nil
}

// Appoint says when the produsen's representative is expected; the zero time takes the
// appointment back, which is all that can be done while the request is on hold. Errors:
// ErrPast, ErrOnHold, ErrGone, ErrTakenBack, *machine.RoleError, postgres.ErrStale.
func Appoint(ctx context.Context, tx *postgres.Tx, h Handover, at time.Time, note string, c request.Change) (Handover, error) {
	if err := h.waiting(c); err != nil {
		return h, err
	}
	var when *time.Time
	if !at.IsZero() {
		if at.Before(c.OfficeAt) {
			return h, ErrPast
		}
		if err := leaves(ctx, tx, h); err != nil {
			return h, err
		}
		at = at.UTC()
		when = &at
	}
	if err := tx.ExecOne(ctx, `UPDATE handover SET appointed_at = $3, appointment_note = $4, version = version + 1
		WHERE id = $1 AND version = $2 AND state = $5`, h.ID, h.Version, when, note, string(h.State)); err != nil {
		return h, fmt.Errorf("handover: appointing: %w", err)
	}
	return Get(ctx, tx, h.ID)
}

// Scan notes that pieces are in the tray, by their printed serials or the ids of their
// chips, and returns how many of the handover's were scanned so far and which keys are of
// none of them. A piece that was scanned before stays so. Errors: ErrGone, ErrTakenBack,
// *machine.RoleError.
func Scan(ctx context.Context, tx *postgres.Tx, h Handover, method string, keys []string, c request.Change) (scanned int, strange []string, err error) {
	// Against a delivery at the same moment, which looks whether the tray is whole.
	if err := tx.Get(ctx, &h.State, `SELECT state FROM handover WHERE id = $1 FOR UPDATE`, h.ID); err != nil {
		return 0, nil, fmt.Errorf("handover: locking: %w", err)
	}
	if err := h.waiting(c); err != nil {
		return 0, nil, err
	}
	column := "serial"
	if method == Chip {
		column = "chip_id"
	}
	if err := tx.Select(ctx, &strange, `
		SELECT k FROM unnest($2::text[]) WITH ORDINALITY AS t (k, n) WHERE NOT EXISTS (
			SELECT FROM handover_card h JOIN card c ON c.id = h.card_id WHERE h.handover_id = $1 AND upper(c.`+column+`) = upper(k)) ORDER BY n`,
		h.ID, pq.Array(keys)); err != nil {
		return 0, nil, fmt.Errorf("handover: looking for pieces: %w", err)
	}
	if _, err := tx.Exec(ctx, `
		INSERT INTO handover_scan (card_id, handover_id, method, scanned_by, scanned_at)
		SELECT h.card_id, h.handover_id, $3, $4, $5 FROM handover_card h JOIN card c ON c.id = h.card_id
		WHERE h.handover_id = $1 AND upper(c.`+column+`) IN (SELECT upper(k) FROM unnest($2::text[]) AS k) ON CONFLICT DO NOTHING`,
		h.ID, pq.Array(keys), method, c.Actor.Name, c.OfficeAt.UTC()); err != nil {
		return 0, nil, fmt.Errorf("handover: scanning: %w", err)
	}
	if err := tx.Get(ctx, &scanned, `SELECT count(*) FROM handover_scan WHERE handover_id = $1`, h.ID); err != nil {
		return 0, nil, fmt.Errorf("handover: scanned: %w", err)
	}
	return scanned, strange, nil
}

// allScanned says of a tray that somebody has begun to scan whether all of it was.
// Counting by hand is allowed: then nothing is scanned.
func allScanned(ctx context.Context, rd postgres.Reader, h Handover) error {
	cards, err := Cards(ctx, rd, h.ID)
	if err != nil {
		return err
	}
	missing := []string{}
	for _, one := range cards {
		if !one.Scanned {
			missing = append(missing, one.Serial)
		}
	}
	if n := len(missing); n > 0 && n < len(cards) {
		return &UnscannedError{missing}
	}
	return nil
}
