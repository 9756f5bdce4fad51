package audit

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/postgres"
)

type headRow struct {
	Day       clock.Date `db:"day"`
	Seq       int64      `db:"seq"`
	Hash      []byte     `db:"hash"`
	Unsealed  int64      `db:"unsealed"`
	At        time.Time  `db:"at"`
	KeyID     string     `db:"key_id"`
	Signature []byte     `db:"signature"`
}

func (r headRow) signed() SignedHead {
	return SignedHead{Head{r.Seq, pad(r.Hash)}, r.Day, r.Unsealed, r.At.UTC(), r.KeyID, r.Signature}
}

const selectHead = `SELECT day, seq, hash, unsealed, at, key_id, signature FROM audit_head `

// KeepHead keeps what was signed for a subject: a paper that prints it, or a day. A second
// one for the same subject is not kept, and no error: whoever was first stays. There is no
// audit row of it, which would make the chain longer than its head each time.
func KeepHead(ctx context.Context, tx *postgres.Tx, subject string, s SignedHead) (kept bool, err error) {
	n, err := tx.Exec(ctx, `
		INSERT INTO audit_head (subject, day, seq, hash, unsealed, at, key_id, signature) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
		ON CONFLICT (subject) DO NOTHING`, subject, s.Day, s.Seq, s.Hash[:], s.Unsealed, s.At.UTC(), s.KeyID, s.Signature)
	if err != nil {
		return false, fmt.Errorf("audit: keeping a signed head: %w", err)
	}
	return n == 1, nil
}

// SignedFor returns what was signed for a subject. Error: ErrNotSigned.
func SignedFor(ctx context.Context, rd postgres.Reader, subject string) (SignedHead, error) {
	return oneHead(ctx, rd, selectHead+`WHERE subject = $1`, subject)
}

// NewestSigned returns the signed head that covers most of the chain. Error: ErrNotSigned.
func NewestSigned(ctx context.Context, rd postgres.Reader) (SignedHead, error) {
	return oneHead(ctx, rd, selectHead+`ORDER BY seq DESC, at DESC LIMIT 1`)
}

func oneHead(ctx context.Context, rd postgres.Reader, query string, args ...any) (SignedHead, error) {
	var row headRow
	err := rd.Get(ctx, &row, query, args...)
	if errors.Is(err, sql.ErrNoRows) {
		return SignedHead{}, ErrNotSigned
	}
	if err != nil {
		return SignedHead{}, fmt.Errorf("audit: signed head: %w", err)
	}
	return row.signed(), nil
}

// SignedHeads returns all of them in the order of the chain; a year has some hundreds.
func SignedHeads(ctx context.Context, rd postgres.Reader) ([]SignedHead, error) {
	var rows []headRow
	if err := rd.Select(ctx, &rows, selectHead+`ORDER BY seq, at, subject`); err != nil {
		return nil, fmt.Errorf("audit: signed heads: %w", err)
	}
	all := make([]SignedHead, len(rows))
	for i, r := range rows {
		all[i] = r.signed()
	}
	return all, nil
}

// OwedHeads returns the ends of days before today that have sealed rows which no signed head
// covers, oldest first: each is to be signed for its Day. Days are those of the rows' times,
// in Jakarta.
func OwedHeads(ctx context.Context, rd postgres.Reader, today clock.Date, limit int) ([]SignedHead, error) {
	var rows []headRow
	if err := rd.Select(ctx, &rows, `
		SELECT e.day, e.seq, a.hash, (SELECT count(*) FROM audit u WHERE u.seq IS NULL AND (u.at AT TIME ZONE 'Asia/Jakarta')::date <= e.day) AS unsealed
		FROM (SELECT (at AT TIME ZONE 'Asia/Jakarta')::date AS day, max(seq) AS seq FROM audit
		      WHERE seq > (SELECT coalesce(max(seq), 0) FROM audit_head) AND at < $1 GROUP BY 1) e
		JOIN audit a ON a.seq = e.seq
		WHERE NOT EXISTS (SELECT FROM audit_head h WHERE h.subject = e.day::text) ORDER BY e.day LIMIT $2`, today.At(0, 0).UTC(), limit); err != nil {
		return nil, fmt.Errorf("audit: heads that are owed: %w", err)
	}
	owed := make([]SignedHead, len(rows))
	for i, r := range rows {
		owed[i] = r.signed()
	}
	return owed, nil
}

// OnChain says whether a head lies on the chain as it is now: what is to be signed is looked
// up, whoever asks for it. Error: *BrokenError.
func OnChain(ctx context.Context, rd postgres.Reader, h Head) error {
	if h == (Head{}) {
		return nil
	}
	var hash []byte
	err := rd.Get(ctx, &hash, `SELECT hash FROM audit WHERE seq = $1`, h.Seq)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return &BrokenError{h.Seq, "there is no row of this number"}
	case err != nil:
		return fmt.Errorf("audit: head: %w", err)
	case pad(hash) != h.Hash:
		return &BrokenError{h.Seq, "its hash is another one"}
	}
	return nil
}
