package capacity

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/google/uuid"
	"github.com/lib/pq"

	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
)

// planLock is the advisory transaction lock of planner, releases and orders about
// a day: one of them at a time.
const planLock = 0x53464d50 // "SFMP"

// downtimeLock is that of whoever records downtimes.
const downtimeLock = 0x53464d51

var scheduler = machine.Actor{Name: "scheduler", Role: request.Scheduler}

// Lock takes the planner's transaction lock.
func Lock(ctx context.Context, tx *postgres.Tx) error {
	if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock($1)`, planLock); err != nil {
		return fmt.Errorf("capacity: lock: %w", err)
	}
	return nil
}

// Changes counts what a replanning wrote. All are zero when nothing changed.
type Changes struct {
	Removed   int `json:"removed"`
	Placed    int `json:"placed"`
	Estimates int `json:"estimates"`
	Scheduled int `json:"scheduled"`
}

// Replan makes the plan afresh from the requests that wait and writes only what
// differs: without a cause it writes no row. Requests that get their first
// place become scheduled.
func Replan(ctx context.Context, tx *postgres.Tx, in PlanInput) (done Changes, err error) {
	if err := Lock(ctx, tx); err != nil {
		return done, err
	}
	inputs, err := Load(ctx, tx, in)
	if err != nil {
		return done, err
	}
	spans := Plan(inputs.Demands(), inputs.Days)
	if done.Removed, done.Placed, err = write(ctx, tx, inputs, spans); err != nil {
		return done, err
	}
	if done.Estimates, err = estimate(ctx, tx, in, nil); err != nil {
		return done, err
	}
	done.Scheduled, err = schedule(ctx, tx, in, inputs.Queue, spans)
	return done, err
}

// Extend gives requests that were accepted just now their places behind all that is
// planned, as Replan would, without looking at the others. ok is false, and nothing
// written, when it cannot: one of them ranks before a request that stands in the
// plan, such as by a disposition that was recorded late.
func Extend(ctx context.Context, tx *postgres.Tx, in PlanInput, requestIDs []string) (done Changes, ok bool, err error) {
	// The lock; and one plan of each statement, for all values, until the end of the
	// transaction: to plan these small ones anew takes the server longer than to run them.
	if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock($1), set_config('plan_cache_mode', 'force_generic_plan', true)`, planLock); err != nil {
		return done, false, fmt.Errorf("capacity: lock: %w", err)
	}
	if done, ok, err = extend(ctx, tx, in, requestIDs); err != nil || ok {
		return done, ok, err
	}
	// What the caller does instead is large.
	if _, err := tx.Exec(ctx, `SELECT set_config('plan_cache_mode', 'auto', true)`); err != nil {
		return done, false, fmt.Errorf("capacity: %w", err)
	}
	return done, false, nil
}

func extend(ctx context.Context, tx *postgres.Tx, in PlanInput, requestIDs []string) (done Changes, ok bool, err error) {
	inputs, standing, err := tail(ctx, tx, in)
	if err != nil {
		return done, false, err
	}
	added, err := queue(ctx, tx, inputs.Frozen, requestIDs)
	if err != nil {
		return done, false, err
	}
	// A bell may ring twice: what has a place already is not placed again.
	added = slices.DeleteFunc(added, func(w Waiting) bool { return w.State != request.Accepted || w.Cards <= 0 })
	if len(added) == 0 {
		return done, true, nil
	}
	first := slices.MinFunc(added, func(a, b Waiting) int {
		return cmp.Or(a.Disposition.Compare(b.Disposition), cmp.Compare(a.Ticket, b.Ticket))
	})
	ids := make([]string, len(added))
	for i, w := range added {
		ids[i] = w.RequestID
	}
	var between bool
	if err := tx.Get(ctx, &between, `
		SELECT (SELECT (disposition_date, ticket) > ($1, $2) FROM request
		        WHERE state IN ('accepted','scheduled','in_progress') AND id <> ALL ($3::uuid[])
		        ORDER BY disposition_date DESC, ticket DESC LIMIT 1) IS TRUE
		    OR EXISTS (SELECT FROM placement WHERE request_id = ANY ($3::uuid[]))`, first.Disposition, first.Ticket, pq.Array(ids)); err != nil {
		return done, false, fmt.Errorf("capacity: looking for later ranks: %w", err)
	}
	if between || !standing {
		return done, false, nil
	}
	inputs.Queue = added
	spans := Plan(inputs.Demands(), inputs.Days)
	if err := insertOrders(ctx, tx, spans, inputs.Days); err != nil {
		return done, false, err
	}
	done.Placed = len(spans)
	if done.Estimates, err = estimate(ctx, tx, in, ids); err != nil {
		return done, false, err
	}
	done.Scheduled, err = schedule(ctx, tx, in, added, spans)
	return done, true, err
}

// tail is what is free behind all planned orders. standing is false when a day has
// another capacity by now than it was planned with.
func tail(ctx context.Context, rd postgres.Reader, in PlanInput) (inputs Inputs, standing bool, err error) {
	if err := inputs.readDays(ctx, rd, in); err != nil {
		return inputs, false, err
	}
	next := maps.Clone(inputs.Days.Taken)
	for _, p := range inputs.planned {
		if inputs.Days.Capacity(p.Day) != p.Capacity {
			return inputs, false, nil
		}
		next[p.Day] = max(next[p.Day], p.Next)
	}
	inputs.Days.Taken = next // capacity looks at the frozen ones still
	return inputs, true, nil
}

