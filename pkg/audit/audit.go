// Package audit keeps the record of who did what, in a way that shows tampering.
//
// A row goes in with the business transaction it tells of. One sealer, in the
// scheduler, later gives rows their numbers and chains them: hash = SHA-256(hash of the
// row before || canonical form of the row), see Row.Canonical. Sealing apart from
// writing keeps business transactions from queueing for the end of the chain. Rows are
// numbered in the order in which they are sealed, which may differ a little from
// their times.
//
// The chain shows any change, insertion or removal before its head. Whoever owns the
// database can still cut its end off or rebuild all of it; signed heads kept elsewhere (on
// the day sheet, in an export) show that, see Verify and SignedHead. It writes the tables
// audit and audit_head.
package audit

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/lib/pq"

	"dukcapil.go.id/sifilma/pkg/postgres"
)

// Entry is one thing somebody did.
type Entry struct {
	// Actor is who did it: an account, an API key's name, or a daemon.
	Actor string
	// Action is a stable English code such as request.approved.
	Action string
	// Subject is what it was done to, such as a row id.
	Subject string
	// Request is the id of the request (permohonan) it belongs to; "" for none.
	Request string
	// Detail is free JSON; it must hold no secret.
	Detail map[string]any
}

// Record writes entries in the caller's transaction, with one statement.
func Record(ctx context.Context, tx *postgres.Tx, entries ...Entry) error {
	if len(entries) == 0 {
		return nil
	}
	n := len(entries)
	ids, actors, actions := make([]string, n), make([]string, n), make([]string, n)
	subjects, requests, details := make([]string, n), make([]sql.NullString, n), make([]string, n)
	for i, e := range entries {
		if e.Actor == "" || e.Action == "" {
			return errors.New("audit: an entry lacks its actor or action")
		}
		id, err := uuid.NewV7()
		if err != nil {
			return fmt.Errorf("audit: %w", err)
		}
		if e.Request != "" {
			r, err := uuid.Parse(e.Request)
			if err != nil {
				return fmt.Errorf("audit: request id of %s is not a UUID", e.Action)
			}
			requests[i] = sql.NullString{String: r.String(), Valid: true}
		}
		if e.Detail == nil {
			e.Detail = map[string]any{}
		}
		detail, err := json.Marshal(e.Detail)
		if err != nil {
			return fmt.Errorf("audit: detail of %s: %w", e.Action, err)
		}
		ids[i], actors[i], actions[i], subjects[i], details[i] = id.String(), e.Actor, e.Action, e.Subject, string(detail)
	}
	_, err := tx.Exec(ctx, `INSERT INTO audit (id, at, actor, action, subject, request_id, detail)
		SELECT u.id, $1, u.actor, u.action, u.subject, u.request_id, u.detail
		FROM unnest($2::uuid[], $3::text[], $4::text[], $5::text[], $6::uuid[], $7::jsonb[])
			AS u (id, actor, action, subject, request_id, detail)`,
		time.Now().UTC(), pq.Array(ids), pq.Array(actors), pq.Array(actions), pq.Array(subjects), pq.Array(requests), pq.Array(details))
	if err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	return nil
}

// sealLock is the advisory lock of the sealer; the number only has to be ours.
const sealLock = 0x51F1_1A01

// Sealer chains the rows that were written since it last did.
type Sealer struct {
	db    *postgres.DB
	batch int
}

// NewSealer returns a sealer that seals at most batch rows in one transaction; 0
// means 1000.
func NewSealer(db *postgres.DB, batch int) *Sealer {
	if batch <= 0 {
		batch = 1000
	}
	return &Sealer{db: db, batch: batch}
}

// SealOnce seals up to one batch of rows, oldest id first, and returns how many. Two
// sealers at once do no harm: the second waits for the first.
func (s *Sealer) SealOnce(ctx context.Context) (sealed int, err error) {
	err = s.db.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		sealed, err = s.seal(ctx, tx)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("audit: seal: %w", err)
	}
	return sealed, nil
}

