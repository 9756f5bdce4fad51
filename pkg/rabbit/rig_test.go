package rabbit_test

import (
	"bytes"
	"context"
	"errors"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/rabbit"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	soon = 30 * time.Second // far beyond what is expected on a busy machine
	tick = 10 * time.Millisecond
)

// logbook is a log that tests read.
type logbook struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logbook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logbook) count(what string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.text.String(), what)
}

func (l *logbook) logger() zerolog.Logger { return zerolog.New(l) }

// running runs a broker until the test ends, or stop is called; stop waits for
// the end.
func running(t *testing.T, b *rabbit.Broker) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- b.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-ended:
			require.NoError(t, err)
		case <-time.After(soon):
			t.Error("the broker does not stop")
		}
	})
	t.Cleanup(stop)
	return stop
}

func ready(t *testing.T, b *rabbit.Broker) {
	t.Helper()
	require.Eventually(t, func() bool { return b.Check(context.Background()) == nil }, soon, tick)
}

func event(kind string) rabbit.Event {
	return rabbit.Event{
		ID: uuid.Must(uuid.NewV7()).String(), Type: kind, Subject: uuid.NewString(), Version: 1, Time: time.Now(),
	}
}

func submitted(n int) []rabbit.Event {
	events := make([]rabbit.Event, n)
	for i := range events {
		events[i] = event(rabbit.RequestSubmitted)
	}
	return events
}

// publish sends events and returns what became of each.
func publish(t *testing.T, b *rabbit.Broker, events ...rabbit.Event) []rabbit.Outcome {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), soon)
	defer cancel()
	outcomes := make([]rabbit.Outcome, len(events))
	var all sync.WaitGroup
	for i, e := range events {
		all.Add(1)
		err := rabbit.ErrDown
		for errors.Is(err, rabbit.ErrDown) { // the session may end between the two, which the relay bears as well
			require.NoError(t, b.WaitPublish(ctx))
			err = b.Publish(ctx, e, func(o rabbit.Outcome) { outcomes[i] = o; all.Done() })
		}
		require.NoError(t, err)
	}
	all.Wait()
	return outcomes
}

// effects is a table that counts what handlers did.
type effects struct{ db *postgres.DB }

func newEffects(t *testing.T, db *postgres.DB) effects {
	t.Helper()
	require.NoError(t, db.InTx(context.Background(), func(ctx context.Context, tx *postgres.Tx) error {
		_, err := tx.Exec(ctx, `CREATE TABLE effect (subject uuid PRIMARY KEY, times int NOT NULL)`)
		return err
	}))
	return effects{db}
}

// add is a handler's work without any guard: each time it runs, it counts.
func (e effects) add(ctx context.Context, tx *postgres.Tx, events []rabbit.Event) error {
	for _, ev := range events {
		if _, err := tx.Exec(ctx, `INSERT INTO effect VALUES ($1, 1)
			ON CONFLICT (subject) DO UPDATE SET times = effect.times + 1`, ev.Subject); err != nil {
			return err
		}
	}
	return nil
}

// once is a handler's work under compare-and-set: the second bell does nothing.
func (e effects) once(ctx context.Context, tx *postgres.Tx, events []rabbit.Event) error {
	for _, ev := range events {
		if _, err := tx.Exec(ctx, `INSERT INTO effect VALUES ($1, 1) ON CONFLICT DO NOTHING`, ev.Subject); err != nil {
			return err
		}
	}
	return nil
}

func (e effects) count(t *testing.T) (rows, times int) {
	t.Helper()
	var got struct{ Rows, Times int }
	require.NoError(t, e.db.Get(context.Background(), &got,
		`SELECT count(*) AS rows, coalesce(sum(times), 0) AS times FROM effect`))
	return got.Rows, got.Times
}

// left counts what a queue holds. What consumers have in hand is not in it, so
// they must have stopped.
func left(t *testing.T, cfg rabbit.Config, queue string) int {
	t.Helper()
	conn := dial(t, cfg)
	defer func() { _ = conn.Close() }()
	ch, err := conn.Channel()
	require.NoError(t, err)
	q, err := ch.QueueDeclarePassive(queue, true, false, false, false, nil)
	require.NoError(t, err)
	return q.Messages
}

// dial opens a bare connection, for what the broker type would never do.
func dial(t *testing.T, cfg rabbit.Config) *amqp.Connection {
	t.Helper()
	conn, err := amqp.DialConfig(cfg.URL, amqp.Config{SASL: sasl(t, cfg)})
	require.NoError(t, err)
	return conn
}

func sasl(t *testing.T, cfg rabbit.Config) []amqp.Authentication {
	t.Helper()
	uri, err := amqp.ParseURI(cfg.URL)
	require.NoError(t, err)
	password, err := os.ReadFile(cfg.PasswordFile)
	require.NoError(t, err)
	return []amqp.Authentication{&amqp.PlainAuth{Username: uri.Username, Password: strings.TrimSpace(string(password))}}
}

// replaceHost puts another address into a URL.
func replaceHost(t *testing.T, text, address string) string {
	t.Helper()
	u, err := url.Parse(text)
	require.NoError(t, err)
	u.Host = address
	return u.String()
}
