package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
)

const (
	maxAttempts = 8
	firstPause  = 5 * time.Millisecond
	lastPause   = 500 * time.Millisecond
)

// Tx is a running transaction. It belongs to the goroutine that runs the function
// given to InTx and ends with it.
type Tx struct {
	db       *DB
	x        *sqlx.Tx
	writes   bool
	known    Mark // NULL until somebody asked
	onCommit []func()
	onFail   []func()
}

type txKey struct{ db *DB }

// InTx runs fn in a READ COMMITTED transaction and commits it when fn returns nil.
//
// fn may run more than once: after a serialization failure or a deadlock, and when
// the connection was lost before COMMIT; it must not touch anything but tx and its
// own locals. When the answer to COMMIT is lost, InTx learns the outcome from the
// server: committed is success, aborted runs fn again, and ErrCommitUnknown is
// returned when the server cannot be asked in time. The whole is bounded by ctx and
// by Config.TxTimeout. A panic of fn rolls back and goes on.
func (db *DB) InTx(ctx context.Context, fn func(ctx context.Context, tx *Tx) error) error {
	if ctx.Value(txKey{db}) != nil {
		return ErrNested
	}
	ctx, cancel := context.WithTimeout(ctx, db.txTimeout)
	defer cancel()
	pause := firstPause
	for attempt := 1; ; attempt++ {
		err := db.once(ctx, fn)
		var final *finalError
		switch {
		case err == nil:
			return nil
		case errors.As(err, &final):
			return final.err
		case ctx.Err() != nil && Foreign(err):
			return errors.Join(ctx.Err(), err)
		case !rerunnable(err) || attempt == maxAttempts:
			return err
		}
		db.counted.reruns.Add(1)
		wait := time.NewTimer(pause/2 + rand.N(pause)) //nolint:gosec // a pause, no secret
		select {
		case <-wait.C:
		case <-ctx.Done():
			wait.Stop()
			return errors.Join(ctx.Err(), err)
		}
		pause = min(2*pause, lastPause)
	}
}

// finalError carries an error that must not run fn again, whatever it wraps.
type finalError struct{ err error }

func (f *finalError) Error() string { return f.err.Error() }
func (f *finalError) Unwrap() error { return f.err }

// once runs fn in one transaction. An error that is not a *finalError means that
// nothing was committed.
func (db *DB) once(ctx context.Context, fn func(ctx context.Context, tx *Tx) error) error {
	cn, err := db.x.Connx(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = cn.Close() }()
	var gen uint64
	if err := cn.Raw(func(dc any) error { gen = dc.(*conn).gen; return nil }); err != nil {
		return err
	}
	err = db.onConn(ctx, cn, fn)
	if connectionLost(err) || readOnlyServer(err) {
		db.connector.retire(gen)
	}
	return err
}

func (db *DB) onConn(ctx context.Context, cn *sqlx.Conn, fn func(ctx context.Context, tx *Tx) error) error {
	// Statements carry ctx themselves; a transaction that also ended with ctx would
	// be rolled back by another goroutine while fn still runs.
	x, err := cn.BeginTxx(context.WithoutCancel(ctx), &sql.TxOptions{Isolation: sql.LevelReadCommitted})
	if err != nil {
		return err
	}
	tx := &Tx{db: db, x: x}
	ended, committed := false, false
	defer func() {
		if !ended { // fn panicked
			_ = x.Rollback()
		}
		if !committed {
			for _, f := range tx.onFail {
				f()
			}
		}
	}()
	err = fn(context.WithValue(ctx, txKey{db}, true), tx)
	if err == nil {
		err = ctx.Err()
	}
	var mark Mark
	if err == nil && tx.writes {
		mark, err = tx.mark(ctx)
	}
	ended = true
	if err != nil {
		_ = x.Rollback() // the connection is discarded when this fails
		return err
	}
	if err := x.Commit(); err != nil {
		if err := db.afterCommitError(ctx, err, mark); err != nil {
			return err
		}
	}
	committed = true
	if mark.XID.Valid {
		db.counted.commits.Add(1)
	}
	for _, f := range tx.onCommit {
		f()
	}
	return nil
}

// afterCommitError judges an error of COMMIT. Nil means committed, a *finalError
// that fn must not run again, any other error that nothing was committed.
func (db *DB) afterCommitError(ctx context.Context, err error, m Mark) error {
	if errors.Is(err, pq.ErrInFailedTransaction) {
		return &finalError{fmt.Errorf("postgres: a failed statement was ignored inside the transaction: %w", err)}
	}
	if serverError(err) != nil {
		return err // the server itself said that it did not commit
	}
	if !m.XID.Valid {
		return &finalError{err} // nothing was written through tx
	}
	committed, rerr := db.resolve(ctx, m)
	if rerr != nil {
		db.counted.unknown.Add(1)
	} else {
		db.counted.resolved.Add(1)
	}
	switch {
	case rerr != nil:
		return &finalError{fmt.Errorf("%w: %w; %w", ErrCommitUnknown, err, rerr)}
	case committed:
		return nil
	case ctx.Err() != nil:
		return &finalError{errors.Join(ctx.Err(), err)}
	}
	return err
}

// DB returns the pool the transaction belongs to, for its bells. Do not read
// through it inside the transaction.
func (tx *Tx) DB() *DB { return tx.db }

// Exec runs one statement and returns how many rows it affected.
func (tx *Tx) Exec(ctx context.Context, query string, args ...any) (rowsAffected int64, err error) {
	tx.writes = true
	res, err := tx.x.ExecContext(ctx, query, args...)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

// ExecOne runs one statement that must affect exactly one row; otherwise it
// returns ErrStale, and the caller rolls back by returning it.
func (tx *Tx) ExecOne(ctx context.Context, query string, args ...any) error {
	n, err := tx.Exec(ctx, query, args...)
	if err != nil {
		return err
	}
	if n != 1 {
		return ErrStale
	}
	return nil
}

// Get reads one row inside the transaction; INSERT, UPDATE or DELETE with
// RETURNING are welcome here. See Reader.
func (tx *Tx) Get(ctx context.Context, dest any, query string, args ...any) error {
	tx.note(query)
	return tx.x.GetContext(ctx, dest, query, args...)
}

// Select reads rows inside the transaction; see Get.
func (tx *Tx) Select(ctx context.Context, dest any, query string, args ...any) error {
	tx.note(query)
	return tx.x.SelectContext(ctx, dest, query, args...)
}

// note marks the transaction as writing unless the query is a plain SELECT; a
// wrong guess towards writing costs one round trip.
func (tx *Tx) note(query string) {
	if tx.writes {
		return
	}
	q := strings.TrimSpace(query)
	tx.writes = len(q) < 6 || !strings.EqualFold(q[:6], "SELECT")
}

// OnCommit has f run after a successful commit, in the order of the calls. When
// the transaction runs again, what earlier runs asked for is forgotten.
func (tx *Tx) OnCommit(f func()) { tx.onCommit = append(tx.onCommit, f) }

// OnFail has f run when this run of the transaction did not commit, or nobody
// knows whether it did. Of OnCommit and OnFail exactly one comes about, once for
// each run.
func (tx *Tx) OnFail(f func()) { tx.onFail = append(tx.onFail, f) }
