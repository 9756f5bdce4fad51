package capacity_test

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"dukcapil.go.id/sifilma/pkg/capacity"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/workday"
)

// drawn is a queue and the days it is planned on, by chance.
type drawn struct {
	queue []capacity.Demand
	days  capacity.Days
}

func (d drawn) plan() []capacity.Span { return capacity.Plan(d.queue, d.days) }

// drawDays draws a calendar with holidays, overrides of days, and frozen slots.
func drawDays(t *rapid.T) capacity.Days {
	first := clock.MustParseDate("2026-01-01").AddDays(rapid.IntRange(0, 400).Draw(t, "first"))
	off := rapid.SliceOfNDistinct(rapid.IntRange(0, 60), 0, 15, rapid.ID[int]).Draw(t, "holidays")
	var holidays []workday.Holiday
	for _, n := range off {
		holidays = append(holidays, workday.Holiday{Date: first.AddDays(n), Kind: workday.National, Name: "x", Decree: "x"})
	}
	usual := rapid.IntRange(1, 300).Draw(t, "usual capacity")
	set, taken := map[clock.Date]int{}, map[clock.Date]int{}
	for _, n := range rapid.SliceOfNDistinct(rapid.IntRange(0, 40), 0, 10, rapid.ID[int]).Draw(t, "overrides") {
		set[first.AddDays(n)] = rapid.IntRange(0, 500).Draw(t, "capacity")
	}
	for _, n := range rapid.SliceOfNDistinct(rapid.IntRange(0, 10), 0, 3, rapid.ID[int]).Draw(t, "frozen days") {
		taken[first.AddDays(n)] = rapid.IntRange(1, 100).Draw(t, "first free slot")
	}
	return capacity.Days{Calendar: workday.New(holidays), First: first, Taken: taken, Capacity: func(d clock.Date) int {
		size, ok := set[d]
		if !ok {
			size = usual
		}
		return max(size, taken[d]-1)
	}}
}

func drawDemand(t *rapid.T, first clock.Date, parts bool) capacity.Demand {
	n := rapid.IntRange(0, 1_000_000).Draw(t, "ticket")
	d := capacity.Demand{
		RequestID: fmt.Sprint(n), Ticket: fmt.Sprintf("%07d", n), Cards: rapid.IntRange(1, 700).Draw(t, "cards"),
		Disposition: first.AddDays(rapid.IntRange(-20, 20).Draw(t, "disposition")),
	}
	if parts && rapid.Bool().Draw(t, "placed by people") {
		for range rapid.IntRange(1, 4).Draw(t, "parts") {
			d.Parts = append(d.Parts, capacity.Part{
				Day: first.AddDays(rapid.IntRange(-5, 30).Draw(t, "day")), Cards: rapid.IntRange(1, 400).Draw(t, "part"), Pin: rapid.Bool().Draw(t, "pin"),
			})
		}
		if rapid.Bool().Draw(t, "the rest too") {
			d.Parts[0].Cards = 0
		}
	}
	return d
}

func draw(t *rapid.T, parts bool) drawn {
	d := drawn{days: drawDays(t)}
	seen := map[string]bool{}
	for range rapid.IntRange(1, 20).Draw(t, "requests") {
		if one := drawDemand(t, d.days.First, parts); !seen[one.RequestID] {
			seen[one.RequestID] = true
			d.queue = append(d.queue, one)
		}
	}
	return d
}

func byRank(a, b capacity.Demand) int {
	return cmp.Or(a.Disposition.Compare(b.Disposition), cmp.Compare(a.Ticket, b.Ticket))
}

