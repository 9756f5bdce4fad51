// Package console is what people see of a station and what they want of it: the
// status API, the page of the technician, the screen of the operator, a lamp, the
// alarms, and the verbs pause, drain and resume.
//
// It looks on. Whatever fails in here, no card is concerned: the line asks it only
// whether people let the next card be begun, and that answer is the database's.
package console

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"dukcapil.go.id/sifilma/daemons/perso-station/internal/line"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/journal"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/postgres"
)

// Config is the part of the station's configuration that is the console's.
type Config struct {
	// IdleAfter is how long released cards may wait with no card put in before that is
	// an alarm; 0 never.
	IdleAfter time.Duration `yaml:"idle_after"`
	// StalledAfter is how long a card in a reader may make no progress before that is an
	// alarm; 0 never.
	StalledAfter time.Duration `yaml:"stalled_after"`
	// Signal is a program and its first arguments, run without a shell each time a
	// reader shows another word: with the word and the reader's name behind them.
	Signal []string `yaml:"signal"`
	// SignalTimeout is how long that program may take before it is killed.
	SignalTimeout time.Duration `yaml:"signal_timeout"`
}

// Validate checks the configuration.
func (c Config) Validate() error {
	switch {
	case c.IdleAfter < 0:
		return errors.New("idle_after is negative")
	case c.StalledAfter < 0:
		return errors.New("stalled_after is negative")
	case len(c.Signal) > 0 && c.Signal[0] == "":
		return errors.New("signal names no program")
	case c.SignalTimeout <= 0:
		return errors.New("signal_timeout is not positive")
	}
	return nil
}

// Defaults are the values that suit a station as it is delivered.
func Defaults() Config {
	return Config{IdleAfter: 30 * time.Minute, StalledAfter: 3 * time.Minute, SignalTimeout: 2 * time.Second}
}

// Parts are what a console is made of.
type Parts struct {
	Config
	Station string
	DB      *postgres.DB
	Journal *journal.Journal
	// Memory is the file that keeps the last failures over a restart; empty for none.
	Memory   string
	Build    string
	Findings func() map[string]string // of the readiness checks
	Office   clock.Office
	Machine  clock.Machine
	Log      zerolog.Logger
	Registry prometheus.Registerer // nil keeps the metrics to itself
}

// Work is the line, as far as the console looks at it.
type Work interface {
	Readers() []line.ReaderStatus
	InHand() []string
	Still() bool
	ProfileLabel(ctx context.Context) (string, error) // of the profile in force
	Wake()
}

// Console implements line.Observer and line.Orders.
type Console struct {
	Parts
	lamp    *lamp
	metrics metrics
	work    Work
	away    func() map[string]time.Time // readers, and since when
	ring    chan struct{}               // asks for a beat now

	mu       sync.Mutex
	started  time.Time
	standing *perso.Standing // nil until it was read
	day      *perso.StationDay
	profile  string
	readers  map[string]*seen
	cleared  []time.Time // when cards of the last hour became clear
	counts   Counts
	failures []Failure
	unsaved  bool
	put      time.Time // when a card was last put in
	waiting  time.Time // since when released cards wait; zero while none does
	running  time.Time // since when nobody holds the station
	alarms   []Alarm
}

// Counts are cards since the station was started.
type Counts struct {
	Clear   int `json:"clear"`
	Failed  int `json:"failed"`
	InDoubt int `json:"in_doubt"`
	Refused int `json:"refused"`
}

// seen is what the console has seen of a reader.
type seen struct {
	present  bool
	key      string    // of the last progress
	progress time.Time // when the card in it last got on
	trace    []line.Exchange
}

// longestTrace is how many commands of an insertion are kept, the newest ones.
const longestTrace = 150

// New returns a console; Watch must be called before anything of it is asked.
func New(p Parts) *Console {
	if p.Machine == nil {
		p.Machine = clock.Real()
	}
	now := p.Machine.Now()
	c := &Console{
		Parts: p, started: now, put: now, running: now, readers: map[string]*seen{}, ring: make(chan struct{}, 1),
		lamp: newLamp(p.Config, p.Log), metrics: newMetrics(p.Registry),
	}
	if p.Registry != nil {
		p.Registry.MustRegister(c.lamp.failed)
	}
	c.failures = recall(p.Memory, p.Log)
	return c
}

