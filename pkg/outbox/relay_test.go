package outbox_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"dukcapil.go.id/sifilma/pkg/outbox"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/rabbit"
	"dukcapil.go.id/sifilma/pkg/trace"
	"dukcapil.go.id/sifilma/test/harness"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	soon = 30 * time.Second
	tick = 10 * time.Millisecond
)

// start runs something until the test ends or stop is called.
func start(t *testing.T, run func(context.Context) error) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-ended:
			require.NoError(t, err)
		case <-time.After(soon):
			t.Error("it does not stop")
		}
	})
	t.Cleanup(stop)
	return stop
}

func put(t *testing.T, db *postgres.DB, messages ...outbox.Message) {
	t.Helper()
	require.NoError(t, db.InTx(context.Background(), func(ctx context.Context, tx *postgres.Tx) error {
		return outbox.Put(ctx, tx, messages...)
	}))
}

func messages(kind string, n int) []outbox.Message {
	all := make([]outbox.Message, n)
	for i := range all {
		all[i] = outbox.Message{Type: kind, Subject: uuid.NewString(), Version: int64(i)}
	}
	return all
}

func pending(t *testing.T, db *postgres.DB) int {
	t.Helper()
	backlog, err := outbox.Pending(context.Background(), db)
	require.NoError(t, err)
	return backlog.Count
}

func drained(t *testing.T, db *postgres.DB) {
	t.Helper()
	require.Eventually(t, func() bool { return pending(t, db) == 0 }, soon, tick)
}

// requests is a table of rows with a version, and a handler that moves each on
// once, whatever rings.
type requests struct {
	db      *postgres.DB
	handled atomic.Int64
}

func newRequests(t *testing.T, db *postgres.DB) *requests {
	t.Helper()
	require.NoError(t, db.InTx(context.Background(), func(ctx context.Context, tx *postgres.Tx) error {
		_, err := tx.Exec(ctx, `CREATE TABLE work (id uuid PRIMARY KEY, version bigint NOT NULL, effects int NOT NULL DEFAULT 0)`)
		return err
	}))
	return &requests{db: db}
}

// submit makes rows and announces them, chunk by chunk.
func (r *requests) submit(t *testing.T, n, chunk int) {
	t.Helper()
	for range n / chunk {
		require.NoError(t, r.db.InTx(context.Background(), func(ctx context.Context, tx *postgres.Tx) error {
			all := messages(rabbit.RequestSubmitted, chunk)
			for i := range all {
				all[i].Version = 1
				if _, err := tx.Exec(ctx, `INSERT INTO work VALUES ($1, 1)`, all[i].Subject); err != nil {
					return err
				}
			}
			return outbox.Put(ctx, tx, all...)
		}))
	}
}

func (r *requests) handle(ctx context.Context, tx *postgres.Tx, events []rabbit.Event) error {
	r.handled.Add(int64(len(events)))
	for _, e := range events {
		if _, err := tx.Exec(ctx, `UPDATE work SET version = version + 1, effects = effects + 1 WHERE id = $1 AND version = $2`,
			e.Subject, e.Version); err != nil {
			return err
		}
	}
	return nil
}

func (r *requests) effects(t *testing.T) (rows, once, more int) {
	t.Helper()
	var got struct{ Rows, Once, More int }
	require.NoError(t, r.db.Get(context.Background(), &got, `
		SELECT count(*) AS rows, count(*) FILTER (WHERE effects = 1) AS once, count(*) FILTER (WHERE effects > 1) AS more FROM work`))
	return got.Rows, got.Once, got.More
}

func (r *requests) settled(t *testing.T, n int) {
	t.Helper()
	require.Eventually(t, func() bool { _, once, _ := r.effects(t); return once == n }, soon, tick)
	rows, _, more := r.effects(t)
	require.Equal(t, n, rows)
	require.Zero(t, more)
}

