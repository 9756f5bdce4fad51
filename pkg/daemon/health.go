package daemon

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
)

const (
	checkTimeout = time.Second
	// watchEvery is how often readiness is looked at when nobody asks, so that the log
	// and the metric know of a change.
	watchEvery = 5 * time.Second
	// settleIn is how long a check may be bad after it was added before that is worth
	// a line: sessions need a moment to come up.
	settleIn = 3 * time.Second
)

// health runs the readiness checks and logs each change of a check once.
type health struct {
	log   zerolog.Logger
	ready *prometheus.GaugeVec

	mu     sync.Mutex
	phase  string // "starting", "stopping" or "" when running
	names  []string
	checks map[string]func(context.Context) error
	added  map[string]time.Time
	last   map[string]string // last finding per check, "" when good; absent when never run
}

// finding is the outcome of one check.
type finding struct {
	OK     bool   `json:"ok"`
	Error  string `json:"error,omitempty"`
	TookMS int64  `json:"took_ms"`
}

func newHealth(log zerolog.Logger, reg prometheus.Registerer) *health {
	h := &health{
		log: log, phase: "starting", checks: map[string]func(context.Context) error{}, added: map[string]time.Time{}, last: map[string]string{},
		ready: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "sifilma_check_ok", Help: "1 when the readiness check is good, else 0.",
		}, []string{"check"}),
	}
	reg.MustRegister(h.ready)
	return h
}

func (h *health) add(name string, check func(context.Context) error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, ok := h.checks[name]; !ok {
		h.names = append(h.names, name)
	}
	h.checks[name], h.added[name] = check, time.Now()
}

func (h *health) setPhase(p string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.phase = p
}

// run runs all checks at once. ready is false while starting or stopping.
func (h *health) run(ctx context.Context) (ready bool, phase string, findings map[string]finding) {
	h.mu.Lock()
	phase = h.phase
	names := append([]string(nil), h.names...)
	checks := make([]func(context.Context) error, len(names))
	for i, n := range names {
		checks[i] = h.checks[n]
	}
	h.mu.Unlock()

	errs := make([]error, len(names))
	took := make([]time.Duration, len(names))
	var wg sync.WaitGroup
	for i := range names {
		wg.Go(func() {
			start := time.Now()
			errs[i] = bounded(ctx, checks[i])
			took[i] = time.Since(start)
		})
	}
	wg.Wait()
	ready = phase == ""
	findings = make(map[string]finding, len(names))
	for i, n := range names {
		f := finding{OK: errs[i] == nil, TookMS: took[i].Milliseconds()}
		if errs[i] != nil {
			f.Error = errs[i].Error()
			ready = false
		}
		findings[n] = f
		if ctx.Err() == nil { // else the asker gave up, which says nothing about the check
			h.note(n, f)
		}
	}
	return ready, phase, findings
}

// lastFindings are what the checks found last, "" for good; one that was not run yet
// is left out.
func (h *health) lastFindings() map[string]string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return maps.Clone(h.last)
}

// bounded runs check for at most checkTimeout, also when it ignores its context.
func bounded(ctx context.Context, check func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	result := make(chan error, 1)
	go func() {
		defer func() {
			if v := recover(); v != nil {
				result <- fmt.Errorf("check panicked: %v", v)
			}
		}()
		result <- check(ctx)
	}()
	select {
	case err := <-result:
		return err
	case <-ctx.Done():
		return errors.New("no answer within " + checkTimeout.String())
	}
}

func (h *health) note(name string, f finding) {
	h.mu.Lock()
	before, known := h.last[name]
	coming := !known && !f.OK && time.Since(h.added[name]) < settleIn
	if !coming {
		h.last[name] = f.Error
	}
	stopping := h.phase == "stopping"
	h.mu.Unlock()
	if f.OK {
		h.ready.WithLabelValues(name).Set(1)
	} else {
		h.ready.WithLabelValues(name).Set(0)
	}
	switch {
	case stopping, coming:
	case !f.OK && (!known || before == ""):
		h.log.Warn().Str("check", name).Str("error", f.Error).Msg("check became bad")
	case f.OK && known && before != "":
		h.log.Info().Str("check", name).Msg("check is good again")
	}
}

// watch looks at readiness until ctx ends.
func (h *health) watch(ctx context.Context) {
	t := time.NewTicker(watchEvery)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			h.run(ctx)
		case <-ctx.Done():
			return
		}
	}
}
