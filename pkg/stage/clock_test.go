package stage_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"dukcapil.go.id/sifilma/configs"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/pkg/stage"
	"dukcapil.go.id/sifilma/pkg/workday"
)

func shipped(t require.TestingT) (*workday.Calendar, stage.Rules) {
	b, err := configs.Holidays()
	require.NoError(t, err)
	data, err := workday.Parse(b)
	require.NoError(t, err)
	rules := stage.Defaults()
	rules.Hours = data.Hours
	return data.Calendar(), rules
}

func day(s string) clock.Date { return clock.MustParseDate(s) }

func on(s string) *clock.Date {
	d := day(s)
	return &d
}

// at is 10.00 WIB of a day, or the time that is given.
func at(s string) time.Time {
	if len(s) == len("2026-01-02") {
		return day(s).At(10, 0)
	}
	t, err := time.ParseInLocation("2006-01-02 15:04", s, clock.Jakarta)
	if err != nil {
		panic(err)
	}
	return t
}

// course makes a course of pairs: state, time.
func course(pairs ...string) stage.Course {
	var c stage.Course
	for i := 0; i+1 < len(pairs); i += 2 {
		c.Steps = append(c.Steps, stage.Step{To: machine.State(pairs[i]), At: at(pairs[i+1])})
	}
	return c
}

func TestDefaultsAreTheProcedure(t *testing.T) {
	t.Parallel()
	require.NoError(t, stage.Defaults().Validate())
	require.Equal(t, stage.Limit{Min: 8, Max: 18}, stage.Defaults().Of(stage.Total))
}

func TestRulesThatAreNone(t *testing.T) {
	t.Parallel()
	for want, spoil := range map[string]func(*stage.Rules){
		"decision: min 6 and max 5":   func(r *stage.Rules) { r.Decision.Min = 6 },
		"handover: min 0 and max 0":   func(r *stage.Rules) { r.Handover = stage.Limit{} },
		"documents: min 2 and max 90": func(r *stage.Rules) { r.Documents.Max = 90 },
		"warn is -1":                  func(r *stage.Rules) { r.Warn = -1 },
		"warn_total is 18":            func(r *stage.Rules) { r.WarnTotal = 18 },
	} {
		r := stage.Defaults()
		spoil(&r)
		require.ErrorContains(t, r.Validate(), want)
	}
}

// TestOverIdulfitri holds users.md B.2 (2026-03-16 + 8 = 2026-04-02, + 18 = 2026-04-17)
// for a request that goes straight on, and each stage's days by hand.
func TestOverIdulfitri(t *testing.T) {
	t.Parallel()
	calendar, rules := shipped(t)
	c := course("submitted", "2026-03-16", "validated", "2026-03-16")
	c.Letter = on("2026-03-16")
	k := stage.Compute(c, calendar, rules, day("2026-03-16"))
	require.Equal(t, []any{"2026-04-02", "2026-04-17", "2026-03-26", stage.OnTime, -3},
		[]any{k.EarliestOn.String(), k.PromisedOn.String(), k.Stages[0].DueOn.String(), k.Status, k.Over})

	// Nyepi, Idulfitri and their joint leave are 18 to 24 March; two hari kerja have passed by the 25th.
	for today, want := range map[string]stage.Status{"2026-03-24": stage.OnTime, "2026-03-25": stage.Warning, "2026-03-26": stage.Warning, "2026-03-27": stage.Late} {
		require.Equal(t, want, stage.Compute(c, calendar, rules, day(today)).Status, today)
	}

	c = course("submitted", "2026-03-16", "validated", "2026-03-16", "registered", "2026-03-25", "approved", "2026-03-26", "accepted", "2026-03-30",
		"scheduled", "2026-03-30", "in_progress", "2026-03-31", "done", "2026-03-31")
	c.Letter, c.Signed, c.HandedOver = on("2026-03-16"), on("2026-04-01"), on("2026-04-02")
	k = stage.Compute(c, calendar, rules, day("2026-05-01"))
	var days []int
	for _, s := range k.Stages {
		require.Equal(t, s.Office, s.Applicant)
		require.Equal(t, stage.OnTime, s.Status)
		days = append(days, s.Office)
	}
	require.Equal(t, []int{2, 3, 1, 1, 1}, days)
	require.Equal(t, []any{8, 8, "2026-04-02", stage.Handover, stage.OnTime}, []any{k.Office, k.Applicant, k.EndedOn.String(), k.Stage, k.Status})
	require.Nil(t, k.PromisedOn)

	// Parts that went out before the end end nothing: the papers of the whole are still owed,
	// and the clocks stop when these are signed.
	c.Signed, c.HandedOver = nil, on("2026-03-27")
	k = stage.Compute(c, calendar, rules, day("2026-04-01"))
	require.Equal(t, []any{stage.Documents, 1}, []any{k.Stage, k.Stages[3].Office})
	require.Nil(t, k.EndedOn)
	c.Signed = on("2026-04-01")
	k = stage.Compute(c, calendar, rules, day("2026-05-01"))
	require.Equal(t, []any{7, 7, "2026-04-01", 0}, []any{k.Office, k.Applicant, k.EndedOn.String(), k.Stages[4].Office})
}

