package postgres_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/test/harness"
)

const createItem = `CREATE TABLE item (id int PRIMARY KEY, n int NOT NULL DEFAULT 0 CONSTRAINT item_small CHECK (n < 1000),
	mate int CONSTRAINT item_mate UNIQUE DEFERRABLE INITIALLY DEFERRED)`

// fresh returns the configuration of an empty database that has the table item.
func fresh(t *testing.T) postgres.Config {
	t.Helper()
	cfg := harness.NewEmptyDatabase(t).Config(t, "")
	db := open(t, cfg)
	exec(t, db, createItem)
	exec(t, db, `INSERT INTO item (id) SELECT generate_series(1, 10)`)
	return cfg
}

func open(t *testing.T, cfg postgres.Config) *postgres.DB {
	t.Helper()
	db, err := postgres.Open(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func exec(t *testing.T, db *postgres.DB, query string, args ...any) {
	t.Helper()
	require.NoError(t, db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		_, err := tx.Exec(ctx, query, args...)
		return err
	}))
}

func number(t *testing.T, db postgres.Reader, query string, args ...any) (n int) {
	t.Helper()
	require.NoError(t, db.Get(t.Context(), &n, query, args...))
	return n
}

// via returns cfg going through a proxy at addr.
func via(t *testing.T, cfg postgres.Config, addr string) postgres.Config {
	t.Helper()
	u, err := url.Parse(cfg.URL)
	require.NoError(t, err)
	u.Host = addr
	q := u.Query()
	q.Set("connect_timeout", "1")
	u.RawQuery = q.Encode()
	cfg.URL = u.String()
	return cfg
}

func TestCommitRollbackAndPanic(t *testing.T) {
	t.Parallel()
	db := open(t, fresh(t))
	rang := 0
	add := func(then func() error) error {
		return db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
			tx.OnCommit(func() { rang++ })
			if err := tx.ExecOne(ctx, `UPDATE item SET n = n + 1 WHERE id = $1`, 1); err != nil {
				return err
			}
			return then()
		})
	}
	require.NoError(t, add(func() error { return nil }))
	wanted := errors.New("no")
	require.ErrorIs(t, add(func() error { return wanted }), wanted)
	require.PanicsWithValue(t, "boom", func() { _ = add(func() error { panic("boom") }) })
	require.Equal(t, 1, number(t, db, `SELECT n FROM item WHERE id = 1`))
	require.Equal(t, 1, rang)
	require.Zero(t, db.Stats().InUse, "every way out gives the connection back")
}

func TestReadersAndStaleRows(t *testing.T) {
	t.Parallel()
	db := open(t, fresh(t))
	var one struct {
		ID int `db:"id"`
		N  int `db:"n"`
	}
	require.ErrorIs(t, db.Get(t.Context(), &one, `SELECT id, n FROM item WHERE id = $1`, 99), sql.ErrNoRows)
	require.NoError(t, db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		var ids []int
		if err := tx.Select(ctx, &ids, `SELECT id FROM item WHERE id = ANY($1) ORDER BY id`, []int64{2, 3}); err != nil {
			return err
		}
		require.Equal(t, []int{2, 3}, ids)
		return tx.Get(ctx, &one, `UPDATE item SET n = 5 WHERE id = $1 RETURNING id, n`, 2)
	}))
	require.Equal(t, 5, one.N)
	err := db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		return tx.ExecOne(ctx, `UPDATE item SET n = 6 WHERE id = 2 AND n = 4`)
	})
	require.ErrorIs(t, err, postgres.ErrStale)
	require.False(t, postgres.Foreign(err))
}

func TestServerRefusesWritesOutsideInTx(t *testing.T) {
	t.Parallel()
	db := open(t, fresh(t))
	var id int
	err := db.Get(t.Context(), &id, `INSERT INTO item (id) VALUES (11) RETURNING id`)
	require.ErrorContains(t, err, "read-only")
	require.Equal(t, 10, number(t, db, `SELECT count(*) FROM item`))
}

func TestNestedInTxIsRefused(t *testing.T) {
	t.Parallel()
	db := open(t, fresh(t))
	err := db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		return db.InTx(ctx, func(context.Context, *postgres.Tx) error { return nil })
	})
	require.ErrorIs(t, err, postgres.ErrNested)
}

func TestDeadlockRunsAgain(t *testing.T) {
	t.Parallel()
	db := open(t, fresh(t))
	var meet sync.WaitGroup
	meet.Add(2)
	var mu sync.Mutex
	runs, rang := 0, 0
	swap := func(first, second int, done, otherDone chan struct{}) error {
		defer close(done)
		met := false
		return db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
			mu.Lock()
			runs++
			mu.Unlock()
			tx.OnCommit(func() { mu.Lock(); rang++; mu.Unlock() })
			if met { // the victim may not snatch its row back from the other, which is only being woken
				<-otherDone
			}
			if err := tx.ExecOne(ctx, `UPDATE item SET n = n + 1 WHERE id = $1`, first); err != nil {
				return err
			}
			if !met { // both hold their first row before either asks for the second
				met = true
				meet.Done()
				meet.Wait()
			}
			return tx.ExecOne(ctx, `UPDATE item SET n = n + 1 WHERE id = $1`, second)
		})
	}
	other := make(chan error, 1)
	here, there := make(chan struct{}), make(chan struct{})
	go func() { other <- swap(1, 2, there, here) }()
	require.NoError(t, swap(2, 1, here, there))
	require.NoError(t, <-other)
	require.Equal(t, 4, number(t, db, `SELECT sum(n) FROM item`))
	require.Equal(t, 3, runs, "one of them was the victim and ran again")
	require.Equal(t, 2, rang)
}

