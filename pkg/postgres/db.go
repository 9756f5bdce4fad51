package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jmoiron/sqlx"
)

const (
	defaultMaxOpen   = 10
	defaultTxTimeout = 60 * time.Second
	connMaxLifetime  = 5 * time.Minute
	connMaxIdleTime  = 2 * time.Minute
)

// Reader reads rows into Go values the way sqlx does. DB and Tx are Readers.
type Reader interface {
	// Get scans exactly the first row into dest; sql.ErrNoRows when there is none.
	Get(ctx context.Context, dest any, query string, args ...any) error
	// Select scans all rows into the slice dest points to.
	Select(ctx context.Context, dest any, query string, args ...any) error
}

// DB is a pool of connections to one database.
type DB struct {
	x              *sqlx.DB
	connector      *connector
	txTimeout      time.Duration
	resolveTimeout time.Duration // see resolve
	bells          sync.Map      // name -> *Bell
	expected       atomic.Int64
	counted        counters
}

// Open makes the pool without dialling: it works while the server is away.
func Open(cfg Config) (*DB, error) {
	c, err := newConnector(cfg, true)
	if err != nil {
		return nil, err
	}
	raw := sql.OpenDB(c)
	maxOpen := cfg.MaxOpen
	if maxOpen <= 0 {
		maxOpen = defaultMaxOpen
	}
	raw.SetMaxOpenConns(maxOpen)
	raw.SetMaxIdleConns(maxOpen)
	raw.SetConnMaxLifetime(connMaxLifetime)
	raw.SetConnMaxIdleTime(connMaxIdleTime)
	db := &DB{x: sqlx.NewDb(raw, "postgres"), connector: c, txTimeout: cfg.TxTimeout, resolveTimeout: resolveTimeout}
	if db.txTimeout <= 0 {
		db.txTimeout = defaultTxTimeout
	}
	db.expected.Store(-1)
	return db, nil
}

// Close closes the pool; running transactions lose their connections when they end.
func (db *DB) Close() error { return db.x.Close() }

// Stats returns the counters of the pool.
func (db *DB) Stats() sql.DBStats { return db.x.Stats() }

// Get reads one row outside a transaction; see Reader.
func (db *DB) Get(ctx context.Context, dest any, query string, args ...any) error {
	return db.read(ctx, dest, func(ctx context.Context) error {
		return db.x.GetContext(ctx, dest, query, args...)
	})
}

// Select reads rows outside a transaction; see Reader.
func (db *DB) Select(ctx context.Context, dest any, query string, args ...any) error {
	return db.read(ctx, dest, func(ctx context.Context) error {
		return db.x.SelectContext(ctx, dest, query, args...)
	})
}

// read bounds a read and runs it once more when its connection was lost or its
// plan is gone. That is safe: the session is read-only.
func (db *DB) read(ctx context.Context, dest any, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, db.txTimeout)
	defer cancel()
	gen := db.connector.gen.Load()
	err := do(ctx)
	if err == nil || ctx.Err() != nil || !connectionLost(err) && !planGone(err) {
		return err
	}
	if connectionLost(err) {
		db.connector.retire(gen)
	}
	if v := reflect.ValueOf(dest); v.Kind() == reflect.Pointer && !v.IsNil() {
		v.Elem().SetZero() // rows read before the loss
	}
	return do(ctx)
}

// View runs fn on one unchanging snapshot of the database (REPEATABLE READ, READ
// ONLY), for reports and exports of several queries. It does not run fn again.
func (db *DB) View(ctx context.Context, fn func(ctx context.Context, r Reader) error) error {
	cn, err := db.x.Connx(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = cn.Close() }()
	x, err := cn.BeginTxx(context.WithoutCancel(ctx), &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true})
	if err != nil {
		return err
	}
	defer func() { _ = x.Rollback() }() // there is nothing to commit
	return fn(ctx, &Tx{db: db, x: x, writes: true})
}

// Expect sets the schema version that Check and WaitReady demand. Without it they
// only look whether the server answers.
func (db *DB) Expect(version int) { db.expected.Store(int64(version)) }

// Check reports why the database cannot be worked with: no answer, or another
// schema version than expected. It is made for readyz.
func (db *DB) Check(ctx context.Context) error {
	want := db.expected.Load()
	if want < 0 {
		var one int
		if err := db.Get(ctx, &one, `SELECT 1`); err != nil {
			return fmt.Errorf("postgres: %w", err)
		}
		return nil
	}
	var have int64
	var known bool
	if err := db.Get(ctx, &known, `SELECT to_regclass('schema_migration') IS NOT NULL`); err != nil {
		return fmt.Errorf("postgres: %w", err)
	}
	if known {
		if err := db.Get(ctx, &have, `SELECT COALESCE(max(version), 0) FROM schema_migration`); err != nil {
			return fmt.Errorf("postgres: schema version: %w", err)
		}
	}
	if have != want {
		return fmt.Errorf("postgres: schema version is %d, this program needs %d", have, want)
	}
	return nil
}

// WaitReady waits until Check succeeds or ctx ends; then the error holds both the
// end of ctx and the last finding.
func (db *DB) WaitReady(ctx context.Context) error {
	return waitFor(ctx, db.Check)
}

// waitFor calls try until it succeeds, with growing pauses up to a second.
func waitFor(ctx context.Context, try func(context.Context) error) error {
	var last error
	for pause := 50 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		err := try(ctx)
		if err == nil {
			return nil
		}
		if last == nil || ctx.Err() == nil { // the end of ctx itself is no finding
			last = err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return errors.Join(ctx.Err(), last)
		}
	}
}
