package planner

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/rs/zerolog"

	"dukcapil.go.id/sifilma/pkg/capacity"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/rabbit"
)

// Only the ticks look at these, and they never overlap.
type memory struct {
	office   time.Time      // the furthest that the office clock was when it was worked by
	at       time.Time      // when that was, on the machine's monotonic clock
	right    time.Time      // where it was before it went far ahead; zero when it did not, or long ago
	leapt    time.Time      // where it was then
	wrong    bool           // the last tick did not work by it
	due      int64          // the newest change of the plan's inputs that it saw
	accepted map[string]int // how many ticks have seen a request without a place
	finished []string       // requests that were found finished at the last look
	counted  time.Time      // when that was
}

// counting is how often the requests are counted of which all cards have ended: that
// looks at more than the other ticks do.
const counting = time.Minute

// leap is how far the office clock may be ahead of where the last tick left it without
// an alarm, and behind it without a word from people that it is right now. A clock that
// follows the machine's gives the alarm sooner: the machine counts what passes.
const leap = 3 * 24 * time.Hour

// moved counts what the log tells of.
var moved = promauto.NewCounterVec(prometheus.CounterOpts{
	Name: "sifilma_office_clock_moved_total", Help: "How often the office clock went far ahead, or was set back. Zero in a run where it is right.",
}, []string{"to"})

func init() {
	for _, to := range []string{"ahead", "back"} {
		moved.WithLabelValues(to) // an alert sees a counter grow, not appear
	}
}

var (
	errNotLooked = errors.New("the office clock has not been looked at yet")
	errWrong     = errors.New("no work is done by a clock that is wrong")
)

// look is what the last tick found when it looked at the office clock.
type look struct {
	office time.Time
	doubt  error // why it is not worked by
}

// trust looks whether the office clock can be worked by, and remembers the answer for
// the bells.
func (p *Planner) trust(ctx context.Context, officeAt time.Time) error {
	err := p.witness(ctx, officeAt)
	if err == nil {
		err = p.watch(ctx, officeAt)
	}
	p.looked.Store(&look{officeAt, err})
	p.first.Do(func() { close(p.begun) })
	return err
}

// Trusted is what the office clock said at the last tick. It waits for the first, and
// fails while the clock is in doubt.
func (p *Planner) Trusted(ctx context.Context) (time.Time, error) {
	select {
	case <-p.begun:
	case <-ctx.Done():
		return time.Time{}, ctx.Err()
	}
	last := p.looked.Load()
	return last.office, last.doubt
}

// now is the office clock between the ticks. It fails while the clock is in doubt, and
// when it is not where the last tick saw it: the next one looks again.
func (p *Planner) now() (officeAt time.Time, err error) {
	last := p.looked.Load()
	if last.doubt != nil {
		return officeAt, last.doubt
	}
	if officeAt = p.office.Now(); officeAt.Sub(last.office).Abs() > capacity.Slack {
		return officeAt, fmt.Errorf("%w: it says %s now", errNotLooked, officeAt.Format(time.RFC3339))
	}
	return officeAt, nil
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
		return fmt.Errorf("the clock of this machine says %s and the database's %s: %w; set the one that is",
			officeAt.Format(time.RFC3339), there.UTC().Format(time.RFC3339), errWrong)
	}
	return nil
}

// watch raises the alarm when the office clock leaps, and makes good what can be when
// it is set back: what was run ahead of time is due again, and the plan is made anew.
// When it is set back far, and not to where it was before this scheduler saw it leap,
// it may as well be wrong now, such as that of a machine whose battery is empty: then
// nothing is run until it goes on, or until people say that it is right (sifilma clock).
func (p *Planner) watch(ctx context.Context, officeAt time.Time) error {
	before, ahead := p.seen.office, clock.DateOf(officeAt.Add(capacity.Slack)) // what SetBack does not forget, stays
	most, now := leap, time.Now()
	if p.real && !before.IsZero() {
		most = now.Sub(p.seen.at) + capacity.Slack
	}
	if officeAt.Sub(p.seen.leapt) > leap { // it went on from there: it was right
		p.seen.right = time.Time{}
	}
	if !before.IsZero() && before.Sub(officeAt) <= capacity.Slack && officeAt.Sub(before) <= most {
		if officeAt.After(before) { // it is not set back in steps, each of them a wobble
			p.seen.office, p.seen.at = officeAt, now
		}
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
	case officeAt.Sub(before) > most:
		if officeAt.Sub(before) > leap {
			p.seen.right, p.seen.leapt = before, officeAt
		}
		moved.WithLabelValues("ahead").Inc()
		grave := zerolog.WarnLevel // a clock that people step, such as the demo's, goes ahead at their will
		if p.real {
			grave = zerolog.ErrorLevel
		}
		p.log.WithLevel(grave).Ctx(ctx).Time("office", officeAt).Time("before", before).
			Msg("the office clock went far ahead: if this scheduler was not down so long, the clock is wrong, and days are closed and plans moved by it")
	case before.Sub(officeAt) > capacity.Slack:
		returned := !p.seen.right.IsZero() && p.seen.right.Sub(officeAt) <= capacity.Slack && officeAt.Sub(p.seen.right) <= leap
		if newest.Sub(officeAt) > leap && !returned {
			return fmt.Errorf("the office clock says %s, and work was done by it until %s: %w; set the clock, or say that it is right now with 'sifilma clock -right'",
				officeAt.Format(time.RFC3339), newest.UTC().Format(time.RFC3339), errWrong)
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
		moved.WithLabelValues("back").Inc()
		p.log.Error().Ctx(ctx).Time("office", officeAt).Time("before", before).Int("forgotten", forgotten).
			Msg("the office clock was set back; what was run ahead of it is due again, and the plan is made anew: look at what was closed")
	}
	p.seen.office, p.seen.at = officeAt, now
	return nil
}

// catch plans with what no bell has told of: with changes of the plan's inputs that
// the last tick saw already, and with requests that were without a place then. It ends
// requests that were finished a look ago.
func (p *Planner) catch(ctx context.Context, officeAt time.Time) error {
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
	ended, err := p.ended(ctx)
	if err != nil {
		return err
	}
	for _, id := range ended {
		events = append(events, rabbit.Event{Type: rabbit.WorkorderFinished, Request: id})
	}
	if due || len(events) > 0 {
		if err := p.db.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error { return p.hear(ctx, tx, officeAt, events, due) }); err != nil {
			return err
		}
		p.log.Warn().Ctx(ctx).Int("accepted", len(events)-len(ended)).Int("finished", len(ended)).Bool("changes", due).Msg("no bell told of it in time: planned without")
	}
	p.seen.due, p.seen.accepted = w.Newest, waited
	return nil
}

// ended counts, from time to time, the requests in production that are finished, and
// returns those that were so the last time already: their bell has had its chance.
func (p *Planner) ended(ctx context.Context) (late []string, err error) {
	now := time.Now()
	if now.Sub(p.seen.counted) < counting {
		return nil, nil
	}
	found, err := perso.Finished(ctx, p.db)
	if err != nil {
		return nil, err
	}
	for _, id := range found {
		if slices.Contains(p.seen.finished, id) {
			late = append(late, id)
		}
	}
	p.seen.finished, p.seen.counted = found, now
	return late, nil
}
