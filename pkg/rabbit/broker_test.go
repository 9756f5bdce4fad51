package rabbit_test

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/rabbit"
	"dukcapil.go.id/sifilma/test/harness"
)

func TestBrokerAbsentAtStartAndLostLater(t *testing.T) {
	t.Parallel()
	v := harness.NewVhost(t)
	proxy := harness.Proxy(t, v.Address())
	proxy.Cut()
	var log logbook
	b := rabbit.New(v.ConfigVia("portal", proxy.Address()), log.logger())
	stop := running(t, b)
	require.ErrorIs(t, b.Check(context.Background()), rabbit.ErrDown)
	require.ErrorIs(t, b.Publish(context.Background(), event(rabbit.RequestDone), nil), rabbit.ErrDown)
	_, err := b.Depth(context.Background(), rabbit.QueueShelf)
	require.ErrorIs(t, err, rabbit.ErrDown)
	require.Eventually(t, func() bool { return log.count("session is down") == 1 }, soon, tick)

	proxy.Resume()
	ready(t, b)
	require.Equal(t, []rabbit.Outcome{rabbit.Sent}, publish(t, b, event(rabbit.RequestDone)))

	proxy.Cut()
	require.Eventually(t, func() bool { return b.Check(context.Background()) != nil }, soon, tick)
	proxy.Resume()
	back := time.Now()
	ready(t, b)
	t.Logf("back after %v", time.Since(back))
	require.Equal(t, []rabbit.Outcome{rabbit.Sent}, publish(t, b, event(rabbit.RequestDone)))
	stop()
	require.Equal(t, 2, log.count("session is up"))
	require.LessOrEqual(t, log.count("session is down"), 3, "only transitions are logged")
	require.Equal(t, 2, left(t, v.Config("test"), rabbit.QueueDocumentGenerator))
}

func TestMismatchIsToldAndMends(t *testing.T) {
	t.Parallel()
	v := harness.NewVhost(t)
	cfg := v.Config("portal")
	conn := dial(t, cfg)
	defer func() { _ = conn.Close() }()
	ch, err := conn.Channel()
	require.NoError(t, err)
	_, err = ch.QueueDeclare(rabbit.QueueValidator, true, false, false, false, nil) // classic
	require.NoError(t, err)

	b := rabbit.New(cfg, zerolog.Nop())
	running(t, b)
	var mismatch *rabbit.MismatchError
	require.Eventually(t, func() bool { return errors.As(b.Check(context.Background()), &mismatch) }, soon, tick)
	require.Equal(t, rabbit.QueueValidator, mismatch.Name)
	require.ErrorContains(t, b.Check(context.Background()), `queue "validator" exists on the broker with other arguments`)

	_, err = ch.QueueDelete(rabbit.QueueValidator, false, false, false)
	require.NoError(t, err)
	ready(t, b)
}

func TestWrongPasswordIsNotShown(t *testing.T) {
	t.Parallel()
	cfg := harness.Rabbit(t)
	cfg.PasswordFile = filepath.Join(t.TempDir(), "password")
	require.NoError(t, os.WriteFile(cfg.PasswordFile, []byte("not-the-password\n"), 0o600))
	var log logbook
	b := rabbit.New(cfg, log.logger())
	stop := running(t, b)
	var reply *amqp.Error
	require.Eventually(t, func() bool { return errors.As(b.Check(context.Background()), &reply) }, soon, tick)
	require.Equal(t, amqp.AccessRefused, reply.Code)
	stop()
	require.Zero(t, log.count("not-the-password"))
}

func TestURLIsCheckedAndNotShown(t *testing.T) {
	t.Parallel()
	for _, url := range []string{"", "http://h/", "amqp://user:se cret@h:1/", "amqp://user:secret@h:port/", "amqp://h,"} {
		err := rabbit.New(rabbit.Config{URL: url}, zerolog.Nop()).Run(context.Background())
		require.ErrorContains(t, err, "rabbit.url", url)
		require.NotContains(t, err.Error(), "cret")
	}
}

func TestSecondNodeIsTried(t *testing.T) {
	t.Parallel()
	v := harness.NewVhost(t)
	away := harness.Proxy(t, v.Address())
	away.Cut()
	cfg := v.ConfigVia("portal", away.Address())
	cfg.URL += "," + v.Config("portal").URL
	b := rabbit.New(cfg, zerolog.Nop())
	running(t, b)
	ready(t, b)
}

func TestReturnedIsToldFromSent(t *testing.T) {
	t.Parallel()
	b := rabbit.New(harness.Rabbit(t), zerolog.Nop())
	running(t, b)
	events := make([]rabbit.Event, 1500) // several windows
	want := make([]rabbit.Outcome, len(events))
	for i := range events {
		events[i], want[i] = event(rabbit.RequestDone), rabbit.Sent
		if i%3 == 1 {
			events[i].Type, want[i] = "nobody.listens", rabbit.Returned
		}
	}
	events[7].ID, events[8].ID = events[4].ID, events[6].ID // a row whose lease ran out is in flight twice
	require.Equal(t, want, publish(t, b, events...))
	depth, err := b.Depth(context.Background(), rabbit.QueueDocumentGenerator)
	require.NoError(t, err)
	require.Equal(t, rabbit.Depth{Messages: 1000}, depth)
	_, err = b.Depth(context.Background(), "nobody")
	require.ErrorContains(t, err, "nobody")
	require.NoError(t, b.Check(context.Background()), "asking for a missing queue harms nothing")
}

