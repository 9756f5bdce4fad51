package cardsecret

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/lib/pq"

	"dukcapil.go.id/sifilma/pkg/audit"
	"dukcapil.go.id/sifilma/pkg/postgres"
)

// Escrow is a public key of the office. Who has lost its own key is helped by the two
// people who have the parts of its private half.
type Escrow struct {
	ID          string         `db:"id"`
	Edition     int            `db:"edition"`
	Recipient   string         `db:"recipient"`
	Fingerprint string         `db:"fingerprint"`
	Custodians  pq.StringArray `db:"custodians"` // the two roles, in the order of the ceremony
	Place       string         `db:"place"`
	RecordedBy  string         `db:"recorded_by"`
	OfficeAt    time.Time      `db:"office_at"`
	EndedAt     *time.Time     `db:"ended_at"`
}

const selectEscrow = `SELECT id, edition, recipient, fingerprint, custodians, place, recorded_by, office_at, ended_at FROM escrow_key `

// EscrowInForce returns the escrow key that cards are written for. Error: ErrNoEscrow.
func EscrowInForce(ctx context.Context, rd postgres.Reader) (Escrow, error) {
	return oneEscrow(ctx, rd, ErrNoEscrow, `WHERE ended_at IS NULL`)
}

// EscrowEdition returns an edition of the escrow key. Error: ErrNotFound.
func EscrowEdition(ctx context.Context, rd postgres.Reader, edition int) (Escrow, error) {
	return oneEscrow(ctx, rd, ErrNotFound, `WHERE edition = $1`, edition)
}

func oneEscrow(ctx context.Context, rd postgres.Reader, none error, where string, args ...any) (e Escrow, err error) {
	err = rd.Get(ctx, &e, selectEscrow+where, args...)
	if errors.Is(err, sql.ErrNoRows) {
		return e, none
	}
	if err != nil {
		return e, fmt.Errorf("cardsecret: reading an escrow key: %w", err)
	}
	return e, nil
}

// Escrows returns all escrow keys, the newest first.
func Escrows(ctx context.Context, rd postgres.Reader) ([]Escrow, error) {
	list := []Escrow{}
	if err := rd.Select(ctx, &list, selectEscrow+`ORDER BY edition DESC`); err != nil {
		return nil, fmt.Errorf("cardsecret: escrow keys: %w", err)
	}
	return list, nil
}

// RecordEscrow puts the next edition of the escrow key in force; the one before stays
// what its files are opened with. The same key once more changes nothing, so that a
// ceremony that was cut off can be finished. Errors: form.Faults.
func RecordEscrow(ctx context.Context, tx *postgres.Tx, e Escrow) (Escrow, error) {
	key, err := parse(e.Recipient)
	if err != nil {
		return e, err
	}
	if _, err := tx.Exec(ctx, `LOCK TABLE escrow_key IN SHARE ROW EXCLUSIVE MODE`); err != nil {
		return e, fmt.Errorf("cardsecret: lock: %w", err)
	}
	if now, err := oneEscrow(ctx, tx, ErrNotFound, `WHERE recipient = $1`, key.String()); !errors.Is(err, ErrNotFound) {
		return now, err
	}
	if _, err := tx.Exec(ctx, `UPDATE escrow_key SET ended_at = $1 WHERE ended_at IS NULL`, e.OfficeAt.UTC()); err != nil {
		return e, fmt.Errorf("cardsecret: ending the escrow key: %w", err)
	}
	id, err := uuid.NewV7()
	if err != nil {
		return e, fmt.Errorf("cardsecret: id: %w", err)
	}
	if err := tx.ExecOne(ctx, `
		INSERT INTO escrow_key (id, edition, recipient, fingerprint, custodians, place, recorded_by, office_at)
		SELECT $1, 1 + coalesce(max(edition), 0), $2, $3, $4, $5, $6, $7 FROM escrow_key`,
		id.String(), key.String(), Fingerprint(key.String()), e.Custodians, e.Place, e.RecordedBy, e.OfficeAt.UTC()); err != nil {
		return e, fmt.Errorf("cardsecret: recording the escrow key: %w", err)
	}
	if e, err = EscrowInForce(ctx, tx); err != nil {
		return e, err
	}
	return e, audit.Record(ctx, tx, audit.Entry{Actor: e.RecordedBy, Action: "escrow_key.recorded", Subject: e.ID, Detail: map[string]any{
		"edition": e.Edition, "recipient": e.Recipient, "fingerprint": e.Fingerprint, "custodians": []string(e.Custodians), "place": e.Place,
	}})
}