// TestPlanLosesNothingAndFitsTheDays: whatever people decide, each card has one
// slot of a hari kerja that may be planned, not before its disposition, and no day
// is above its capacity.
func TestPlanLosesNothingAndFitsTheDays(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		d := draw(t, true)
		byID := map[string]capacity.Demand{}
		for _, q := range d.queue {
			byID[q.RequestID] = q
		}
		placed, slots := map[string]int{}, map[string]bool{}
		for _, s := range d.plan() {
			placed[s.RequestID] += s.To - s.From
			require.True(t, d.days.Calendar.IsWorkday(s.Day), "%s is no hari kerja", s.Day)
			require.False(t, s.Day.Before(d.days.First))
			require.False(t, s.Day.Before(byID[s.RequestID].Disposition), "placed before its disposition")
			require.Less(t, s.From, s.To)
			require.GreaterOrEqual(t, s.From, max(1, d.days.Taken[s.Day]), "frozen")
			require.LessOrEqual(t, s.To-1, d.days.Capacity(s.Day), "day above capacity")
			for n := s.From; n < s.To; n++ {
				key := fmt.Sprint(s.Day, n)
				require.False(t, slots[key], "slot given twice")
				slots[key] = true
			}
		}
		for _, q := range d.queue {
			require.Equal(t, q.Cards, placed[q.RequestID], "cards lost or placed twice")
		}
	})
}

// TestPlanIsTheSameInAnyOrder of the queue.
func TestPlanIsTheSameInAnyOrder(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		d := draw(t, true)
		want := d.plan()
		d.queue = rapid.Permutation(d.queue).Draw(t, "order")
		for i := range d.queue {
			d.queue[i].Parts = rapid.Permutation(d.queue[i].Parts).Draw(t, "order of parts")
		}
		require.Equal(t, want, d.plan())
	})
}

// TestALaterRequestDelaysNobody, whatever people decided about those before it.
func TestALaterRequestDelaysNobody(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		d := draw(t, true)
		want := d.plan()
		last := drawDemand(t, d.days.First, false)
		last.RequestID, last.Ticket, last.Disposition = "last", "z", d.days.First.AddDays(21)
		d.queue = append(d.queue, last)
		got := slices.DeleteFunc(d.plan(), func(s capacity.Span) bool { return s.RequestID == last.RequestID })
		require.Equal(t, want, got)
	})
}

// TestRankIsKept: of requests that people left alone, all cards of one come before
// all of the next, also with those of others between them.
func TestRankIsKept(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		d := draw(t, true)
		type slot struct {
			day clock.Date
			n   int
		}
		first, last := map[string]slot{}, map[string]slot{}
		before := func(a, b slot) bool { return cmp.Or(a.day.Compare(b.day), cmp.Compare(a.n, b.n)) < 0 }
		for _, s := range d.plan() {
			if have, ok := first[s.RequestID]; !ok || before(slot{s.Day, s.From}, have) {
				first[s.RequestID] = slot{s.Day, s.From}
			}
			if have, ok := last[s.RequestID]; !ok || before(have, slot{s.Day, s.To}) {
				last[s.RequestID] = slot{s.Day, s.To - 1}
			}
		}
		var alone []capacity.Demand
		for _, q := range d.queue {
			if len(q.Parts) == 0 {
				alone = append(alone, q)
			}
		}
		slices.SortFunc(alone, byRank)
		for i := 1; i < len(alone); i++ {
			a, b := alone[i-1].RequestID, alone[i].RequestID
			require.True(t, before(last[a], first[b]), "%s ends after %s begins", a, b)
		}
	})
}

// TestIncrementalIsFromScratch: placing the rest of a queue behind what is placed
// already is the same as placing all at once.
func TestIncrementalIsFromScratch(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		d := draw(t, false)
		slices.SortFunc(d.queue, byRank)
		cut := rapid.IntRange(0, len(d.queue)).Draw(t, "cut")
		head := drawn{d.queue[:cut], d.days}
		spans := head.plan()
		tail := drawn{d.queue[cut:], d.days}
		tail.days.Taken = maps.Clone(d.days.Taken)
		for _, s := range spans {
			tail.days.Taken[s.Day] = max(tail.days.Taken[s.Day], s.To)
		}
		require.Equal(t, d.plan(), append(spans, tail.plan()...))
	})
}

