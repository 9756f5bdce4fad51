package outage

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/daemon"
	"dukcapil.go.id/sifilma/pkg/outbox"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/rabbit"
	"dukcapil.go.id/sifilma/test/harness"
)

const (
	// patience is for what hangs; no measure.
	patience = 3 * time.Minute
	tick     = 20 * time.Millisecond
)

type config struct {
	daemon.Common `yaml:",inline"`
}

// hearing is a daemon with one handler that works as long as a test says.
type hearing struct {
	db      *postgres.DB
	vhost   *harness.Vhost
	entered chan string
	leave   chan struct{}
	signals chan os.Signal
	code    chan int
	log     harness.SyncedLog
}

func hear(t *testing.T) *hearing {
	t.Helper()
	h := &hearing{db: harness.DB(t), vhost: harness.NewVhost(t), entered: make(chan string, 10), leave: make(chan struct{}),
		signals: make(chan os.Signal, 2), code: make(chan int, 1)}
	h.inTx(t, func(ctx context.Context, tx *postgres.Tx) error {
		_, err := tx.Exec(ctx, `CREATE TABLE heard (subject uuid PRIMARY KEY)`)
		return err
	})
	defaults := func() config {
		return config{daemon.Common{HTTP: daemon.HTTP{Addr: "127.0.0.1:0"}, StopTimeout: patience}}
	}
	wire := func(_ context.Context, env *daemon.Env, _ *config) error {
		b := rabbit.New(h.vhost.Config("hearing"), env.Log)
		b.Consume(h.db, rabbit.QueueValidator, h.handle, rabbit.Batch(1))
		env.Go("broker", b.Run)
		env.Go("relay", outbox.NewRelay(h.db, b, env.Log).Run)
		return nil
	}
	go func() { h.code <- daemon.Run("hearing", nil, io.Discard, &h.log, h.signals, defaults, wire) }()
	return h
}

func (h *hearing) handle(ctx context.Context, tx *postgres.Tx, events []rabbit.Event) error {
	h.entered <- events[0].Subject
	<-h.leave
	_, err := tx.Exec(ctx, `INSERT INTO heard VALUES ($1)`, events[0].Subject)
	return err
}

func (h *hearing) inTx(t *testing.T, fn func(ctx context.Context, tx *postgres.Tx) error) {
	t.Helper()
	require.NoError(t, h.db.InTx(t.Context(), fn))
}

func (h *hearing) send(t *testing.T, n int) {
	t.Helper()
	h.inTx(t, func(ctx context.Context, tx *postgres.Tx) error {
		for range n {
			if err := outbox.Put(ctx, tx, outbox.Message{Type: rabbit.RequestSubmitted, Subject: uuid.NewString(), Version: 1}); err != nil {
				return err
			}
		}
		return nil
	})
}

// ends waits for the end of the daemon.
func (h *hearing) ends(t *testing.T) int {
	t.Helper()
	select {
	case code := <-h.code:
		return code
	case <-time.After(patience):
		t.Fatalf("the daemon does not end:\n%s", h.log.String())
		return -1
	}
}

// waiting is how many messages are in the queue, in nobody's hand.
func (h *hearing) waiting(t *testing.T, want int) {
	t.Helper()
	require.Eventually(t, func() bool {
		var q struct {
			Ready *int `json:"messages_ready"`
		}
		h.vhost.API(t, http.MethodGet, "queues", "/"+rabbit.QueueValidator, nil, &q)
		return q.Ready != nil && *q.Ready == want
	}, patience, 10*tick)
}

// A daemon that is asked to stop takes no more, finishes what it has in hand,
// and acknowledges it; what it only had fetched goes back.
func TestStopFinishesWhatIsInHand(t *testing.T) {
	t.Parallel()
	h := hear(t)
	h.send(t, 5)
	first := <-h.entered
	h.signals <- syscall.SIGTERM
	require.Eventually(t, func() bool { return bytes.Contains([]byte(h.log.String()), []byte("broker session ended")) }, patience, tick)
	close(h.leave)
	require.Zero(t, h.ends(t), h.log.String())
	var heard []string
	require.NoError(t, h.db.Select(t.Context(), &heard, `SELECT subject FROM heard`))
	require.Equal(t, []string{first}, heard, "one was in hand, and no other was begun")
	h.waiting(t, 4)
}

// A handler that hangs does not keep a daemon from ending: the second signal
// ends it at once, with the fault in its exit code; the message is not lost.
func TestSecondSignalHastens(t *testing.T) {
	t.Parallel()
	h := hear(t)
	defer close(h.leave)
	h.send(t, 1)
	<-h.entered
	began := time.Now()
	h.signals <- syscall.SIGTERM
	h.signals <- syscall.SIGTERM
	require.Equal(t, 1, h.ends(t))
	t.Logf("ended %.2f s after the second signal", time.Since(began).Seconds())
	require.Contains(t, h.log.String(), "second signal: stopping at once")
	require.Contains(t, h.log.String(), `"waiting_for":`)
	var heard int
	require.NoError(t, h.db.Get(t.Context(), &heard, `SELECT count(*) FROM heard`))
	require.Zero(t, heard)
}
