// Package chaos breaks the office in all the ways that it must survive, by a
// schedule that a seed gives.
package chaos

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"dukcapil.go.id/sifilma/deploy/local"
	"dukcapil.go.id/sifilma/test/crash/office"
	"dukcapil.go.id/sifilma/test/harness"
)

// hastenAfter is when the second of two SIGTERM comes.
const hastenAfter = 150 * time.Millisecond

// syncedSuffix is added to a journal's path for the file in which a build that
// does not sync it notes the length that is safe.
const syncedSuffix = ".synced"

// Chaos strikes.
type Chaos struct {
	of   *office.Office
	say  func(string)
	skip func(days int) // lets working days pass

	mu      sync.Mutex
	kills   int
	emptied []time.Time
	failed  []error
	down    sync.WaitGroup
}

// New gets ready; each blow is told to say, and skip lets working days pass.
func New(of *office.Office, say func(string), skip func(days int)) *Chaos {
	return &Chaos{of: of, say: say, skip: skip}
}

// Run strikes as planned until ctx ends, then lets everything go on again.
func (c *Chaos) Run(ctx context.Context, plan []Blow) {
	began := time.Now()
	for _, b := range plan {
		if office.Pause(ctx, b.At-time.Since(began)) != nil {
			break
		}
		c.strike(ctx, b)
	}
	<-ctx.Done()
	c.down.Wait()
	for _, name := range office.Instances() {
		c.of.Postgres[name].Resume()
		c.of.Rabbit[name].Resume()
		if p, ok := c.of.Process(name); ok {
			p.Signal(syscall.SIGCONT, false)
		}
	}
}

// Kills tells how many daemons and services were ended.
func (c *Chaos) Kills() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.kills
}

// Emptied tells when the broker lost all it had.
func (c *Chaos) Emptied() []time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.emptied
}

// Failed are blows that could not be ended, which is the test's own fault.
func (c *Chaos) Failed() []error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.failed
}

func (c *Chaos) strike(ctx context.Context, b Blow) {
	switch b.Kind {
	case Kill, Stop, Hasten:
		if p, ok := c.of.Process(b.Target); ok {
			c.killed(b)
			c.down.Go(func() { c.end(ctx, b, p) })
		}
	case Freeze:
		if p, ok := c.of.Process(b.Target); ok {
			p.Signal(syscall.SIGSTOP, false)
			c.during(ctx, b, func() { p.Signal(syscall.SIGCONT, false) })
		}
	case Drop, Cut, Blackhole, Swallow, Delay:
		c.line(ctx, b)
	case Fill:
		if c.of.Small != "" {
			b.Target = c.of.SmallOf
			c.during(ctx, b, c.fill())
		}
	case Days:
		c.say(b.String())
		c.skip(b.Days)
	case Restart:
		c.killed(b)
		c.down.Go(func() { c.settle(b, c.of.Restart(ctx, office.Service(b.Target), syscall.Signal(b.Signal), b.Long)) })
	case Empty:
		c.killed(b)
		c.noteEmptied() // somewhere between this moment
		c.down.Go(func() {
			c.settle(b, c.of.EmptyBroker(context.WithoutCancel(ctx)))
			c.noteEmptied() // and this one
		})
	}
}

func (c *Chaos) noteEmptied() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.emptied = append(c.emptied, time.Now())
}

func (c *Chaos) killed(b Blow) {
	c.mu.Lock()
	c.kills++
	c.mu.Unlock()
	c.say(b.String())
}

// during lets a blow last and then takes it back.
func (c *Chaos) during(ctx context.Context, b Blow, back func()) {
	c.say(b.String())
	c.down.Go(func() {
		_ = office.Pause(ctx, b.Long)
		back()
	})
}

// end ends a daemon; what its journal holds and the disk does not is gone then,
// as after a power cut.
func (c *Chaos) end(ctx context.Context, b Blow, p local.Process) {
	switch b.Kind {
	case Kill:
		p.Signal(syscall.SIGSTOP, false)
		c.settle(b, c.unsynced(b.Target))
		p.Signal(syscall.SIGKILL, false)
	case Hasten:
		p.Signal(syscall.SIGTERM, false)
		_ = office.Pause(ctx, hastenAfter)
		p.Signal(syscall.SIGTERM, false)
	default:
		p.Signal(syscall.SIGTERM, false)
	}
}

// unsynced cuts a station's journal to the length that it was synced to, if the
// build notes that beside it: a killed process leaves its bytes in the kernel's
// cache, a power cut does not.
func (c *Chaos) unsynced(name string) error {
	path, ok := c.of.Journal(name)
	if !ok {
		return nil
	}
	text, err := os.ReadFile(path + syncedSuffix)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	size, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	if err != nil {
		return err
	}
	c.say(fmt.Sprintf("jurnal %s dipotong menjadi %d byte", name, size))
	return os.Truncate(path, size)
}

func (c *Chaos) line(ctx context.Context, b Blow) {
	line := c.of.Postgres[b.Target]
	if b.Line == office.RabbitMQ {
		line = c.of.Rabbit[b.Target]
	}
	if b.Kind == Drop {
		c.say(b.String())
		line.Drop()
		return
	}
	map[Kind]func(*harness.Relay){
		Cut: (*harness.Relay).Cut, Blackhole: (*harness.Relay).Blackhole, Swallow: (*harness.Relay).Blackhole,
		Delay: func(r *harness.Relay) { r.Delay(150 * time.Millisecond) },
	}[b.Kind](line)
	c.during(ctx, b, func() {
		if b.Kind == Swallow {
			line.Drop()
		}
		line.Resume()
	})
}

// settle notes a blow that did not come off.
func (c *Chaos) settle(b Blow, err error) {
	if err == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failed = append(c.failed, fmt.Errorf("%s: %w", b, err))
}

// fill leaves no byte on the small disk; the returned function gives it back.
func (c *Chaos) fill() func() {
	path := filepath.Join(c.of.Small, "penuh")
	f, err := os.Create(path)
	if err != nil {
		return func() {} // full already
	}
	for _, size := range []int{1 << 20, 512} {
		block := make([]byte, size)
		for {
			if _, err := f.Write(block); err != nil {
				break
			}
		}
	}
	_ = f.Close()
	return func() { _ = os.Remove(path) }
}