func TestIgnoredFailureIsNotCommitted(t *testing.T) {
	t.Parallel()
	db := open(t, fresh(t))
	runs := 0
	err := db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		runs++
		_, _ = tx.Exec(ctx, `INSERT INTO item (id) VALUES (11)`)
		_, _ = tx.Exec(ctx, `INSERT INTO item (id) VALUES (1)`)
		return nil
	})
	require.Error(t, err)
	require.Equal(t, 1, runs)
	require.Equal(t, 10, number(t, db, `SELECT count(*) FROM item`))
}

func TestConstraintAtCommitIsThatConstraint(t *testing.T) {
	t.Parallel()
	db := open(t, fresh(t))
	err := db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE item SET mate = 1 WHERE id IN (1, 2)`)
		return err
	})
	require.True(t, postgres.IsUnique(err, "item_mate"), "%v", err)
	require.NotErrorIs(t, err, postgres.ErrCommitUnknown)
}

func TestConstraintNames(t *testing.T) {
	t.Parallel()
	db := open(t, fresh(t))
	for _, c := range []struct {
		query string
		is    func(error, string) bool
		name  string
	}{
		{`INSERT INTO item (id) VALUES (1)`, postgres.IsUnique, "item_pkey"},
		{`UPDATE item SET n = 5000`, postgres.IsCheck, "item_small"},
	} {
		err := db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
			_, err := tx.Exec(ctx, c.query)
			return fmt.Errorf("wrapped: %w", err)
		})
		require.True(t, c.is(err, c.name))
		require.True(t, c.is(err, ""))
		require.False(t, c.is(err, "another"))
		require.Equal(t, c.name, postgres.Constraint(err))
		require.False(t, postgres.Foreign(err))
	}
	require.Empty(t, postgres.Constraint(nil))
}

func TestTextsThatNoRowHas(t *testing.T) {
	t.Parallel()
	db := open(t, fresh(t))
	for _, text := range []string{"a\x00b", "\xff"} {
		var n int
		err := db.Get(t.Context(), &n, `SELECT count(*) FROM pg_class WHERE relname = $1`, text)
		require.True(t, postgres.IsUnstorable(err), "%v", err)
		require.False(t, postgres.Foreign(err))
	}
	var n int
	require.False(t, postgres.IsUnstorable(db.Get(t.Context(), &n, `SELECT 1/0`)))
}

func TestContextEndsAStatement(t *testing.T) {
	t.Parallel()
	cfg := fresh(t)
	cfg.MaxOpen = 1
	db := open(t, cfg)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	start := time.Now()
	err := db.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		_, err := tx.Exec(ctx, `SELECT pg_sleep(30)`)
		return err
	})
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.True(t, postgres.Foreign(err))
	require.Less(t, time.Since(start), 25*time.Second)
	for range 20 { // a late cancel must not hit the next statement
		require.Equal(t, 10, number(t, db, `SELECT count(*) FROM item`))
	}
}

func TestFrozenServerDoesNotHoldForEver(t *testing.T) {
	t.Parallel()
	d := harness.NewEmptyDatabase(t)
	relay := harness.Proxy(t, d.Address())
	db := open(t, via(t, d.Config(t, ""), relay.Address()))
	db.SetPatience(100*time.Millisecond, time.Second)
	require.Equal(t, 1, number(t, db, `SELECT 1`))
	relay.Blackhole()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	start := time.Now()
	var n int
	err := db.Get(ctx, &n, `SELECT 1`)
	require.True(t, postgres.Foreign(err), "%v", err)
	require.Less(t, time.Since(start), 25*time.Second)
	relay.Resume()
	require.Equal(t, 1, number(t, db, `SELECT 1`))
}

func TestKilledConnectionsAreReplaced(t *testing.T) {
	t.Parallel()
	cfg := fresh(t)
	db, killer := open(t, cfg), open(t, cfg)
	kill := func() {
		exec(t, killer, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
			WHERE datname = current_database() AND pid <> pg_backend_pid()`)
	}
	for range 3 { // several idle connections, all of them dead
		number(t, db, `SELECT 1`)
	}
	kill()
	require.Equal(t, 10, number(t, db, `SELECT count(*) FROM item`), "a read goes on")
	kill()
	runs := 0
	require.NoError(t, db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		runs++
		if err := tx.ExecOne(ctx, `UPDATE item SET n = n + 1 WHERE id = 1`); err != nil {
			return err
		}
		if runs == 1 {
			kill()
		}
		return tx.ExecOne(ctx, `UPDATE item SET n = n + 1 WHERE id = 2`)
	}))
	require.Equal(t, 2, runs, "lost before COMMIT: nothing was committed, so it runs again")
	require.Equal(t, 2, number(t, db, `SELECT sum(n) FROM item`))
}