func TestCutLeavesOutcomeUnknown(t *testing.T) {
	t.Parallel()
	v := harness.NewVhost(t)
	proxy := harness.Proxy(t, v.Address())
	b := rabbit.New(v.ConfigVia("portal", proxy.Address()), zerolog.Nop())
	running(t, b)
	ready(t, b)
	proxy.Blackhole() // the answers of the broker will not come
	outcomes := make(chan rabbit.Outcome, 200)
	for range cap(outcomes) {
		require.NoError(t, b.Publish(context.Background(), event(rabbit.RequestDone), func(o rabbit.Outcome) { outcomes <- o }))
	}
	proxy.Drop()
	for range cap(outcomes) {
		select {
		case o := <-outcomes:
			require.Equal(t, rabbit.Unknown, o)
		case <-time.After(soon):
			t.Fatal("an outcome is missing")
		}
	}
	proxy.Resume()
	ready(t, b)
	require.Equal(t, []rabbit.Outcome{rabbit.Sent}, publish(t, b, event(rabbit.RequestDone)))
}

// A path that swallows everything: no error ever comes, so the limits must.
func TestSilentBrokerIsGivenUp(t *testing.T) {
	t.Parallel()
	db, v := harness.DB(t), harness.NewVhost(t)
	proxy := harness.Proxy(t, v.Address())
	b := rabbit.New(v.ConfigVia("portal", proxy.Address()), zerolog.Nop())
	b.Consume(db, rabbit.QueueValidator, newEffects(t, db).once)
	stop := running(t, b)
	ready(t, b)
	proxy.Blackhole()
	require.Equal(t, []rabbit.Outcome{rabbit.Unknown}, publish(t, b, event(rabbit.RequestDone)))
	require.Eventually(t, func() bool { return errors.Is(b.Check(context.Background()), rabbit.ErrDown) }, soon, tick)
	asked, cancel := context.WithTimeout(context.Background(), tick)
	defer cancel()
	_, err := b.Depth(asked, rabbit.QueueValidator)
	require.ErrorIs(t, err, context.DeadlineExceeded, "a question has its own end")
	proxy.Resume()
	ready(t, b)
	proxy.Blackhole()
	stop() // in bounded time
}

func TestBlockedBrokerPausesPublishing(t *testing.T) {
	t.Parallel()
	v := harness.NewVhost(t)
	proxy := newInjector(t, v.Address())
	b := rabbit.New(v.ConfigVia("portal", proxy.address()), zerolog.Nop())
	running(t, b)
	ready(t, b)
	proxy.inject(method(60, "\x0alow memory")) // connection.blocked
	require.Eventually(t, func() bool { return errors.Is(b.Check(context.Background()), rabbit.ErrBlocked) }, soon, tick)
	require.ErrorContains(t, b.Check(context.Background()), "low memory")
	require.ErrorIs(t, b.Publish(context.Background(), event(rabbit.RequestDone), nil), rabbit.ErrBlocked)
	waiting := make(chan error, 1)
	go func() { waiting <- b.WaitPublish(context.Background()) }()
	proxy.inject(method(61, "")) // connection.unblocked
	select {
	case err := <-waiting:
		require.NoError(t, err)
	case <-time.After(soon):
		t.Fatal("still waiting after the broker is free again")
	}
	ready(t, b)
}

// method is a frame of a method of class connection (AMQP 0-9-1 section 4.2.3).
func method(id byte, args string) []byte {
	payload := append([]byte{0, 10, 0, id}, args...)
	frame := append([]byte{1, 0, 0, 0, 0, 0, byte(len(payload))}, payload...)
	return append(frame, 0xCE)
}

// injector is a TCP proxy that can put frames of its own into the quiet stream
// from the broker: no test can make the shared broker run short of memory.
type injector struct {
	listener net.Listener
	mu       sync.Mutex
	clients  []net.Conn
}

func newInjector(t *testing.T, target string) *injector {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p := &injector{listener: listener}
	var work sync.WaitGroup
	work.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", target)
			if err != nil {
				_ = client.Close()
				continue
			}
			p.mu.Lock()
			p.clients = append(p.clients, client)
			p.mu.Unlock()
			work.Go(func() { p.copy(server, client, false) })
			work.Go(func() { p.copy(client, server, true) })
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		p.mu.Lock()
		for _, c := range p.clients {
			_ = c.Close()
		}
		p.mu.Unlock()
		work.Wait()
	})
	return p
}

func (p *injector) address() string { return p.listener.Addr().String() }

func (p *injector) copy(to, from net.Conn, towardsClient bool) {
	defer func() { _, _ = to.Close(), from.Close() }()
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if err != nil {
			return
		}
		if towardsClient {
			p.mu.Lock()
		}
		_, err = to.Write(buf[:n])
		if towardsClient {
			p.mu.Unlock()
		}
		if err != nil {
			return
		}
	}
}

func (p *injector) inject(frame []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.clients {
		_, _ = c.Write(frame) // those that are gone do not matter
	}
}
