// Package capacity puts cards on the calendar: 250 a hari kerja by default,
// shared between requests and spilled to the next days, in the order of their
// dispositions (features.md I12-I14, K01-K06, N5-N7). People enter holidays, the
// capacity of days, downtimes of stations, and where cards of a request are to go;
// the planner alone makes work orders of it.
//
// It writes the tables holiday, capacity_setting, station_downtime, placement,
// day_command, day_change, order_mode, plan_parameter, capacity_day, work_order, day_balance,
// estimate, estimate_move, schedule_run and plan_due, which triggers fill.
package capacity

import (
	"cmp"
	"maps"
	"slices"

	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/workday"
)

// DefaultCapacity is the number of cards of a hari kerja (features.md I13).
const DefaultCapacity = 250

// Demand is the cards of one request that wait for a day.
type Demand struct {
	RequestID   string
	Disposition clock.Date // ranks the queue (features.md I12)
	Ticket      string     // breaks ties
	Cards       int
	// Parts are what people decided about its place. Without any, all cards go
	// where the rank puts them.
	Parts []Part
}

// Part is cards of a demand that people took out of the order of the queue.
type Part struct {
	Day   clock.Date
	Cards int // 0: all that other parts leave; at most one part says so
	// Pin puts the cards on the day ahead of the queue, what the day cannot hold on
	// those after it; else they keep their rank and do not come before the day.
	Pin bool
}

// Span is a run of slots of a day, From..To-1, counted from 1.
type Span struct {
	RequestID string
	Day       clock.Date
	From, To  int
}

// Days tells the planner what it may use.
type Days struct {
	Calendar *workday.Calendar
	// First is the first day that may still be planned.
	First clock.Date
	// Capacity is a day's number of cards; nil means DefaultCapacity on each day.
	Capacity func(clock.Date) int
	// Taken is the first free slot of days on which orders are frozen.
	Taken map[clock.Date]int
}

// size is the capacity of a day.
func (d Days) size(day clock.Date) int {
	if d.Capacity == nil {
		return DefaultCapacity
	}
	return d.Capacity(day)
}

// piece is cards of a demand that are placed alike.
type piece struct {
	requestID string
	notBefore clock.Date
	cards     int
}

// Plan places the demands: what is pinned first, the rest greedily in the order of
// their ranks, each on the first days with free slots. It never places a card
// before the disposition. A demand placed later never moves one that ranks before
// it, unless people pinned it. Time grows with demands and days used.
func Plan(demands []Demand, days Days) []Span {
	queue := ranked(demands)
	var pinned, free []piece
	for _, q := range queue {
		if len(q.Parts) == 0 {
			free = append(free, piece{q.RequestID, q.Disposition, q.Cards})
			continue
		}
		p, f := pieces(q, days)
		pinned, free = append(pinned, p...), append(free, f...)
	}
	slices.SortStableFunc(pinned, func(a, b piece) int { return a.notBefore.Compare(b.notBefore) })

	f := filler{days: days, next: make(map[clock.Date]int), frontier: days.Calendar.OnOrAfter(days.First)}
	for _, p := range pinned {
		f.place(p)
	}
	for _, p := range free {
		f.place(p)
	}
	return joined(f.spans)
}

// ranked returns the demands in the order of their ranks. They are dealt out by date
// first: there are few dates, and those of one date mostly come in the order of their
// tickets, so that time grows with the demands.
func ranked(demands []Demand) []Demand {
	next := make(map[clock.Date]int) // first the number of a date's demands, then where its next one goes
	for i := range demands {
		next[demands[i].Disposition]++
	}
	dates := slices.SortedFunc(maps.Keys(next), clock.Date.Compare)
	start := 0
	for _, d := range dates {
		start, next[d] = start+next[d], start
	}
	queue := make([]Demand, len(demands))
	for i := range demands {
		at := &demands[i].Disposition
		queue[next[*at]] = demands[i]
		next[*at]++
	}
	byTicket := func(a, b Demand) int {
		return cmp.Or(cmp.Compare(a.Ticket, b.Ticket), cmp.Compare(a.RequestID, b.RequestID))
	}
	start = 0
	for _, d := range dates {
		if one := queue[start:next[d]]; !slices.IsSortedFunc(one, byTicket) {
			slices.SortFunc(one, byTicket)
		}
		start = next[d]
	}
	return queue
}

// pieces cuts a demand as people decided. When fewer cards remain than its parts
// name, the earlier days get theirs. A part whose day is over binds nobody and is
// as if it had never been made: nobody knows which cards were its own, and those of
// the parts that still bind must not be used up by it.
func pieces(q Demand, days Days) (pinned, free []piece) {
	parts := slices.DeleteFunc(slices.Clone(q.Parts), func(p Part) bool {
		// A day that became a holiday is not over before the hari kerja after it.
		return days.Calendar.OnOrAfter(p.Day).Before(days.First)
	})
	slices.SortFunc(parts, func(a, b Part) int {
		pin := map[bool]int{true: 0, false: 1}
		return cmp.Or(a.Day.Compare(b.Day), cmp.Compare(pin[a.Pin], pin[b.Pin]), cmp.Compare(a.Cards, b.Cards))
	})
	rest := Part{}
	left := q.Cards
	cut := func(p Part, cards int) {
		one := piece{q.RequestID, q.Disposition, cards}
		if p.Day.After(one.notBefore) {
			one.notBefore = p.Day
		}
		switch {
		case cards == 0:
		case p.Pin:
			pinned = append(pinned, one)
		default:
			free = append(free, one)
		}
	}
	for _, p := range parts {
		if p.Cards == 0 {
			rest = p
			continue
		}
		n := min(p.Cards, left)
		left -= n
		cut(p, n)
	}
	cut(rest, left)
	// Of one request the earlier days are filled first.
	slices.SortStableFunc(free, func(a, b piece) int { return a.notBefore.Compare(b.notBefore) })
	return pinned, free
}

// filler fills days from their first slot on.
type filler struct {
	days     Days
	next     map[clock.Date]int // first free slot of a day
	frontier clock.Date         // no slot is free before it
	spans    []Span
}

func (f *filler) free(d clock.Date) (slot, left int) {
	slot, ok := f.next[d]
	if !ok {
		slot = max(1, f.days.Taken[d])
	}
	return slot, f.days.size(d) - slot + 1
}

func (f *filler) place(p piece) {
	day := f.frontier
	if p.notBefore.After(day) {
		day = f.days.Calendar.OnOrAfter(p.notBefore)
	}
	for cards := p.cards; cards > 0; {
		slot, left := f.free(day)
		if left <= 0 {
			if day == f.frontier {
				f.frontier = f.days.Calendar.Next(f.frontier)
			}
			day = f.days.Calendar.Next(day)
			continue
		}
		n := min(cards, left)
		f.spans = append(f.spans, Span{RequestID: p.requestID, Day: day, From: slot, To: slot + n})
		f.next[day] = slot + n
		cards -= n
	}
}

// joined makes one span of neighbours of one request, so that a plan does not tell
// how it was cut.
func joined(spans []Span) []Span {
	last := make(map[clock.Date]int) // index of a day's last span
	out := spans[:0]
	for _, s := range spans {
		if i, ok := last[s.Day]; ok && out[i].RequestID == s.RequestID && out[i].To == s.From {
			out[i].To = s.To
			continue
		}
		last[s.Day] = len(out)
		out = append(out, s)
	}
	return out
}