// TestPinsAndMovesAreKept: a pinned request alone gets its day, as far as that has
// slots; one that was moved does not begin before its day, nor does a split part.
func TestPinsAndMovesAreKept(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		d := draw(t, false)
		i := rapid.IntRange(0, len(d.queue)-1).Draw(t, "whose")
		q := &d.queue[i]
		day := d.days.Calendar.OnOrAfter(d.days.First.AddDays(rapid.IntRange(21, 40).Draw(t, "day")))
		cards := rapid.IntRange(0, q.Cards).Draw(t, "cards")
		q.Parts = []capacity.Part{{Day: day, Cards: cards, Pin: rapid.Bool().Draw(t, "pin")}}
		if cards == 0 {
			cards = q.Cards
		}
		on, before := 0, 0
		for _, s := range d.plan() {
			switch {
			case s.RequestID != q.RequestID:
			case s.Day == day:
				on += s.To - s.From
			case s.Day.Before(day):
				before += s.To - s.From
			}
		}
		require.LessOrEqual(t, before, q.Cards-cards)
		if q.Parts[0].Pin {
			room := d.days.Capacity(day) - max(1, d.days.Taken[day]) + 1
			require.GreaterOrEqual(t, on, min(cards, room), "ahead of the queue")
		}
	})
}

// TestADayThatIsOverBindsNobody: what was not presented on the day that people
// chose is in the queue again, with its rank.
func TestADayThatIsOverBindsNobody(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		d := draw(t, false)
		want := d.plan()
		for i := range d.queue {
			d.queue[i].Parts = []capacity.Part{
				{Day: d.over(1), Pin: rapid.Bool().Draw(t, "pin")},
				{Day: d.over(2), Pin: rapid.Bool().Draw(t, "part pinned"), Cards: 5},
			}
		}
		require.Equal(t, want, d.plan())
	})
}

// over is the n-th hari kerja before those that may be planned.
func (d drawn) over(n int) clock.Date {
	day := d.days.First
	for n > 0 {
		if day = day.AddDays(-1); d.days.Calendar.IsWorkday(day) {
			n--
		}
	}
	return day
}

// TestAPartThatIsOverTakesNothingFromTheOthers: whatever else people decided about a
// request, the plan is as if the parts of days that are over had never been made.
func TestAPartThatIsOverTakesNothingFromTheOthers(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		d := draw(t, true)
		for i := range d.queue {
			d.queue[i].Parts = slices.DeleteFunc(d.queue[i].Parts, func(p capacity.Part) bool { return p.Day.Before(d.days.First) })
		}
		want := d.plan()
		for i := range d.queue {
			whole := slices.ContainsFunc(d.queue[i].Parts, func(p capacity.Part) bool { return p.Cards == 0 })
			for n := range rapid.IntRange(0, 3).Draw(t, "parts that are over") {
				cards := rapid.IntRange(1, 400).Draw(t, "their cards")
				if n == 0 && !whole && rapid.Bool().Draw(t, "all that remain") {
					cards = 0
				}
				d.queue[i].Parts = append(d.queue[i].Parts, capacity.Part{Day: d.over(n + 1), Cards: cards, Pin: rapid.Bool().Draw(t, "pin")})
			}
		}
		require.Equal(t, want, d.plan())
	})
}

// TestFewerCardsThanTheParts: when fewer cards remain than parts name, the earlier
// days get theirs.
func TestFewerCardsThanTheParts(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		days := capacity.Days{Calendar: workday.New(nil), First: clock.MustParseDate("2026-11-23"), Capacity: func(clock.Date) int { return 10_000 }}
		q := capacity.Demand{RequestID: "r", Disposition: days.First, Cards: rapid.IntRange(1, 900).Draw(t, "cards")}
		left, want := q.Cards, map[clock.Date]int{}
		for n := range 4 {
			part := capacity.Part{Day: days.First.AddDays(n), Cards: rapid.IntRange(1, 300).Draw(t, "part"), Pin: rapid.Bool().Draw(t, "pin")}
			q.Parts = append(q.Parts, part)
			if got := min(left, part.Cards); got > 0 {
				want[part.Day] += got
				left -= got
			}
		}
		if left > 0 { // what no part names stays where its rank puts it
			want[days.First] += left
		}
		got := map[clock.Date]int{}
		for _, s := range capacity.Plan([]capacity.Demand{q}, days) {
			got[s.Day] += s.To - s.From
		}
		require.Equal(t, want, got)
	})
}
