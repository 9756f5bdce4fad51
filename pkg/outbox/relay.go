package outbox

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/lib/pq"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/rs/zerolog"

	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/rabbit"
)

const (
	// pollEvery is the safety net under the bell: for rows of a process that
	// died, or that another daemon wrote.
	pollEvery = 100 * time.Millisecond
	// leaseRows is how many rows are taken at once, and how many may be in hand
	// before more are taken.
	leaseRows = 500
	// markRows and markLinger bound how long confirmed rows wait to be marked
	// together, while more confirms are on their way: each marking is a commit.
	markRows   = 250
	markLinger = 10 * time.Millisecond
	// lease is how long the rows taken are left alone by other relays, by the
	// database's clock.
	lease = 10 * time.Second
	// retryUnknown is the wait before a row without confirm is sent again.
	retryUnknown = 200 * time.Millisecond
	// firstReturned and lastReturned bound the wait of a row that no queue
	// takes; it doubles with each attempt.
	firstReturned = 5 * time.Second
	lastReturned  = 5 * time.Minute
	// flushLimit bounds the marking of what was confirmed when the process
	// ends.
	flushLimit = 5 * time.Second
	// lastPause bounds the wait while Postgres is away.
	lastPause = 4 * time.Second
)

var unroutable = promauto.NewCounterVec(prometheus.CounterOpts{
	Name: "sifilma_outbox_unroutable_total", Help: "Messages that no queue took: a configuration fault.",
}, []string{"type"})

// Publisher hands events to the broker; *rabbit.Broker does.
type Publisher interface {
	WaitPublish(ctx context.Context) error
	Publish(ctx context.Context, e rabbit.Event, done func(rabbit.Outcome)) error
}

// Relay moves messages from the outbox to the broker. Any number may run
// against one outbox, in any daemons; each takes whatever is there.
type Relay struct {
	db    *postgres.DB
	to    Publisher
	log   zerolog.Logger
	clock clock.Machine
	owner string // of the leases

	mu      sync.Mutex
	inHand  int       // rows leased and not settled yet
	settled []verdict // to be written
	wake    chan struct{}

	faulty map[string]bool // types being returned; belongs to the marker
}

// verdict is what became of a row in hand.
type verdict struct {
	id, kind string
	attempts int
	outcome  rabbit.Outcome
}

// row is an outbox row under lease.
type row struct {
	ID          string    `db:"id"`
	Type        string    `db:"type"`
	Subject     string    `db:"subject"`
	Version     int64     `db:"version"`
	Request     string    `db:"request"`
	Data        []byte    `db:"data"`
	TraceParent string    `db:"traceparent"`
	CreatedAt   time.Time `db:"created_at"`
	Attempts    int       `db:"attempts"`
}

// NewRelay returns a relay that does nothing until Run.
func NewRelay(db *postgres.DB, to Publisher, log zerolog.Logger) *Relay {
	return &Relay{
		db: db, to: to, log: log, clock: clock.Real(), owner: uuid.NewString(),
		wake: make(chan struct{}, 1), faulty: map[string]bool{},
	}
}

// Run relays until ctx ends. Before it returns it waits, in bounded time, for
// the confirms of what it has sent and marks them; what is left unmarked is
// sent again by the next relay.
func (r *Relay) Run(ctx context.Context) error {
	marking, stop := context.WithCancel(context.WithoutCancel(ctx))
	var marker sync.WaitGroup
	marker.Go(func() { r.mark(marking) })
	r.relay(ctx)
	limit := r.clock.NewTimer(flushLimit)
	defer limit.Stop()
	for open := true; open && !r.idle(); {
		select {
		case <-limit.C():
			open = false
		case <-r.clock.NewTimer(pollEvery / 10).C():
		}
	}
	stop()
	marker.Wait()
	return nil
}

func (r *Relay) idle() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.inHand == 0
}