func TestPutRelayConsumeHasOneEffect(t *testing.T) {
	t.Parallel()
	db, cfg := harness.DB(t), harness.Rabbit(t)
	work := newRequests(t, db)
	b := rabbit.New(cfg, zerolog.Nop())
	b.Consume(db, rabbit.QueueValidator, work.handle)
	start(t, b.Run)
	start(t, outbox.NewRelay(db, b, zerolog.Nop()).Run)
	work.submit(t, 3000, 100)
	work.settled(t, 3000)
	drained(t, db)
	require.EqualValues(t, 3000, work.handled.Load(), "nothing killed, nothing rung twice")
}

func TestTwoRelaysShareTheWork(t *testing.T) {
	t.Parallel()
	db, cfg := harness.DB(t), harness.Rabbit(t)
	work := newRequests(t, db)
	work.submit(t, 2000, 500)
	for _, name := range []string{"portal", "scheduler"} {
		c := cfg
		c.Name = name
		b := rabbit.New(c, zerolog.Nop())
		b.Consume(db, rabbit.QueueValidator, work.handle)
		start(t, b.Run)
		start(t, outbox.NewRelay(db, b, zerolog.Nop()).Run)
	}
	work.settled(t, 2000)
	drained(t, db)
	require.EqualValues(t, 2000, work.handled.Load(), "no row was sent by both")
}

func TestRelayCatchesUpWithABrokerThatReturns(t *testing.T) {
	t.Parallel()
	db, v := harness.DB(t), harness.NewVhost(t)
	work := newRequests(t, db)
	proxy := harness.Proxy(t, v.Address())
	proxy.Cut()
	b := rabbit.New(v.ConfigVia("portal", proxy.Address()), zerolog.Nop())
	b.Consume(db, rabbit.QueueValidator, work.handle)
	start(t, b.Run)
	start(t, outbox.NewRelay(db, b, zerolog.Nop()).Run)
	work.submit(t, 100, 100)
	require.Equal(t, 100, pending(t, db))
	proxy.Resume()
	work.settled(t, 100)
	drained(t, db)
}

// Cuts at any moment of the way: what is unconfirmed is published again, and
// compare-and-set keeps each effect single.
func TestCutsLoseNothing(t *testing.T) {
	t.Parallel()
	db, v := harness.DB(t), harness.NewVhost(t)
	work := newRequests(t, db)
	proxy := harness.Proxy(t, v.Address())
	b := rabbit.New(v.ConfigVia("portal", proxy.Address()), zerolog.Nop())
	b.Consume(db, rabbit.QueueValidator, work.handle)
	start(t, b.Run)
	start(t, outbox.NewRelay(db, b, zerolog.Nop()).Run)
	total := 0
	for range 5 {
		require.Eventually(t, func() bool { return b.Check(context.Background()) == nil }, soon, tick)
		before := work.handled.Load()
		work.submit(t, 2000, 500)
		total += 2000
		require.Eventually(t, func() bool { return work.handled.Load() > before+200 }, soon, time.Millisecond)
		proxy.Drop() // in the middle of publishing and consuming
	}
	work.settled(t, total)
	drained(t, db)
	t.Logf("%d messages handled for %d rows", work.handled.Load(), total)
}

// The confirm of a message that the broker has taken is lost: it is published a
// second time, and its effect stays single.
func TestLostConfirmIsPublishedAgain(t *testing.T) {
	t.Parallel()
	db, v := harness.DB(t), harness.NewVhost(t)
	work := newRequests(t, db)
	proxy := harness.Proxy(t, v.Address())
	portal := rabbit.New(v.ConfigVia("portal", proxy.Address()), zerolog.Nop())
	start(t, portal.Run)
	deaf := &lateDrop{Broker: portal, proxy: proxy}
	start(t, outbox.NewRelay(db, deaf, zerolog.Nop()).Run)
	validator := rabbit.New(v.Config("validator"), zerolog.Nop())
	validator.Consume(db, rabbit.QueueValidator, work.handle)
	start(t, validator.Run)
	work.submit(t, 1, 1)
	work.settled(t, 1)
	drained(t, db)
	require.Eventually(t, func() bool { return work.handled.Load() == 2 }, soon, tick, "the first copy was there all the time")
	work.settled(t, 1)
}

