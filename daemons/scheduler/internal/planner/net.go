package planner

import (
	"context"
	"time"

	"dukcapil.go.id/sifilma/pkg/capacity"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/rabbit"
)

// Only the ticks look at these, and they never overlap.
type memory struct {
	office   time.Time      // when the last tick looked at the office clock
	due      int64          // the newest change of the plan's inputs that it saw
	accepted map[string]int // how many ticks have seen a request without a place
}

// How far the office clock may be from where the last tick left it. A clock that
// wobbles is no cause; what it ran ahead of time within this it has run.
const (
	wobble = time.Hour
	leap   = 3 * 24 * time.Hour
)

// watch raises the alarm when the office clock leaps, and makes good what can be when
// it is set back: what was run ahead of time is due again, and the plan is made anew.
func (p *Planner) watch(ctx context.Context, officeAt time.Time) error {
	before, ahead := p.seen.office, clock.DateOf(officeAt)
	if before.IsZero() {
		// Only the windows tell of what was before this start. They may have been run by
		// another's clock, or this one is not set yet: the days just ahead may be right.
		ahead = clock.DateOf(officeAt.Add(leap))
		var err error
		if before, err = capacity.NewestRun(ctx, p.db); err != nil {
			return err
		}
	}
	switch {
	case before.IsZero():
	case officeAt.Sub(before) > leap:
		p.log.Error().Ctx(ctx).Time("office", officeAt).Time("before", before).
			Msg("the office clock went far ahead: if this scheduler was not down so long, the clock is wrong, and days are closed and plans moved by it")
	case before.Sub(officeAt) > wobble:
		forgotten := 0
		if err := p.db.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) (err error) {
			if err := capacity.Lock(ctx, tx); err != nil {
				return err
			}
			if forgotten, err = capacity.ForgetRuns(ctx, tx, officeAt.Add(wobble)); err != nil {
				return err
			}
			if err := capacity.TakeBackAhead(ctx, tx, ahead, officeAt); err != nil {
				return err
			}
			_, err = p.plan(ctx, tx, officeAt, "jam kantor dibetulkan")
			return err
		}); err != nil {
			return err
		}
		p.log.Error().Ctx(ctx).Time("office", officeAt).Time("before", before).Int("forgotten", forgotten).
			Msg("the office clock was set back; what was run ahead of it is due again, and the plan is made anew: look at what was closed")
	}
	p.seen.office = officeAt
	return nil
}

// catch plans with what no bell has told of: with changes of the plan's inputs that
// the last tick saw already, and with requests that were without a place then.
func (p *Planner) catch(ctx context.Context) error {
	w, err := capacity.WaitsNow(ctx, p.db)
	if err != nil {
		return err
	}
	due := w.Oldest > 0 && w.Oldest <= p.seen.due
	waited := make(map[string]int, len(w.Accepted))
	var events []rabbit.Event
	for _, id := range w.Accepted {
		waited[id] = p.seen.accepted[id] + 1
		if waited[id] == 2 { // once: one that finds no place now, finds none at the next tick
			events = append(events, rabbit.Event{Type: rabbit.RequestAccepted, Request: id})
		}
	}
	if due || len(events) > 0 {
		if err := p.db.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error { return p.hear(ctx, tx, events, due) }); err != nil {
			return err
		}
		p.log.Warn().Ctx(ctx).Int("accepted", len(events)).Bool("changes", due).Msg("no bell told of it in time: planned without")
	}
	p.seen.due, p.seen.accepted = w.Newest, waited
	return nil
}
