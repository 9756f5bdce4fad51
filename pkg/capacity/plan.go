// Package capacity puts cards on the calendar: 250 a hari kerja by default,
// shared between requests and spilled to the next days, in the order of their
// dispositions (features.md I12-I14, K01-K06, N5-N7). It writes the tables
// holiday, capacity_setting, day_change, capacity_day, work_order, estimate,
// estimate_move and schedule_run.
package capacity

import (
	"cmp"
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

// Plan places the demands: greedily, in rank order, each on the first days with
// free slots. It never places a card before the disposition. A demand placed
// later never moves one that ranks before it. Time grows with demands and days
// used.
func Plan(demands []Demand, days Days) []Span {
	queue := slices.Clone(demands)
	slices.SortFunc(queue, func(a, b Demand) int {
		return cmp.Or(a.Disposition.Compare(b.Disposition), cmp.Compare(a.Ticket, b.Ticket), cmp.Compare(a.RequestID, b.RequestID))
	})
	next := make(map[clock.Date]int) // first free slot of a day
	free := func(d clock.Date) (slot, left int) {
		slot, ok := next[d]
		if !ok {
			slot = max(1, days.Taken[d])
		}
		size := DefaultCapacity
		if days.Capacity != nil {
			size = days.Capacity(d)
		}
		return slot, size - slot + 1
	}
	var spans []Span
	frontier := days.Calendar.OnOrAfter(days.First) // no slot is free before it
	for _, q := range queue {
		day := frontier
		if q.Disposition.After(day) {
			day = days.Calendar.OnOrAfter(q.Disposition)
		}
		for cards := q.Cards; cards > 0; {
			slot, left := free(day)
			if left <= 0 {
				if day == frontier {
					frontier = days.Calendar.Next(frontier)
				}
				day = days.Calendar.Next(day)
				continue
			}
			n := min(cards, left)
			spans = append(spans, Span{RequestID: q.RequestID, Day: day, From: slot, To: slot + n})
			next[day] = slot + n
			cards -= n
		}
	}
	return spans
}
