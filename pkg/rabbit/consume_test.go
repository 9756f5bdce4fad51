package rabbit_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/rabbit"
	"dukcapil.go.id/sifilma/pkg/trace"
	"dukcapil.go.id/sifilma/test/harness"
)

func TestBacklogIsHandledInBatches(t *testing.T) {
	t.Parallel()
	db, cfg := harness.DB(t), harness.Rabbit(t)
	done := newEffects(t, db)
	sender := rabbit.New(cfg, zerolog.Nop())
	running(t, sender)
	for _, o := range publish(t, sender, submitted(1000)...) {
		require.Equal(t, rabbit.Sent, o)
	}

	b := rabbit.New(cfg, zerolog.Nop())
	var largest, calls atomic.Int64
	b.Consume(db, rabbit.QueueValidator, func(ctx context.Context, tx *postgres.Tx, events []rabbit.Event) error {
		calls.Add(1)
		largest.Store(max(largest.Load(), int64(len(events)))) // one worker: no race
		return done.add(ctx, tx, events)
	})
	stop := running(t, b)
	require.Eventually(t, func() bool { return b.Consumers()[0].Done == 1000 }, soon, tick)
	stop()
	rows, times := done.count(t)
	require.Equal(t, 1000, rows)
	require.Equal(t, 1000, times, "nothing was handled twice")
	require.Zero(t, left(t, cfg, rabbit.QueueValidator), "everything was acknowledged")
	require.LessOrEqual(t, largest.Load(), int64(100))
	require.Greater(t, largest.Load(), int64(20), "batches grow under load: %d calls", calls.Load())
}

func TestBatchOptionLimitsTheBatch(t *testing.T) {
	t.Parallel()
	db, cfg := harness.DB(t), harness.Rabbit(t)
	done := newEffects(t, db)
	b := rabbit.New(cfg, zerolog.Nop())
	var largest atomic.Int64
	b.Consume(db, rabbit.QueueValidator, func(ctx context.Context, tx *postgres.Tx, events []rabbit.Event) error {
		largest.Store(max(largest.Load(), int64(len(events))))
		return done.add(ctx, tx, events)
	}, rabbit.Batch(3))
	running(t, b)
	publish(t, b, submitted(50)...)
	require.Eventually(t, func() bool { return b.Consumers()[0].Done == 50 }, soon, tick)
	require.LessOrEqual(t, largest.Load(), int64(3))
}

func TestPoisonHarmsNoNeighbour(t *testing.T) {
	t.Parallel()
	for name, poison := range map[string]func() error{
		"error": func() error { return errors.New("this one cannot be done") },
		"panic": func() error { panic("this one cannot be done") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db, cfg := harness.DB(t), harness.Rabbit(t)
			done := newEffects(t, db)
			events := submitted(60)
			bad := events[30]
			var attempts atomic.Int64
			b := rabbit.New(cfg, zerolog.Nop())
			b.Consume(db, rabbit.QueueValidator, func(ctx context.Context, tx *postgres.Tx, batch []rabbit.Event) error {
				if err := done.add(ctx, tx, batch); err != nil {
					return err
				}
				for _, e := range batch {
					if e.ID != bad.ID {
						continue
					}
					if len(batch) == 1 {
						attempts.Add(1)
					}
					return poison()
				}
				return nil
			})
			stop := running(t, b)
			publish(t, b, events...)
			var open []rabbit.ShelfRow
			require.Eventually(t, func() bool {
				var err error
				open, err = rabbit.OpenShelf(context.Background(), db)
				return err == nil && len(open) == 1 && b.Consumers()[0].Done == 59
			}, soon, tick)
			stop()
			require.Equal(t, rabbit.QueueValidator, open[0].Consumer)
			require.Equal(t, bad.Type, open[0].Type)
			require.Equal(t, bad.Subject, open[0].Subject)
			require.Equal(t, 5, open[0].Attempts)
			require.EqualValues(t, 5, attempts.Load())
			require.Contains(t, open[0].Reason, "failed: ")
			require.Contains(t, open[0].Reason, "this one cannot be done")
			shelved, err := open[0].Event()
			require.NoError(t, err)
			require.Equal(t, bad.ID, shelved.ID)
			rows, times := done.count(t)
			require.Equal(t, 59, rows)
			require.Equal(t, 59, times, "the neighbours were done once")
			require.Zero(t, left(t, cfg, rabbit.QueueValidator))
			require.Zero(t, left(t, cfg, rabbit.QueueShelf))

			require.NoError(t, db.InTx(context.Background(), func(ctx context.Context, tx *postgres.Tx) error {
				_, err := rabbit.CloseShelf(ctx, tx, open[0].ID, "Operator KI", "sudah beres")
				return err
			}))
			require.ErrorIs(t, db.InTx(context.Background(), func(ctx context.Context, tx *postgres.Tx) error {
				_, err := rabbit.CloseShelf(ctx, tx, open[0].ID, "Operator KI", "sudah beres")
				return err
			}), postgres.ErrStale)
		})
	}
}

