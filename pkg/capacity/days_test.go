package capacity_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/capacity"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/form"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/workday"
)

func (o *office) why(reason string) capacity.Why {
	return capacity.Why{Actor: "kasubdit", Reason: reason, OfficeAt: o.day.At(10, 0)}
}

// heard replans as the scheduler does, with the calendar of the database and the
// newest change as the cause.
func (o *office) heard(t *testing.T, at time.Time) (c capacity.Changes) {
	t.Helper()
	o.tx(t, func(ctx context.Context, tx *postgres.Tx) error {
		calendar, err := capacity.Calendar(ctx, tx)
		if err != nil {
			return err
		}
		var id string
		if err := tx.Get(ctx, &id, `SELECT subject FROM outbox WHERE type IN ('calendar.changed', 'capacity.changed') ORDER BY id DESC LIMIT 1`); err != nil {
			return err
		}
		cause, err := capacity.CauseOf(ctx, tx, id)
		if err != nil {
			return err
		}
		c, err = capacity.Replan(ctx, tx, capacity.PlanInput{Calendar: calendar, OfficeAt: at, Cause: cause})
		return err
	})
	return c
}

func pointers(t *testing.T, err error) (all []string) {
	t.Helper()
	var faults form.Faults
	require.ErrorAs(t, err, &faults)
	for _, f := range faults {
		all = append(all, f.Pointer+" "+f.Code)
	}
	return all
}

// TestAChangedDayMovesThePlanAndSaysWhy: a holiday, a smaller and a larger day, and
// back again; each move of an estimate keeps its cause, and the first promise stays.
func TestAChangedDayMovesThePlanAndSaysWhy(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	r := o.accepted(t, 15) // ten on Tuesday, five on Wednesday
	o.replan(t, o.day.At(9, 0))
	tuesday, wednesday := o.next(), o.next().AddDays(1)

	o.tx(t, func(ctx context.Context, tx *postgres.Tx) error {
		_, err := capacity.AddHoliday(ctx, tx, workday.Holiday{Date: wednesday, Kind: workday.JointLeave, Name: "Cuti bersama uji", Decree: "SKB 1"}, o.why("SKB baru"))
		return err
	})
	require.Equal(t, capacity.Changes{Removed: 1, Placed: 1, Estimates: 1}, o.heard(t, o.day.At(10, 1)))
	set := func(n int, version int64) (s capacity.Setting) {
		o.tx(t, func(ctx context.Context, tx *postgres.Tx) (err error) {
			s, err = capacity.Set(ctx, tx, capacity.Setting{Day: tuesday, Capacity: n, Version: version}, o.why("satu pembaca rusak"))
			return err
		})
		return s
	}
	first := set(4, 0)
	require.Equal(t, capacity.Changes{Removed: 2, Placed: 3, Estimates: 1}, o.heard(t, o.day.At(10, 2)), "4 on Tuesday, 10 on Thursday, 1 on Friday")
	second := set(15, first.Version)
	require.Equal(t, capacity.Changes{Removed: 3, Placed: 1, Estimates: 1}, o.heard(t, o.day.At(10, 3)))
	require.Zero(t, o.heard(t, o.day.At(10, 4)), "without a cause no row")
	o.tx(t, func(ctx context.Context, tx *postgres.Tx) error {
		return capacity.Unset(ctx, tx, tuesday, second.Version, o.why("pembaca sudah diperbaiki"))
	})
	o.heard(t, o.day.At(10, 5))
	o.tx(t, func(ctx context.Context, tx *postgres.Tx) error {
		return capacity.RemoveHoliday(ctx, tx, wednesday, 1, o.why("SKB dicabut"))
	})
	o.heard(t, o.day.At(10, 6))

	e, err := capacity.EstimateOf(t.Context(), o.db, r.ID)
	require.NoError(t, err)
	require.Equal(t, []clock.Date{tuesday, wednesday, tuesday, wednesday}, []clock.Date{e.FirstStart, e.FirstFinish, e.Start, e.Finish})
	var told []string
	for _, m := range e.Moves {
		told = append(told, m.Start.String()[8:]+"-"+m.Finish.String()[8:]+" "+m.Cause)
	}
	require.Equal(t, []string{
		"24-25 uji",
		"24-26 25 November 2026 menjadi cuti bersama (Cuti bersama uji)",
		"24-27 kapasitas 24 November 2026 menjadi 4 kartu",
		"24-24 kapasitas 24 November 2026 menjadi 15 kartu",
		"24-26 kapasitas 24 November 2026 kembali seperti biasa",
		"24-25 25 November 2026 bukan hari libur lagi",
	}, told)
	changes, err := capacity.DayChanges(t.Context(), o.db, tuesday, wednesday, 10)
	require.NoError(t, err)
	require.Len(t, changes, 5)
	require.Equal(t, "SKB dicabut", changes[0].Reason)
	for _, table := range []string{"day_change", "estimate_move"} {
		err := o.db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
			_, err := tx.Exec(ctx, `DELETE FROM `+table)
			return err
		})
		require.ErrorContains(t, err, "is only added to")
	}
}