// TestTheTwoClocks is a request whose letter comes late, that is returned and held.
func TestTheTwoClocks(t *testing.T) {
	t.Parallel()
	calendar, rules := shipped(t)
	// Friday evening counts from Monday the 7th; the letter comes on Wednesday the 9th.
	c := course("submitted", "2026-09-04 20:00")
	k := stage.Compute(c, calendar, rules, day("2026-09-08"))
	require.Equal(t, []any{0, 1, "2026-09-07", stage.AwaitsLetter, stage.OnTime}, []any{k.Office, k.Applicant, k.StartedOn.String(), k.Standing, k.Status})
	require.Nil(t, k.ReceivedOn)
	require.Nil(t, k.PromisedOn)

	c = course("submitted", "2026-09-04 20:00", "validated", "2026-09-04 20:01", "registered", "2026-09-10", "returned", "2026-09-11")
	c.Steps[3].LetterFrom = on("2026-09-09")
	k = stage.Compute(c, calendar, rules, day("2026-09-25"))
	require.Equal(t, []any{2, 14, stage.Letter, stage.WithApplicant, stage.OnTime}, []any{k.Office, k.Applicant, k.Stage, k.Standing, k.Status})
	require.Equal(t, []int{1, 1}, []int{k.Stages[0].Office, k.Stages[1].Office})

	// It comes back on the 28th; the letter of the correction on the 30th; it is registered on 1 October, accepted, and held for ten hari kerja.
	c.Steps = append(c.Steps, course("resubmitted", "2026-09-28", "validated", "2026-09-28", "registered", "2026-10-01", "approved", "2026-10-02",
		"accepted", "2026-10-05", "held", "2026-10-06", "accepted", "2026-10-20").Steps...)
	c.Letter = on("2026-09-30")
	k = stage.Compute(c, calendar, rules, day("2026-10-21"))
	require.Equal(t, stage.Personalisation, k.Stage)
	require.Equal(t, []int{2, 3, 2}, []int{k.Stages[0].Office, k.Stages[1].Office, k.Stages[2].Office})
	require.Equal(t, []any{7, 32, "2026-09-09", "2026-10-05", "2026-10-26"},
		[]any{k.Office, k.Applicant, k.ReceivedOn.String(), k.Since.String(), k.Stages[2].DueOn.String()})
	require.Equal(t, stage.OnHold, stage.Compute(stage.Course{Steps: c.Steps[:len(c.Steps)-1], Letter: c.Letter}, calendar, rules, day("2026-10-16")).Standing)
}

// TestTheTotalIsLate warns of the sum and calls it late while no stage is.
func TestTheTotalIsLate(t *testing.T) {
	t.Parallel()
	calendar, rules := shipped(t)
	c := course("submitted", "2026-09-01", "registered", "2026-09-04", "accepted", "2026-09-11", "done", "2026-09-18")
	c.Letter, c.Signed = on("2026-09-01"), on("2026-09-23")
	for today, want := range map[string]stage.Status{"2026-09-23": stage.Warning, "2026-09-25": stage.Warning, "2026-09-28": stage.Late} {
		require.Equal(t, want, stage.Compute(c, calendar, rules, day(today)).Status, today)
	}
	rules.Handover.Max, rules.WarnTotal = 10, 8 // the sum is 26
	require.Equal(t, stage.Warning, stage.Compute(c, calendar, rules, day("2026-09-28")).Status)
	c.HandedOver = on("2026-09-28")
	require.Equal(t, stage.OnTime, stage.Compute(c, calendar, rules, day("2026-09-28")).Status, "nothing is left to warn of")
}

func TestNoSteps(t *testing.T) {
	t.Parallel()
	calendar, rules := shipped(t)
	require.Zero(t, stage.Compute(stage.Course{}, calendar, rules, day("2026-09-01")))
}

