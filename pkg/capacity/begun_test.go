package capacity_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/capacity"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/pkg/workday"
)

func (o *office) input(t *testing.T, at time.Time) capacity.PlanInput {
	t.Helper()
	calendar, err := capacity.Calendar(t.Context(), o.db)
	require.NoError(t, err)
	return capacity.PlanInput{Calendar: calendar, OfficeAt: at, Cause: "uji"}
}

func (o *office) replanned(t *testing.T, at time.Time) (c capacity.Changes) {
	t.Helper()
	in := o.input(t, at)
	o.tx(t, func(ctx context.Context, tx *postgres.Tx) (err error) {
		c, err = capacity.Replan(ctx, tx, in)
		return err
	})
	return c
}

// aTuesday is an office with 15 cards planned on Monday, for Tuesday and Wednesday.
func aTuesday(t *testing.T) (o *office, r request.Request, tuesday clock.Date) {
	t.Helper()
	o = newOffice(t)
	r = o.accepted(t, 15)
	o.replanned(t, o.day.At(9, 0))
	require.Equal(t, map[string]int{"2026-11-24": 10, "2026-11-25": 5}, o.plan(t, r))
	return o, r, o.next()
}

// TestADayMayMoveUntilItsRelease: before 07.30 the day is one like others for the plan
// and for all who tell of it. The release makes it stay.
func TestADayMayMoveUntilItsRelease(t *testing.T) {
	t.Parallel()
	o, r, tuesday := aTuesday(t)
	night, dawn := tuesday.At(1, 0), tuesday.At(7, 0)
	require.Zero(t, o.replanned(t, night), "midnight alone is no cause")
	var set capacity.Setting
	o.tx(t, func(ctx context.Context, tx *postgres.Tx) (err error) { // in the evening; it is heard of at night
		set, err = capacity.Set(ctx, tx, capacity.Setting{Day: tuesday, Capacity: 4}, o.why("satu pembaca rusak"))
		return err
	})
	o.replanned(t, night)
	require.Equal(t, map[string]int{"2026-11-24": 4, "2026-11-25": 10, "2026-11-26": 1}, o.plan(t, r))
	ahead, err := capacity.Ahead(t.Context(), o.db, o.input(t, dawn), 2)
	require.NoError(t, err)
	require.Equal(t, []capacity.DayLoad{{tuesday, 4, 4}, {tuesday.AddDays(1), 10, 10}}, ahead)

	o.day = tuesday
	o.tx(t, func(ctx context.Context, tx *postgres.Tx) error {
		if err := capacity.Unset(ctx, tx, tuesday, set.Version, capacity.Why{Actor: "k", Reason: "diperbaiki", OfficeAt: tuesday.AddDays(-1).At(23, 0)}); err != nil {
			return err
		}
		_, err := capacity.AddHoliday(ctx, tx, workday.Holiday{Date: tuesday, Kind: workday.National, Name: "Hari uji", Decree: "Keppres 1"}, o.why("mendadak"))
		return err
	})
	o.replanned(t, dawn)
	require.Equal(t, map[string]int{"2026-11-25": 10, "2026-11-26": 5}, o.plan(t, r), "a day off since this morning")
	o.tx(t, func(ctx context.Context, tx *postgres.Tx) error {
		return capacity.RemoveHoliday(ctx, tx, tuesday, 1, o.why("batal"))
	})
	ahead, err = capacity.Ahead(t.Context(), o.db, o.input(t, dawn), 1)
	require.NoError(t, err)
	require.Equal(t, []capacity.DayLoad{{tuesday, 10, 0}}, ahead, "as it will be planned")
	sizes, err := capacity.Sizes(t.Context(), o.db, tuesday, tuesday, tuesday)
	require.NoError(t, err)
	require.Equal(t, 10, sizes[tuesday].Capacity)
	supposed, err := capacity.WhatIf(t.Context(), o.db, o.input(t, dawn), capacity.Hypotheses{})
	require.NoError(t, err)
	require.Equal(t, &capacity.Period{Start: tuesday, Finish: tuesday.AddDays(1)}, supposed.Shifts[0].After)
	o.replanned(t, dawn)
	require.Equal(t, map[string]int{"2026-11-24": 10, "2026-11-25": 5}, o.plan(t, r))

	o.begin(t, tuesday) // nothing is released yet, but its window ran
	o.tx(t, func(ctx context.Context, tx *postgres.Tx) error {
		_, err := capacity.Set(ctx, tx, capacity.Setting{Day: tuesday, Capacity: 4}, capacity.Why{Actor: "k", Reason: "terlambat", OfficeAt: tuesday.AddDays(-1).At(23, 0)})
		return err
	})
	require.Zero(t, o.replanned(t, tuesday.At(7, 31)))
	ahead, err = capacity.Ahead(t.Context(), o.db, o.input(t, tuesday.At(7, 31)), 1)
	require.NoError(t, err)
	require.Equal(t, []capacity.DayLoad{{tuesday, 10, 10}}, ahead, "as it was planned")
}