// TestThePlanReachesAYearWithoutACalendar: an alarm says so until a holiday of that
// year is recorded.
func TestThePlanReachesAYearWithoutACalendar(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.day = clock.MustParseDate("2029-12-28") // a Friday, and no decree of 2030 is shipped
	o.accepted(t, 3)
	o.replan(t, o.day.At(9, 0))
	years, err := capacity.UnknownYears(t.Context(), o.db)
	require.NoError(t, err)
	require.NotEmpty(t, years)
	o.tx(t, func(ctx context.Context, tx *postgres.Tx) error {
		_, err := capacity.AddHoliday(ctx, tx, workday.Holiday{Date: clock.Date{Year: years[0], Month: time.December, Day: 31}, Kind: workday.National, Name: "Hari uji", Decree: "SKB"}, o.why("SKB baru"))
		return err
	})
	years, err = capacity.UnknownYears(t.Context(), o.db)
	require.NoError(t, err)
	require.Empty(t, years)
}

// TestAReleasedDayStays: what stations may work on is not taken away by a holiday or
// a smaller day; what is only planned for a day that became a holiday moves on.
func TestAReleasedDayStays(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	r := o.accepted(t, 12)
	o.replan(t, o.day.At(9, 0))
	o.day = o.next() // Tuesday: ten cards, and two tomorrow
	morning := o.day.At(7, 0)
	holiday := func(day clock.Date) {
		o.tx(t, func(ctx context.Context, tx *postgres.Tx) error {
			_, err := capacity.AddHoliday(ctx, tx, workday.Holiday{Date: day, Kind: workday.National, Name: "Hari uji", Decree: "Keppres 1"}, o.why("mendadak"))
			return err
		})
	}
	o.tx(t, func(ctx context.Context, tx *postgres.Tx) error {
		_, err := capacity.ReleaseDay(ctx, tx, o.day, morning)
		return err
	})
	holiday(o.day)
	require.Zero(t, o.heard(t, morning).Removed)
	require.Equal(t, 10, o.released(t, r.ID))

	o.day = o.next() // Wednesday, not released yet, becomes a holiday as well
	holiday(o.day)
	require.Equal(t, 1, o.heard(t, o.day.At(7, 0)).Removed)
	e, err := capacity.EstimateOf(t.Context(), o.db, r.ID)
	require.NoError(t, err)
	require.Equal(t, o.day.AddDays(1), e.Finish)
}

// released counts the cards of a request on released orders.
func (o *office) released(t *testing.T, requestID string) (n int) {
	t.Helper()
	require.NoError(t, o.db.Get(t.Context(), &n, `SELECT coalesce(sum(quantity), 0) FROM work_order WHERE request_id = $1 AND state = 'released'`, requestID))
	return n
}

