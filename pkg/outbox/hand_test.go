package outbox_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/outbox"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/rabbit"
	"dukcapil.go.id/sifilma/test/harness"
)

// line is a publisher that a test opens, blocks and confirms for by hand.
type line struct {
	mu      sync.Mutex
	blocked chan struct{} // closed: open
	seen    []rabbit.Event
	pending []func(rabbit.Outcome)
}

func newLine() *line { l := &line{blocked: make(chan struct{})}; close(l.blocked); return l }

func (l *line) gate() chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.blocked
}

func (l *line) block() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.blocked = make(chan struct{})
}

func (l *line) WaitPublish(ctx context.Context) error {
	select {
	case <-l.gate():
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (l *line) Publish(_ context.Context, e rabbit.Event, done func(rabbit.Outcome)) error {
	select {
	case <-l.gate():
	default:
		return fmt.Errorf("%w: short of memory", rabbit.ErrBlocked)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seen, l.pending = append(l.seen, e), append(l.pending, done)
	return nil
}

// confirm answers for all that was published so far.
func (l *line) confirm() {
	l.mu.Lock()
	pending := l.pending
	l.pending = nil
	l.mu.Unlock()
	for _, done := range pending {
		done(rabbit.Sent)
	}
}

func (l *line) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.seen)
}

// handing waits until what is put is handed over: a relay looks into the table
// first.
func handing(t *testing.T, db *postgres.DB) {
	t.Helper()
	undone := errors.New("undone")
	require.Eventually(t, func() bool {
		var leased int
		err := db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
			if err := outbox.Put(ctx, tx, messages(rabbit.RequestDone, 1)...); err != nil {
				return err
			}
			if err := tx.Get(ctx, &leased, `SELECT count(*) FROM outbox WHERE leased_by IS NOT NULL AND attempts = 1`); err != nil {
				return err
			}
			return undone
		})
		return errors.Is(err, undone) && leased > 0
	}, soon, tick)
}

const leased = `SELECT count(*) FROM outbox WHERE sent_at IS NULL AND leased_until > now() + interval '5 seconds'`

func TestWhatIsPutIsHandedOverAtTheCommit(t *testing.T) {
	t.Parallel()
	db := harness.DB(t)
	to := newLine()
	start(t, outbox.NewRelay(db, to, zerolog.Nop()).Run)
	handing(t, db)
	all := messages(rabbit.RequestDone, 3)
	all[0].Data = map[string]any{"reason": "audit"}
	put(t, db, all...)
	require.Eventually(t, func() bool { return to.count() == 3 }, soon, tick)
	for i, e := range to.seen {
		require.Equal(t, all[i].Subject, e.Subject)
		require.Equal(t, all[i].Version, e.Version)
		require.Equal(t, all[i].Data, e.Data)
		require.Equal(t, scan[time.Time](t, db, `SELECT created_at FROM outbox WHERE id = $1`, e.ID), e.Time, "as if read from the row")
	}
	require.Equal(t, 3, scan[int](t, db, `SELECT count(*) FROM outbox WHERE attempts = 1`), "leased once, at birth")
	to.confirm()
	drained(t, db)
	require.Equal(t, 3, to.count(), "what was rolled back was not sent")
}

// The process dies between the commit and the sending: for as long as the lease
// the rows are nobody else's, then any relay sends them.
func TestRowsOfAProcessThatDiedAfterTheCommit(t *testing.T) {
	t.Parallel()
	d := harness.NewDatabase(t)
	dead, alive := d.Open(t, "sifilma_portal"), d.Open(t, "sifilma_scheduler")
	grave, to := &stuck{free: make(chan struct{})}, newLine()
	start(t, outbox.NewRelay(dead, grave, zerolog.Nop()).Run)
	t.Cleanup(func() { close(grave.free) })
	handing(t, dead)
	put(t, dead, messages(rabbit.RequestDone, 3)...)
	start(t, outbox.NewRelay(alive, to, zerolog.Nop()).Run)
	handing(t, alive)
	put(t, alive, messages(rabbit.RequestDone, 2)...)
	require.Eventually(t, func() bool { to.confirm(); return pending(t, alive) == 3 }, soon, tick)
	require.Equal(t, 2, to.count(), "what another has in hand is left alone")
	require.Equal(t, 3, scan[int](t, alive, leased))
	age(t, alive, `UPDATE outbox SET leased_until = now() - interval '1 millisecond' WHERE sent_at IS NULL`)
	require.Eventually(t, func() bool { to.confirm(); return pending(t, alive) == 0 }, soon, tick)
	require.Equal(t, 5, to.count())
}