func (s *Sealer) seal(ctx context.Context, tx *postgres.Tx) (int, error) {
	// The statements after the lock see what the sealer before committed (READ COMMITTED).
	if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock($1)`, int64(sealLock)); err != nil {
		return 0, err
	}
	head, err := HeadOf(ctx, tx)
	if err != nil {
		return 0, err
	}
	var rows []Row
	err = tx.Select(ctx, &rows, `SELECT id, at, actor, action, subject, request_id, detail::text AS detail
		FROM audit WHERE seq IS NULL ORDER BY id LIMIT $1`, s.batch)
	if err != nil || len(rows) == 0 {
		return 0, err
	}
	ids, seqs := make([]string, len(rows)), make([]int64, len(rows))
	prevs, hashes := make([][]byte, len(rows)), make([][]byte, len(rows))
	for i, r := range rows {
		r.Seq = head.Seq + 1
		next := Head{r.Seq, r.link(head.Hash)}
		ids[i], seqs[i] = r.ID.String(), r.Seq
		prevs[i], hashes[i] = append([]byte(nil), head.Hash[:]...), append([]byte(nil), next.Hash[:]...)
		head = next
	}
	n, err := tx.Exec(ctx, `UPDATE audit a SET seq = u.seq, prev_hash = u.prev, hash = u.hash
		FROM unnest($1::uuid[], $2::bigint[], $3::bytea[], $4::bytea[]) AS u (id, seq, prev, hash)
		WHERE a.id = u.id AND a.seq IS NULL`,
		pq.Array(ids), pq.Array(seqs), pq.Array(prevs), pq.Array(hashes))
	if err != nil {
		return 0, err
	}
	if n != int64(len(rows)) {
		return 0, postgres.ErrStale
	}
	return len(rows), nil
}

// HeadOf returns the end of the chain.
func HeadOf(ctx context.Context, r postgres.Reader) (Head, error) {
	var row struct {
		Seq  int64  `db:"seq"`
		Hash []byte `db:"hash"`
	}
	err := r.Get(ctx, &row, `SELECT seq, hash FROM audit WHERE seq IS NOT NULL ORDER BY seq DESC LIMIT 1`)
	if errors.Is(err, sql.ErrNoRows) {
		return Head{}, nil
	}
	if err != nil {
		return Head{}, fmt.Errorf("audit: head: %w", err)
	}
	return Head{row.Seq, pad(row.Hash)}, nil
}

// Unsealed tells how many rows wait for the sealer and since when the oldest does.
func Unsealed(ctx context.Context, r postgres.Reader) (count int64, oldest time.Time, err error) {
	var row struct {
		Count  int64        `db:"count"`
		Oldest sql.NullTime `db:"oldest"`
	}
	if err := r.Get(ctx, &row, `SELECT count(*) AS count, min(at) AS oldest FROM audit WHERE seq IS NULL`); err != nil {
		return 0, time.Time{}, fmt.Errorf("audit: %w", err)
	}
	return row.Count, row.Oldest.Time, nil
}

// verifyPage is how many rows Verify holds at a time.
const verifyPage = 1000

// Verify walks the whole chain and returns its head. A *BrokenError names the first
// number that does not hold. known are heads kept elsewhere: each must lie on the
// chain, so that a chain that was cut or rebuilt is found out.
func Verify(ctx context.Context, r postgres.Reader, known ...Head) (Head, error) {
	expect := map[int64]Hash{}
	for _, k := range known {
		if have, ok := expect[k.Seq]; ok && have != k.Hash {
			return Head{}, &BrokenError{k.Seq, "two kept heads contradict each other"}
		}
		expect[k.Seq] = k.Hash
	}
	head, err := walk(ctx, r, func(row Row) error {
		if want, ok := expect[row.Seq]; ok && want != Hash(pad(row.Hash)) {
			return &BrokenError{row.Seq, "it is not the row of the kept head"}
		}
		delete(expect, row.Seq)
		return nil
	})
	if err != nil {
		return head, err
	}
	for seq, hash := range expect {
		if seq > 0 || hash != (Hash{}) {
			return head, &BrokenError{head.Seq + 1, fmt.Sprintf("the chain ends before the kept head %d", seq)}
		}
	}
	return head, nil
}

// walk checks the chain from its first row on, and shows each row that follows.
func walk(ctx context.Context, r postgres.Reader, show func(Row) error) (Head, error) {
	var c Chain
	for {
		var rows []Row
		err := r.Select(ctx, &rows, `SELECT id, at, actor, action, subject, request_id, detail::text AS detail, seq, prev_hash, hash
			FROM audit WHERE seq > $1 ORDER BY seq LIMIT $2`, c.head.Seq, verifyPage)
		if err != nil {
			return c.head, fmt.Errorf("audit: verify: %w", err)
		}
		for _, row := range rows {
			if err := c.Add(row); err != nil {
				return c.head, err
			}
			if err := show(row); err != nil {
				return c.head, err
			}
		}
		if len(rows) < verifyPage {
			return c.head, nil
		}
	}
}