// TestWhatADayCannotBe: each refusal names its field, and writes nothing.
func TestWhatADayCannotBe(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	good := workday.Holiday{Date: o.day, Kind: workday.National, Name: "Hari uji", Decree: "Keppres 1"}
	refused := func(do func(ctx context.Context, tx *postgres.Tx) error) error {
		err := o.db.InTx(t.Context(), do)
		require.Error(t, err)
		return err
	}
	add := func(h workday.Holiday, reason string) error {
		return refused(func(ctx context.Context, tx *postgres.Tx) error {
			_, err := capacity.AddHoliday(ctx, tx, h, o.why(reason))
			return err
		})
	}
	past := good
	past.Date = o.day.AddDays(-1)
	require.Equal(t, []string{"/date in_past", "/reason missing"}, pointers(t, add(past, " ")))
	require.Equal(t, []string{"/date missing", "/kind unknown_value", "/name missing", "/decree missing"}, pointers(t, add(workday.Holiday{}, "x")))
	far := good
	far.Date.Year += 6
	require.Equal(t, []string{"/date out_of_range"}, pointers(t, add(far, "x")))

	o.tx(t, func(ctx context.Context, tx *postgres.Tx) error {
		_, err := capacity.AddHoliday(ctx, tx, good, o.why("x"))
		return err
	})
	require.Equal(t, []string{"/date in_use"}, pointers(t, add(good, "x")))
	change := func(version int64) error {
		return refused(func(ctx context.Context, tx *postgres.Tx) error {
			_, err := capacity.ChangeHoliday(ctx, tx, capacity.Holiday{Holiday: good, Version: version}, o.why("x"))
			return err
		})
	}
	require.ErrorIs(t, change(2), postgres.ErrStale)
	good.Date = o.day.AddDays(1)
	require.ErrorIs(t, change(1), capacity.ErrNoEntry)

	set := func(s capacity.Setting) error {
		return refused(func(ctx context.Context, tx *postgres.Tx) error {
			_, err := capacity.Set(ctx, tx, s, o.why("x"))
			return err
		})
	}
	require.Equal(t, []string{"/day frozen", "/capacity out_of_range"}, pointers(t, set(capacity.Setting{Day: o.day, Capacity: -1})))
	require.ErrorIs(t, set(capacity.Setting{Day: o.next(), Capacity: 1, Version: 1}), postgres.ErrStale)
	require.ErrorIs(t, refused(func(ctx context.Context, tx *postgres.Tx) error {
		return capacity.Unset(ctx, tx, o.next(), 1, o.why("x"))
	}), capacity.ErrNoEntry)
	var changes int
	require.NoError(t, o.db.Get(t.Context(), &changes, `SELECT count(*) FROM day_change`))
	require.Equal(t, 1, changes)
}

// TestSeedingKeepsWhatStaffDid: a removed day stays removed, a changed one changed.
func TestSeedingKeepsWhatStaffDid(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	a := workday.Holiday{Date: o.day.AddDays(3), Kind: workday.National, Name: "A", Decree: "SKB"}
	b := workday.Holiday{Date: o.day.AddDays(4), Kind: workday.National, Name: "B", Decree: "SKB"}
	seed := func() {
		o.tx(t, func(ctx context.Context, tx *postgres.Tx) error {
			return capacity.SeedHolidays(ctx, tx, []workday.Holiday{a, b})
		})
	}
	seed()
	o.tx(t, func(ctx context.Context, tx *postgres.Tx) error {
		if err := capacity.RemoveHoliday(ctx, tx, a.Date, 1, o.why("salah")); err != nil {
			return err
		}
		changed := capacity.Holiday{Holiday: b, Version: 1}
		changed.Confirmed = true
		_, err := capacity.ChangeHoliday(ctx, tx, changed, o.why("dicocokkan"))
		return err
	})
	seed()
	list, err := capacity.Holidays(t.Context(), o.db, o.day.Year)
	require.NoError(t, err)
	b.Confirmed = true
	require.Equal(t, []capacity.Holiday{{Holiday: b, Version: 2}}, list)
}