// stuck is a broker that never comes back from Publish, as seen by a process
// that is no more.
type stuck struct{ free chan struct{} }

func (s *stuck) WaitPublish(ctx context.Context) error { return ctx.Err() }

func (s *stuck) Publish(context.Context, rabbit.Event, func(rabbit.Outcome)) error {
	<-s.free
	return rabbit.ErrDown
}

// A broker that blocks in the middle: what was handed over is given back, what
// is put meanwhile is born free, and nothing is missing afterwards.
func TestBlockedBrokerGivesBackWhatWasHandedOver(t *testing.T) {
	t.Parallel()
	db := harness.DB(t)
	to := newLine()
	start(t, outbox.NewRelay(db, to, zerolog.Nop()).Run)
	handing(t, db)
	to.block()
	put(t, db, messages(rabbit.RequestDone, 200)...)
	require.Eventually(t, func() bool { return scan[int](t, db, leased) == 0 }, soon, tick)
	put(t, db, messages(rabbit.RequestDone, 100)...)
	require.Equal(t, 100, scan[int](t, db, `SELECT count(*) FROM outbox WHERE leased_until IS NULL AND attempts = 0`))
	require.Zero(t, to.count())
	close(to.gate())
	require.Eventually(t, func() bool { to.confirm(); return pending(t, db) == 0 }, soon, tick)
	require.Equal(t, 300, to.count(), "each once")
	handing(t, db)
}

// A relay whose broker confirms nothing keeps no more than it may; the rest
// waits in the table and is taken when there is room.
func TestRelayKeepsNoMoreThanItMay(t *testing.T) {
	t.Parallel()
	db := harness.DB(t)
	to := newLine()
	start(t, outbox.NewRelay(db, to, zerolog.Nop()).Run)
	handing(t, db)
	for range outbox.HandRows/100 + 5 {
		put(t, db, messages(rabbit.RequestDone, 100)...)
	}
	require.Eventually(t, func() bool { return to.count() == outbox.HandRows }, soon, tick)
	require.Equal(t, 500, scan[int](t, db, `SELECT count(*) FROM outbox WHERE attempts = 0`), "born free")
	require.Eventually(t, func() bool { to.confirm(); return pending(t, db) == 0 }, soon, tick)
	require.Equal(t, outbox.HandRows+500, to.count(), "each once")
	handing(t, db)
}

// PostgreSQL keeps the plan of a prepared statement. One that was made while the
// table was empty and known to be so must not read all of it later.
func TestRelayNeverReadsTheWholeTable(t *testing.T) {
	t.Parallel()
	d := harness.NewDatabase(t)
	look := d.Open(t, "")
	cfg := d.Config(t, "sifilma_scheduler")
	cfg.MaxOpen = 2
	db, err := postgres.Open(cfg)
	require.NoError(t, err)
	owner, err := sql.Open("postgres", d.URL(t, ""))
	require.NoError(t, err)
	_, err = owner.ExecContext(t.Context(), `VACUUM ANALYZE outbox`)
	require.NoError(t, err)
	require.NoError(t, owner.Close())
	to := newLine()
	stop := start(t, outbox.NewRelay(db, to, zerolog.Nop()).Run)
	for range 10 { // plans are made
		put(t, db, messages(rabbit.RequestDone, 1)...)
		require.Eventually(t, func() bool { to.confirm(); return pending(t, look) == 0 }, soon, tick)
	}
	const rows = 10_000
	age(t, look, `INSERT INTO outbox (id, type, subject, version)
		SELECT gen_random_uuid(), 'request.done', gen_random_uuid(), 1 FROM generate_series(1, $1)`, rows)
	require.Eventually(t, func() bool { to.confirm(); return to.count() == rows+10 }, soon, tick)
	stop()
	require.NoError(t, db.Close()) // which makes its counts known
	counts := func(column string) int64 {
		return scan[int64](t, look, `SELECT `+column+` FROM pg_stat_user_tables WHERE relname = 'outbox'`)
	}
	require.Eventually(t, func() bool { return counts("n_tup_upd") >= 2*rows }, soon, tick)
	require.Less(t, counts("seq_tup_read"), int64(rows), "it has read the table from front to back")
	require.Less(t, counts("idx_tup_fetch"), int64(20*rows), "it has read an index from front to back, again and again")
}
