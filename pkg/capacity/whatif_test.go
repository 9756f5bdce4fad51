package capacity_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/capacity"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/pkg/workday"
)

// suppose asks on a read-only snapshot, with the calendar of the database.
func (o *office) suppose(t *testing.T, h capacity.Hypotheses) (s capacity.Supposed, err error) {
	t.Helper()
	err = o.db.View(t.Context(), func(ctx context.Context, rd postgres.Reader) error {
		calendar, err := capacity.Calendar(ctx, rd)
		if err != nil {
			return err
		}
		s, err = capacity.WhatIf(ctx, rd, capacity.PlanInput{Calendar: calendar, OfficeAt: o.day.At(10, 0)}, h)
		return err
	})
	return s, err
}

// shifts are the moves of the answer: ticket's place before and after.
func shifts(s capacity.Supposed) (list []string) {
	place := func(p *capacity.Period) string {
		if p == nil {
			return "-"
		}
		return p.Start.String()[8:] + "/" + p.Finish.String()[8:]
	}
	for _, one := range s.Shifts {
		list = append(list, fmt.Sprintf("%s %s %+d", place(one.Before), place(one.After), one.Later))
	}
	return list
}

// fingerprint is of every row of every table, with who wrote it last.
func (o *office) fingerprint(t *testing.T) map[string]string {
	t.Helper()
	var tables []string
	require.NoError(t, o.db.Select(t.Context(), &tables, `SELECT tablename FROM pg_tables WHERE schemaname = 'public'`))
	require.Greater(t, len(tables), 40)
	print := map[string]string{}
	for _, table := range tables {
		var sum string
		require.NoError(t, o.db.Get(t.Context(), &sum, `SELECT count(*)::text || coalesce(md5(string_agg(x.xmin::text || x.ctid::text || x::text, '|' ORDER BY x.ctid)), '') FROM "`+table+`" x`))
		print[table] = sum
	}
	return print
}

func TestWhatIfAsksWithoutTouching(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	first, second, third := o.accepted(t, 8), o.accepted(t, 8), o.accepted(t, 8) // 24; 24 and 25; 25 and 26
	o.replan(t, o.day.At(9, 0))
	o.place(t, capacity.Placement{RequestID: second.ID, Day: clock.MustParseDate("2026-11-25")})
	o.replan(t, o.day.At(9, 30))
	before := o.fingerprint(t)

	// Without a hypothesis the answer is the plan that stands.
	s, err := o.suppose(t, capacity.Hypotheses{})
	require.NoError(t, err)
	require.Len(t, s.Shifts, 3)
	for _, one := range s.Shifts {
		e, err := capacity.EstimateOf(t.Context(), o.db, one.RequestID)
		require.NoError(t, err)
		require.Equal(t, &capacity.Period{Start: e.Start, Finish: e.Finish}, one.Before)
		require.Equal(t, one.Before, one.After)
		require.False(t, one.Moves())
		require.Zero(t, one.Later)
	}
	require.Equal(t, "2026-11-26", s.LastBefore.String())
	require.Equal(t, s.LastBefore, s.LastAfter)
	require.Equal(t, []string{first.ID, second.ID, third.ID}, []string{s.Shifts[0].RequestID, s.Shifts[1].RequestID, s.Shifts[2].RequestID})

	n := func(n int) *int { return &n }
	day := func(text string) clock.Date { return clock.MustParseDate("2026-11-" + text) }
	for name, c := range map[string]struct {
		h    capacity.Hypotheses
		want []string
	}{
		"a smaller day":      {capacity.Hypotheses{Days: []capacity.DaysSupposed{{From: day("24"), Cards: n(4)}}}, []string{"24/24 24/25 +1", "25/25 25/26 +1", "24/26 26/26 +0"}},
		"more a day":         {capacity.Hypotheses{Usual: n(30)}, []string{"24/24 24/24 +0", "25/25 25/25 +0", "24/26 24/24 -2"}},
		"a downtime":         {capacity.Hypotheses{Downtimes: []capacity.DaysSupposed{{From: day("24"), To: day("25"), Cards: n(10)}}}, []string{"24/24 26/26 +2", "25/25 26/27 +2", "24/26 27/30 +2"}},
		"a new holiday":      {capacity.Hypotheses{Holidays: []clock.Date{day("24")}}, []string{"24/24 25/25 +1", "25/25 25/26 +1", "24/26 26/27 +1"}},
		"a request before":   {capacity.Hypotheses{Extra: []capacity.RequestSupposed{{Cards: 20, Disposition: day("20")}}}, []string{"24/24 26/26 +2", "25/25 26/27 +2", "24/26 27/30 +2"}},
		"a request behind":   {capacity.Hypotheses{Extra: []capacity.RequestSupposed{{Cards: 20}}}, []string{"24/24 24/24 +0", "25/25 25/25 +0", "24/26 24/26 +0"}},
		"the first one held": {capacity.Hypotheses{Held: []string{first.Ticket}}, []string{"24/24 - +0", "25/25 25/25 +0", "24/26 24/24 -2"}},
	} {
		s, err := o.suppose(t, c.h)
		require.NoError(t, err, name)
		if name == "a request behind" {
			require.Equal(t, []capacity.Period{{Start: day("26"), Finish: day("30")}}, s.Extra)
		}
		require.Equal(t, c.want, shifts(s), name)
	}
	require.Equal(t, before, o.fingerprint(t), "nothing was written by asking")
}

