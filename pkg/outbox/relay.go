package outbox

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/rs/zerolog"

	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/rabbit"
)

const (
	// pollEvery is the safety net under the bell: for rows of a process that
	// died, or that another daemon wrote.
	pollEvery = 100 * time.Millisecond
	// leaseRows is how many free rows are leased at once, and how many may be in
	// hand before more are leased.
	leaseRows = 500
	// lease is how long the rows in hand are left alone by other relays, by the
	// database's clock.
	lease = 10 * time.Second
	// flushLimit bounds the marking of what was confirmed when the process
	// ends.
	flushLimit = 5 * time.Second
	// lastPause bounds the wait while Postgres is away.
	lastPause = 4 * time.Second
)

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
	open    bool      // the broker takes messages: rows may be handed over
	over    bool      // the relay publishes nothing more
	behind  bool      // free rows may be waiting; they go first
	inHand  int       // rows leased and not settled yet, and places kept
	handed  []parcel  // to be published
	settled []verdict // to be written

	arrived chan struct{} // something was handed over
	due     chan struct{} // something was settled

	faulty map[string]bool // types being returned; belongs to the marker
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
	for _, kind := range rabbit.Types() { // there from the start: an alarm sees the first one rise
		unroutable.WithLabelValues(kind)
	}
	return &Relay{
		db: db, to: to, log: log, clock: clock.Real(), owner: uuid.NewString(), behind: true,
		arrived: make(chan struct{}, 1), due: make(chan struct{}, 1), faulty: map[string]bool{},
	}
}

// Run relays until ctx ends. Before it returns it waits, in bounded time, for
// the confirms of what it has sent and marks them; what is left unmarked is
// sent again by the next relay.
func (r *Relay) Run(ctx context.Context) error {
	marking, stop := context.WithCancel(context.WithoutCancel(ctx))
	var marker sync.WaitGroup
	marker.Go(func() { r.mark(marking) })
	relays.LoadOrStore(r.db, r)
	r.relay(ctx)
	relays.CompareAndDelete(r.db, r)
	r.mu.Lock()
	r.open, r.over = false, true
	r.mu.Unlock()
	r.giveBack(r.takeHanded())
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

// relay publishes what it is handed and takes what is free until ctx ends.
func (r *Relay) relay(ctx context.Context) {
	bell := r.db.Bell(bellName).C()
	poll := r.clock.NewTimer(pollEvery)
	defer poll.Stop()
	var trouble trouble
	rung, look := true, false // look once at the start
	for {
		if r.waitOpen(ctx) != nil {
			return
		}
		r.publishAll(ctx, r.takeHanded())
		n := 0
		if rung || look {
			var err error
			n, err = r.round(ctx, rung)
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
			if look {
				poll.Reset(pollEvery)
			}
		}
		rung, look = n == leaseRows, false
		if rung {
			continue // there is more
		}
		select {
		case <-ctx.Done():
			return
		case <-r.arrived:
		case <-bell:
			rung = true
		case <-poll.C():
			look = true
		}
	}
}

// waitOpen waits until the broker takes messages. When that takes longer than a
// moment, nothing is handed over meanwhile and what was goes back.
func (r *Relay) waitOpen(ctx context.Context) error {
	moment, cancel := context.WithTimeout(ctx, pollEvery)
	err := r.to.WaitPublish(moment)
	cancel()
	if err != nil && ctx.Err() == nil {
		r.setOpen(false)
		r.giveBack(r.takeHanded())
		err = r.to.WaitPublish(ctx)
	}
	if err == nil {
		r.setOpen(true)
	}
	return err
}

// round leases free rows once and publishes them; it returns how many it took.
// When the bell was not rung it looks before it opens a writing transaction,
// which keeps an idle relay cheap.
func (r *Relay) round(ctx context.Context, rung bool) (int, error) {
	if !rung {
		waiting, err := r.anyFree(ctx)
		if err != nil {
			return 0, err
		}
		if !waiting {
			r.setBehind(false)
			return 0, nil
		}
	}
	if r.busy() {
		return 0, nil
	}
	rows, err := r.take(ctx)
	if err != nil {
		return 0, err
	}
	r.publishAll(ctx, rows)
	return len(rows), nil
}

// busy says whether enough rows are in hand. If so, free ones have to wait, and
// go before what is yet to be written.
func (r *Relay) busy() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.behind = r.behind || r.inHand >= leaseRows
	return r.inHand >= leaseRows
}