// schedule takes the step of requests that have their first place.
func schedule(ctx context.Context, tx *postgres.Tx, in PlanInput, queue []Waiting, spans []Span) (n int, err error) {
	placed := make(map[string]bool)
	for _, s := range spans {
		placed[s.RequestID] = true
	}
	for _, w := range queue {
		if w.State != request.Accepted || !placed[w.RequestID] {
			continue
		}
		r, err := request.Lock(ctx, tx, w.RequestID)
		if err != nil {
			return n, err
		}
		if _, err := request.Take(ctx, tx, r, request.Schedule, request.Change{Actor: scheduler, OfficeAt: in.OfficeAt}); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

type plannedOrder struct {
	ID        string     `db:"id"`
	RequestID string     `db:"request_id"`
	Day       clock.Date `db:"day"`
	From      int        `db:"from_slot"`
	To        int        `db:"to_slot"`
}

// write brings the planned orders to the wanted spans and leaves those alone
// that stand already.
func write(ctx context.Context, tx *postgres.Tx, inputs Inputs, spans []Span) (removed, placed int, err error) {
	var have []plannedOrder
	if err := tx.Select(ctx, &have, `
		SELECT id, request_id, day, lower(slots) AS from_slot, upper(slots) AS to_slot
		FROM work_order WHERE state = 'planned' AND day <> $1 ORDER BY id FOR UPDATE`, inputs.Frozen); err != nil {
		return 0, 0, fmt.Errorf("capacity: reading the plan: %w", err)
	}
	wanted := make(map[Span]bool, len(spans))
	for _, s := range spans {
		wanted[s] = true
	}
	var drop []string
	for _, o := range have {
		s := Span{RequestID: o.RequestID, Day: o.Day, From: o.From, To: o.To}
		if wanted[s] {
			delete(wanted, s)
		} else {
			drop = append(drop, o.ID)
		}
	}
	if len(drop) > 0 {
		if _, err := tx.Exec(ctx, `DELETE FROM work_order WHERE id = ANY ($1::uuid[]) AND state = 'planned'`, pq.Array(drop)); err != nil {
			return 0, 0, fmt.Errorf("capacity: removing orders: %w", err)
		}
	}
	if err := writeDays(ctx, tx, inputs); err != nil {
		return 0, 0, err
	}
	missing := slices.DeleteFunc(slices.Clone(spans), func(s Span) bool { return !wanted[s] })
	return len(drop), len(missing), insertOrders(ctx, tx, missing, inputs.Days)
}

// insertOrders writes planned orders, and the days that had none.
func insertOrders(ctx context.Context, tx *postgres.Tx, spans []Span, days Days) error {
	if len(spans) == 0 {
		return nil
	}
	var ids, requests, day []string
	var sizes, from, to []int64
	for _, s := range spans {
		id, err := uuid.NewV7()
		if err != nil {
			return fmt.Errorf("capacity: order id: %w", err)
		}
		ids, requests, day = append(ids, id.String()), append(requests, s.RequestID), append(day, s.Day.String())
		sizes, from, to = append(sizes, int64(days.Capacity(s.Day))), append(from, int64(s.From)), append(to, int64(s.To))
	}
	// The foreign key is looked at when the statement ends: the day is there by then.
	if _, err := tx.Exec(ctx, `
		WITH days AS (
			INSERT INTO capacity_day (day, capacity)
			SELECT DISTINCT d.day, d.capacity FROM unnest($3::date[], $4::int[]) AS d (day, capacity)
			ON CONFLICT (day) DO NOTHING)
		INSERT INTO work_order (id, request_id, day, capacity, slots, remaining, mode, state)
		SELECT o.id, o.request, o.day, o.capacity, int4range(o.a, o.b), o.b - o.a,
		       coalesce((SELECT m.mode FROM order_mode m WHERE m.request_id = o.request), 'station'), 'planned'
		FROM unnest($1::uuid[], $2::uuid[], $3::date[], $4::int[], $5::int[], $6::int[]) AS o (id, request, day, capacity, a, b)`,
		pq.Array(ids), pq.Array(requests), pq.Array(day), pq.Array(sizes), pq.Array(from), pq.Array(to)); err != nil {
		return fmt.Errorf("capacity: writing orders: %w", err)
	}
	return nil
}

// writeDays brings days that were planned before to the capacity that they have by
// now. Orders that do not fit any more have been removed.
func writeDays(ctx context.Context, tx *postgres.Tx, inputs Inputs) error {
	var days []string
	var sizes []int64
	for _, d := range inputs.planned {
		if now := inputs.Days.Capacity(d.Day); now != d.Capacity {
			days, sizes = append(days, d.Day.String()), append(sizes, int64(now))
		}
	}
	if len(days) == 0 {
		return nil
	}
	if _, err := tx.Exec(ctx, `
		UPDATE capacity_day c SET capacity = d.capacity
		FROM unnest($1::date[], $2::int[]) AS d (day, capacity) WHERE c.day = d.day`, pq.Array(days), pq.Array(sizes)); err != nil {
		return fmt.Errorf("capacity: changing days: %w", err)
	}
	return nil
}
