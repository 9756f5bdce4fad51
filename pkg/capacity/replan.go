package capacity

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/lib/pq"

	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/pkg/workday"
)

// planLock is the advisory transaction lock of planner, releases and calendar
// edits: one of them at a time.
const planLock = 0x53464d50 // "SFMP"

var scheduler = machine.Actor{Name: "scheduler", Role: request.Scheduler}

// Lock takes the planner's transaction lock.
func Lock(ctx context.Context, tx *postgres.Tx) error {
	if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock($1)`, planLock); err != nil {
		return fmt.Errorf("capacity: lock: %w", err)
	}
	return nil
}

// PlanInput is what a replanning needs to know besides the database.
type PlanInput struct {
	Calendar *workday.Calendar
	OfficeAt time.Time
	// Default is the capacity of a day for which people set none; 0 means
	// DefaultCapacity.
	Default int
	// Cause is why the plan may move, in Indonesian; it is kept with each
	// estimate that moves.
	Cause string
}

// Changes counts what a replanning wrote. All are zero when nothing changed.
type Changes struct {
	Removed   int `json:"removed"`
	Placed    int `json:"placed"`
	Estimates int `json:"estimates"`
	Scheduled int `json:"scheduled"`
}

type waiting struct {
	ID          string        `db:"id"`
	Ticket      string        `db:"ticket"`
	Disposition clock.Date    `db:"disposition_date"`
	State       machine.State `db:"state"`
	Cards       int           `db:"cards"`
}

type plannedOrder struct {
	ID        string     `db:"id"`
	RequestID string     `db:"request_id"`
	Day       clock.Date `db:"day"`
	From      int        `db:"from_slot"`
	To        int        `db:"to_slot"`
}

// Replan makes the plan afresh from the requests that wait and writes only what
// differs: without a cause it writes no row. Requests that get their first
// place become scheduled.
func Replan(ctx context.Context, tx *postgres.Tx, in PlanInput) (Changes, error) {
	var done Changes
	if err := Lock(ctx, tx); err != nil {
		return done, err
	}
	frozen := frozenDay(in)
	var queue []waiting
	// Cards that wait for a place: neither finished nor already covered by an
	// order that is released, or will be today. Cards in doubt or failed wait for
	// people instead.
	if err := tx.Select(ctx, &queue, `
		SELECT r.id, r.ticket, r.disposition_date, r.state,
		       (SELECT count(*) FROM card c WHERE c.request_id = r.id AND c.state IN
		               ('listed','bound','numbered','claimed','writing','written','verified')
		               AND NOT `+counted+`)
		     - (SELECT coalesce(sum(o.remaining), 0) FROM work_order o
		        WHERE o.request_id = r.id AND (o.state IN ('released','closing') OR o.state = 'planned' AND o.day = $1)) AS cards
		FROM request r WHERE r.state IN ('accepted','scheduled','in_progress')`, frozen); err != nil {
		return done, fmt.Errorf("capacity: reading the queue: %w", err)
	}
	days, err := days(ctx, tx, in)
	if err != nil {
		return done, err
	}
	var demands []Demand
	for _, w := range queue {
		if w.Cards > 0 {
			demands = append(demands, Demand{RequestID: w.ID, Disposition: w.Disposition, Ticket: w.Ticket, Cards: w.Cards})
		}
	}
	spans := Plan(demands, days)
	if done.Removed, done.Placed, err = write(ctx, tx, frozen, spans, days); err != nil {
		return done, err
	}
	if done.Estimates, err = estimate(ctx, tx, in); err != nil {
		return done, err
	}
	placed := make(map[string]bool)
	for _, s := range spans {
		placed[s.RequestID] = true
	}
	for _, w := range queue {
		if w.State != request.Accepted || !placed[w.ID] {
			continue
		}
		r, err := request.Lock(ctx, tx, w.ID)
		if err != nil {
			return done, err
		}
		if _, err := request.Take(ctx, tx, r, request.Schedule, request.Change{Actor: scheduler, OfficeAt: in.OfficeAt}); err != nil {
			return done, err
		}
		done.Scheduled++
	}
	return done, nil
}

// frozenDay is the day whose plan stays, whether or not its orders are released
// yet: today, unless it turned out to be no hari kerja.
func frozenDay(in PlanInput) clock.Date {
	if today := clock.DateOf(in.OfficeAt); in.Calendar.IsWorkday(today) {
		return today
	}
	return clock.Date{Year: 1, Month: time.January, Day: 1} // before every plan
}

// days reads what the planner may use: from the next hari kerja on.
func days(ctx context.Context, tx *postgres.Tx, in PlanInput) (Days, error) {
	d := Days{Calendar: in.Calendar, First: in.Calendar.Next(clock.DateOf(in.OfficeAt)), Taken: map[clock.Date]int{}}
	var settings []Setting
	if err := tx.Select(ctx, &settings, selectSetting+`WHERE day >= $1`, d.First); err != nil {
		return d, fmt.Errorf("capacity: reading the days' capacity: %w", err)
	}
	set := make(map[clock.Date]int, len(settings))
	for _, s := range settings {
		set[s.Day] = s.Capacity
	}
	usual := in.Default
	if usual == 0 {
		usual = DefaultCapacity
	}
	// A day never has less than what is released on it.
	d.Capacity = func(day clock.Date) int {
		size, ok := set[day]
		if !ok {
			size = usual
		}
		return max(size, d.Taken[day]-1)
	}
	var taken []struct {
		Day  clock.Date `db:"day"`
		Next int        `db:"next"`
	}
	if err := tx.Select(ctx, &taken, `
		SELECT day, max(upper(slots)) AS next FROM work_order
		WHERE day >= $1 AND state IN ('released','closing','closed') GROUP BY day`, d.First); err != nil {
		return d, fmt.Errorf("capacity: reading frozen orders: %w", err)
	}
	for _, t := range taken {
		d.Taken[t.Day] = t.Next
	}
	return d, nil
}

// write brings the planned orders to the wanted spans and leaves those alone
// that stand already.
func write(ctx context.Context, tx *postgres.Tx, frozen clock.Date, spans []Span, days Days) (removed, placed int, err error) {
	var have []plannedOrder
	if err := tx.Select(ctx, &have, `
		SELECT id, request_id, day, lower(slots) AS from_slot, upper(slots) AS to_slot
		FROM work_order WHERE state = 'planned' AND day <> $1 ORDER BY id FOR UPDATE`, frozen); err != nil {
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
	var ids, requests, day []string
	var sizes, from, to []int64
	for _, s := range spans {
		if !wanted[s] {
			continue
		}
		id, err := uuid.NewV7()
		if err != nil {
			return 0, 0, fmt.Errorf("capacity: order id: %w", err)
		}
		ids, requests, day = append(ids, id.String()), append(requests, s.RequestID), append(day, s.Day.String())
		sizes, from, to = append(sizes, int64(days.Capacity(s.Day))), append(from, int64(s.From)), append(to, int64(s.To))
	}
	if err := writeDays(ctx, tx, days.First, days.Capacity); err != nil {
		return 0, 0, err
	}
	if len(ids) == 0 {
		return len(drop), 0, nil
	}
	if _, err := tx.Exec(ctx, `
		INSERT INTO capacity_day (day, capacity)
		SELECT DISTINCT d.day, d.capacity FROM unnest($1::date[], $2::int[]) AS d (day, capacity)
		ON CONFLICT (day) DO NOTHING`, pq.Array(day), pq.Array(sizes)); err != nil {
		return 0, 0, fmt.Errorf("capacity: writing days: %w", err)
	}
	if _, err := tx.Exec(ctx, `
		INSERT INTO work_order (id, request_id, day, capacity, slots, remaining, state)
		SELECT o.id, o.request, o.day, o.capacity, int4range(o.a, o.b), o.b - o.a, 'planned'
		FROM unnest($1::uuid[], $2::uuid[], $3::date[], $4::int[], $5::int[], $6::int[]) AS o (id, request, day, capacity, a, b)`,
		pq.Array(ids), pq.Array(requests), pq.Array(day), pq.Array(sizes), pq.Array(from), pq.Array(to)); err != nil {
		return 0, 0, fmt.Errorf("capacity: writing orders: %w", err)
	}
	return len(drop), len(ids), nil
}

// writeDays brings days that were planned before to the capacity that they have by
// now. Orders that do not fit any more have been removed.
func writeDays(ctx context.Context, tx *postgres.Tx, first clock.Date, size func(clock.Date) int) error {
	var have []struct {
		Day      clock.Date `db:"day"`
		Capacity int        `db:"capacity"`
	}
	if err := tx.Select(ctx, &have, `SELECT day, capacity FROM capacity_day WHERE day >= $1 ORDER BY day`, first); err != nil {
		return fmt.Errorf("capacity: reading days: %w", err)
	}
	var days []string
	var sizes []int64
	for _, d := range have {
		if now := size(d.Day); now != d.Capacity {
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

// estimate writes the span of days of each request that has moved, with the
// cause, and keeps every move; the first promise stays as it was.
func estimate(ctx context.Context, tx *postgres.Tx, in PlanInput) (int, error) {
	n, err := tx.Exec(ctx, `
		WITH moved AS (
			INSERT INTO estimate AS e (request_id, first_start, first_finish, start, finish, cause, moved_at)
			SELECT o.request_id, min(o.day), max(o.day), min(o.day), max(o.day), $1, $2
			FROM work_order o JOIN request r ON r.id = o.request_id
			WHERE o.state <> 'revoked' AND r.state IN ('accepted','scheduled','in_progress')
			GROUP BY o.request_id
			ON CONFLICT (request_id) DO UPDATE
			   SET start = excluded.start, finish = excluded.finish, cause = excluded.cause, moved_at = excluded.moved_at
			   WHERE (e.start, e.finish) IS DISTINCT FROM (excluded.start, excluded.finish)
			RETURNING request_id, start, finish, cause, moved_at)
		INSERT INTO estimate_move (request_id, version, start, finish, cause, moved_at)
		SELECT m.request_id, 1 + coalesce((SELECT max(version) FROM estimate_move b WHERE b.request_id = m.request_id), 0),
		       m.start, m.finish, m.cause, m.moved_at
		FROM moved m`, in.Cause, in.OfficeAt.UTC())
	if err != nil {
		return 0, fmt.Errorf("capacity: writing estimates: %w", err)
	}
	return int(n), nil
}