// lateDrop is a broker whose first confirm never reaches the relay.
type lateDrop struct {
	*rabbit.Broker
	proxy *harness.Relay
	once  sync.Once
}

func (l *lateDrop) Publish(ctx context.Context, e rabbit.Event, done func(rabbit.Outcome)) error {
	return l.Broker.Publish(ctx, e, func(o rabbit.Outcome) {
		l.once.Do(func() { l.proxy.Drop(); o = rabbit.Unknown })
		done(o)
	})
}

func TestReturnedIsAlarmedOnceAndWaits(t *testing.T) {
	t.Parallel()
	db := harness.DB(t)
	var text safeBuffer
	to := &scripted{outcome: func(e rabbit.Event, n int) (rabbit.Outcome, error) {
		if e.Type == rabbit.RequestHeld {
			return rabbit.Returned, nil
		}
		return rabbit.Sent, nil
	}}
	put(t, db, messages(rabbit.RequestHeld, 3)...)
	put(t, db, messages(rabbit.RequestDone, 3)...)
	stop := start(t, outbox.NewRelay(db, to, zerolog.New(&text)).Run)
	require.Eventually(t, func() bool { return pending(t, db) == 3 }, soon, tick)
	put(t, db, messages(rabbit.RequestHeld, 1)...)
	waiting := `SELECT count(*) FROM outbox WHERE sent_at IS NULL AND leased_by IS NULL AND leased_until > now() + interval '2 seconds'`
	require.Eventually(t, func() bool { return scan[int](t, db, waiting) == 4 }, soon, tick, "they back off")
	stop()
	require.Equal(t, 1, strings.Count(text.String(), "no queue is bound"))
	require.Contains(t, text.String(), `"type":"request.held"`)
	require.Equal(t, 7, to.count(), "each was published once")
}

