package smartcard

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/ebfe/scard"
	"github.com/stretchr/testify/require"
)

func TestWatchReadersList(t *testing.T) {
	t.Parallel()
	looks := [][]string{{"B", "A"}, {"A", "B"}, {"B"}, {"A", "B"}, nil, {"C"}, {"C"}, {"C"}, {"C", "A"}}
	script := &lister{looks: looks, done: make(chan struct{})}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var got [][]string
	go func() { <-script.done; cancel() }()
	watchReaders(ctx, script, time.Millisecond, func(names []string) { got = append(got, names) })
	require.Equal(t, [][]string{{"A", "B"}, {"A", "B", "C"}, {"C"}, {"A", "C"}}, got)
}

// lister gives lists of readers; between them it fails in each way once.
type lister struct {
	scriptedContext
	mu    sync.Mutex
	looks [][]string
	calls int
	done  chan struct{}
}

func (l *lister) establish() (pcscContext, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.calls++
	if l.calls == 1 {
		return nil, scard.ErrNoService
	}
	return l, nil
}

func (l *lister) Release() error { return nil }

func (l *lister) ListReaders() ([]string, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.calls++
	switch l.calls % 5 {
	case 0:
		return nil, scard.ErrServiceStopped
	case 3:
		panic("slice bounds out of range")
	}
	if len(l.looks) == 0 {
		select {
		case <-l.done:
		default:
			close(l.done)
		}
		return nil, scard.ErrServiceStopped
	}
	names := l.looks[0]
	l.looks = l.looks[1:]
	if names == nil {
		return nil, scard.ErrNoReadersAvailable
	}
	return names, nil
}
