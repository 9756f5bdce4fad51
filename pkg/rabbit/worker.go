package rabbit

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"time"

	"github.com/lib/pq"
	amqp "github.com/rabbitmq/amqp091-go"

	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/trace"
)

const (
	// maxFailures is how often an event may fail by itself before it goes to
	// the shelf.
	maxFailures = 5
	// firstRetry is the wait after the first failure; each further one doubles.
	firstRetry = 200 * time.Millisecond
	// pace is how far apart batches begin at least while messages come in faster
	// than one by one. A transaction costs about as much as eight of its messages,
	// whatever it holds: many small ones would leave the broker little of the
	// processors.
	pace = 10 * time.Millisecond
	// firstHold and lastHold bound the waits while something needed is away.
	firstHold = 200 * time.Millisecond
	lastHold  = 4 * time.Second
)

// errSessionOver says that the session ended before the work was done: the
// broker will deliver the messages again.
var errSessionOver = errors.New("session over")

// errTooLong says that events did not fit into the time of a transaction though
// the database answers: holding them would not help. Those of a batch are handled
// one by one; for one that is alone it is a failure.
var errTooLong = errors.New("the work took too long for one transaction")

// answerWithin is how soon a database that is there answers a plain question.
const answerWithin = 5 * time.Second

// worker handles the deliveries of one consumer during one session.
type worker struct {
	*consumer
	ctx    context.Context // ends with the session
	work   context.Context // of the handlers; outlives the session
	buffer <-chan amqp.Delivery
	// parked are events that failed by themselves and wait, unacknowledged, for
	// their next attempt; sorted by due.
	parked []item
	// began is when the last batch was taken, if it held several events.
	began time.Time
}

// item is a delivery in hand.
type item struct {
	delivery amqp.Delivery
	event    Event
	due      time.Time
}

// run takes what is buffered until the session ends. A lone message waits for no
// other, unless a batch of several began a moment ago.
func (w *worker) run() {
	for w.ctx.Err() == nil {
		var batch []item
		select {
		case <-w.ctx.Done():
			return
		case d, ok := <-w.buffer:
			if !ok {
				return
			}
			batch = w.fill(d)
		case <-w.nextParked():
		}
		if w.ctx.Err() != nil {
			return // what was taken is delivered again
		}
		if err := w.settle(batch); err != nil {
			return
		}
		if err := w.settleParked(); err != nil {
			return
		}
	}
}

// nextParked fires when a parked event is due.
func (w *worker) nextParked() <-chan time.Time {
	if len(w.parked) == 0 {
		return nil
	}
	return w.b.clock.NewTimer(w.parked[0].due.Sub(w.b.clock.Now())).C()
}

// fill makes a batch of the first delivery and those behind it: what is buffered
// now or, while there is much to do, by the time that the next batch may begin.
func (w *worker) fill(first amqp.Delivery) []item {
	batch := w.drain([]item{{delivery: first}})
	if wait := pace - w.b.clock.Now().Sub(w.began); wait > 0 && len(batch) < w.batch {
		if clock.Sleep(w.ctx, w.b.clock, wait) == nil {
			batch = w.drain(batch)
		}
	}
	w.began = time.Time{}
	if len(batch) > 1 {
		w.began = w.b.clock.Now()
	}
	return batch
}

// drain adds what is buffered.
func (w *worker) drain(batch []item) []item {
	for len(batch) < w.batch {
		select {
		case d, ok := <-w.buffer:
			if !ok {
				return batch
			}
			batch = append(batch, item{delivery: d})
		default:
			return batch
		}
	}
	return batch
}

// settle brings each delivery of a batch to its end. An error means that the
// session is over.
func (w *worker) settle(batch []item) error {
	if len(batch) == 0 {
		return nil
	}
	events := batch[:0:0]
	for _, it := range batch {
		event, misfit := w.classify(it.delivery)
		if misfit == nil {
			it.event = event
			events = append(events, it)
			continue
		}
		if err := w.hold(func() error { return w.shelve(w.work, *misfit) }); err != nil {
			return err
		}
		if err := it.delivery.Ack(false); err != nil {
			return errSessionOver
		}
	}
	if len(events) == 0 {
		return nil
	}
	err := w.attempt(events)
	switch {
	case errors.Is(err, errSessionOver):
		return err
	case err == nil:
		return w.acknowledge(events, len(events) == len(batch))
	case len(events) == 1:
		return w.fail(events[0], err)
	}
	for _, it := range events { // so that one bad event harms no neighbour
		if err := w.settleOne(it); err != nil {
			return err
		}
	}
	return nil
}

func (w *worker) settleOne(it item) error {
	err := w.attempt([]item{it})
	switch {
	case errors.Is(err, errSessionOver):
		return err
	case err == nil:
		return w.acknowledge([]item{it}, false)
	}
	return w.fail(it, err)
}

func (w *worker) settleParked() error {
	now := w.b.clock.Now()
	for len(w.parked) > 0 && !w.parked[0].due.After(now) {
		it := w.parked[0]
		w.parked = w.parked[1:]
		it.delivery.Redelivered = true // it has attempts on record
		if err := w.settleOne(it); err != nil {
			return err
		}
	}
	return nil
}