// TestWhatIfADayWereNotOff takes a holiday of the table away.
func TestWhatIfADayWereNotOff(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.tx(t, func(ctx context.Context, tx *postgres.Tx) error {
		_, err := capacity.AddHoliday(ctx, tx, workday.Holiday{Date: o.next(), Kind: workday.National, Name: "Hari uji", Decree: "SKB"}, o.why("uji"))
		return err
	})
	o.accepted(t, 3)
	o.heard(t, o.day.At(9, 0))
	s, err := o.suppose(t, capacity.Hypotheses{Workdays: []clock.Date{o.next()}})
	require.NoError(t, err)
	require.Equal(t, []string{"25/25 24/24 -1"}, shifts(s))
}

func TestWhatCannotBeSupposed(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	zero, one, many := 0, 1, 100_001
	for want, h := range map[string]capacity.Hypotheses{
		"/usual out_of_range":                             {Usual: &zero},
		"/days/0/from frozen":                             {Days: []capacity.DaysSupposed{{From: o.day, Cards: &zero}}},
		"/days/0/from in_past":                            {Days: []capacity.DaysSupposed{{From: o.day.AddDays(-1), Cards: &zero}}},
		"/days/0/to out_of_range":                         {Days: []capacity.DaysSupposed{{From: o.next(), To: o.day, Cards: &zero}}},
		"/days/0/cards out_of_range":                      {Days: []capacity.DaysSupposed{{From: o.next()}}},
		"/downtimes/0/cards out_of_range":                 {Downtimes: []capacity.DaysSupposed{{From: o.next(), Cards: &many}}},
		"/extra_requests/0/cards out_of_range":            {Extra: []capacity.RequestSupposed{{}}},
		"/extra_requests/0/disposition_date out_of_range": {Extra: []capacity.RequestSupposed{{Cards: 1, Disposition: o.day.AddDays(4000)}}},
		"/extra_requests/1/cards out_of_range":            {Extra: []capacity.RequestSupposed{{Cards: 99_999}, {Cards: 2}}},
		"/holidays/0 missing":                             {Holidays: []clock.Date{{}}},
		"/workdays/0 frozen":                              {Workdays: []clock.Date{o.day}},
		"/hold/0 unknown_value":                           {Held: []string{"PSAM-2026-000009-9"}},
		"/holidays too_many":                              {Holidays: make([]clock.Date, 51)},
		"/workdays too_many":                              {Workdays: make([]clock.Date, 100_000)},
		"/days too_many":                                  {Days: make([]capacity.DaysSupposed, 51)},
		"/hold too_many":                                  {Held: make([]string, 51)},
		"/usual out_of_range ":                            {Usual: &one, Extra: []capacity.RequestSupposed{{Cards: 10_001}}},
		"/extra_requests/0/cards out_of_range ":           {Extra: []capacity.RequestSupposed{{Cards: 1_000_000_000}}},
		"/days/0/to out_of_range ":                        {Days: []capacity.DaysSupposed{{From: o.next(), To: o.next().AddDays(366), Cards: &zero}}},
		"/holidays/0 out_of_range":                        {Holidays: []clock.Date{o.day.AddDays(40_000)}},
	} {
		_, err := o.suppose(t, h)
		require.Equal(t, []string{strings.TrimSpace(want)}, pointers(t, err))
	}
}

// TestWhatIfWaitsForNobody: not for the planner, nor for whoever changes a day.
func TestWhatIfWaitsForNobody(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	r := o.accepted(t, 8)
	o.replan(t, o.day.At(9, 0))
	o.tx(t, func(ctx context.Context, tx *postgres.Tx) error {
		if err := capacity.Lock(ctx, tx); err != nil {
			return err
		}
		if _, err := request.Lock(ctx, tx, r.ID); err != nil {
			return err
		}
		if _, err := capacity.Set(ctx, tx, capacity.Setting{Day: o.next(), Capacity: 4}, o.why("uji")); err != nil {
			return err
		}
		if _, err := capacity.Replan(ctx, tx, capacity.PlanInput{Calendar: shipped(t), OfficeAt: o.day.At(9, 0)}); err != nil {
			return err
		}
		s, err := o.suppose(t, capacity.Hypotheses{Held: []string{r.Ticket}}) // in a transaction of its own
		require.Equal(t, []string{"24/24 - +0"}, shifts(s))
		return err
	})
}
