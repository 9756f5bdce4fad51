package rabbit_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/rabbit"
	"dukcapil.go.id/sifilma/test/harness"
)

// Each measured trap of the client library and the broker (reliability.md) is
// walked into twice: by the naive use, so that we notice when the library or
// the broker changes, and by ours, which must come out on the other side.
// test/README.md lists where each trap is.

// quorum declares a quorum queue of a test's own, with further arguments.
func quorum(t *testing.T, ch *amqp.Channel, name string, more amqp.Table) {
	t.Helper()
	args := amqp.Table{amqp.QueueTypeArg: amqp.QueueTypeQuorum}
	for k, v := range more {
		args[k] = v
	}
	_, err := ch.QueueDeclare(name, true, false, false, false, args)
	require.NoError(t, err)
}

func channel(t *testing.T, conn *amqp.Connection) *amqp.Channel {
	t.Helper()
	ch, err := conn.Channel()
	require.NoError(t, err)
	return ch
}

// connect is dial for a connection that the test's end closes, if it is still
// there.
func connect(t *testing.T, cfg rabbit.Config) *amqp.Connection {
	t.Helper()
	conn := dial(t, cfg)
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func send(t *testing.T, ch *amqp.Channel, queue, body string) {
	t.Helper()
	confirm, err := ch.PublishWithDeferredConfirm("", queue, true, false, amqp.Publishing{
		DeliveryMode: amqp.Persistent, MessageId: body, Body: []byte(body),
	})
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(context.Background(), soon)
	defer cancel()
	acked, err := confirm.WaitContext(ctx)
	require.NoError(t, err)
	require.True(t, acked)
}

func next(t *testing.T, from <-chan amqp.Delivery) amqp.Delivery {
	t.Helper()
	select {
	case d, ok := <-from:
		require.True(t, ok)
		return d
	case <-time.After(soon):
		t.Fatal("no delivery")
		return amqp.Delivery{}
	}
}

// inQueue waits until a queue holds n messages that nobody has in hand.
func inQueue(t *testing.T, ch *amqp.Channel, queue string, n int) {
	t.Helper()
	require.Eventually(t, func() bool {
		q, err := ch.QueueDeclarePassive(queue, true, false, false, false, nil)
		return err == nil && q.Messages == n
	}, soon, tick, "%s should hold %d", queue, n)
}

// The late acknowledgement of a handler that outlived its session settles a
// message that nobody has handled, when the library recovers the channel.
func TestTrapE1LateAckAfterRecovery(t *testing.T) {
	t.Parallel()
	t.Run("naive", func(t *testing.T) {
		t.Parallel()
		v := harness.NewVhost(t)
		direct := channel(t, connect(t, v.Config("direct")))
		require.NoError(t, direct.Confirm(false))
		quorum(t, direct, "naive", nil)
		send(t, direct, "naive", "A")

		proxy := harness.Proxy(t, v.Address())
		conn := recovering(t, v.ConfigVia("naive", proxy.Address()))
		ch := channel(t, conn)
		require.NoError(t, ch.Qos(1, 0, false))
		deliveries, err := ch.Consume("naive", "slow", false, false, false, false, nil)
		require.NoError(t, err)
		a := next(t, deliveries)
		require.Equal(t, "A", string(a.Body))

		proxy.Cut()
		var taken amqp.Delivery
		require.Eventually(t, func() bool { // A goes to somebody else, who finishes it
			var ok bool
			taken, ok, err = direct.Get("naive", true)
			return err == nil && ok
		}, soon, tick)
		require.Equal(t, "A", string(taken.Body))
		send(t, direct, "naive", "B")
		proxy.Resume()
		inQueue(t, direct, "naive", 0) // B is in the hands of the recovered consumer
		require.Eventually(t, func() bool { return a.Ack(false) == nil }, soon, tick, "the late ack is taken as good")
		require.NoError(t, conn.Close())
		inQueue(t, direct, "naive", 0)
		_, ok, err := direct.Get("naive", true)
		require.NoError(t, err)
		require.False(t, ok, "B is lost: it was acknowledged in A's name")
	})
	t.Run("ours", func(t *testing.T) {
		t.Parallel()
		db, v := harness.DB(t), harness.NewVhost(t)
		done := newEffects(t, db)
		proxy := harness.Proxy(t, v.Address())
		sender := rabbit.New(v.Config("portal"), zerolog.Nop())
		running(t, sender)
		entered, leave := make(chan struct{}), make(chan struct{})
		var first sync.Once
		b := rabbit.New(v.ConfigVia("validator", proxy.Address()), zerolog.Nop())
		b.Consume(db, rabbit.QueueValidator, func(ctx context.Context, tx *postgres.Tx, events []rabbit.Event) error {
			first.Do(func() { close(entered); <-leave })
			return done.once(ctx, tx, events)
		}, rabbit.Batch(1))
		stop := running(t, b)
		publish(t, sender, submitted(1)...)
		<-entered
		proxy.Cut()
		require.Eventually(t, func() bool { return b.Check(context.Background()) != nil }, soon, tick)
		publish(t, sender, submitted(20)...)
		proxy.Resume()
		ready(t, b)
		close(leave) // commits, and acknowledges on the dead session
		require.Eventually(t, func() bool { rows, _ := done.count(t); return rows == 21 }, soon, tick)
		require.Eventually(t, func() bool { return b.Consumers()[0].Done >= 21 }, soon, tick)
		stop()
		require.Zero(t, left(t, v.Config("test"), rabbit.QueueValidator))
	})
}

// recovering dials as the library's own recovery would have it.
func recovering(t *testing.T, cfg rabbit.Config) *amqp.Connection {
	t.Helper()
	conn, err := amqp.DialConfig(cfg.URL, amqp.Config{SASL: sasl(t, cfg), Recovery: &amqp.Recovery{
		ReconnectionConfig: &amqp.ReconnectionConfig{MaxRetryCount: 1000, RetryInterval: 20 * time.Millisecond},
	}})
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// A confirm says nothing about whether any queue took the message.
func TestTrapE2UnroutableIsConfirmed(t *testing.T) {
	t.Parallel()
	t.Run("naive", func(t *testing.T) {
		t.Parallel()
		ch := channel(t, connect(t, harness.Rabbit(t)))
		require.NoError(t, ch.Confirm(false))
		returns := ch.NotifyReturn(make(chan amqp.Return, 1))
		publish := func(mandatory bool) {
			confirm, err := ch.PublishWithDeferredConfirm("amq.topic", "nobody.listens", mandatory, false, amqp.Publishing{Body: []byte("x")})
			require.NoError(t, err)
			require.True(t, confirm.Wait(), "the broker confirms what it throws away")
		}
		publish(false)
		require.Empty(t, returns, "without mandatory nothing else comes")
		for range 300 { // the order that our publisher relies on
			publish(true)
			require.Len(t, returns, 1, "the return is there before its confirm")
			require.EqualValues(t, amqp.NoRoute, (<-returns).ReplyCode)
		}
	})
	t.Run("ours", func(t *testing.T) {
		t.Parallel()
		b := rabbit.New(harness.Rabbit(t), zerolog.Nop())
		running(t, b)
		for range 50 {
			require.Equal(t, []rabbit.Outcome{rabbit.Returned, rabbit.Sent}, publish(t, b, event("nobody.listens"), event(rabbit.RequestDone)))
		}
	})
}

// A listener for returns that is full stalls the whole connection, and then
// returns are dropped while their confirms still say ack.
func TestTrapE3ReturnsAreDropped(t *testing.T) {
	t.Parallel()
	t.Run("naive", func(t *testing.T) {
		t.Parallel()
		ch := channel(t, connect(t, harness.Rabbit(t)))
		require.NoError(t, ch.Confirm(false))
		returns := ch.NotifyReturn(make(chan amqp.Return, 1)) // and nobody reads it
		for range 2 {
			confirm, err := ch.PublishWithDeferredConfirm("amq.topic", "nobody.listens", true, false, amqp.Publishing{Body: []byte("x")})
			require.NoError(t, err)
			require.True(t, confirm.Wait())
		}
		require.Len(t, returns, 1)
		<-returns
		require.NoError(t, ch.Qos(1, 0, false)) // an answer of the broker: all before it has been read
		require.Empty(t, returns, "the second return is gone for good")
	})
	t.Run("ours", func(t *testing.T) {
		t.Parallel()
		b := rabbit.New(harness.Rabbit(t), zerolog.Nop())
		running(t, b)
		events := make([]rabbit.Event, 2000) // many windows of nothing but returns
		for i := range events {
			events[i] = event("nobody.listens")
		}
		for _, o := range publish(t, b, events...) {
			require.Equal(t, rabbit.Returned, o)
		}
	})
}

// withoutAnswers does something while no answer of the broker reaches any
// client, then breaks the connections.
func (p *injector) withoutAnswers(do func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	do()
	for _, c := range p.clients {
		_ = c.Close()
	}
}

// A message whose confirm never comes can be in its queue all the same.
func TestTrapE4NoConfirmIsNotNotSent(t *testing.T) {
	t.Parallel()
	t.Run("naive", func(t *testing.T) {
		t.Parallel()
		v := harness.NewVhost(t)
		direct := channel(t, connect(t, v.Config("direct")))
		quorum(t, direct, "naive", nil)
		proxy := newInjector(t, v.Address())
		ch := channel(t, connect(t, v.ConfigVia("naive", proxy.address())))
		require.NoError(t, ch.Confirm(false))
		var confirm *amqp.DeferredConfirmation
		proxy.withoutAnswers(func() {
			var err error
			confirm, err = ch.PublishWithDeferredConfirm("", "naive", true, false, amqp.Publishing{DeliveryMode: amqp.Persistent, Body: []byte("x")})
			require.NoError(t, err)
			inQueue(t, direct, "naive", 1)
		})
		require.False(t, confirm.Wait(), "the library says no")
		inQueue(t, direct, "naive", 1)
	})
	t.Run("ours", func(t *testing.T) {
		t.Parallel()
		db, v := harness.DB(t), harness.NewVhost(t)
		done := newEffects(t, db)
		proxy := newInjector(t, v.Address())
		sender := rabbit.New(v.ConfigVia("portal", proxy.address()), zerolog.Nop())
		running(t, sender)
		ready(t, sender)
		direct := channel(t, connect(t, v.Config("direct")))
		e, outcome := event(rabbit.RequestSubmitted), make(chan rabbit.Outcome, 1)
		proxy.withoutAnswers(func() {
			require.NoError(t, sender.Publish(context.Background(), e, func(o rabbit.Outcome) { outcome <- o }))
			inQueue(t, direct, rabbit.QueueValidator, 1)
		})
		require.Equal(t, rabbit.Unknown, <-outcome, "which is neither sent nor not sent")
		ready(t, sender)
		require.Equal(t, []rabbit.Outcome{rabbit.Sent}, publish(t, sender, e)) // as the relay does
		b := rabbit.New(v.Config("validator"), zerolog.Nop())
		b.Consume(db, rabbit.QueueValidator, done.once)
		running(t, b)
		require.Eventually(t, func() bool { return b.Consumers()[0].Done == 2 }, soon, tick, "both copies arrive")
		rows, times := done.count(t)
		require.Equal(t, []int{1, 1}, []int{rows, times}, "with one effect")
	})
}

// After the end of a connection the channel of deliveries yields empty ones for
// ever, as any closed channel does.
func TestTrapE5EmptyDeliveryAfterClose(t *testing.T) {
	t.Parallel()
	t.Run("naive", func(t *testing.T) {
		t.Parallel()
		conn := connect(t, harness.Rabbit(t))
		ch := channel(t, conn)
		quorum(t, ch, "naive", nil)
		deliveries, err := ch.Consume("naive", "", false, false, false, false, nil)
		require.NoError(t, err)
		require.NoError(t, conn.Close())
		d := <-deliveries
		require.Zero(t, d.DeliveryTag)
		require.ErrorIs(t, d.Ack(false), amqp.ErrDeliveryNotInitialized)
	})
	t.Run("ours", func(t *testing.T) {
		t.Parallel()
		db, v := harness.DB(t), harness.NewVhost(t)
		done := newEffects(t, db)
		proxy := harness.Proxy(t, v.Address())
		var odd atomic.Int64
		b := rabbit.New(v.ConfigVia("validator", proxy.Address()), zerolog.Nop())
		b.Consume(db, rabbit.QueueValidator, func(ctx context.Context, tx *postgres.Tx, events []rabbit.Event) error {
			for _, e := range events {
				if e.Validate() != nil {
					odd.Add(1)
				}
			}
			return done.once(ctx, tx, events)
		})
		stop := running(t, b)
		for range 3 {
			ready(t, b)
			publish(t, b, submitted(1)...)
			proxy.Cut()
			require.Eventually(t, func() bool { return errors.Is(b.Check(context.Background()), rabbit.ErrDown) }, soon, tick)
			proxy.Resume()
		}
		require.Eventually(t, func() bool { rows, _ := done.count(t); return rows == 3 }, soon, tick)
		stop()
		require.Zero(t, odd.Load(), "no handler has seen an empty event")
		open, err := rabbit.CountShelf(context.Background(), db)
		require.NoError(t, err)
		require.Zero(t, open, "and none was taken for a message that is no event")
	})
}