// relay takes rows and publishes them until ctx ends.
func (r *Relay) relay(ctx context.Context) {
	bell := r.db.Bell(bellName).C()
	poll := r.clock.NewTimer(pollEvery)
	defer poll.Stop()
	var trouble trouble
	rung := true // look once at the start
	for {
		n, err := 0, r.to.WaitPublish(ctx)
		if err == nil {
			n, err = r.round(ctx, rung)
		}
		if ctx.Err() != nil {
			return
		}
		if pause := trouble.pause(r, err, "outbox relay cannot take rows"); pause > 0 {
			if clock.Sleep(ctx, r.clock, pause) != nil {
				return
			}
			rung = true
			continue
		}
		if rung = n == leaseRows; rung {
			continue // there is more
		}
		poll.Reset(pollEvery)
		select {
		case <-ctx.Done():
			return
		case <-bell:
			rung = true
		case <-poll.C():
		}
	}
}

// round takes rows once and publishes them; it returns how many it took. When
// the bell was not rung it looks before it opens a transaction, which keeps an
// idle relay cheap.
func (r *Relay) round(ctx context.Context, rung bool) (int, error) {
	if r.busy() {
		return 0, nil
	}
	if !rung {
		var due bool
		err := r.db.Get(ctx, &due, `
			SELECT EXISTS (SELECT FROM outbox
			               WHERE sent_at IS NULL AND (leased_until IS NULL OR leased_until <= now()))`)
		if err != nil || !due {
			return 0, err
		}
	}
	rows, err := r.take(ctx)
	if err != nil {
		return 0, err
	}
	for i, taken := range rows {
		if err := r.publish(ctx, taken); err != nil {
			for _, left := range rows[i+1:] { // the session is gone: give the rest back
				r.settle(left, rabbit.Unknown)
			}
			break
		}
	}
	return len(rows), nil
}

// busy says whether enough rows are in hand.
func (r *Relay) busy() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.inHand >= leaseRows
}

// take leases rows in a short transaction; nothing is locked while the broker
// is spoken to.
func (r *Relay) take(ctx context.Context) ([]row, error) {
	var rows []row
	err := r.db.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		rows = nil
		return tx.Select(ctx, &rows, `
			WITH due AS (
				SELECT id FROM outbox
				WHERE sent_at IS NULL AND (leased_until IS NULL OR leased_until <= now())
				ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED)
			UPDATE outbox AS o
			SET leased_by = $2, leased_until = now() + make_interval(secs => $3), attempts = attempts + 1
			FROM due WHERE o.id = due.id
			RETURNING o.id, o.type, o.subject, o.version, coalesce(o.request_id::text, '') AS request, o.data,
			          o.traceparent, o.created_at, o.attempts`, leaseRows, r.owner, lease.Seconds())
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(rows, func(a, b row) int { return compareIDs(a.ID, b.ID) }) // in order of time: ids are UUIDv7
	r.mu.Lock()
	r.inHand += len(rows)
	r.mu.Unlock()
	return rows, nil
}

func compareIDs(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// publish sends one row. Whatever happens, its verdict is settled once; an
// error says that nothing more can be sent now.
func (r *Relay) publish(ctx context.Context, taken row) error {
	event := rabbit.Event{
		ID: taken.ID, Type: taken.Type, Subject: taken.Subject, Request: taken.Request,
		TraceParent: taken.TraceParent, Version: taken.Version, Time: taken.CreatedAt,
	}
	err := json.Unmarshal(taken.Data, &event.Data)
	if err == nil {
		err = r.to.Publish(ctx, event, func(o rabbit.Outcome) { r.settle(taken, o) })
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, rabbit.ErrDown), errors.Is(err, rabbit.ErrBlocked), ctx.Err() != nil:
		r.settle(taken, rabbit.Unknown)
		return err
	}
	// The row itself cannot be sent; it must not hold up those behind it.
	r.log.Error().Err(err).Str("type", taken.Type).Str("message", taken.ID).Msg("outbox row cannot be sent")
	r.settle(taken, rabbit.Returned)
	return nil
}