func TestServerThatTakesNoWritesIsLeft(t *testing.T) {
	t.Parallel()
	cfg := fresh(t)
	cfg.MaxOpen = 1
	db := open(t, cfg)
	var pids []int
	require.NoError(t, db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		var pid int
		if err := tx.Get(ctx, &pid, `SELECT pg_backend_pid()`); err != nil {
			return err
		}
		if pids = append(pids, pid); len(pids) == 1 {
			if _, err := tx.Exec(ctx, `SET TRANSACTION READ ONLY`); err != nil { // as on a demoted primary
				return err
			}
		}
		return tx.ExecOne(ctx, `UPDATE item SET n = 1 WHERE id = 1`)
	}))
	require.Len(t, pids, 2)
	require.NotEqual(t, pids[0], pids[1], "the second run is on a new connection")
}

func TestStatementsArePreparedOncePerConnection(t *testing.T) {
	t.Parallel()
	cfg := fresh(t)
	cfg.MaxOpen = 1
	db := open(t, cfg)
	const q = `SELECT id FROM item WHERE id = $1`
	kept := func() int {
		return number(t, db, `SELECT count(*) FROM pg_prepared_statements WHERE statement = $1`, q)
	}
	for i := 1; i <= 5; i++ {
		require.Equal(t, i, number(t, db, q, i))
		require.NoError(t, db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
			require.Equal(t, i, number(t, tx, q, i))
			return nil
		}))
	}
	require.Equal(t, 1, kept())
	for i := range 400 {
		number(t, db, fmt.Sprintf(`SELECT %d`, i))
	}
	require.Zero(t, kept(), "the least recently used one went")
	require.LessOrEqual(t, number(t, db, `SELECT count(*) FROM pg_prepared_statements`), 301)
	require.Equal(t, 3, number(t, db, q, 3))
}

func TestStatementsSurviveASchemaChange(t *testing.T) {
	t.Parallel()
	cfg := fresh(t)
	cfg.MaxOpen = 1
	db, other := open(t, cfg), open(t, cfg)
	const q = `SELECT * FROM item WHERE id = 1`
	type row struct {
		ID   int            `db:"id"`
		N    sql.NullString `db:"n"`
		Mate *int           `db:"mate"`
		More *string        `db:"more"`
	}
	var r row
	require.NoError(t, db.Get(t.Context(), &r, q))
	exec(t, other, `ALTER TABLE item ADD COLUMN more text DEFAULT 'x'`)
	require.NoError(t, db.Get(t.Context(), &r, q))
	require.Equal(t, "x", *r.More)
	exec(t, other, `ALTER TABLE item DROP COLUMN more`)
	require.NoError(t, db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		r = row{}
		return tx.Get(ctx, &r, q)
	}))
	require.Nil(t, r.More)
}

func TestViewIsOneSnapshot(t *testing.T) {
	t.Parallel()
	db := open(t, fresh(t))
	require.NoError(t, db.View(t.Context(), func(ctx context.Context, r postgres.Reader) error {
		before := number(t, r, `SELECT sum(n) FROM item`)
		exec(t, db, `UPDATE item SET n = n + 1`)
		require.Equal(t, before, number(t, r, `SELECT sum(n) FROM item`))
		return nil
	}))
	require.Equal(t, 10, number(t, db, `SELECT sum(n) FROM item`))
}

func TestTimesAreUTC(t *testing.T) {
	t.Parallel()
	db := open(t, fresh(t))
	var at time.Time
	require.NoError(t, db.Get(t.Context(), &at, `SELECT timestamptz '2026-03-02 08:00:00+07'`))
	require.Equal(t, "2026-03-02T01:00:00Z", at.Format(time.RFC3339))
	require.Equal(t, time.UTC, at.Location())
}

func TestBell(t *testing.T) {
	t.Parallel()
	db := open(t, postgres.Config{URL: "postgres://nobody@127.0.0.1:1/none"}) // bells need no server
	bell := db.Bell("outbox")
	require.Same(t, bell, db.Bell("outbox"))
	require.NotSame(t, bell, db.Bell("other"))
	for range 3 {
		bell.Ring()
	}
	<-bell.C()
	select {
	case <-bell.C():
		t.Fatal("three rings before the bell was heard are one")
	default:
	}
}

func TestConfigErrorsHideThePassword(t *testing.T) {
	t.Parallel()
	for _, u := range []string{"", "postgres://u:rahasia@h:notaport/db", "postgres://u:rahasia@h/db?sslmode=wrong", "password=rahasia host='"} {
		_, err := postgres.Open(postgres.Config{URL: u})
		require.Error(t, err, u)
		require.NotContains(t, err.Error(), "rahasia")
	}
}
