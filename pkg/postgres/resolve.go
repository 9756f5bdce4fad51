package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/lib/pq/pqerror"
)

// resolveTimeout bounds the search for the outcome of a lost COMMIT.
const resolveTimeout = 15 * time.Second

// Mark names a transaction for the question after a lost COMMIT: its id and the
// timeline of the server. On another timeline (a promoted standby) the same id may
// belong to somebody else's transaction.
type Mark struct {
	XID      sql.NullString `db:"xid"` // NULL when nothing was written
	Timeline sql.NullString `db:"timeline"`
}

// timelineSQL is the timeline of a primary: the first eight digits of its WAL
// file names. A standby has none, the expression is then NULL.
const timelineSQL = `CASE WHEN pg_is_in_recovery() THEN NULL ELSE left(pg_walfile_name(pg_current_wal_insert_lsn()), 8) END`

// MarkColumns are the columns of a Mark. A statement that many transactions end
// with can read them along and give them to Tx.Know: that saves a round trip.
const MarkColumns = `pg_current_xact_id()::text AS xid, ` + timelineSQL + ` AS timeline`

// Know has the transaction go by a mark that one of its statements has read.
func (tx *Tx) Know(m Mark) { tx.known = m }

// mark returns the transaction's mark; it asks for it where it is not known.
func (tx *Tx) mark(ctx context.Context) (Mark, error) {
	if tx.known.XID.Valid {
		return tx.known, nil
	}
	var m Mark
	err := tx.x.GetContext(ctx, &m,
		`SELECT pg_current_xact_id_if_assigned()::text AS xid, `+timelineSQL+` AS timeline`)
	return m, err
}

var errStillRunning = errors.New("the transaction is still in progress")

// resolve asks new connections what became of the transaction.
func (db *DB) resolve(ctx context.Context, m Mark) (committed bool, err error) {
	// The answer is worth waiting for even when the caller's time is over: he must
	// not take a committed change for a failed one.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), db.resolveTimeout)
	defer cancel()
	var final error
	err = waitFor(ctx, func(ctx context.Context) error {
		committed, err = db.ask(ctx, m)
		if errors.Is(err, errAnotherHistory) {
			final = err
			return nil
		}
		return err
	})
	if final != nil {
		return false, final
	}
	return committed, err
}

var errAnotherHistory = errors.New("the server was replaced and cannot know the transaction")

// ask asks one new connection once. An error means: no answer yet.
func (db *DB) ask(ctx context.Context, m Mark) (committed bool, err error) {
	raw := sql.OpenDB(db.connector) // its own pool, so it must dial
	defer func() { _ = raw.Close() }()
	var timeline, status sql.NullString
	if err := raw.QueryRowContext(ctx, `SELECT `+timelineSQL).Scan(&timeline); err != nil {
		return false, err
	}
	if !timeline.Valid {
		return false, errors.New("the server is a standby")
	}
	err = raw.QueryRowContext(ctx, `SELECT pg_xact_status($1::text::xid8)`, m.XID.String).Scan(&status)
	if pe := serverError(err); pe != nil && pe.Code == pqerror.InvalidParameterValue {
		// "transaction ID is in the future": a promoted standby that never saw it.
		if timeline.String != m.Timeline.String {
			return false, nil
		}
		return false, errAnotherHistory
	}
	if err != nil {
		return false, err
	}
	switch status.String {
	case "aborted":
		return false, nil
	case "committed":
		if timeline.String != m.Timeline.String {
			return false, errAnotherHistory
		}
		return true, nil
	case "in progress":
		return false, errStillRunning
	}
	return false, fmt.Errorf("%w: its status was already discarded", errAnotherHistory)
}