// acknowledge runs after the commit. whole says that the items are the whole of
// a contiguous batch; one acknowledgement for all is allowed only then, and
// only while nothing older is parked.
func (w *worker) acknowledge(items []item, whole bool) error {
	handled.WithLabelValues(w.queue, "done").Add(float64(len(items)))
	w.note(func(s *ConsumerStatus) { s.Done += int64(len(items)); s.DoneAt = time.Now() })
	if whole && len(w.parked) == 0 {
		items = items[len(items)-1:]
	}
	for _, it := range items {
		if err := it.delivery.Ack(whole && len(w.parked) == 0); err != nil {
			return errSessionOver
		}
	}
	return nil
}

// attempt runs the handler in one transaction, and holds while the fault is
// foreign. It returns nil, the events' own fault, or errSessionOver.
func (w *worker) attempt(items []item) error {
	events := make([]Event, len(items))
	var tried []string // may have attempts on record
	for i, it := range items {
		events[i] = it.event
		if it.delivery.Redelivered {
			tried = append(tried, it.event.ID)
		}
	}
	ctx := w.work
	if len(events) == 1 && events[0].TraceParent != "" {
		ctx = trace.ContextWith(ctx, trace.Child(events[0].TraceParent))
	}
	return w.hold(func() error {
		ran := false
		err := w.db.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
			ran = true
			if err := w.handleSafely(ctx, tx, events); err != nil || len(tried) == 0 {
				return err
			}
			_, err := tx.Exec(ctx, `DELETE FROM delivery_attempt WHERE consumer = $1 AND message_id = ANY ($2::uuid[])`,
				w.queue, pq.Array(tried))
			return err
		})
		if ran && w.tooLong(err, len(items)) {
			return fmt.Errorf("%w: %v", errTooLong, err) //nolint:errorlint // what it wraps is a foreign fault
		}
		return err
	})
}

// tooLong says whether a transaction that had begun ran out of time by its own
// doing, and not because something it needs is away or locked (which PostgreSQL
// says earlier, see lock_timeout in pkg/postgres).
func (w *worker) tooLong(err error, events int) bool {
	var hold *holdError
	if !errors.Is(err, context.DeadlineExceeded) || errors.As(err, &hold) || errors.Is(err, postgres.ErrCommitUnknown) || w.work.Err() != nil {
		return false
	}
	if events > 1 {
		return true
	}
	ctx, cancel := context.WithTimeout(w.work, answerWithin)
	defer cancel()
	var one int
	return w.db.Get(ctx, &one, `SELECT 1`) == nil
}

// handleSafely turns a panic of the handler into a fault of its events.
func (w *worker) handleSafely(ctx context.Context, tx *postgres.Tx, events []Event) (err error) {
	defer func() {
		if p := recover(); p != nil {
			w.b.log.Error().Ctx(ctx).Str("queue", w.queue).Interface("panic", p).Bytes("stack", debug.Stack()).Msg("handler panicked")
			err = fmt.Errorf("handler panicked: %v", p)
		}
	}()
	return w.handle(ctx, tx, slices.Clone(events))
}

// hold runs do until it succeeds or fails by a fault that is the data's own.
// Nothing is nacked meanwhile. It gives up with errSessionOver.
func (w *worker) hold(do func() error) error {
	wait := firstHold
	for held := false; ; held = true {
		err := do()
		if err == nil || !foreign(err) {
			if held {
				w.released()
			}
			return err
		}
		if w.work.Err() != nil {
			return errSessionOver // the process ends
		}
		w.holding(err, !held)
		if clock.Sleep(w.ctx, w.b.clock, jittered(wait)) != nil {
			w.released() // by the end of the session
			return errSessionOver
		}
		wait = min(2*wait, lastHold)
	}
}

func (w *worker) holding(err error, first bool) {
	w.note(func(s *ConsumerStatus) { s.Holding, s.LastError, s.ErrorAt = true, err.Error(), time.Now() })
	holding.WithLabelValues(w.queue).Set(1)
	if first {
		w.b.log.Warn().Err(err).Str("queue", w.queue).Msg("holding messages until what they need is back")
	}
}

func (w *worker) released() {
	w.note(func(s *ConsumerStatus) { s.Holding = false })
	holding.WithLabelValues(w.queue).Set(0)
	w.b.log.Info().Str("queue", w.queue).Msg("no longer holding messages")
}

// fail counts a failure that is the event's own. The event is parked for its
// next attempt, or put on the shelf and acknowledged.
func (w *worker) fail(it item, cause error) error {
	handled.WithLabelValues(w.queue, "failed").Inc()
	w.note(func(s *ConsumerStatus) { s.LastError, s.ErrorAt = cause.Error(), time.Now() })
	var attempts int
	err := w.persist(func() error {
		var err error
		attempts, err = w.countFailure(w.work, it, cause)
		return err
	})
	if err != nil {
		return err
	}
	if attempts >= maxFailures {
		if err := it.delivery.Ack(false); err != nil {
			return errSessionOver
		}
		return nil
	}
	w.b.log.Warn().Func(it.event.mark).Err(cause).Str("queue", w.queue).Int("attempt", attempts).Msg("event failed; it will be tried again")
	it.due = w.b.clock.Now().Add(firstRetry << (attempts - 1))
	at, _ := slices.BinarySearchFunc(w.parked, it, func(a, b item) int { return a.due.Compare(b.due) })
	w.parked = slices.Insert(w.parked, at, it)
	return nil
}

// persist runs do until it succeeds: what it writes is ours, so no fault of it
// can be the event's.
func (w *worker) persist(do func() error) error {
	return w.hold(func() error { return Hold(do()) })
}
