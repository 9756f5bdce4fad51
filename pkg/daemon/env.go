package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime/debug"
	"sync"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/rs/zerolog"

	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/config"
	"dukcapil.go.id/sifilma/pkg/web"
)

// Env is what the frame gives to a daemon. Registering on it is for the wiring
// function; Status may be used by everybody at any time.
type Env struct {
	// Name of the daemon.
	Name string
	// Log carries service and build.
	Log zerolog.Logger
	// Registry holds the daemon's metrics; names begin with sifilma_.
	Registry *prometheus.Registry
	// Status is what /api/v1/status shows.
	Status *Status
	// Router is where the daemon mounts its routes. They are served once the wiring
	// function has returned; until then the answer is 503.
	Router chi.Router
	// Office is the civil clock of the configuration.
	Office clock.Office
	// Machine is the clock for leases and retries.
	Machine clock.Machine

	common *Common
	token  string // opens the status addresses to other machines
	front  *front
	health *health

	mu         sync.Mutex
	components []*component
	closers    []closer
	failed     chan error // the first failure of a component
}

type component struct {
	name   string
	cancel context.CancelFunc
	done   chan struct{}
}

type closer struct {
	name string
	f    func() error
}

func newEnv(name string, c *Common, stderr io.Writer) (*Env, error) {
	log := newLog(name, c, stderr)
	office, err := openOffice(c)
	if err != nil {
		return nil, err
	}
	var token string
	if c.HTTP.StatusTokenFile != "" {
		if token, err = config.Secret(c.HTTP.StatusTokenFile); err != nil {
			return nil, err
		}
	}
	reg := prometheus.NewRegistry()
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "sifilma_build_info", Help: "Always 1; the labels name service and build.",
		ConstLabels: prometheus.Labels{"service": name, "build": BuildID()},
	})
	info.Set(1)
	reg.MustRegister(info, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	e := &Env{
		Name: name, Log: log, Registry: reg, Office: office, Machine: clock.Real(),
		Router: web.NewRouter(web.Options{Log: log, MaxBody: c.HTTP.MaxBody, Metrics: reg}),
		common: c, token: token, failed: make(chan error, 1),
	}
	e.Status = newStatus(name, e.Machine)
	e.health = newHealth(log, reg)
	e.front = newFront(e)
	return e, nil
}

// gatherers joins the daemon's own metrics with those of packages that count for
// the whole process, such as rabbit and outbox.
func (e *Env) gatherers() prometheus.Gatherers {
	return prometheus.Gatherers{e.Registry, prometheus.DefaultGatherer}
}

func init() {
	// The daemon's own registry has these; two of them in one answer would clash.
	prometheus.Unregister(collectors.NewGoCollector())
	prometheus.Unregister(collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
}

// AddCheck adds a check to /readyz: nil means usable. A check gets one second. Its
// error text is shown by /readyz, so it must hold no secret.
func (e *Env) AddCheck(name string, check func(ctx context.Context) error) { e.health.add(name, check) }

// Findings returns what the checks of /readyz found when they were last run, which is
// every few seconds: "" for a good one. One that was not run yet is left out.
func (e *Env) Findings() map[string]string { return e.health.lastFindings() }

// OnStop has f called at the end of the stop, after all components; the last one
// added is called first.
func (e *Env) OnStop(f func() error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.closers = append(e.closers, closer{fmt.Sprintf("closer %d", len(e.closers)+1), f})
}

// Go starts a component. It must run until its context ends. When it returns an
// error or panics before that, the daemon stops and exits with 1; when it returns
// nil before that, it is taken as finished. On stop the components end in the
// reverse order of their start, one after the other.
func (e *Env) Go(name string, run func(ctx context.Context) error) {
	ctx, cancel := context.WithCancel(e.Log.With().Str("component", name).Logger().WithContext(context.Background()))
	c := &component{name: name, cancel: cancel, done: make(chan struct{})}
	e.mu.Lock()
	e.components = append(e.components, c)
	e.mu.Unlock()
	e.Status.component(name, "running")
	go func() {
		defer close(c.done)
		err := guarded(ctx, run)
		switch {
		case ctx.Err() != nil && (err == nil || errors.Is(err, context.Canceled)):
			e.Status.component(name, "stopped")
		case err == nil:
			e.Status.component(name, "finished")
			e.Log.Info().Str("component", name).Msg("component finished")
		default:
			e.Status.component(name, "failed")
			e.Status.Error(fmt.Errorf("%s: %w", name, err))
			e.Log.Error().Str("component", name).Err(err).Msg("component failed")
			if ctx.Err() == nil {
				e.fail(fmt.Errorf("component %s: %w", name, err))
			}
		}
	}()
}

// guarded runs a component and turns a panic into an error.
func guarded(ctx context.Context, run func(ctx context.Context) error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			zerolog.Ctx(ctx).Error().Str("panic", fmt.Sprint(v)).Bytes("stack", debug.Stack()).Msg("component panicked")
			err = fmt.Errorf("panic: %v", v)
		}
	}()
	return run(ctx)
}

