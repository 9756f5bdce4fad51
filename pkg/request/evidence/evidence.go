// Package evidence keeps the bundles of evidence of requests: one signed zip with the
// letters, decisions, card results, hashes and the audit proof, as they stood when somebody
// of the office ordered it. It writes the table evidence.
package evidence

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"dukcapil.go.id/sifilma/pkg/postgres"
)

// Format is the format of the bundle.
const Format = "evidence/1"

// AuditFile is the audit proof in the bundle.
const AuditFile = "audit.json"

// ErrNotFound says that no bundle was ordered.
var ErrNotFound = errors.New("evidence: none was ordered")

// Evidence is a bundle that was ordered.
type Evidence struct {
	ID        string    `db:"id"`
	RequestID string    `db:"request_id"`
	Ticket    string    `db:"ticket"`
	OrderedBy string    `db:"ordered_by"`
	OrderedAt time.Time `db:"ordered_at"` // by the office's clock
	Bundle    *string   `db:"bundle_blob"`
	// KeyRevoked says that the key of the bundle was revoked: nobody believes it any more.
	KeyRevoked bool `db:"key_revoked"`
}

const selectEvidence = `SELECT e.id, e.request_id, r.ticket, e.ordered_by, e.ordered_at, e.bundle_blob, bundle_key_revoked(e.bundle_blob, e.key_id) AS key_revoked FROM evidence e JOIN request r ON r.id = e.request_id `

// Order has a bundle made of a request as it stands; one that was ordered and is not made
// is enough for both. added says whether it is a new order.
func Order(ctx context.Context, tx *postgres.Tx, requestID, by string, officeAt time.Time) (added bool, err error) {
	id, err := uuid.NewV7()
	if err != nil {
		return false, fmt.Errorf("evidence: id: %w", err)
	}
	n, err := tx.Exec(ctx, `
		INSERT INTO evidence (id, request_id, ordered_by, ordered_at) VALUES ($1, $2, $3, $4)
		ON CONFLICT (request_id) WHERE bundle_blob IS NULL DO NOTHING`, id, requestID, by, officeAt.UTC())
	if err != nil {
		return false, fmt.Errorf("evidence: ordering: %w", err)
	}
	return n == 1, nil
}

// Owed returns bundles that are to be made, oldest first.
func Owed(ctx context.Context, rd postgres.Reader, limit int) ([]Evidence, error) {
	var list []Evidence
	if err := rd.Select(ctx, &list, selectEvidence+`WHERE e.bundle_blob IS NULL ORDER BY e.id LIMIT $1`, limit); err != nil {
		return nil, fmt.Errorf("evidence: owed: %w", err)
	}
	return list, nil
}

// Attach keeps the bundle of an order, sealed with a key. Error: postgres.ErrStale when
// another one made it.
func Attach(ctx context.Context, tx *postgres.Tx, e Evidence, bundle uuid.UUID, keyID string) error {
	n, err := tx.Exec(ctx, `UPDATE evidence SET bundle_blob = $2, key_id = nullif($3, '') WHERE id = $1 AND bundle_blob IS NULL`, e.ID, bundle, keyID)
	if err != nil {
		return fmt.Errorf("evidence: attaching: %w", err)
	}
	if n != 1 {
		return fmt.Errorf("evidence: attaching: %w", postgres.ErrStale)
	}
	return nil
}

// Latest returns the newest order of a request. Error: ErrNotFound.
func Latest(ctx context.Context, rd postgres.Reader, requestID string) (e Evidence, err error) {
	err = rd.Get(ctx, &e, selectEvidence+`WHERE e.request_id = $1 ORDER BY e.id DESC LIMIT 1`, requestID)
	if errors.Is(err, sql.ErrNoRows) {
		return e, ErrNotFound
	}
	if err != nil {
		return e, fmt.Errorf("evidence: reading: %w", err)
	}
	return e, nil
}
