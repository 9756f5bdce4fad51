package identity

import (
	"context"
	"errors"
	"runtime"
)

// ErrBusy says that so many passwords are being checked that another would wait too
// long. The same may succeed a little later.
var ErrBusy = errors.New("identity: too many passwords at once")

// queue holds the memory of concurrent password checks to what the machine has
// cores for, argon2id takes 19 MiB each, and those who wait for one to a number
// whose last still has an answer within seconds.
type queue struct {
	working, waiting chan struct{}
}

// waitingMost is how many may wait for each that works: some 50 ms each.
const waitingMost = 40

func newQueue(workers, waiting int) *queue {
	return &queue{make(chan struct{}, workers), make(chan struct{}, workers+waiting)}
}

var hashing = newQueue(max(1, runtime.NumCPU()), waitingMost*max(1, runtime.NumCPU()))

// enter waits for a turn, which leave ends. Errors: ErrBusy, that of the context.
func (q *queue) enter(ctx context.Context) error {
	select {
	case q.waiting <- struct{}{}:
	default:
		return ErrBusy
	}
	select {
	case q.working <- struct{}{}:
		return nil
	case <-ctx.Done():
		<-q.waiting
		return context.Cause(ctx)
	}
}

func (q *queue) leave() {
	<-q.working
	<-q.waiting
}

// hashed does work that takes a password's time and memory. Error: ErrBusy.
func hashed[T any](ctx context.Context, work func() (T, error)) (T, error) {
	if err := hashing.enter(ctx); err != nil {
		var none T
		return none, err
	}
	defer hashing.leave()
	return work()
}
