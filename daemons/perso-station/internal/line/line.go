// Package line is the personalisation line of a station: one runner per reader
// takes whatever card comes into its slot from identification to a recorded
// outcome, without hands.
//
// The rules it keeps (design section 6, reliability.md section 7):
//
//   - Before the first write the intent is committed and in the journal.
//   - A command whose outcome is unknown is never repeated: the card is in doubt.
//   - A card in doubt is read when it is seen again. What reading proves is
//     accepted; the rest is decided by two people.
//   - While database or HSM are away the runner holds; nothing about the card is
//     concluded from their absence.
package line

import (
	"context"
	"errors"
	"regexp"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/daemon"
	"dukcapil.go.id/sifilma/pkg/journal"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/pkcs11"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/rabbit"
	"dukcapil.go.id/sifilma/pkg/smartcard"
)

// Card is a connected card, as smartcard.Card is.
type Card interface {
	smartcard.Transmitter
	Close(reset bool) error
}

// Reader is a reader as smartcard.Reader is.
type Reader interface {
	Name() string
	Events() <-chan smartcard.Event
	Connect(ctx context.Context) (Card, error)
}

// Parts are what a line is made of.
type Parts struct {
	Station string // unique name of the station
	DB      *postgres.DB
	Profile string // name of the profile by which cards are looked at first
	Token   *pkcs11.Token
	Journal *journal.Journal
	Disk    *daemon.Disk // that the journal is on; while it is low no card is begun
	Office  clock.Office
	Machine clock.Machine
	Log     zerolog.Logger
	// Look is how often a slot with a waiting card is looked at without a bell.
	Look time.Duration
	// ScanWithin is how long a scan waits for its card.
	ScanWithin time.Duration
	// TestCards tells test cards by their serials; nil where none is wanted. Otherwise no
	// card of an office day is begun before one of them has passed.
	TestCards *regexp.Regexp
	// Feeder returns what moves the cards of a reader, nil where a person does; itself nil
	// where no reader has one.
	Feeder func(reader string) Feeder
	// Registry takes the line's metrics; nil keeps them to itself.
	Registry prometheus.Registerer
	Observer Observer // nil: nobody looks on
	Orders   Orders   // nil: nobody ever stops it
}

// DefaultLook is the safety net under the bells.
const DefaultLook = 2 * time.Second

// Line runs the slots of a station.
type Line struct {
	Parts

	mu    sync.Mutex
	slots []*slot
	busy  map[string]bool // card ids in the hands of a runner
	bell  chan struct{}   // closed and replaced by Wake
	stale error           // the database is older than the journal
	epoch int             // of the numbers when the journal was last compared with the database
	begun string          // attempt that was begun last, which the database has to know; empty for none
	kits  map[kitKey]*kit // that were compiled, by the editions they are of

	tries map[string]int // authentications of a chip by the journal; see countTry
	opens map[string]int // OPEN SAM of proofs by the journal, by attempt; see countOpen

	testedOn clock.Date // the last day on which a test card has passed

	scans   map[string][]scan // that wait for their card, by reader
	looking []*kit            // what cards were looked at by last

	jams      map[string]error // feeders that have failed, by reader
	outcomes  *prometheus.CounterVec
	jammed    *prometheus.GaugeVec
	attending atomic.Int64 // runners that may be speaking to a card
}

// New returns a line with no readers.
func New(p Parts) *Line {
	if p.Look <= 0 {
		p.Look = DefaultLook
	}
	if p.ScanWithin <= 0 {
		p.ScanWithin = DefaultScanWithin
	}
	if p.Machine == nil {
		p.Machine = clock.Real()
	}
	l := &Line{Parts: p, busy: map[string]bool{}, opens: map[string]int{}, kits: map[kitKey]*kit{}, scans: map[string][]scan{}, jams: map[string]error{}, bell: make(chan struct{})}
	l.outcomes = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "sifilma_station_cards_total", Help: "Cards by outcome: clear, failed, in_doubt, refused, and test cards.",
	}, []string{"outcome"})
	for _, o := range []string{outcomeClear, outcomeFailed, outcomeInDoubt, outcomeRefused, outcomeTest} {
		l.outcomes.WithLabelValues(o)
	}
	l.jammed = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "sifilma_station_feeder_jammed", Help: "1 while the feeder of a reader has failed and the reader is paused.",
	}, []string{"reader"})
	if p.Registry != nil {
		p.Registry.MustRegister(l.outcomes, l.jammed)
	}
	return l
}

func (l *Line) count(outcome string) { l.outcomes.WithLabelValues(outcome).Inc() }

// Wake has every runner look again at the card in its slot: something in the
// office has changed.
func (l *Line) Wake() {
	l.mu.Lock()
	defer l.mu.Unlock()
	close(l.bell)
	l.bell = make(chan struct{})
}

func (l *Line) ringing() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.bell
}

// hold marks a card as worked on by this process; false if it is already.
func (l *Line) hold(cardID string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.busy[cardID] {
		return false
	}
	l.busy[cardID] = true
	return true
}

func (l *Line) letGo(cardID string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.busy, cardID)
}

// change is a step taken by the station now.
func (l *Line) change(reason string) perso.Change {
	return perso.Change{Actor: l.actor(), Reason: reason, OfficeAt: l.Office.Now()}
}

func (l *Line) actor() machine.Actor { return perso.StationActor(l.Station) }