// Watch tells the console which line it looks at, and who knows the readers that were
// there and are away, with the time since when.
func (c *Console) Watch(w Work, away func() map[string]time.Time) { c.work, c.away = w, away }

// reader returns what was seen of a reader. The caller holds mu.
func (c *Console) reader(name string) *seen {
	s := c.readers[name]
	if s == nil {
		s = &seen{progress: c.Machine.Now()}
		c.readers[name] = s
	}
	return s
}

// Slot implements line.Observer.
func (c *Console) Slot(reader string, present bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.reader(reader)
	s.present = present
	if present {
		c.put = c.Machine.Now()
		*s = seen{present: true, progress: c.put}
	}
}

// Sent implements line.Observer.
func (c *Console) Sent(reader string, x line.Exchange) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.reader(reader)
	if len(s.trace) >= longestTrace {
		s.trace = slices.Delete(s.trace, 0, len(s.trace)-longestTrace+1)
	}
	s.trace = append(s.trace, x)
}

// Shown implements line.Observer.
func (c *Console) Shown(status line.ReaderStatus) {
	c.mu.Lock()
	s := c.reader(status.Name)
	// Waiting and going on, over and over, is no progress: another step or outcome is.
	key := status.Serial + "|" + status.Step + "|" + status.Outcome
	if status.Serial != "" && key != s.key {
		s.key, s.progress = key, c.Machine.Now()
	}
	c.note(status, s)
	word := wordOf(status, c.standing)
	c.mu.Unlock()
	c.lamp.show(status.Name, word)
}

// Gone implements line.Observer.
func (c *Console) Gone(reader string) {
	c.mu.Lock()
	delete(c.readers, reader)
	c.mu.Unlock()
	c.lamp.show(reader, wordWait)
}

// note counts an outcome and keeps a failure with what was said to the card. The
// caller holds mu.
func (c *Console) note(status line.ReaderStatus, s *seen) {
	switch status.Outcome {
	case "clear":
		c.counts.Clear++
		now := c.Machine.Now()
		c.cleared = append(slices.DeleteFunc(c.cleared, func(t time.Time) bool { return now.Sub(t) > time.Hour }), now)
		return
	case "failed":
		c.counts.Failed++
	case "in_doubt":
		c.counts.InDoubt++
	case "refused":
		c.counts.Refused++
		if status.Instruction == "ambil" {
			return // a good card that was put in once more
		}
	default:
		return
	}
	c.failures = keepFailure(c.failures, Failure{
		At: time.Now().UTC(), Reader: status.Name, Serial: status.Serial, Chip: status.Chip, CardID: status.CardID,
		Outcome: status.Outcome, Reason: status.Reason, Trace: append([]line.Exchange{}, s.trace...),
	})
	c.unsaved = true
}

// Words on the operator's screen, and what a lamp is told.
const (
	wordInsert = "masukkan"
	wordWait   = "tunggu"
)

// wordOf is the one word that a reader says: nobody is asked to put a card into a
// station that people hold.
func wordOf(s line.ReaderStatus, standing *perso.Standing) string {
	if s.Instruction == wordInsert && (standing == nil || standing.Mode != perso.Running) {
		return wordWait
	}
	return s.Instruction
}

// bins are where a card goes that is to be set aside, by its outcome.
var bins = map[string]string{"in_doubt": "ragu", "failed": "gagal", "refused": "tolak"}

// binOf names the bin for a card that is to be set aside; empty for others. A card that
// does not answer, of which nobody can tell, goes where a feeder would put it: with those
// in doubt. One that failed or was spoiled before is not put back with good blanks.
func binOf(s line.ReaderStatus) string {
	switch {
	case s.Instruction != "sisihkan":
		return ""
	case s.Outcome == "":
		return bins["in_doubt"]
	case s.Dead:
		return bins["failed"]
	}
	return bins[s.Outcome]
}
