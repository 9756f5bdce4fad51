package report

import (
	"context"
	"fmt"
	"time"

	"dukcapil.go.id/sifilma/pkg/capacity"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/stage"
	"dukcapil.go.id/sifilma/pkg/workday"
)

// MostAsked is how many cards an outlook can be asked for.
const MostAsked = 20_000

// Work is what that lies ahead: requests, and their cards.
type Work struct {
	Requests int `db:"requests" json:"requests"`
	Cards    int `db:"cards" json:"cards"`
}

// FreeDay is a hari kerja that has room.
type FreeDay struct {
	Day  clock.Date `json:"day"`
	Free int        `json:"free"` // cards
}

// Course is how a request would go: its personalisation, and the day on which all is
// handed over.
type Course struct {
	Start  clock.Date `json:"start"`
	Finish clock.Date `json:"finish"`
	Ready  clock.Date `json:"ready"`
}

// Outlook is what anybody may know of the queue, and how a request would go that is
// sent today. Nobody is named in it.
type Outlook struct {
	AsOf      time.Time `json:"as_of"`      // by the office's clock
	Queue     Work      `json:"queue"`      // on the calendar and not made yet
	InProcess Work      `json:"in_process"` // sent in, not on the calendar yet
	// NextFree is the first hari kerja from tomorrow on that has room; nil when there
	// is none in sight.
	NextFree *FreeDay `json:"next_free"`
	Cards    int      `json:"cards"` // that were asked for
	// Before is how many hari kerja the stages before personalisation take.
	Before stage.Limit `json:"before"`
	// Earliest and Latest are the course when the stages before take their least and
	// their most; nil when no day in sight has room.
	Earliest *Course `json:"earliest"`
	Latest   *Course `json:"latest"`
	// UnknownYear is the first year that these dates reach and that has no calendar:
	// there they are guesses. 0 for none.
	UnknownYear int `json:"unknown_year"`
}

// Prospect is what outlooks of one moment are made of.
type Prospect struct {
	asOf             time.Time
	received         clock.Date // on which a request counts as received that is sent now
	calendar         *workday.Calendar
	queue, inProcess Work
	days             []capacity.DayLoad // today first
	// What the stages before a request's personalisation take, and those after it:
	// letter and approval; papers and handover (features.md N1).
	before, after stage.Limit
}

// Days that an outlook looks at: at first, and at most, when those are full.
const (
	outlookDays = 150
	outlookMost = 4_800
)

// ReadProspect reads the state of the queue in a few sums, on one snapshot.
func ReadProspect(ctx context.Context, db *postgres.DB, officeAt time.Time, hours workday.OfficeHours) (*Prospect, error) {
	p := &Prospect{asOf: officeAt}
	err := db.View(ctx, func(ctx context.Context, rd postgres.Reader) (err error) {
		if p.calendar, err = capacity.Calendar(ctx, rd); err != nil {
			return err
		}
		rules, err := stage.CurrentRules(ctx, rd)
		if err != nil {
			return err
		}
		p.before, p.after = both(rules.Letter, rules.Decision), both(rules.Documents, rules.Handover)
		p.received = p.calendar.ReceivedOn(officeAt, hours)
		if err := rd.Get(ctx, &p.queue, `
			SELECT count(DISTINCT request_id) AS requests, coalesce(sum(remaining), 0) AS cards
			FROM work_order WHERE state IN ('planned', 'released', 'closing') AND remaining > 0`); err != nil {
			return fmt.Errorf("report: length of the queue: %w", err)
		}
		if err := rd.Get(ctx, &p.inProcess, `
			SELECT count(*) AS requests, coalesce(sum(card_count), 0) AS cards
			FROM request WHERE state IN ('submitted', 'resubmitted', 'validated', 'registered', 'approved')`); err != nil {
			return fmt.Errorf("report: requests on their way to the queue: %w", err)
		}
		in := capacity.PlanInput{Calendar: p.calendar, OfficeAt: officeAt}
		for n := outlookDays; ; n *= 2 {
			if p.days, err = capacity.Ahead(ctx, rd, in, n); err != nil {
				return err
			}
			if n >= outlookMost || p.room() >= p.inProcess.Cards+MostAsked {
				return nil
			}
		}
	})
	return p, err
}

func both(a, b stage.Limit) stage.Limit { return stage.Limit{Min: a.Min + b.Min, Max: a.Max + b.Max} }

// room is how many cards fit behind all that may come before a request of today.
func (p *Prospect) room() (n int) {
	after := p.calendar.Add(p.received, p.before.Max)
	for _, d := range p.days {
		if d.Day.After(after) {
			n += d.Free()
		}
	}
	return n
}

// For is the outlook of a request of so many cards.
func (p *Prospect) For(cards int) Outlook {
	o := Outlook{AsOf: p.asOf, Queue: p.queue, InProcess: p.inProcess, Cards: cards, Before: p.before}
	today := clock.DateOf(p.asOf)
	for _, d := range p.days {
		if d.Day.After(today) && d.Free() > 0 { // today's plan is fixed
			o.NextFree = &FreeDay{d.Day, d.Free()}
			break
		}
	}
	o.Earliest, o.Latest = p.course(cards, p.before.Min, p.after.Min), p.course(cards, p.before.Max, p.after.Max)
	last := today
	if o.Latest != nil {
		last = o.Latest.Ready
	}
	if missing := p.calendar.Missing(today.Year, last.Year); len(missing) > 0 {
		o.UnknownYear = missing[0]
	}
	return o
}

// course places a request behind all that is planned, for the plan fills by rank,
// and behind what was sent in before it: that will rank before it as a rule.
func (p *Prospect) course(cards, before, after int) *Course {
	first := p.calendar.Add(p.received, before)
	ahead := p.inProcess.Cards
	c := &Course{}
	for _, d := range p.days {
		free := d.Free()
		if !d.Day.After(first) || free <= ahead {
			if d.Day.After(first) {
				ahead -= free
			}
			continue
		}
		free -= ahead
		ahead = 0
		if c.Start.IsZero() {
			c.Start = d.Day
		}
		if cards -= free; cards <= 0 {
			c.Finish = d.Day
			c.Ready = p.calendar.Add(d.Day, after)
			return c
		}
	}
	return nil
}
