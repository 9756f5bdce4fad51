package daemon

import (
	"context"
	"fmt"
	"sync"
	"time"

	"dukcapil.go.id/sifilma/pkg/clock"
)

// Status collects what the daemon is doing, for /api/v1/status. All methods may be
// called from any goroutine. Texts must hold no secret.
type Status struct {
	clock clock.Machine

	mu         sync.Mutex
	name       string
	state      string
	started    time.Time
	doing      *noted
	lastError  *noted
	values     map[string]any
	funcs      map[string]func(ctx context.Context) (any, error)
	order      []string
	components map[string]string
}

type noted struct {
	Text string    `json:"text"`
	At   time.Time `json:"at"`
}

func newStatus(name string, m clock.Machine) *Status {
	return &Status{
		clock: m, name: name, state: "starting", started: m.Now().UTC(),
		values: map[string]any{}, funcs: map[string]func(context.Context) (any, error){}, components: map[string]string{},
	}
}

// Doing says what the daemon does now; "" means that it waits for work.
func (s *Status) Doing(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.doing = &noted{fmt.Sprintf(format, args...), s.clock.Now().UTC()}
}

// Error remembers the last error; nil does nothing.
func (s *Status) Error(err error) {
	if err == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lastError = &noted{err.Error(), s.clock.Now().UTC()}
}

// Set shows a value under key.
func (s *Status) Set(key string, value any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.values[key] = value
}

// Func shows under key what f returns at the time of asking, such as the depth of a
// queue or the age of its oldest entry. f gets one second.
func (s *Status) Func(key string, f func(ctx context.Context) (any, error)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.funcs[key] = f
}

func (s *Status) phase(p string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state = p
}

func (s *Status) component(name, state string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.components[name]; !ok {
		s.order = append(s.order, name)
	}
	s.components[name] = state
}

// statusPage is the JSON of /api/v1/status.
type statusPage struct {
	Service    string            `json:"service"`
	Build      string            `json:"build"`
	State      string            `json:"state"`
	StartedAt  time.Time         `json:"started_at"`
	UptimeS    int64             `json:"uptime_s"`
	OfficeTime time.Time         `json:"office_time"`
	Ready      bool              `json:"ready"`
	Checks     map[string]any    `json:"checks"`
	Doing      *noted            `json:"doing"`
	LastError  *noted            `json:"last_error"`
	Components []componentStatus `json:"components"`
	Values     map[string]any    `json:"values"`
}

type componentStatus struct {
	Name  string `json:"name"`
	State string `json:"state"`
}

func (s *Status) page(ctx context.Context) statusPage {
	s.mu.Lock()
	p := statusPage{
		Service: s.name, Build: BuildID(), State: s.state, StartedAt: s.started,
		UptimeS: int64(s.clock.Now().Sub(s.started) / time.Second), Doing: s.doing, LastError: s.lastError,
		Values: map[string]any{}, Components: []componentStatus{},
	}
	for k, v := range s.values {
		p.Values[k] = v
	}
	funcs := make(map[string]func(context.Context) (any, error), len(s.funcs))
	for k, f := range s.funcs {
		funcs[k] = f
	}
	for _, n := range s.order {
		p.Components = append(p.Components, componentStatus{n, s.components[n]})
	}
	s.mu.Unlock()

	var wg sync.WaitGroup
	var mu sync.Mutex
	for k, f := range funcs {
		wg.Go(func() {
			value := make(chan any, 1)
			err := bounded(ctx, func(ctx context.Context) error {
				v, err := f(ctx)
				if err == nil {
					value <- v
				}
				return err
			})
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				p.Values[k] = map[string]string{"error": err.Error()}
				return
			}
			p.Values[k] = <-value
		})
	}
	wg.Wait()
	return p
}