func (e *Env) fail(err error) {
	select {
	case e.failed <- err:
	default: // the first failure already stops the daemon
	}
}

// Addr returns the address the daemon listens on.
func (e *Env) Addr() string { return e.front.addr }

// run listens, wires, waits for a signal or a failure, and stops.
func (e *Env) run(signals <-chan os.Signal, wire func(context.Context) error) int {
	ln, err := net.Listen("tcp", e.common.HTTP.Addr)
	if err != nil {
		e.Log.Error().Err(err).Msg("cannot listen")
		return exitFailed
	}
	e.front.addr = ln.Addr().String()
	server := web.NewServer(e.front, e.Log)
	go func() {
		if err := server.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			e.fail(fmt.Errorf("http: %w", err))
		}
	}()
	e.Log.Info().Str("addr", e.front.addr).Str("office_clock", e.common.OfficeClock).Msg("starting")

	ctx, cancel := context.WithCancel(e.Log.WithContext(context.Background()))
	defer cancel()
	wired := make(chan error, 1)
	go func() { wired <- guarded(ctx, wire) }()
	go e.health.watch(ctx)

	code, wiring := exitOK, true
	for waiting := true; waiting; {
		select {
		case err := <-wired:
			wired, wiring = nil, false
			if err != nil {
				e.Log.Error().Err(err).Msg("cannot start")
				code, waiting = exitFailed, false
				break
			}
			e.front.open(e.Router)
			e.health.setPhase("")
			e.Status.phase("running")
			notifySystemd("READY=1")
			e.Log.Info().Msg("started")
		case err := <-e.failed:
			e.Log.Error().Err(err).Msg("stopping: a part failed")
			code, waiting = exitFailed, false
		case s := <-signals:
			e.Log.Info().Str("signal", s.String()).Msg("stopping")
			waiting = false
		}
	}
	return e.stop(server, signals, cancel, wired, wiring, code)
}

// stop ends everything within the stop timeout; another signal ends it at once.
func (e *Env) stop(server *http.Server, signals <-chan os.Signal, cancel context.CancelFunc, wired <-chan error, wiring bool, code int) int {
	e.health.setPhase("stopping")
	e.Status.phase("stopping")
	notifySystemd("STOPPING=1")
	cancel()
	done := make(chan struct{})
	deadline, stopTimer := context.WithTimeout(context.Background(), e.common.StopTimeout)
	defer stopTimer()
	var at where
	go func() {
		defer close(done)
		at.set("http")
		if err := server.Shutdown(deadline); err != nil {
			e.Log.Warn().Err(err).Msg("http requests did not end in time")
			_ = server.Close()
		}
		if wiring {
			at.set("wiring")
			if err := <-wired; err != nil && !errors.Is(err, context.Canceled) {
				e.Log.Warn().Err(err).Msg("start was given up")
			}
		}
		e.mu.Lock()
		components, closers := e.components, e.closers
		e.mu.Unlock()
		for i := len(components) - 1; i >= 0; i-- {
			at.set(components[i].name)
			components[i].cancel()
			<-components[i].done
		}
		for i := len(closers) - 1; i >= 0; i-- {
			at.set(closers[i].name)
			if err := closers[i].f(); err != nil {
				e.Log.Warn().Err(err).Msg("close failed")
			}
		}
	}()
	select {
	case <-done:
		e.Log.Info().Int("exit", code).Msg("stopped")
		return code
	case <-deadline.Done():
		e.Log.Error().Str("waiting_for", at.get()).Dur("timeout_ms", e.common.StopTimeout).Msg("stop took too long")
	case s := <-signals:
		e.Log.Warn().Str("waiting_for", at.get()).Str("signal", s.String()).Msg("second signal: stopping at once")
	}
	return exitFailed
}

// where remembers what a stop is waiting for.
type where struct {
	mu sync.Mutex
	s  string
}

func (w *where) set(s string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.s = s
}

func (w *where) get() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.s
}

// notifySystemd tells the service manager about a change of phase (sd_notify(3));
// without one it does nothing.
func notifySystemd(state string) {
	path := os.Getenv("NOTIFY_SOCKET")
	if path == "" {
		return
	}
	c, err := net.DialTimeout("unixgram", path, time.Second) //nolint:gosec // the address is the service manager's own
	if err != nil {
		return
	}
	_, _ = c.Write([]byte(state)) // the service manager's loss
	_ = c.Close()
}