// settle notes what became of a row and wakes the marker. It never blocks.
func (r *Relay) settle(taken row, o rabbit.Outcome) {
	r.mu.Lock()
	r.settled = append(r.settled, verdict{id: taken.ID, kind: taken.Type, attempts: taken.Attempts, outcome: o})
	r.mu.Unlock()
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// mark writes verdicts into the outbox as they come in, many at once, until ctx
// ends.
func (r *Relay) mark(ctx context.Context) {
	var trouble trouble
	for {
		select {
		case <-r.wake:
		case <-ctx.Done():
			return
		}
		r.gather(ctx)
		r.mu.Lock()
		verdicts := r.settled
		r.settled = nil
		r.mu.Unlock()
		if len(verdicts) == 0 {
			continue
		}
		r.report(verdicts)
		for {
			pause := trouble.pause(r, r.write(ctx, verdicts), "outbox relay cannot mark rows")
			if pause == 0 {
				break
			}
			if clock.Sleep(ctx, r.clock, pause) != nil {
				return // the leases run out and the rows are sent again
			}
		}
		if r.letGo(len(verdicts)) {
			r.db.Bell(bellName).Ring()
		}
	}
}

// gather waits a moment for further verdicts, as long as some are due.
func (r *Relay) gather(ctx context.Context) {
	if r.enough() {
		return
	}
	linger := r.clock.NewTimer(markLinger)
	defer linger.Stop()
	for !r.enough() {
		select {
		case <-r.wake:
		case <-linger.C():
			return
		case <-ctx.Done():
			return
		}
	}
}

// enough says whether it is time to mark: many rows, or all that are in hand.
func (r *Relay) enough() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.settled) >= min(markRows, r.inHand)
}

// letGo counts n rows as no longer in hand, and says whether that made room for
// more.
func (r *Relay) letGo(n int) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	full := r.inHand >= leaseRows
	r.inHand -= n
	return full && r.inHand < leaseRows
}

// write marks the rows in one statement: sent, or free again after a wait.
// A confirmed row is sent whoever holds its lease by now.
func (r *Relay) write(ctx context.Context, verdicts []verdict) error {
	n := len(verdicts)
	ids, sent, waits := make([]string, n), make([]bool, n), make([]float64, n)
	for i, v := range verdicts {
		ids[i], sent[i], waits[i] = v.id, v.outcome == rabbit.Sent, wait(v).Seconds()
	}
	return r.db.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		_, err := tx.Exec(ctx, `
			UPDATE outbox AS o
			SET sent_at = CASE WHEN v.sent THEN now() END,
			    leased_by = NULL,
			    leased_until = CASE WHEN v.sent THEN NULL ELSE now() + make_interval(secs => v.wait) END
			FROM unnest($1::uuid[], $2::bool[], $3::float8[]) AS v (id, sent, wait)
			WHERE o.id = v.id AND o.sent_at IS NULL AND (v.sent OR o.leased_by = $4)`,
			pq.Array(ids), pq.Array(sent), pq.Array(waits), r.owner)
		return err
	})
}

func wait(v verdict) time.Duration {
	switch v.outcome {
	case rabbit.Sent:
		return 0
	case rabbit.Returned:
		doublings := min(max(v.attempts-1, 0), 10)
		return min(firstReturned<<doublings, lastReturned)
	}
	return retryUnknown
}

// report raises the alarm of returned types: in the log once per type until it
// is taken again.
func (r *Relay) report(verdicts []verdict) {
	for _, v := range verdicts {
		switch v.outcome {
		case rabbit.Returned:
			unroutable.WithLabelValues(v.kind).Inc()
			if !r.faulty[v.kind] {
				r.faulty[v.kind] = true
				r.log.Error().Str("type", v.kind).Str("message", v.id).
					Msg("no queue is bound to this message type; its messages wait in the outbox")
			}
		case rabbit.Sent:
			if r.faulty[v.kind] {
				delete(r.faulty, v.kind)
				r.log.Info().Str("type", v.kind).Msg("this message type is taken again")
			}
		case rabbit.Unknown:
		}
	}
}

// trouble makes one log line of a fault that lasts, and the waits in it longer.
type trouble struct{ wait time.Duration }

// pause returns how long to wait after err; 0 after nil.
func (t *trouble) pause(r *Relay, err error, what string) time.Duration {
	if err == nil {
		if t.wait > 0 {
			r.log.Info().Msg(what + ": over")
		}
		t.wait = 0
		return 0
	}
	if t.wait == 0 && !errors.Is(err, context.Canceled) {
		r.log.Warn().Err(err).Msg(what)
	}
	t.wait = min(max(2*t.wait, pollEvery), lastPause)
	return t.wait
}
