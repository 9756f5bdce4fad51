// Package commit writes drops into the database: answer, files, request,
// timeline, audit and message of a drop in one transaction, and of many small
// drops in the same. Two such transactions, as configured, may run at once, so that
// the database works on one while the other is on its way; what comes meanwhile
// waits for the next. A lone drop waits at most a moment behind many, and under
// load one commit serves many.
package commit

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/idempotency"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/web"
)

const (
	// smallDrop is the largest size of all files of a drop that is written together
	// with others; what a larger one takes is its bytes, not its transaction.
	smallDrop = 256 << 10 // bytes
	// batchBytes bounds the files of one transaction of many, which are in memory.
	batchBytes = 2 << 20
	// largeAtOnce bounds the drops that are written by themselves.
	largeAtOnce = 4
	// pace is how far apart they begin at least while drops come faster than one by
	// one, so that there is something to share them.
	pace = 10 * time.Millisecond
	// retry is what a client is asked to wait when the database is away.
	retry = 5 * time.Second
	// again is when a drop whose key another transaction holds is tried once more.
	again = 50 * time.Millisecond
)

// Writer writes drops.
type Writer struct {
	db        *postgres.DB
	office    clock.Office
	machine   clock.Machine
	publicURL string
	most      int // drops of one transaction
	writers   int // transactions of many at once
	patience  time.Duration
	queue     *queue
	large     chan struct{}
	sizes     prometheus.Histogram

	mu    sync.Mutex
	began time.Time // of the last transaction, if it was of several drops

	later sync.WaitGroup // drops that wait for their next try
}

// Config of a Writer.
type Config struct {
	PublicURL string // what addresses in answers begin with
	// DropsPerCommit is how many small drops one transaction takes at most; 1
	// writes each by itself.
	DropsPerCommit int
	// CommitsAtOnce is how many transactions of many small drops run at once.
	CommitsAtOnce int
	// Patience is how long a client waits for the database: past it he is asked to
	// come again, and a transaction of many is given up.
	Patience time.Duration
}

// New makes a writer; registry may be nil.
func New(cfg Config, db *postgres.DB, office clock.Office, machine clock.Machine, registry prometheus.Registerer) *Writer {
	w := &Writer{
		db: db, office: office, machine: machine, publicURL: cfg.PublicURL, most: cfg.DropsPerCommit,
		writers: cfg.CommitsAtOnce, patience: cfg.Patience,
		queue: newQueue(), large: make(chan struct{}, largeAtOnce),
		sizes: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "sifilma_intake_commit_drops", Help: "Drops written by one transaction.", Buckets: []float64{1, 2, 5, 10, 20, 50, 100},
		}),
	}
	if registry != nil {
		registry.MustRegister(w.sizes)
	}
	return w
}

// Waiting is how many drops wait for a transaction.
func (w *Writer) Waiting() int { return w.queue.len() }

// Submit writes a new request and closes the drop. When it returns an Answer,
// that is committed. Errors: a *web.Problem, identity.ErrBadKey,
// request.ErrReferenceUsed, request.ErrUnknownMachineType; or a fault, after
// which the drop may have been written all the same, and the client, coming
// again under its key, hears so.
func (w *Writer) Submit(ctx context.Context, e Entry) (Answer, error) {
	if w.most <= 1 || e.Drop.Size() > smallDrop {
		defer e.Drop.Close()
		return w.create(ctx, e)
	}
	mine := &waiter{Entry: e, size: e.Drop.Size(), done: make(chan outcome, 1)}
	if !w.queue.put(mine) {
		e.Drop.Close()
		return Answer{}, web.Unavailable(retry)
	}
	// Whoever stops waiting leaves a transaction that has taken the drop to
	// itself; it closes the drop.
	tooLong := time.NewTimer(w.patience)
	defer tooLong.Stop()
	var err error
	select {
	case o := <-mine.done:
		return o.answer, o.err
	case <-ctx.Done():
		err = ctx.Err()
	case <-tooLong.C:
		err = web.Unavailable(retry)
		if mine.held.Load() {
			err = stillRunning()
		}
	}
	mine.gone.Store(true)
	if w.queue.withdraw(mine) {
		e.Drop.Close()
	}
	return Answer{}, err
}

// Before answers a drop that may not be written: if it was written before, and what
// it names has changed since, its client hears that answer, and otherwise the
// refusal.
func (w *Writer) Before(ctx context.Context, e Entry, refusal error) (Answer, error) {
	before, err := idempotency.Answered(ctx, w.db, []idempotency.Call{e.call()})
	if err != nil {
		return Answer{}, err
	}
	b, ok := before[0]
	if !ok {
		return Answer{}, refusal
	}
	return b.Answer, b.Err
}

