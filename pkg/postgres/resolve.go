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

// Mark names a transaction for the question after a lost COMMIT: its id, and the
// life of the server that gave it. A server that crashed, or a standby that was
// promoted, may give the same id to somebody else's transaction.
type Mark struct {
	XID  sql.NullString `db:"xid"` // NULL when nothing was written
	Life sql.NullString `db:"life"`
}

// lifeSQL is the life of a primary: its timeline, the first eight digits of the
// names of its WAL files, and since when its statistics count. They begin anew
// after each crash (PostgreSQL 15, section 28.2), when ids that had not reached
// the WAL on disk are given again; a server that was stopped keeps both. A standby
// has no WAL of its own, the expression is then NULL.
const lifeSQL = `CASE WHEN pg_is_in_recovery() THEN NULL
	ELSE left(pg_walfile_name(pg_current_wal_insert_lsn()), 8) || ' ' || (SELECT stats_reset FROM pg_stat_bgwriter)::text END`

// MarkColumns are the columns of a Mark. A statement that many transactions end
// with can read them along and give them to Tx.Know: that saves a round trip.
const MarkColumns = `pg_current_xact_id()::text AS xid, ` + lifeSQL + ` AS life`

// Know has the transaction go by a mark that one of its statements has read.
func (tx *Tx) Know(m Mark) { tx.known = m }

// mark returns the transaction's mark; it asks for it where it is not known.
func (tx *Tx) mark(ctx context.Context) (Mark, error) {
	if tx.known.XID.Valid {
		return tx.known, nil
	}
	var m Mark
	err := tx.x.GetContext(ctx, &m,
		`SELECT pg_current_xact_id_if_assigned()::text AS xid, `+lifeSQL+` AS life`)
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

var errAnotherHistory = errors.New("the server crashed or was replaced and cannot know the transaction")

// ask asks one new connection once. An error means: no answer yet.
func (db *DB) ask(ctx context.Context, m Mark) (committed bool, err error) {
	raw := sql.OpenDB(db.connector) // its own pool, so it must dial
	defer func() { _ = raw.Close() }()
	cn, err := raw.Conn(ctx) // one for both questions: the server has one life meanwhile
	if err != nil {
		return false, err
	}
	defer func() { _ = cn.Close() }()
	var life, status sql.NullString
	if err := cn.QueryRowContext(ctx, `SELECT `+lifeSQL).Scan(&life); err != nil {
		return false, err
	}
	if !life.Valid {
		return false, errors.New("the server is a standby")
	}
	err = cn.QueryRowContext(ctx, `SELECT pg_xact_status($1::text::xid8)`, m.XID.String).Scan(&status)
	if pe := serverError(err); pe != nil && pe.Code == pqerror.InvalidParameterValue {
		// "transaction ID is in the future": a server that does not remember it.
		if life != m.Life {
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
		if life != m.Life {
			return false, errAnotherHistory
		}
		return true, nil
	case "in progress":
		return false, errStillRunning
	}
	return false, fmt.Errorf("%w: its status was already discarded", errAnotherHistory)
}
