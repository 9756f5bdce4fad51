package rabbit_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/rabbit"
	"dukcapil.go.id/sifilma/test/harness"
)

// naiveLimit is the delivery limit of the queues that tests make themselves.
const naiveLimit = 3

// graveyard declares an exchange for dead letters with a queue behind it.
func graveyard(t *testing.T, ch *amqp.Channel) amqp.Table {
	t.Helper()
	require.NoError(t, ch.ExchangeDeclare("naive.dead", amqp.ExchangeFanout, true, false, false, false, nil))
	quorum(t, ch, "graveyard", nil)
	require.NoError(t, ch.QueueBind("graveyard", "", "naive.dead", false, nil))
	return amqp.Table{
		"x-delivery-limit": naiveLimit, "x-dead-letter-exchange": "naive.dead", "x-dead-letter-strategy": "at-least-once",
		amqp.QueueOverflowArg: amqp.QueueOverflowRejectPublish,
	}
}

// A message that is refused too often leaves its queue: to the dead letters
// where the queue names them, and without a word where it does not.
func TestTrapE6RefusedTooOftenVanishes(t *testing.T) {
	t.Parallel()
	refuse := func(t *testing.T, ch *amqp.Channel, queue string) (deliveries int) {
		t.Helper()
		tag := "refuser of " + queue
		from, err := ch.Consume(queue, tag, false, false, false, false, nil)
		require.NoError(t, err)
		for range naiveLimit + 1 {
			require.NoError(t, next(t, from).Nack(false, true))
			deliveries++
		}
		require.NoError(t, ch.Cancel(tag, false))
		return deliveries
	}
	t.Run("naive", func(t *testing.T) {
		t.Parallel()
		cfg := harness.Rabbit(t)
		ch := channel(t, connect(t, cfg))
		require.NoError(t, ch.Confirm(false))
		quorum(t, ch, "without", amqp.Table{"x-delivery-limit": naiveLimit})
		send(t, ch, "without", "lost")
		refuse(t, ch, "without")
		inQueue(t, ch, "without", 0)
		require.Zero(t, left(t, cfg, "without"), "it is nowhere")

		quorum(t, ch, "with", graveyard(t, ch))
		send(t, ch, "with", "buried")
		refuse(t, ch, "with")
		inQueue(t, ch, "graveyard", 1)
		d, ok, err := ch.Get("graveyard", true)
		require.NoError(t, err)
		require.True(t, ok)
		require.Equal(t, "delivery_limit", d.Headers["x-first-death-reason"])
	})
	t.Run("ours", func(t *testing.T) { // what the broker gives up is a row for a person to see
		t.Parallel()
		db, cfg := harness.DB(t), harness.Rabbit(t)
		b := rabbit.New(cfg, zerolog.Nop())
		b.ConsumeShelf(db)
		stop := running(t, b)
		e := event(rabbit.RequestSubmitted)
		publish(t, b, e)
		ch := channel(t, connect(t, cfg))
		deliveries, err := ch.Consume(rabbit.QueueValidator, "", false, false, false, false, nil)
		require.NoError(t, err)
		go func() { // a consumer that can never keep a message
			for d := range deliveries {
				_ = d.Nack(false, true)
			}
		}()
		require.Eventually(t, func() bool { return b.Consumers()[0].Shelved == 1 }, soon, tick)
		stop()
		open, err := rabbit.OpenShelf(context.Background(), db)
		require.NoError(t, err)
		require.Len(t, open, 1)
		require.Equal(t, rabbit.QueueValidator, open[0].Consumer)
		require.Equal(t, e.Subject, open[0].Subject)
		require.Equal(t, "dead_letter: delivery_limit", open[0].Reason)
		require.Zero(t, left(t, cfg, rabbit.QueueShelf))
	})
}

// prefetchAndDie takes messages into hand, looks at none of them, and loses its
// connection.
func prefetchAndDie(t *testing.T, cfg rabbit.Config, queue string, n int) {
	t.Helper()
	conn := dial(t, cfg)
	defer func() { _ = conn.Close() }()
	ch := channel(t, conn)
	require.NoError(t, ch.Qos(n, 0, false))
	deliveries, err := ch.Consume(queue, "", false, false, false, false, nil)
	require.NoError(t, err)
	for range n {
		next(t, deliveries)
	}
}

