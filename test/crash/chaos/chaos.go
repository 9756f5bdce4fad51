// Package chaos breaks the office in all the ways that it must survive, in the
// order that a seed gives.
package chaos

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"dukcapil.go.id/sifilma/test/crash/office"
	"dukcapil.go.id/sifilma/test/harness"
)

// Chaos is a seeded run of blows.
type Chaos struct {
	of  *office.Office
	r   *rand.Rand
	say func(string)

	mu     sync.Mutex
	kills  int
	failed []error
	down   sync.WaitGroup
}

// New gets ready; each blow is told to say.
func New(of *office.Office, seed uint64, say func(string)) *Chaos {
	return &Chaos{of: of, r: rand.New(rand.NewPCG(seed, 1)), say: say} //nolint:gosec // repeatable
}

// A service restart costs the office many seconds: one at a time, not too often.
const serviceEvery = 25 * time.Second

// Run strikes until ctx ends, then lets everything go on again.
func (c *Chaos) Run(ctx context.Context) {
	var services time.Time
	for office.Pause(ctx, time.Duration(800+c.r.IntN(3000))*time.Millisecond) == nil {
		// Every blow draws all its dice first, so that the order depends on the
		// seed only.
		kind, name := c.r.IntN(100), office.Instances()[c.r.IntN(len(office.Instances()))]
		long, which := time.Duration(1000+c.r.IntN(6000))*time.Millisecond, c.r.IntN(5)
		switch {
		case kind < 40:
			c.kill(name)
		case kind < 52:
			c.during("SIGSTOP "+name, func() { c.freeze(ctx, name, long) })
		case kind < 76:
			line, to := c.of.Postgres[name], "PostgreSQL"
			if which%2 == 1 {
				line, to = c.of.Rabbit[name], "RabbitMQ"
			}
			c.line(ctx, line, name+" - "+to, kind, long)
		case kind < 83 && c.of.Small != "":
			c.during("disk penuh perso-station-2", func() { c.fill(ctx, long) })
		case time.Since(services) > serviceEvery:
			services = time.Now()
			c.service(ctx, which, long)
		default:
			c.kill(name)
		}
	}
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

// Failed are blows that could not be ended, which is the test's own fault.
func (c *Chaos) Failed() []error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.failed
}

func (c *Chaos) killed(what string) {
	c.mu.Lock()
	c.kills++
	c.mu.Unlock()
	c.say(what)
}

// during runs a blow that lasts, beside the others.
func (c *Chaos) during(what string, blow func()) {
	c.say(what)
	c.down.Go(blow)
}

func (c *Chaos) kill(name string) {
	if p, ok := c.of.Process(name); ok {
		c.killed("SIGKILL " + name)
		p.Signal(syscall.SIGKILL, false)
	}
}

func (c *Chaos) freeze(ctx context.Context, name string, d time.Duration) {
	p, ok := c.of.Process(name)
	if !ok {
		return
	}
	p.Signal(syscall.SIGSTOP, false)
	_ = office.Pause(ctx, d)
	p.Signal(syscall.SIGCONT, false)
}

func (c *Chaos) line(ctx context.Context, line *harness.Relay, what string, kind int, d time.Duration) {
	switch kind % 4 {
	case 0:
		c.say("putus sekali: " + what)
		line.Drop()
		return
	case 1:
		c.say("putus: " + what)
		line.Cut()
	case 2:
		c.say("lubang hitam: " + what)
		line.Blackhole()
	case 3:
		c.say("lambat: " + what)
		line.Delay(150 * time.Millisecond)
	}
	c.down.Go(func() {
		_ = office.Pause(ctx, d)
		line.Resume()
	})
}

func (c *Chaos) service(ctx context.Context, which int, away time.Duration) {
	service, sig := office.Postgres, syscall.SIGKILL
	switch which {
	case 1:
		sig = syscall.SIGQUIT // PostgreSQL's immediate shutdown
	case 2:
		service = office.RabbitMQ
	case 3:
		service, sig = office.RabbitMQ, syscall.SIGTERM
	case 4:
		c.killed("RabbitMQ kembali kosong")
		c.down.Go(func() { c.settle("RabbitMQ kosong", c.of.EmptyBroker(context.WithoutCancel(ctx))) })
		return
	}
	c.killed(fmt.Sprintf("%s: %s mati selama %s", sig, service, away.Round(100*time.Millisecond)))
	c.down.Go(func() { c.settle(string(service), c.of.Restart(ctx, service, sig, away)) })
}

// settle notes a blow that did not come off.
func (c *Chaos) settle(what string, err error) {
	if err == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failed = append(c.failed, fmt.Errorf("%s: %w", what, err))
}

// fill leaves no byte on the small disk for a while.
func (c *Chaos) fill(ctx context.Context, d time.Duration) {
	path := filepath.Join(c.of.Small, "penuh")
	f, err := os.Create(path)
	if err != nil {
		return
	}
	block := make([]byte, 512)
	for {
		if _, err := f.Write(block); err != nil {
			break // full
		}
	}
	_ = f.Close()
	_ = office.Pause(ctx, d)
	_ = os.Remove(path)
}