func (r *Relay) setBehind(behind bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.behind = behind
}

// byIndex has statements on the outbox planned by its indexes. Left alone,
// PostgreSQL keeps the plan that it made while the table was empty, at the
// start or after a long holiday: two full scans within each other, which take
// seconds once there are rows.
const byIndex = `SELECT set_config('enable_seqscan', 'off', true) || set_config('enable_hashjoin', 'off', true) ||
	set_config('enable_mergejoin', 'off', true)`

func planByIndex(ctx context.Context, tx *postgres.Tx) error {
	var set string
	return tx.Get(ctx, &set, byIndex)
}

// anyFree looks for rows that are in nobody's hand.
func (r *Relay) anyFree(ctx context.Context) (waiting bool, err error) {
	err = r.db.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		if err := planByIndex(ctx, tx); err != nil {
			return err
		}
		return tx.Get(ctx, &waiting, `
			SELECT EXISTS (SELECT FROM outbox
			               WHERE sent_at IS NULL AND (leased_until IS NULL OR leased_until <= now()))`)
	})
	return waiting, err
}

// take leases free rows in a short transaction; nothing is locked while the
// broker is spoken to.
func (r *Relay) take(ctx context.Context) ([]parcel, error) {
	var rows []row
	at := r.clock.Now()
	err := r.db.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		rows = nil
		if err := planByIndex(ctx, tx); err != nil {
			return err
		}
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
	slices.SortFunc(rows, func(a, b row) int { return strings.Compare(a.ID, b.ID) }) // in order of time: ids are UUIDv7
	r.mu.Lock()
	r.inHand += len(rows)
	r.behind = len(rows) == leaseRows
	r.mu.Unlock()
	parcels := make([]parcel, 0, len(rows))
	for _, taken := range rows {
		p := parcel{attempts: taken.Attempts, at: at, event: rabbit.Event{
			ID: taken.ID, Type: taken.Type, Subject: taken.Subject, Request: taken.Request,
			TraceParent: taken.TraceParent, Version: taken.Version, Time: taken.CreatedAt,
		}}
		if err := json.Unmarshal(taken.Data, &p.event.Data); err != nil {
			r.unsendable(p, err)
			continue
		}
		parcels = append(parcels, p)
	}
	return parcels, nil
}

// publishAll publishes rows in hand. Each is settled once, whatever happens.
func (r *Relay) publishAll(ctx context.Context, parcels []parcel) {
	for i, p := range parcels {
		if r.clock.Now().Sub(p.at) > fresh {
			r.settle(p, rabbit.Unknown) // another relay might take it meanwhile
			continue
		}
		err := r.to.Publish(ctx, p.event, func(o rabbit.Outcome) { r.settle(p, o) })
		switch {
		case err == nil:
		case errors.Is(err, rabbit.ErrDown), errors.Is(err, rabbit.ErrBlocked), ctx.Err() != nil:
			r.setOpen(false)
			r.giveBack(parcels[i:])
			return
		default: // the row's own fault; it must not hold up those behind it
			r.unsendable(p, err)
		}
	}
}

// unsendable lays aside a row that can never be sent as it is.
func (r *Relay) unsendable(p parcel, err error) {
	r.log.Error().Err(err).Str("type", p.event.Type).Str("message", p.event.ID).Msg("outbox row cannot be sent")
	r.settle(p, rabbit.Returned)
}

// giveBack settles rows that cannot be published now.
func (r *Relay) giveBack(parcels []parcel) {
	for _, p := range parcels {
		r.settle(p, rabbit.Unknown)
	}
}