// Serve runs one reader until its events end or ctx is done; the card in hand is
// finished first.
func (l *Line) Serve(ctx context.Context, r Reader) {
	s := l.slot(r.Name())
	defer l.remove(s)
	run := &runner{line: l, reader: r, slot: s, log: l.Log.With().Str("reader", r.Name()).Logger()}
	defer run.drop()
	if l.Feeder != nil {
		run.feeder = l.Feeder(r.Name())
	}
	for {
		bell := l.ringing()
		look := l.Machine.NewTimer(l.Look)
		select {
		case <-ctx.Done():
			look.Stop()
			return
		case e, ok := <-r.Events():
			look.Stop()
			if !ok {
				return
			}
			run.event(ctx, e)
		case <-bell:
			look.Stop()
			run.again(ctx)
		case <-look.C():
			run.feed(ctx)
			run.again(ctx)
		}
	}
}

// runner is the work at one slot.
type runner struct {
	line   *Line
	reader Reader
	slot   *slot
	log    zerolog.Logger

	card   Card   // connected; nil while there is none
	held   int    // times in a row that somebody else held the card in the slot
	paired paired // of the card in the slot

	feeder  Feeder // nil while a person feeds
	feeding feeding
	// look tells whether to look at the card again on a bell, and seen what the
	// database said of it when it was last looked at.
	look bool
	seen sight
	// told names what was kept of the card in doubt in this insertion.
	told string
}

// sight is what decides whether a card in doubt is worth another look.
type sight struct {
	cardID   string
	version  int64
	decision perso.Decision
}

// drop gives up the connection.
func (r *runner) drop() {
	if r.card != nil {
		if err := r.card.Close(true); err != nil {
			r.log.Debug().Err(err).Msg("closing the card")
		}
	}
	r.card, r.look, r.seen, r.told = nil, false, sight{}, ""
}

func (r *runner) event(ctx context.Context, e smartcard.Event) {
	r.slotIs(e.Kind == smartcard.Inserted)
	switch e.Kind {
	case smartcard.Inserted:
		r.drop()
		r.pair()
		r.byHand()
		if e.Mute {
			r.finish(ctx, verdict{view: view{State: setAside, Outcome: outcomeRefused, Reason: "Kartu tidak menjawab; periksa arah kartu"}})
			return
		}
		r.start(ctx)
	case smartcard.Removed:
		r.drop()
		r.held = 0
		if r.feeding.paused == nil {
			r.slot.show(view{State: empty})
		}
		r.left(ctx)
	case smartcard.ReaderReady:
		r.drop()
		if r.feeding.paused == nil {
			r.slot.show(view{State: empty})
			r.feeding.empty = true // unless an Inserted follows, at once
		}
	case smartcard.ReaderAway:
		r.drop()
		r.slot.show(view{State: wait, Reason: "Pembaca kartu tidak terhubung"})
	case smartcard.Quarantined:
		r.drop()
		r.slot.show(view{State: wait, Reason: "Pembaca kartu dimulai ulang"})
	}
}

// start connects to the card in the slot and serves it.
func (r *runner) start(ctx context.Context) {
	defer r.line.attend()()
	if held := r.line.untouched(); held != nil {
		r.slot.show(view{State: wait, Reason: held.Text})
		r.look = true
		return
	}
	if r.held <= 1 { // else people have been told to take it out
		r.slot.show(view{State: working})
	}
	card, err := r.reader.Connect(ctx)
	if err != nil {
		if r.held++; !errors.Is(err, smartcard.ErrReaderBusy) {
			r.held = 0
		}
		v := view{State: wait, Reason: "Kartu tidak dapat dihubungi"}
		switch {
		case errors.Is(err, smartcard.ErrCardUnusable):
			v = view{State: setAside, Outcome: outcomeRefused, Reason: "Kartu tidak dapat dihidupkan"}
		case r.held > 1: // the driver still waits for the answer that a killed child asked for
			v = view{State: setAside, Reason: "Kartu ini tidak menjawab dan menahan pembaca; keluarkan kartu"}
		}
		if r.held <= 2 { // else it is said already
			r.log.Warn().Err(err).Msg("card cannot be connected")
		}
		// A card that is there is tried again, whether somebody else holds it or it was
		// reset while it was connected: it may stay in the slot without another event.
		r.finish(ctx, verdict{view: v, again: !errors.Is(err, smartcard.ErrCardUnusable)})
		return
	}
	r.held = 0
	r.card = r.watched(card)
	r.finish(ctx, r.serve(ctx))
}

// again looks once more at a card that waits for the office.
func (r *runner) again(ctx context.Context) {
	r.feed(ctx) // what people held may go on
	if !r.look {
		return
	}
	defer r.line.attend()()
	switch {
	case r.card == nil:
		r.start(ctx)
	case r.line.untouched() != nil: // it goes on showing what it came to
	case r.seen.cardID != "":
		if r.changed(ctx) {
			r.finish(ctx, r.serve(ctx))
		}
	default:
		r.finish(ctx, r.serve(ctx))
	}
}

// changed asks whether the office has decided something about the card in doubt.
func (r *runner) changed(ctx context.Context) bool {
	now, err := r.sight(ctx, r.seen.cardID)
	if err != nil {
		r.log.Debug().Err(err).Msg("looking at the card in doubt")
		return false
	}
	return now != r.seen
}

func (r *runner) sight(ctx context.Context, cardID string) (sight, error) {
	c, err := perso.Get(ctx, r.line.DB, cardID)
	if err != nil {
		return sight{}, err
	}
	d, err := perso.Resolved(ctx, r.line.DB, c)
	return sight{cardID: cardID, version: c.Version, decision: d}, err
}

func (r *runner) finish(ctx context.Context, v verdict) {
	if v.reconnect {
		r.drop()
	}
	r.look = v.again
	r.seen = v.sight
	r.slot.show(v.view)
	r.bin(ctx, v)
}

// Hear is the handler of the station's queue: whatever it says, the truth is
// looked up at each slot.
func (l *Line) Hear(_ context.Context, tx *postgres.Tx, _ []rabbit.Event) error {
	tx.OnCommit(l.Wake)
	return nil
}