// TestALateReleaseReleasesWhatIsPlannedByThen: the scheduler was down until ten. Until
// then a new request may still come on the day, by Extend as by Replan.
func TestALateReleaseReleasesWhatIsPlannedByThen(t *testing.T) {
	t.Parallel()
	o, first, tuesday := aTuesday(t)
	o.tx(t, func(ctx context.Context, tx *postgres.Tx) error {
		_, err := capacity.Set(ctx, tx, capacity.Setting{Day: tuesday, Capacity: 20}, o.why("dua regu"))
		return err
	})
	ten := tuesday.At(10, 0)
	o.replanned(t, ten)
	require.Equal(t, map[string]int{"2026-11-24": 15}, o.plan(t, first))
	o.day = tuesday
	second := o.accepted(t, 8)
	in := o.input(t, ten)
	o.tx(t, func(ctx context.Context, tx *postgres.Tx) error {
		_, ok, err := capacity.Extend(ctx, tx, in, []string{second.ID})
		require.True(t, ok)
		return err
	})
	require.Equal(t, map[string]int{"2026-11-24": 5, "2026-11-25": 3}, o.plan(t, second))
	require.Zero(t, o.replanned(t, ten))
	o.tx(t, func(ctx context.Context, tx *postgres.Tx) error {
		_, err := capacity.ReleaseDay(ctx, tx, tuesday, ten)
		return err
	})
	third := o.accepted(t, 4)
	o.replanned(t, ten)
	require.Equal(t, map[string]int{"2026-11-25": 4}, o.plan(t, third), "released: it stays as it is")
	o.tx(t, func(ctx context.Context, tx *postgres.Tx) error {
		return capacity.RevokeRequest(ctx, tx, first.ID, ten)
	})
	require.Equal(t, 5, o.released(t, second.ID))
}

// TestADayThatPeopleEndedBeforeItsReleaseStaysEnded.
func TestADayThatPeopleEndedBeforeItsReleaseStaysEnded(t *testing.T) {
	t.Parallel()
	o, r, tuesday := aTuesday(t)
	dawn := tuesday.At(6, 0)
	o.give(t, dawn, capacity.Command{Verb: capacity.CloseEarly})
	o.obey(t, dawn)
	require.Equal(t, map[string]int{"2026-11-25": 10, "2026-11-26": 5}, o.plan(t, r))
	ended := o.input(t, dawn)
	require.Zero(t, o.replanned(t, ended.OfficeAt))
}

// TestAnOrderThatWasTakenBackBeforeTheReleaseBeginsNothing: a request is held at dawn,
// and its places of the day are filled by those who come after it.
func TestAnOrderThatWasTakenBackBeforeTheReleaseBeginsNothing(t *testing.T) {
	t.Parallel()
	o, first, tuesday := aTuesday(t)
	second := o.accepted(t, 6)
	o.replanned(t, o.day.At(9, 1))
	o.tx(t, func(ctx context.Context, tx *postgres.Tx) error {
		r, err := request.Lock(ctx, tx, first.ID)
		if err != nil {
			return err
		}
		c := by(request.Kasubdit, tuesday.At(6, 0))
		c.Reason = "uji"
		if _, err := request.Take(ctx, tx, r, request.Hold, c); err != nil {
			return err
		}
		return capacity.RevokeRequest(ctx, tx, first.ID, tuesday.At(6, 0))
	})
	o.replanned(t, tuesday.At(6, 0))
	require.Equal(t, map[string]int{tuesday.String(): 6}, o.plan(t, second))
}