func TestReturnedIsReallyReturned(t *testing.T) {
	t.Parallel()
	db, cfg := harness.DB(t), harness.Rabbit(t)
	b := rabbit.New(cfg, zerolog.Nop())
	start(t, b.Run)
	require.NoError(t, db.InTx(context.Background(), func(ctx context.Context, tx *postgres.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO outbox (id, type, subject, version) VALUES (gen_random_uuid(), 'nobody.listens', gen_random_uuid(), 1)`)
		return err
	}))
	var text safeBuffer
	start(t, outbox.NewRelay(db, b, zerolog.New(&text)).Run)
	require.Eventually(t, func() bool { return strings.Contains(text.String(), "no queue is bound") }, soon, tick)
	put(t, db, messages(rabbit.RequestDone, 1)...)
	require.Eventually(t, func() bool { return pending(t, db) == 1 }, soon, tick, "it holds nobody up")
}

func TestRowThatCannotBeSentHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	db := harness.DB(t)
	bad := messages(rabbit.RequestHeld, 1)
	to := &scripted{outcome: func(e rabbit.Event, n int) (rabbit.Outcome, error) {
		if e.Subject == bad[0].Subject {
			return 0, errors.New("cannot be encoded")
		}
		return rabbit.Sent, nil
	}}
	put(t, db, append(bad, messages(rabbit.RequestHeld, 5)...)...)
	start(t, outbox.NewRelay(db, to, zerolog.Nop()).Run)
	require.Eventually(t, func() bool { return pending(t, db) == 1 }, soon, tick)
}

func TestUnknownAndDownArePublishedAgain(t *testing.T) {
	t.Parallel()
	db := harness.DB(t)
	to := &scripted{outcome: func(_ rabbit.Event, n int) (rabbit.Outcome, error) {
		switch {
		case n == 3:
			return 0, fmt.Errorf("%w: gone", rabbit.ErrDown)
		case n%2 == 0 && n < 10:
			return rabbit.Unknown, nil
		}
		return rabbit.Sent, nil
	}}
	put(t, db, messages(rabbit.RequestDone, 10)...)
	start(t, outbox.NewRelay(db, to, zerolog.Nop()).Run)
	drained(t, db)
	require.Greater(t, to.count(), 10)
}

func TestMessagesLeaveInOrderWithAllTheyCarry(t *testing.T) {
	t.Parallel()
	db := harness.DB(t)
	to := &scripted{outcome: func(rabbit.Event, int) (rabbit.Outcome, error) { return rabbit.Sent, nil }}
	parent, other := trace.New(), trace.New()
	all := messages(rabbit.RequestHeld, 700)
	all[0].Request, all[0].Data = uuid.NewString(), map[string]any{"reason": "audit", "days": 3.0}
	all[1].TraceParent = other
	ctx := trace.ContextWith(context.Background(), parent)
	require.NoError(t, db.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error { return outbox.Put(ctx, tx, all...) }))
	start(t, outbox.NewRelay(db, to, zerolog.Nop()).Run)
	drained(t, db)
	events := to.events()
	require.Len(t, events, len(all))
	for i, e := range events {
		require.Equal(t, all[i].Subject, e.Subject, "row %d", i)
		require.Equal(t, all[i].Version, e.Version)
		require.Equal(t, all[i].Request, e.Request)
		require.WithinDuration(t, time.Now(), e.Time, time.Hour)
		require.NoError(t, e.Validate())
	}
	require.Equal(t, all[0].Data, events[0].Data)
	require.Equal(t, parent, events[0].TraceParent)
	require.Equal(t, other, events[1].TraceParent)
}

// A relay that died with rows in hand: its leases run out by the database's
// clock.
func TestLeasesOfTheDeadRunOut(t *testing.T) {
	t.Parallel()
	db := harness.DB(t)
	put(t, db, messages(rabbit.RequestDone, 2)...)
	lease := func(id string, seconds int) {
		require.NoError(t, db.InTx(context.Background(), func(ctx context.Context, tx *postgres.Tx) error {
			return tx.ExecOne(ctx, `UPDATE outbox SET leased_by = gen_random_uuid(), leased_until = now() + make_interval(secs => $2)
				WHERE id = $1`, id, seconds)
		}))
	}
	var ids []string
	require.NoError(t, db.Select(context.Background(), &ids, `SELECT id FROM outbox ORDER BY id`))
	lease(ids[0], -1)
	lease(ids[1], 3600)
	to := &scripted{outcome: func(rabbit.Event, int) (rabbit.Outcome, error) { return rabbit.Sent, nil }}
	stop := start(t, outbox.NewRelay(db, to, zerolog.Nop()).Run)
	require.Eventually(t, func() bool { return pending(t, db) == 1 }, soon, tick)
	stop()
	require.Equal(t, ids[:1], []string{to.events()[0].ID})
	require.Equal(t, 1, to.count(), "what another has in hand is left alone")
}

// scripted is a publisher that answers as a test says; n counts from 1.
type scripted struct {
	outcome func(e rabbit.Event, n int) (rabbit.Outcome, error)
	mu      sync.Mutex
	seen    []rabbit.Event
}

func (s *scripted) WaitPublish(ctx context.Context) error { return ctx.Err() }

func (s *scripted) Publish(_ context.Context, e rabbit.Event, done func(rabbit.Outcome)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen = append(s.seen, e)
	o, err := s.outcome(e, len(s.seen))
	if err == nil {
		done(o)
	}
	return err
}

func (s *scripted) count() int { return len(s.events()) }

func (s *scripted) events() []rabbit.Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]rabbit.Event(nil), s.seen...)
}

type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func scan[T any](t *testing.T, db *postgres.DB, query string, args ...any) T {
	t.Helper()
	var v T
	require.NoError(t, db.Get(context.Background(), &v, query, args...))
	return v
}
