package harness

import (
	"context"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"
)

// Relay is a TCP proxy in front of a server that can misbehave like a network:
// cut, swallow, slow down.
type Relay struct {
	target   string
	listener net.Listener
	stop     context.CancelFunc
	ctx      context.Context // the life of the relay's goroutines
	work     sync.WaitGroup

	mu      sync.Mutex
	open    map[net.Conn]bool
	calls   int
	refuse  bool
	swallow bool
	delay   time.Duration
	changed chan struct{} // closed and replaced when one of the above changes
}

// Proxy starts a relay to target (host:port); it ends with the test.
func Proxy(t testing.TB, target string) *Relay {
	t.Helper()
	r, err := NewRelay(target)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

// NewRelay starts a relay to target (host:port), for programs; Close ends it.
func NewRelay(target string) (*Relay, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("relay: %w", err)
	}
	ctx, stop := context.WithCancel(context.Background())
	r := &Relay{target: target, listener: l, stop: stop, ctx: ctx, open: map[net.Conn]bool{}, changed: make(chan struct{})}
	r.work.Go(r.accept)
	return r, nil
}

// Close ends the relay and its connections.
func (r *Relay) Close() {
	r.stop()
	_ = r.listener.Close()
	r.closeAll()
	r.work.Wait()
}

// Address is where clients connect.
func (r *Relay) Address() string { return r.listener.Addr().String() }

// Calls is how often somebody has connected, also while it is cut.
func (r *Relay) Calls() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.calls
}

// Cut closes all connections and refuses new ones until Resume.
func (r *Relay) Cut() {
	r.set(func() { r.refuse = true })
	r.closeAll()
}

// Drop closes the connections there are; new ones work.
func (r *Relay) Drop() { r.closeAll() }

// Blackhole keeps connections open, and accepts new ones, but lets nothing
// through until Resume, as a dead network path does.
func (r *Relay) Blackhole() { r.set(func() { r.swallow = true }) }

// Delay holds every piece of data back for d, in both directions.
func (r *Relay) Delay(d time.Duration) { r.set(func() { r.delay = d }) }

// Resume ends Cut, Blackhole and Delay. What a black hole held goes on its way.
func (r *Relay) Resume() { r.set(func() { r.refuse, r.swallow, r.delay = false, false, 0 }) }

func (r *Relay) set(change func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change()
	close(r.changed)
	r.changed = make(chan struct{})
}

func (r *Relay) closeAll() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for c := range r.open {
		_ = c.Close()
	}
}

func (r *Relay) accept() {
	for {
		client, err := r.listener.Accept()
		if err != nil {
			return
		}
		r.mu.Lock()
		r.calls++
		r.mu.Unlock()
		if !r.keep(client) {
			continue
		}
		r.work.Go(func() { r.serve(client) })
	}
}

// keep registers a connection, or closes it when the relay is cut or at its end.
func (r *Relay) keep(c net.Conn) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.refuse || r.ctx.Err() != nil {
		_ = c.Close()
		return false
	}
	r.open[c] = true
	return true
}

func (r *Relay) forget(c net.Conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.open, c)
	_ = c.Close()
}

func (r *Relay) serve(client net.Conn) {
	defer r.forget(client)
	var d net.Dialer
	server, err := d.DialContext(r.ctx, "tcp", r.target)
	if err != nil || !r.keep(server) {
		return
	}
	defer r.forget(server)
	var both sync.WaitGroup
	both.Go(func() { r.copy(server, client) })
	both.Go(func() { r.copy(client, server) })
	both.Wait()
}

// copy moves data one way; when that way ends, both ends close.
func (r *Relay) copy(to, from net.Conn) {
	defer func() { _, _ = to.Close(), from.Close() }()
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			if !r.pass() {
				return
			}
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// pass waits as long as the present state holds data back; false at the end.
func (r *Relay) pass() bool {
	began := time.Now()
	for {
		r.mu.Lock()
		swallow, delay, changed := r.swallow, r.delay, r.changed
		r.mu.Unlock()
		left := delay - time.Since(began)
		if !swallow && left <= 0 {
			return r.ctx.Err() == nil
		}
		if swallow {
			left = time.Hour
		}
		timer := time.NewTimer(left)
		select {
		case <-timer.C:
		case <-changed:
		case <-r.ctx.Done():
		}
		timer.Stop()
		if r.ctx.Err() != nil {
			return false
		}
	}
}
