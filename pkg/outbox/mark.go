package outbox

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/lib/pq"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/rabbit"
)

const (
	// markRows and markLinger bound how long confirmed rows wait to be marked
	// together: each marking is a commit, and nobody waits for it.
	markRows   = 1000
	markLinger = 50 * time.Millisecond
	// retryUnknown is the wait before a row without confirm is sent again.
	retryUnknown = 200 * time.Millisecond
	// firstReturned and lastReturned bound the wait of a row that no queue
	// takes; it doubles with each attempt.
	firstReturned = 5 * time.Second
	lastReturned  = 5 * time.Minute
)

var unroutable = promauto.NewCounterVec(prometheus.CounterOpts{
	Name: "sifilma_outbox_unroutable_total", Help: "Messages that no queue took: a configuration fault.",
}, []string{"type"})

// verdict is what became of a row in hand.
type verdict struct {
	id, kind string
	attempts int
	outcome  rabbit.Outcome
}

// settle notes what became of a row and wakes the marker. It never blocks.
func (r *Relay) settle(p parcel, o rabbit.Outcome) {
	r.mu.Lock()
	r.settled = append(r.settled, verdict{id: p.event.ID, kind: p.event.Type, attempts: p.attempts, outcome: o})
	first, full := len(r.settled) == 1, len(r.settled) == markRows
	r.mu.Unlock()
	if first || full {
		wake(r.due)
	}
}

// mark writes verdicts into the outbox as they come in, many at once, until ctx
// ends.
func (r *Relay) mark(ctx context.Context) {
	var trouble trouble
	for {
		select {
		case <-r.due:
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
		r.letGo(len(verdicts))
	}
}

// gather waits a moment for further verdicts.
func (r *Relay) gather(ctx context.Context) {
	linger := r.clock.NewTimer(markLinger)
	defer linger.Stop()
	for !r.enough() {
		select {
		case <-r.due:
		case <-linger.C():
			return
		case <-ctx.Done():
			return
		}
	}
}

// enough says whether it is time to mark: many rows, or the last ones.
func (r *Relay) enough() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.settled) >= markRows || r.over && len(r.settled) >= r.inHand
}

// write marks the rows: sent, or free again after a wait. A confirmed row is
// sent whoever holds its lease by now.
func (r *Relay) write(ctx context.Context, verdicts []verdict) error {
	slices.SortFunc(verdicts, func(a, b verdict) int { return strings.Compare(a.id, b.id) }) // lock in order of id
	var sent []string
	back := map[time.Duration][]string{}
	for _, v := range verdicts {
		if v.outcome == rabbit.Sent {
			sent = append(sent, v.id)
			continue
		}
		back[wait(v)] = append(back[wait(v)], v.id)
	}
	return r.db.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		if err := planByIndex(ctx, tx); err != nil {
			return err
		}
		if len(sent) > 0 {
			if _, err := tx.Exec(ctx, `
				UPDATE outbox SET sent_at = now(), leased_by = NULL, leased_until = NULL
				WHERE id = ANY ($1::uuid[]) AND sent_at IS NULL`, pq.Array(sent)); err != nil {
				return err
			}
		}
		for pause, ids := range back {
			if _, err := tx.Exec(ctx, `
				UPDATE outbox SET leased_by = NULL, leased_until = now() + make_interval(secs => $2)
				WHERE id = ANY ($1::uuid[]) AND sent_at IS NULL AND leased_by = $3`,
				pq.Array(ids), pause.Seconds(), r.owner); err != nil {
				return err
			}
		}
		return nil
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
