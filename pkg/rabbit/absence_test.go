package rabbit

import (
	"bytes"
	"context"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/clock"
)

// knocks is a listener at which nobody is at home; it notes when somebody knocked.
type knocks struct {
	net.Listener
	clock clock.Machine

	mu sync.Mutex
	at []time.Time
}

func (k *knocks) serve() {
	for {
		c, err := k.Accept()
		if err != nil {
			return
		}
		k.mu.Lock()
		k.at = append(k.at, k.clock.Now())
		k.mu.Unlock()
		_ = c.Close()
	}
}

type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

// A broker that is gone for half an hour is asked for often enough to be found
// within 5 seconds of its return, seldom enough to be no load, and is told in
// the log once.
func TestGoneForHalfAnHour(t *testing.T) {
	t.Parallel()
	const away, step, soonest = 30 * time.Minute, 500 * time.Millisecond, 5 * time.Second
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	fake := clock.NewFake(time.Date(2026, 3, 2, 1, 0, 0, 0, time.UTC))
	nobody := &knocks{Listener: listener, clock: fake}
	var log lines
	b := New(Config{URL: "amqp://u:p@" + listener.Addr().String() + "/", Name: "portal"}, zerolog.New(&log))
	b.clock = fake
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	all.Go(nobody.serve)
	all.Go(func() { _ = b.Run(ctx) })
	for gone := time.Duration(0); gone < away; gone += step {
		waiting, stop := context.WithTimeout(ctx, 30*time.Second)
		require.NoError(t, fake.WaitTimers(waiting, 1))
		stop()
		fake.Advance(step)
	}
	require.ErrorIs(t, b.Check(ctx), ErrDown)
	cancel()
	_ = listener.Close()
	all.Wait()
	for i := 1; i < len(nobody.at); i++ {
		require.Less(t, nobody.at[i].Sub(nobody.at[i-1]), soonest)
	}
	require.Greater(t, len(nobody.at), int(away/soonest))
	require.Less(t, len(nobody.at), int(away/time.Second))
	// The network has a few words for it: an end of file, a reset.
	require.LessOrEqual(t, strings.Count(log.text.String(), "\n"), 10, log.text.String())
	t.Logf("%d attempts, %d lines", len(nobody.at), strings.Count(log.text.String(), "\n"))
}
