package planner

import (
	"context"
	"errors"
	"fmt"
	"time"

	"dukcapil.go.id/sifilma/pkg/capacity"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/rabbit"
)

// Only the ticks look at these, and they never overlap.
type memory struct {
	office   time.Time      // when the last tick looked at the office clock
	right    time.Time      // where it was before it went far ahead; zero when it did not
	due      int64          // the newest change of the plan's inputs that it saw
	accepted map[string]int // how many ticks have seen a request without a place
}

// leap is how far the office clock may be ahead of where the last tick left it without
// an alarm, and behind it without a word from people that it is right now.
const leap = 3 * 24 * time.Hour

var errNotLooked = errors.New("the office clock has not been looked at yet")

// trust looks whether the office clock can be worked by, and remembers the answer for
// the bells.
func (p *Planner) trust(ctx context.Context, officeAt time.Time) error {
	err := p.witness(ctx, officeAt)
	if err == nil {
		err = p.watch(ctx, officeAt)
	}
	p.doubt.Store(&err)
	return err
}

// witness compares a clock that follows the machine with the database's. When one of
// them is wrong nothing is run: days would be closed ahead of time, or again.
func (p *Planner) witness(ctx context.Context, officeAt time.Time) error {
	if !p.real {
		return nil
	}
	var there time.Time
	if err := p.db.Get(ctx, &there, `SELECT clock_timestamp()`); err != nil {
		return fmt.Errorf("asking the database for its time: %w", err)
	}
	if officeAt.Sub(there).Abs() > capacity.Slack {
		return fmt.Errorf("the clock of this machine says %s and the database's %s: no work is done by a clock that is wrong; set the one that is",
			officeAt.Format(time.RFC3339), there.UTC().Format(time.RFC3339))
	}
	return nil
}

// watch raises the alarm when the office clock leaps, and makes good what can be when
// it is set back: what was run ahead of time is due again, and the plan is made anew.
// When it is set back far, and not to where it was before this scheduler saw it leap,
// it may as well be wrong now, such as that of a machine whose battery is empty: then
// nothing is run until it goes on, or until people say that it is right (sifilma clock).
func (p *Planner) watch(ctx context.Context, officeAt time.Time) error {
	before, ahead := p.seen.office, clock.DateOf(officeAt)
	if !before.IsZero() && before.Sub(officeAt) <= capacity.Slack && officeAt.Sub(before) <= leap {
		p.seen.office = officeAt
		return nil
	}
	newest, err := capacity.NewestRun(ctx, p.db)
	if err != nil {
		return err
	}
	if before.IsZero() {
		// Only the windows tell of what was before this start. They may have been run by
		// another's clock, or this one is not set yet: the days just ahead may be right.
		before, ahead = newest, clock.DateOf(officeAt.Add(leap))
	}
	switch {
	case before.IsZero():
	case officeAt.Sub(before) > leap:
		p.seen.right = before
		p.log.Error().Ctx(ctx).Time("office", officeAt).Time("before", before).
			Msg("the office clock went far ahead: if this scheduler was not down so long, the clock is wrong, and days are closed and plans moved by it")
	case before.Sub(officeAt) > capacity.Slack:
		returned := !p.seen.right.IsZero() && p.seen.right.Sub(officeAt) <= capacity.Slack
		if newest.Sub(officeAt) > leap && !returned {
			return fmt.Errorf("the office clock says %s, and work was done by it until %s: set the clock, or say that it is right now with 'sifilma clock -right'",
				officeAt.Format(time.RFC3339), newest.UTC().Format(time.RFC3339))
		}
		forgotten := 0
		if err := p.db.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
			in, err := p.input(ctx, tx, officeAt)
			if err != nil {
				return err
			}
			in.Cause = "jam kantor dibetulkan"
			forgotten, err = capacity.SetBack(ctx, tx, in, ahead)
			return err
		}); err != nil {
			return err
		}
		p.seen.right = time.Time{}
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