// Run writes what Submit brings until ctx ends, and then what is left.
func (w *Writer) Run(ctx context.Context) error {
	var all sync.WaitGroup
	for range w.writers {
		all.Go(func() { w.serve(ctx) })
	}
	all.Wait()
	w.later.Wait()
	return nil
}

func (w *Writer) serve(ctx context.Context) {
	for {
		select {
		case <-w.queue.bell:
			w.empty(ctx)
		case <-ctx.Done():
			w.queue.close()
			w.empty(ctx)
			return
		}
	}
}

func (w *Writer) empty(ctx context.Context) {
	for batch := w.next(ctx); len(batch) > 0; batch = w.next(ctx) {
		w.write(context.WithoutCancel(ctx), batch, func(d *waiter) { w.postpone(ctx, d) })
	}
}

// postpone has a drop whose key another transaction holds queue again in a
// moment. The client decides how long that goes on, by how long it waits.
func (w *Writer) postpone(ctx context.Context, d *waiter) {
	d.held.Store(true)
	w.later.Go(func() {
		_ = clock.Sleep(ctx, w.machine, again)
		if d.gone.Load() || !w.queue.put(d) {
			d.finish(outcome{err: stillRunning()})
		}
	})
}

// next takes what one transaction may hold, when it may begin.
func (w *Writer) next(ctx context.Context) []*waiter {
	w.mu.Lock()
	wait := pace - w.machine.Now().Sub(w.began)
	w.mu.Unlock()
	if wait > 0 && w.queue.len() < w.most {
		_ = clock.Sleep(ctx, w.machine, wait) // at the end of the process there is no hurry to save
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	batch := w.queue.take(w.most, batchBytes)
	switch len(batch) {
	case 0: // the other writer has them
	case 1:
		w.began = time.Time{}
	default:
		w.began = w.machine.Now()
	}
	return batch
}

// write writes a batch, and then what in it had to wait for the rest.
// Drops whose keys others hold go to postpone.
func (w *Writer) write(ctx context.Context, batch []*waiter, postpone func(*waiter)) {
	for len(batch) > 0 {
		var first, next []*waiter
		keys, references := map[pair]*waiter{}, map[pair]bool{}
		same := map[*waiter]*waiter{} // to the one before it with the same key
		for _, d := range batch {
			before, repeated := keys[keyOf(d.Entry)]
			switch {
			case repeated:
				same[d] = before
				next = append(next, d)
			case references[referenceOf(d.Entry)]:
				next = append(next, d)
			default:
				keys[keyOf(d.Entry)], references[referenceOf(d.Entry)] = d, true
				first = append(first, d)
			}
		}
		became := make(map[*waiter]outcome, len(first))
		w.divide(ctx, first, became, postpone)
		batch = nil
		for _, d := range next {
			if o, ok := became[same[d]]; ok && o.err == nil {
				d.finish(repeat(o, same[d].Print, d.Print))
				continue
			}
			batch = append(batch, d)
		}
	}
}

// repeat is the outcome of a drop that came under the key of another, which has
// become o.
func repeat(o outcome, first, print []byte) outcome {
	answer, err := idempotency.Again(o.answer, first, print)
	return outcome{answer, err}
}

// divide writes drops of different keys and references. When that fails by the
// fault of one, it halves them until that one stands alone.
func (w *Writer) divide(ctx context.Context, batch []*waiter, became map[*waiter]outcome, postpone func(*waiter)) {
	entries := make([]Entry, len(batch))
	for i, d := range batch {
		entries[i] = d.Entry
	}
	bounded, cancel := context.WithTimeout(ctx, w.patience)
	results, err := w.together(bounded, entries)
	cancel()
	switch {
	case err == nil:
		w.sizes.Observe(float64(len(batch)))
	case len(batch) > 1 && !postgres.Foreign(err):
		zerolog.Ctx(ctx).Warn().Err(err).Int("drops", len(batch)).Msg("drops are written in smaller parts")
		w.divide(ctx, batch[:len(batch)/2], became, postpone)
		w.divide(ctx, batch[len(batch)/2:], became, postpone)
		return
	default:
		results = make([]outcome, len(batch))
		for i := range results {
			results[i].err = err
		}
	}
	for i, d := range batch {
		became[d] = results[i]
		if errors.Is(results[i].err, idempotency.ErrRunning) {
			postpone(d)
			continue
		}
		d.finish(results[i])
	}
}