func TestFailureThatPassesLeavesNoTrace(t *testing.T) {
	t.Parallel()
	db, cfg := harness.DB(t), harness.Rabbit(t)
	done := newEffects(t, db)
	var calls atomic.Int64
	b := rabbit.New(cfg, zerolog.Nop())
	b.Consume(db, rabbit.QueueValidator, func(ctx context.Context, tx *postgres.Tx, events []rabbit.Event) error {
		if calls.Add(1) < 4 {
			return errors.New("not yet")
		}
		return done.add(ctx, tx, events)
	})
	stop := running(t, b)
	publish(t, b, event(rabbit.RequestSubmitted))
	require.Eventually(t, func() bool { return b.Consumers()[0].Done == 1 }, soon, tick)
	stop()
	var recorded int
	require.NoError(t, db.Get(context.Background(), &recorded, `SELECT count(*) FROM delivery_attempt`))
	require.Zero(t, recorded)
	require.EqualValues(t, 4, calls.Load())
	require.Zero(t, left(t, cfg, rabbit.QueueValidator))
}

// An event that waits for its next attempt is older than what is handled
// meanwhile; acknowledging a younger batch as a whole must not take it along.
func TestWaitingEventIsNotAcknowledgedWithOthers(t *testing.T) {
	t.Parallel()
	db, cfg := harness.DB(t), harness.Rabbit(t)
	done := newEffects(t, db)
	bad := event(rabbit.RequestSubmitted)
	failed := make(chan struct{}, 10)
	b := rabbit.New(cfg, zerolog.Nop())
	b.Consume(db, rabbit.QueueValidator, func(ctx context.Context, tx *postgres.Tx, events []rabbit.Event) error {
		if events[0].ID == bad.ID {
			failed <- struct{}{}
			return errors.New("not yet")
		}
		return done.add(ctx, tx, events)
	})
	stop := running(t, b)
	publish(t, b, bad)
	<-failed
	publish(t, b, event(rabbit.RequestSubmitted))
	require.Eventually(t, func() bool { return b.Consumers()[0].Done == 1 }, soon, time.Millisecond)
	stop()
	open, err := rabbit.OpenShelf(context.Background(), db)
	require.NoError(t, err)
	require.Equal(t, 1, left(t, cfg, rabbit.QueueValidator)+len(open), "it waits in its queue, or on the shelf by now")
}

