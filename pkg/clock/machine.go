package clock

import (
	"context"
	"sync"
	"time"
)

// Machine is the clock of the machine, for leases, retries and expiry. Now
// keeps the monotonic reading, so differences survive a step of the wall clock.
type Machine interface {
	Now() time.Time
	NewTimer(d time.Duration) Timer
}

// Timer is a time.Timer behind an interface.
type Timer interface {
	C() <-chan time.Time
	// Stop reports whether it kept the timer from firing.
	Stop() bool
	// Reset starts the timer anew with d; a pending tick is dropped.
	Reset(d time.Duration)
}

// Real returns the clock of this machine.
func Real() Machine { return realMachine{} }

// Sleep waits for d on m, or until ctx ends and then returns its error.
func Sleep(ctx context.Context, m Machine, d time.Duration) error {
	if err := ctx.Err(); err != nil || d <= 0 {
		return err
	}
	t := m.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C():
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

type realMachine struct{}

func (realMachine) Now() time.Time { return time.Now() }

func (realMachine) NewTimer(d time.Duration) Timer { return realTimer{time.NewTimer(d)} }

type realTimer struct{ t *time.Timer }

func (r realTimer) C() <-chan time.Time   { return r.t.C }
func (r realTimer) Stop() bool            { return r.t.Stop() }
func (r realTimer) Reset(d time.Duration) { r.t.Reset(d) }

// Fake is a machine clock that moves only by Advance. For tests.
type Fake struct {
	mu     sync.Mutex
	now    time.Time
	timers map[*fakeTimer]struct{} // running timers
	more   chan struct{}           // closed and replaced when a timer starts
}

// NewFake returns a machine clock standing at t.
func NewFake(t time.Time) *Fake {
	return &Fake{now: t, timers: map[*fakeTimer]struct{}{}, more: make(chan struct{})}
}

// Now returns the instant of the fake clock.
func (f *Fake) Now() time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.now
}

// Advance moves the clock by d and fires every timer that is due.
func (f *Fake) Advance(d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.now = f.now.Add(d)
	for t := range f.timers {
		t.fireIfDue()
	}
}

// WaitTimers waits until at least n timers are running, so that a test advances
// the clock only when the code under test is waiting for it.
func (f *Fake) WaitTimers(ctx context.Context, n int) error {
	for {
		f.mu.Lock()
		running, more := len(f.timers), f.more
		f.mu.Unlock()
		if running >= n {
			return nil
		}
		select {
		case <-more:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// NewTimer returns a timer that fires when Advance passes d from now.
func (f *Fake) NewTimer(d time.Duration) Timer {
	t := &fakeTimer{f: f, c: make(chan time.Time, 1)}
	t.Reset(d)
	return t
}

type fakeTimer struct {
	f   *Fake
	c   chan time.Time
	due time.Time
}

func (t *fakeTimer) C() <-chan time.Time { return t.c }

func (t *fakeTimer) Stop() bool {
	t.f.mu.Lock()
	defer t.f.mu.Unlock()
	_, running := t.f.timers[t]
	delete(t.f.timers, t)
	t.drain()
	return running
}

func (t *fakeTimer) Reset(d time.Duration) {
	t.f.mu.Lock()
	defer t.f.mu.Unlock()
	t.drain()
	t.due = t.f.now.Add(d)
	t.f.timers[t] = struct{}{}
	close(t.f.more)
	t.f.more = make(chan struct{})
	t.fireIfDue()
}

// drain drops a tick nobody took, as time.Timer does since Go 1.23.
func (t *fakeTimer) drain() {
	select {
	case <-t.c:
	default:
	}
}

func (t *fakeTimer) fireIfDue() {
	if t.due.After(t.f.now) {
		return
	}
	delete(t.f.timers, t)
	t.c <- t.f.now
}
