package capacity_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/configs"
	"dukcapil.go.id/sifilma/pkg/capacity"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/workday"
)

func shippedData(t require.TestingT) workday.Data {
	body, err := configs.Holidays()
	require.NoError(t, err)
	data, err := workday.Parse(body)
	require.NoError(t, err)
	return data
}

func shipped(t require.TestingT) *workday.Calendar { return shippedData(t).Calendar() }

func demands(first clock.Date, cards ...int) []capacity.Demand {
	var list []capacity.Demand
	for i, n := range cards {
		list = append(list, capacity.Demand{RequestID: fmt.Sprint("r", i), Disposition: first, Ticket: fmt.Sprintf("%04d", i), Cards: n})
	}
	return list
}

// perDay sums the cards of each day in order of days.
func perDay(spans []capacity.Span) (days []clock.Date, cards []int) {
	for _, s := range spans {
		if len(days) == 0 || days[len(days)-1] != s.Day {
			days, cards = append(days, s.Day), append(cards, 0)
		}
		cards[len(cards)-1] += s.To - s.From
	}
	return days, cards
}

// TestPlanExamples are the examples of the procedure and its FAQ (features.md
// I14, K03, K06, N5).
func TestPlanExamples(t *testing.T) {
	t.Parallel()
	monday := clock.MustParseDate("2026-11-23")
	for name, c := range map[string]struct {
		cards []int
		want  []int
	}{
		"250 fit one day":                         {[]int{250}, []int{250}},
		"the 251st moves on":                      {[]int{251}, []int{250, 1}},
		"929 take four days":                      {[]int{929}, []int{250, 250, 250, 179}},
		"100, 200 and 300 share and spill":        {[]int{100, 200, 300}, []int{250, 250, 100}},
		"500 queued, 250 asked: on the third day": {[]int{500, 250}, []int{250, 250, 250}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			spans := capacity.Plan(demands(monday, c.cards...), capacity.Days{Calendar: shipped(t), First: monday})
			_, got := perDay(spans)
			require.Equal(t, c.want, got)
		})
	}
}

func TestPlanSkipsHolidays(t *testing.T) {
	t.Parallel()
	eve := clock.MustParseDate("2026-12-23") // 24 cuti bersama, 25 Natal, then a weekend
	spans := capacity.Plan(demands(eve, 300), capacity.Days{Calendar: shipped(t), First: eve})
	days, cards := perDay(spans)
	require.Equal(t, []clock.Date{eve, clock.MustParseDate("2026-12-28")}, days)
	require.Equal(t, []int{250, 50}, cards)
}

func TestPlanLeavesFrozenSlotsAlone(t *testing.T) {
	t.Parallel()
	monday := clock.MustParseDate("2026-11-23")
	spans := capacity.Plan(demands(monday, 200), capacity.Days{Calendar: shipped(t), First: monday, Taken: map[clock.Date]int{monday: 101}})
	require.Equal(t, []capacity.Span{
		{RequestID: "r0", Day: monday, From: 101, To: 251},
		{RequestID: "r0", Day: clock.MustParseDate("2026-11-24"), From: 1, To: 51},
	}, spans)
}

// TestCardsThatWerePutOffStayPutOff: of 200 cards 100 were split off for Monday and
// 100 for a week later. On Tuesday, whatever of Monday's is left, no card of the
// later part is planned now.
func TestCardsThatWerePutOffStayPutOff(t *testing.T) {
	t.Parallel()
	monday, later := clock.MustParseDate("2026-11-23"), clock.MustParseDate("2026-11-30")
	tuesday := monday.AddDays(1)
	for left, want := range map[int]map[clock.Date]int{
		100: {later: 100},
		130: {tuesday: 30, later: 100},
		60:  {later: 60},
	} {
		list := demands(monday, left)
		list[0].Parts = []capacity.Part{{Day: monday, Cards: 100, Pin: true}, {Day: later, Cards: 100}}
		got := map[clock.Date]int{}
		for _, s := range capacity.Plan(list, capacity.Days{Calendar: shipped(t), First: tuesday}) {
			got[s.Day] += s.To - s.From
		}
		require.Equal(t, want, got, "%d left", left)
	}
}

// TestAPinOnANewHolidayHoldsForTheNextDay: a day that became a holiday is not over
// before the hari kerja after it, also when that is the next to be planned.
func TestAPinOnANewHolidayHoldsForTheNextDay(t *testing.T) {
	t.Parallel()
	tuesday := clock.MustParseDate("2026-11-24")
	calendar := workday.New([]workday.Holiday{{Date: tuesday, Kind: workday.National, Name: "x", Decree: "x"}})
	list := demands(tuesday.AddDays(-4), 250, 10)
	list[1].Parts = []capacity.Part{{Day: tuesday, Pin: true}}
	for _, first := range []clock.Date{tuesday.AddDays(-1), tuesday.AddDays(1)} {
		for _, s := range capacity.Plan(list, capacity.Days{Calendar: calendar, First: first}) {
			if s.RequestID == "r1" {
				require.Equal(t, capacity.Span{RequestID: "r1", Day: tuesday.AddDays(1), From: 1, To: 11}, s, "planned from %s", first)
			}
		}
	}
}

func BenchmarkPlan(b *testing.B) {
	monday := clock.MustParseDate("2026-11-23")
	calendar := shipped(b)
	for _, n := range []int{10_000, 100_000, 1_000_000} {
		queue := make([]int, n/50)
		for i := range queue {
			queue[i] = 50
		}
		list := demands(monday, queue...)
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			for b.Loop() {
				capacity.Plan(list, capacity.Days{Calendar: calendar, First: monday})
			}
		})
	}
}