func TestAttemptsOfAnEarlierProcessCount(t *testing.T) {
	t.Parallel()
	db, cfg := harness.DB(t), harness.Rabbit(t)
	e := event(rabbit.RequestSubmitted)
	require.NoError(t, db.InTx(context.Background(), func(ctx context.Context, tx *postgres.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO delivery_attempt VALUES ('validator', $1, 4, 'failed: before', now())`, e.ID)
		return err
	}))
	b := rabbit.New(cfg, zerolog.Nop())
	b.Consume(db, rabbit.QueueValidator, func(context.Context, *postgres.Tx, []rabbit.Event) error {
		return errors.New("still bad \x00\xff")
	})
	running(t, b)
	publish(t, b, e)
	require.Eventually(t, func() bool { return b.Consumers()[0].Shelved == 1 }, soon, tick)
	gone, err := rabbit.PruneAttempts(context.Background(), db, 0)
	require.NoError(t, err)
	require.EqualValues(t, 1, gone)
}

func TestWhatIsNoEventGoesToTheShelfAtOnce(t *testing.T) {
	t.Parallel()
	db, cfg := harness.DB(t), harness.Rabbit(t)
	done := newEffects(t, db)
	b := rabbit.New(cfg, zerolog.Nop())
	b.Consume(db, rabbit.QueueValidator, done.add)
	stop := running(t, b)
	ready(t, b)
	subject := event("").Subject
	conn := dial(t, cfg)
	defer func() { _ = conn.Close() }()
	ch, err := conn.Channel()
	require.NoError(t, err)
	bodies := []string{
		`{"subject": "` + subject + `"}`,
		`{"subject": "` + subject + `", "more": "\u0000"}`, // the same subject: the same shelf row
		`not JSON`, "", "\xff\x00",
	}
	for _, body := range bodies {
		require.NoError(t, ch.Publish(rabbit.Exchange, rabbit.RequestSubmitted, true, false, amqp.Publishing{Body: []byte(body)}))
	}
	publish(t, b, submitted(10)...)
	require.Eventually(t, func() bool {
		s := b.Consumers()[0]
		return s.Shelved == int64(len(bodies)) && s.Done == 10
	}, soon, tick)
	stop()
	open, err := rabbit.OpenShelf(context.Background(), db)
	require.NoError(t, err)
	require.Len(t, open, 4)
	for _, row := range open {
		require.Contains(t, row.Reason, "invalid: ")
		require.Equal(t, rabbit.RequestSubmitted, row.Type)
		_, err := row.Event()
		require.Error(t, err)
	}
	require.Equal(t, subject, open[0].Subject)
	require.Contains(t, string(open[0].Payload), "base64", "Postgres cannot hold the second body as it is")
	require.Zero(t, left(t, cfg, rabbit.QueueValidator))
}

func TestForeignFaultHoldsWithoutCounting(t *testing.T) {
	t.Parallel()
	db, cfg := harness.DB(t), harness.Rabbit(t)
	done := newEffects(t, db)
	var away atomic.Bool
	var refusals atomic.Int64
	var redelivered atomic.Bool
	away.Store(true)
	b := rabbit.New(cfg, zerolog.Nop())
	b.Consume(db, rabbit.QueueValidator, func(ctx context.Context, tx *postgres.Tx, events []rabbit.Event) error {
		for _, e := range events {
			if e.Redelivered {
				redelivered.Store(true)
			}
		}
		if away.Load() {
			refusals.Add(1)
			return fmt.Errorf("signing: %w", rabbit.Hold(errors.New("the HSM is away")))
		}
		return done.add(ctx, tx, events)
	})
	stop := running(t, b)
	publish(t, b, submitted(20)...)
	require.Eventually(t, func() bool { return refusals.Load() > 5 }, soon, tick, "more often than an event may fail")
	status := b.Consumers()[0]
	require.True(t, status.Holding)
	require.Contains(t, status.LastError, "the HSM is away")
	away.Store(false)
	require.Eventually(t, func() bool { return b.Consumers()[0].Done == 20 }, soon, tick)
	require.False(t, b.Consumers()[0].Holding)
	stop()
	require.False(t, redelivered.Load(), "nothing was nacked")
	var recorded int
	require.NoError(t, db.Get(context.Background(), &recorded, `SELECT count(*) FROM delivery_attempt`))
	require.Zero(t, recorded)
	require.Zero(t, left(t, cfg, rabbit.QueueValidator))
}

// An event whose transaction never ends in time, though the database answers,
// blocks the queue no longer than its attempts; while the database does not
// answer, it is held.
func TestEventThatTakesTooLongIsShelved(t *testing.T) {
	t.Parallel()
	database, cfg := harness.NewDatabase(t), harness.Rabbit(t)
	direct := database.Open(t, "")
	done := newEffects(t, direct)
	proxy := harness.Proxy(t, database.Address())
	slow := database.Config(t, "")
	slow.URL, slow.TxTimeout = replaceHost(t, slow.URL, proxy.Address()), time.Second
	db := openDB(t, slow)

	events := submitted(20)
	bad := events[7]
	var alone atomic.Int64
	b := rabbit.New(cfg, zerolog.Nop())
	b.Consume(db, rabbit.QueueValidator, func(ctx context.Context, tx *postgres.Tx, batch []rabbit.Event) error {
		for _, e := range batch {
			if e.ID == bad.ID {
				if len(batch) == 1 && alone.Add(1) == 1 {
					proxy.Cut() // the first time it is the database that is away
				}
				_, err := tx.Exec(ctx, `SELECT pg_sleep(30)`)
				return err
			}
		}
		return done.add(ctx, tx, batch)
	})
	stop := running(t, b)
	publish(t, b, events...)
	require.Eventually(t, func() bool { return b.Consumers()[0].Holding }, soon, tick)
	var recorded int
	require.NoError(t, direct.Get(t.Context(), &recorded, `SELECT count(*) FROM delivery_attempt`))
	require.Zero(t, recorded)
	proxy.Resume()
	var open []rabbit.ShelfRow
	require.Eventually(t, func() bool {
		var err error
		open, err = rabbit.OpenShelf(t.Context(), direct)
		return err == nil && len(open) == 1 && b.Consumers()[0].Done == 19
	}, soon, tick)
	stop()
	require.Equal(t, bad.Subject, open[0].Subject)
	require.Equal(t, 5, open[0].Attempts)
	require.Contains(t, open[0].Reason, "took too long")
	rows, times := done.count(t)
	require.Equal(t, 19, rows)
	require.Equal(t, 19, times)
	require.Zero(t, left(t, cfg, rabbit.QueueValidator))
}

// Somebody else's lock is not the event's fault, however long it is held.
func TestLockedOutIsHeld(t *testing.T) {
	t.Parallel()
	database, cfg := harness.NewDatabase(t), harness.Rabbit(t)
	direct := database.Open(t, "")
	done := newEffects(t, direct)
	impatient := database.Config(t, "")
	impatient.TxTimeout = time.Second
	db := openDB(t, impatient)
	b := rabbit.New(cfg, zerolog.Nop())
	var tries atomic.Int64
	b.Consume(db, rabbit.QueueValidator, func(ctx context.Context, tx *postgres.Tx, batch []rabbit.Event) error {
		tries.Add(1)
		return done.add(ctx, tx, batch)
	})
	stop := running(t, b)
	require.NoError(t, direct.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		if _, err := tx.Exec(ctx, `LOCK TABLE effect`); err != nil {
			return err
		}
		publish(t, b, submitted(1)...)
		require.Eventually(t, func() bool { return tries.Load() > 6 }, soon, tick, "more often than an event may fail")
		return nil
	}))
	require.Eventually(t, func() bool { return b.Consumers()[0].Done == 1 }, soon, tick)
	stop()
	var recorded int
	require.NoError(t, direct.Get(t.Context(), &recorded, `SELECT (SELECT count(*) FROM delivery_attempt) + (SELECT count(*) FROM shelf)`))
	require.Zero(t, recorded)
}

func TestPostgresAwayIsSatOut(t *testing.T) {
	t.Parallel()
	database, cfg := harness.NewDatabase(t), harness.Rabbit(t)
	direct := database.Open(t, "")
	done := newEffects(t, direct)
	proxy := harness.Proxy(t, database.Address())
	db := openVia(t, database, proxy)
	b := rabbit.New(cfg, zerolog.Nop())
	b.Consume(db, rabbit.QueueValidator, done.add)
	stop := running(t, b)
	publish(t, b, submitted(10)...)
	require.Eventually(t, func() bool { return b.Consumers()[0].Done == 10 }, soon, tick)
	proxy.Cut()
	publish(t, b, submitted(10)...)
	require.Eventually(t, func() bool { return b.Consumers()[0].Holding }, soon, tick)
	proxy.Resume()
	require.Eventually(t, func() bool { return b.Consumers()[0].Done == 20 }, soon, tick)
	stop()
	rows, times := done.count(t)
	require.Equal(t, 20, rows)
	require.Equal(t, 20, times)
	open, err := rabbit.OpenShelf(context.Background(), direct)
	require.NoError(t, err)
	require.Empty(t, open)
}

func TestStopLetsTheBatchFinish(t *testing.T) {
	t.Parallel()
	db, cfg := harness.DB(t), harness.Rabbit(t)
	done := newEffects(t, db)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	b := rabbit.New(cfg, zerolog.Nop())
	b.Consume(db, rabbit.QueueValidator, func(inTx context.Context, tx *postgres.Tx, events []rabbit.Event) error {
		cancel() // the signal comes with the batch in hand
		for b.Check(context.Background()) == nil {
			runtime.Gosched() // until the broker is stopping
		}
		return done.add(inTx, tx, events)
	})
	ended := make(chan error, 1)
	go func() { ended <- b.Run(ctx) }()
	publish(t, b, event(rabbit.RequestSubmitted))
	require.NoError(t, <-ended)
	rows, _ := done.count(t)
	require.Equal(t, 1, rows)
	require.Zero(t, left(t, cfg, rabbit.QueueValidator), "committed and acknowledged")
}

func TestDeletedQueueIsDeclaredAgain(t *testing.T) {
	t.Parallel()
	db, cfg := harness.DB(t), harness.Rabbit(t)
	done := newEffects(t, db)
	station := rabbit.StationQueue("perso-1")
	b := rabbit.New(cfg, zerolog.Nop())
	b.Consume(db, station, done.add)
	running(t, b)
	ready(t, b)
	conn := dial(t, cfg)
	defer func() { _ = conn.Close() }()
	ch, err := conn.Channel()
	require.NoError(t, err)
	_, err = ch.QueueDelete(station, false, false, false)
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		publish(t, b, event(rabbit.WorkorderReleased)) // the sink takes it when the station's queue is not there
		return b.Consumers()[0].Done > 0
	}, soon, 50*time.Millisecond)
}

func TestTraceReachesTheHandler(t *testing.T) {
	t.Parallel()
	db, cfg := harness.DB(t), harness.Rabbit(t)
	got := make(chan string, 1)
	b := rabbit.New(cfg, zerolog.Nop())
	b.Consume(db, rabbit.QueueValidator, func(ctx context.Context, _ *postgres.Tx, events []rabbit.Event) error {
		select {
		case got <- trace.From(ctx) + " " + events[0].TraceParent:
		default:
		}
		return nil
	})
	running(t, b)
	e := event(rabbit.RequestSubmitted)
	e.TraceParent = trace.New()
	publish(t, b, e)
	select {
	case s := <-got:
		inContext, inEvent := s[:55], s[56:]
		require.Equal(t, e.TraceParent, inEvent)
		require.Equal(t, trace.ID(e.TraceParent), trace.ID(inContext))
		require.NotEqual(t, e.TraceParent, inContext)
	case <-time.After(soon):
		t.Fatal("no event")
	}
}

// openVia opens a pool on the database through a proxy.
func openVia(t *testing.T, d *harness.Database, proxy *harness.Relay) *postgres.DB {
	t.Helper()
	cfg := d.Config(t, "")
	cfg.URL = replaceHost(t, cfg.URL, proxy.Address())
	return openDB(t, cfg)
}

func openDB(t *testing.T, cfg postgres.Config) *postgres.DB {
	t.Helper()
	db, err := postgres.Open(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close() })
	return db
}
