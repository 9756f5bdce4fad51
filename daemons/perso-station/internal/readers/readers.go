// Package readers keeps one runner on each card reader that is plugged in:
// readers come and go, and a stuck one is its own child process's trouble, not
// the station's.
package readers

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path"
	"slices"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"dukcapil.go.id/sifilma/daemons/perso-station/internal/line"
	"dukcapil.go.id/sifilma/pkg/smartcard"
)

// Rule says which readers a station uses.
type Rule struct {
	// Only limits the station to readers whose name matches one of these
	// patterns (path.Match); empty means every reader.
	Only []string
	// RefuseVirtual refuses virtual readers, into which anyone on the network
	// can plug a card.
	RefuseVirtual bool
}

// Validate checks the patterns.
func (r Rule) Validate() error {
	for _, p := range r.Only {
		if _, err := path.Match(p, ""); err != nil {
			return fmt.Errorf("readers: pattern %q: %w", p, err)
		}
	}
	return nil
}

// ErrVirtual says that a reader is virtual and the station does not take such.
var ErrVirtual = errors.New("readers: virtual readers are refused in production")

// Use says whether the station uses a reader: nil, or why not.
func (r Rule) Use(name string) error {
	ok, err := r.accepts(name)
	if err == nil && !ok {
		err = fmt.Errorf("readers: %q is none of this station's", name)
	}
	return err
}

// accepts tells whether a reader is the station's; ErrVirtual when it would be,
// were it a real one.
func (r Rule) accepts(name string) (bool, error) {
	if len(r.Only) > 0 && !slices.ContainsFunc(r.Only, func(p string) bool {
		match, err := path.Match(p, name)
		return err == nil && match
	}) {
		return false, nil
	}
	if r.RefuseVirtual && smartcard.IsVirtual(name) {
		return false, ErrVirtual
	}
	return true, nil
}

// Supervisor starts and ends runners as readers come and go.
type Supervisor struct {
	Rule Rule
	Line *line.Line
	Log  zerolog.Logger

	mu      sync.Mutex
	refused error
	serving map[string]*smartcard.Reader
	gone    map[string]time.Time // that were served and are not there any more
}

// Run works until ctx is done; then each runner finishes the card in its hand.
func (s *Supervisor) Run(ctx context.Context) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	running := map[string]*running{}
	var all sync.WaitGroup
	smartcard.WatchReaders(ctx, func(names []string) {
		for name, one := range running {
			there := slices.Contains(names, name)
			if !there {
				s.lost(name)
			}
			if !there || one.over() {
				one.stop()
				delete(running, name)
			}
		}
		var refused error
		for _, name := range names {
			ok, err := s.Rule.accepts(name)
			if err != nil {
				refused = err
				s.Log.Error().Err(err).Str("reader", name).Msg("reader is not used")
			}
			if !ok || running[name] != nil {
				continue
			}
			one, err := s.start(ctx, self, name, &all)
			if err != nil {
				s.Log.Error().Err(err).Str("reader", name).Msg("reader cannot be served")
				continue
			}
			running[name] = one
		}
		s.mu.Lock()
		s.refused = refused
		s.mu.Unlock()
	})
	for _, one := range running {
		one.stop()
	}
	all.Wait()
	return nil
}

// Check tells readyz whether the readers that are plugged in are used: nil, or
// ErrVirtual.
func (s *Supervisor) Check(context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.refused
}

// Away tells the readers that were served and cannot be used now, and since when: they
// were pulled out, or pcscd is gone.
func (s *Supervisor) Away() map[string]time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	away := maps.Clone(s.gone)
	for name, r := range s.serving {
		if since := r.Away(); !since.IsZero() {
			if away == nil {
				away = map[string]time.Time{}
			}
			away[name] = since
		}
	}
	return away
}

// found notes a reader that is served.
func (s *Supervisor) found(name string, r *smartcard.Reader) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.serving == nil {
		s.serving = map[string]*smartcard.Reader{}
	}
	s.serving[name] = r
	s.gone = without(s.gone, name)
}

// lost notes a reader that pcscd lists no more.
func (s *Supervisor) lost(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	since := time.Now()
	if r := s.serving[name]; r != nil && !r.Away().IsZero() {
		since = r.Away()
	}
	delete(s.serving, name)
	if s.gone == nil {
		s.gone = map[string]time.Time{}
	}
	s.gone[name] = since
}

// without takes a reader that came back off the list. pcscd numbers readers of one model
// in the order of their coming, so that one may come back under the name that another
// had: if the name is not missed, another of the model that is takes its place.
func without(gone map[string]time.Time, name string) map[string]time.Time {
	if _, missed := gone[name]; missed {
		delete(gone, name)
		return gone
	}
	for _, other := range slices.Sorted(maps.Keys(gone)) {
		if model(other) == model(name) {
			delete(gone, other)
			break
		}
	}
	return gone
}

// model is a reader's name without the two numbers that pcscd puts behind it.
func model(name string) string {
	const numbers = len(" 00 00")
	return name[:max(0, len(name)-numbers)]
}

// running is one reader under a runner.
type running struct {
	stop context.CancelFunc
	done chan struct{}
}

func (r *running) over() bool {
	select {
	case <-r.done:
		return true
	default:
		return false
	}
}

// start runs a reader: its child process lives until its runner has finished.
func (s *Supervisor) start(ctx context.Context, self, name string, all *sync.WaitGroup) (*running, error) {
	child, endChild := context.WithCancel(context.WithoutCancel(ctx))
	reader, err := smartcard.StartReader(child, smartcard.Options{
		Name: name, Command: []string{self, ChildFlag, name}, TransmitTimeout: s.Line.CommandTime(ctx), Log: s.Log,
	})
	if err != nil {
		endChild()
		return nil, err
	}
	s.found(name, reader)
	serve, stop := context.WithCancel(ctx)
	one := &running{stop: stop, done: make(chan struct{})}
	all.Go(func() {
		defer close(one.done)
		s.Line.Serve(serve, adapter{reader})
		endChild()
		<-reader.Done()
	})
	return one, nil
}

// adapter gives a smartcard.Reader the shape that a line wants.
type adapter struct{ *smartcard.Reader }

// Connect implements line.Reader.
func (a adapter) Connect(ctx context.Context) (line.Card, error) {
	card, err := a.Reader.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return card, nil
}

// ChildFlag makes the station's program the child process of one reader.
const ChildFlag = "-reader"

// Child runs the child process of a reader if the arguments ask for it: then it
// returns true and the exit code.
func Child(ctx context.Context, args []string) (code int, child bool) {
	if len(args) != 3 || args[1] != ChildFlag {
		return 0, false
	}
	if err := smartcard.ServeReader(ctx, args[2], os.Stdin, os.Stdout); err != nil {
		_, _ = os.Stderr.WriteString(err.Error() + "\n")
		return 1, true
	}
	return 0, true
}