// drawCourse draws a walk through the machine of requests.
func drawCourse(rt *rapid.T) stage.Course {
	var c stage.Course
	when := day("2025-12-20").At(0, 0).Add(time.Duration(rapid.IntRange(0, 400*24).Draw(rt, "start")) * time.Hour)
	state, inLetter := machine.State(""), false
	var letter clock.Date
	for range rapid.IntRange(1, 25).Draw(rt, "steps") {
		var next []machine.State
		for _, s := range request.Machine.Steps {
			if s.From == state {
				next = append(next, s.To)
			}
		}
		if len(next) == 0 {
			break
		}
		if state != "" {
			when = when.Add(time.Duration(rapid.IntRange(0, 120).Draw(rt, "hours")) * time.Hour)
		}
		to := rapid.SampledFrom(next).Draw(rt, "to")
		if to == request.Registered || !inLetter && rapid.Bool().Draw(rt, "letter") {
			if !inLetter {
				inLetter, letter = true, clock.DateOf(when).AddDays(-rapid.IntRange(0, 5).Draw(rt, "days before"))
			}
		}
		s := stage.Step{To: to, At: when}
		if to == request.Returned {
			if inLetter && rapid.Bool().Draw(rt, "noted") {
				from := letter
				s.LetterFrom = &from
			}
			inLetter = false
		}
		c.Steps = append(c.Steps, s)
		state = to
	}
	if inLetter {
		c.Letter = &letter
	}
	if state == request.Done && rapid.Bool().Draw(rt, "signed") {
		signed := clock.DateOf(when).AddDays(rapid.IntRange(-3, 20).Draw(rt, "signed on"))
		c.Signed = &signed
		if rapid.Bool().Draw(rt, "handed over") {
			handed := clock.DateOf(when).AddDays(rapid.IntRange(-3, 30).Draw(rt, "handed on"))
			c.HandedOver = &handed
		}
	}
	return c
}

// TestClockProperties: the stages add up to the total on both clocks, the office's
// never counts more than the applicant's, no clock runs backwards, and no off day
// counts.
func TestClockProperties(t *testing.T) {
	t.Parallel()
	calendar, rules := shipped(t)
	rapid.Check(t, func(rt *rapid.T) {
		c := drawCourse(rt)
		today := clock.DateOf(c.Steps[len(c.Steps)-1].At).AddDays(rapid.IntRange(0, 60).Draw(rt, "today"))
		k := stage.Compute(c, calendar, rules, today)
		var office, applicant int
		for _, s := range k.Stages {
			office, applicant = office+s.Office, applicant+s.Applicant
			require.LessOrEqual(rt, s.Office, s.Applicant)
			if s.EnteredOn == nil {
				require.Zero(rt, s.Applicant)
				require.Equal(rt, stage.Ahead, s.Status)
			}
			if s.EnteredOn != nil && s.LeftOn != nil {
				require.False(rt, s.LeftOn.Before(*s.EnteredOn))
			}
		}
		require.Equal(rt, []int{k.Office, k.Applicant}, []int{office, applicant})
		end := today
		if k.EndedOn != nil {
			end = *k.EndedOn
		}
		require.Equal(rt, max(0, calendar.Between(k.StartedOn, end)), k.Applicant, "every hari kerja of the applicant's is in a stage")

		next := stage.Compute(c, calendar, rules, today.AddDays(1))
		more := 0
		if calendar.IsWorkday(today.AddDays(1)) {
			more = 1
		}
		for _, d := range [][2]int{{k.Office, next.Office}, {k.Applicant, next.Applicant}} {
			require.GreaterOrEqual(rt, d[1], d[0], "a clock ran backwards")
			require.LessOrEqual(rt, d[1], d[0]+more, "an off day counted")
		}
		if last := c.Steps[len(c.Steps)-1].At; k.PromisedOn != nil && k.Office <= k.Max && today.After(calendar.ReceivedOn(last, rules.Hours)) {
			require.Equal(rt, k.Max-k.Office, calendar.Between(end, *k.PromisedOn), "the promise is as far away as what is left")
		}
		// What follows does not take back what was counted.
		for n := range c.Steps {
			part := stage.Course{Steps: c.Steps[:n+1]}
			then := clock.DateOf(c.Steps[n].At)
			before := stage.Compute(part, calendar, rules, then)
			require.LessOrEqual(rt, before.Applicant, k.Applicant)
			require.LessOrEqual(rt, before.Office, k.Office)
		}
	})
}

// TestALetterAfterHours counts from the next hari kerja, also when the request was
// registered on the same evening.
func TestALetterAfterHours(t *testing.T) {
	t.Parallel()
	calendar, rules := shipped(t)
	c := course("submitted", "2026-09-01", "registered", "2026-09-01 18:00")
	c.Letter = on("2026-09-02")
	k := stage.Compute(c, calendar, rules, day("2026-09-03"))
	require.Equal(t, []any{1, 2, "2026-09-02"}, []any{k.Office, k.Applicant, k.ReceivedOn.String()})
}
