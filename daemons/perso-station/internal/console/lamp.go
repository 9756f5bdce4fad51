package console

import (
	"context"
	"fmt"
	"os/exec"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"dukcapil.go.id/sifilma/pkg/config"
)

// lamp runs a program when a reader shows another word: a light, a sound, whatever is
// at the machine. The line never waits for it.
type lamp struct {
	argv    []string
	timeout time.Duration
	log     zerolog.Logger
	bell    chan struct{}
	failed  prometheus.Counter

	mu   sync.Mutex
	want map[string]string // newest word by reader
	told map[string]string // word that the program was run with
	bad  bool              // it failed the last time
}

func newLamp(cfg Config, log zerolog.Logger) *lamp {
	return &lamp{
		argv: cfg.Signal, timeout: cfg.SignalTimeout, log: log, bell: make(chan struct{}, 1), want: map[string]string{}, told: map[string]string{},
		failed: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "sifilma_station_signal_failures_total", Help: "Runs of the signal program that failed or took too long.",
		}),
	}
}

// show has the program told of a reader's word, soon; a word that another overtakes
// is not told at all.
func (l *lamp) show(reader, word string) {
	l.mu.Lock()
	l.want[reader] = word
	l.mu.Unlock()
	select {
	case l.bell <- struct{}{}:
	default: // it looks at all of them
	}
}

// due are the readers whose word was not told yet.
func (l *lamp) due() map[string]string {
	l.mu.Lock()
	defer l.mu.Unlock()
	news := map[string]string{}
	for reader, word := range l.want {
		if l.told[reader] != word {
			news[reader], l.told[reader] = word, word
		}
	}
	return news
}

// Signal runs the signal program until ctx ends, and then once more for what was not
// told yet.
func (c *Console) Signal(ctx context.Context) error {
	if len(c.lamp.argv) == 0 {
		<-ctx.Done()
		return ctx.Err()
	}
	for {
		select {
		case <-ctx.Done():
			c.lamp.tell()
			return ctx.Err()
		case <-c.lamp.bell:
			c.lamp.tell()
		}
	}
}

// tell runs the program for each reader that has another word, and waits for all: one
// reader's words are told in their order.
func (l *lamp) tell() {
	var all sync.WaitGroup
	for reader, word := range l.due() {
		all.Go(func() { l.run(reader, word) })
	}
	all.Wait()
}

// run runs the program once. It outlives no more than its time, also when the
// station stops.
func (l *lamp) run(reader, word string) {
	ctx, cancel := context.WithTimeout(context.Background(), l.timeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, l.argv[0], slices.Concat(l.argv[1:], []string{word, reader})...)
	cmd.Env = config.Strangers(cmd.Environ())
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) } // with all that it started
	cmd.WaitDelay = time.Second
	err := cmd.Run()
	if ctx.Err() != nil {
		err = fmt.Errorf("it took longer than %s", l.timeout)
	}
	l.mu.Lock()
	before := l.bad
	l.bad = err != nil
	l.mu.Unlock()
	switch {
	case err != nil:
		l.failed.Inc()
		if !before {
			l.log.Warn().Err(err).Str("reader", reader).Str("word", word).Msg("the signal program fails; cards go on")
		}
	case before:
		l.log.Info().Msg("the signal program works again")
	}
}