// A lost connection counts against every message that it had in hand, also
// those that nobody has looked at: a few restarts, and a whole prefetch buffer
// is given up on.
func TestTrapDeliveryLimitCountsLostConnections(t *testing.T) {
	t.Parallel()
	const messages = 20
	t.Run("naive", func(t *testing.T) {
		t.Parallel()
		cfg := harness.Rabbit(t)
		ch := channel(t, connect(t, cfg))
		require.NoError(t, ch.Confirm(false))
		quorum(t, ch, "naive", graveyard(t, ch))
		for i := range messages {
			send(t, ch, "naive", fmt.Sprint(i))
		}
		for range naiveLimit + 1 {
			prefetchAndDie(t, cfg, "naive", messages)
		}
		inQueue(t, ch, "graveyard", messages)
		inQueue(t, ch, "naive", 0)
	})
	t.Run("ours outlives many losses", func(t *testing.T) {
		t.Parallel()
		const losses = 2 * naiveLimit
		db, v := harness.DB(t), harness.NewVhost(t)
		done := newEffects(t, db)
		sender := rabbit.New(v.Config("portal"), zerolog.Nop())
		running(t, sender)
		publish(t, sender, submitted(messages)...)
		proxy := harness.Proxy(t, v.Address())
		entered, leave := make(chan struct{}, 1), make(chan struct{})
		b := rabbit.New(v.ConfigVia("validator", proxy.Address()), zerolog.Nop())
		b.Consume(db, rabbit.QueueValidator, func(ctx context.Context, tx *postgres.Tx, events []rabbit.Event) error {
			select {
			case <-leave:
				return done.once(ctx, tx, events)
			default:
				select {
				case entered <- struct{}{}:
				default:
				}
				return rabbit.Hold(context.DeadlineExceeded) // what it needs is away
			}
		}, rabbit.Batch(1))
		stop := running(t, b)
		for range losses {
			<-entered // it has them in hand, and cannot do anything with them
			proxy.Cut()
			require.Eventually(t, func() bool { return b.Check(context.Background()) != nil }, soon, time.Millisecond)
			for len(entered) > 0 {
				<-entered
			}
			proxy.Resume()
		}
		close(leave)
		require.Eventually(t, func() bool { rows, _ := done.count(t); return rows == messages }, soon, tick)
		stop()
		require.Zero(t, left(t, v.Config("test"), rabbit.QueueShelf), "none was given up")
	})
	t.Run("ours at its end keeps them for people", func(t *testing.T) {
		t.Parallel()
		db, cfg := harness.DB(t), harness.Rabbit(t)
		sender := rabbit.New(cfg, zerolog.Nop())
		running(t, sender)
		publish(t, sender, submitted(messages)...)
		limit := 0
		for _, q := range rabbit.Topology() {
			if q.Name == rabbit.QueueValidator {
				limit = int(q.Args["x-delivery-limit"].(int64))
			}
		}
		require.NotZero(t, limit)
		for range limit + 1 {
			prefetchAndDie(t, cfg, rabbit.QueueValidator, messages)
		}
		b := rabbit.New(cfg, zerolog.Nop())
		b.ConsumeShelf(db)
		running(t, b)
		require.Eventually(t, func() bool {
			open, err := rabbit.CountShelf(context.Background(), db)
			return err == nil && open == messages
		}, soon, tick, "each is a row that can be replayed")
	})
}

// A confirm costs the broker a write to disk. Who waits for each before the
// next message is sent gets a few hundred messages a second out; how many, the
// bench says. Here: ours has many on the way at once, and not any number.
func TestTrapE9SerialConfirmsAreSlow(t *testing.T) {
	t.Parallel()
	const many, tooMany = 100, 100_000
	v := harness.NewVhost(t)
	proxy := newInjector(t, v.Address())
	b := rabbit.New(v.ConfigVia("portal", proxy.address()), zerolog.Nop())
	running(t, b)
	ready(t, b)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	sent, full := 0, false
	proxy.withoutAnswers(func() { // no confirm comes: all that is sent is on its way at once
		for ; sent < tooMany && !full; sent++ {
			accepted := make(chan error, 1)
			go func() { accepted <- b.Publish(ctx, event(rabbit.RequestDone), func(rabbit.Outcome) {}) }()
			select {
			case err := <-accepted:
				require.NoError(t, err)
			case <-time.After(500 * time.Millisecond):
				full = true
				cancel()
				require.Error(t, <-accepted)
			}
		}
	})
	require.True(t, full, "what is on its way is bounded")
	require.Greater(t, sent, many)

	rate := func(name string, n int, do func()) {
		began := time.Now()
		do()
		t.Logf("%s: %.0f messages a second", name, float64(n)/time.Since(began).Seconds())
	}
	ready(t, b)
	ch := channel(t, connect(t, v.Config("naive")))
	require.NoError(t, ch.Confirm(false))
	quorum(t, ch, "naive", nil)
	rate("naive, one confirm after the other", 100, func() {
		for i := range 100 {
			send(t, ch, "naive", fmt.Sprint(i))
		}
	})
	rate("ours", 1000, func() { publish(t, b, submitted(1000)...) })
}
