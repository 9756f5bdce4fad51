package capacity_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/capacity"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/workday"
)

func entry(day clock.Date, name string, version int64) capacity.Holiday {
	return capacity.Holiday{Version: version, Holiday: workday.Holiday{Date: day, Kind: workday.National, Name: name, Decree: "SKB"}}
}

// edit brings an edition as the table stands.
func (o *office) edit(t *testing.T, e capacity.Edition, w capacity.Why) error {
	t.Helper()
	return o.db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		table, err := capacity.LockYear(ctx, tx, o.day.Year+1)
		if err != nil {
			return err
		}
		return capacity.Edit(ctx, tx, table, e, w)
	})
}

func (o *office) table(t *testing.T) capacity.Table {
	t.Helper()
	v, err := capacity.YearTable(t.Context(), o.db, o.day.Year+1)
	require.NoError(t, err)
	return v
}

func TestManyDaysChangeAtOnceOrNotAtAll(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	day := func(m, d int) clock.Date { return clock.NewDate(o.day.Year+1, 1, 1).AddDays(31*m + d) }
	empty := o.table(t).Version
	require.NoError(t, o.edit(t, capacity.Edition{}, capacity.Why{}), "nothing needs no reason")
	require.Equal(t, empty, o.table(t).Version)

	require.Equal(t, []string{"/reason missing", "/name missing", "/day frozen", "/capacity out_of_range", "/reason missing"}, pointers(t, o.edit(t, capacity.Edition{
		Holidays: []capacity.Holiday{entry(day(1, 1), " ", 0)}, Settings: []capacity.Setting{{Day: o.day, Capacity: -1}},
	}, o.why(""))))

	first := capacity.Edition{
		Holidays: []capacity.Holiday{entry(day(1, 1), "Satu", 0), entry(day(2, 1), "Dua", 0), entry(day(3, 1), "Tiga", 0)},
		Settings: []capacity.Setting{{Day: day(1, 7), Capacity: 100, Reason: "a"}, {Day: day(1, 8), Capacity: 0, Reason: "b"}},
	}
	require.NoError(t, o.edit(t, first, o.why("SKB")))
	v := o.table(t)
	require.Len(t, v.Holidays, 3)
	require.Len(t, v.Settings, 2)
	for _, wrong := range []capacity.Edition{
		{Holidays: []capacity.Holiday{entry(day(4, 1), "Empat", 0), entry(day(1, 1), "Lagi", 0)}},
		{Holidays: []capacity.Holiday{entry(day(4, 1), "Empat", 0), entry(day(1, 1), "Lagi", 2)}},
		{Holidays: []capacity.Holiday{entry(day(4, 1), "Empat", 0)}, NoHolidays: []capacity.Holiday{entry(day(2, 1), "", 2)}},
		{Holidays: []capacity.Holiday{entry(day(4, 1), "Empat", 0)}, NoSettings: []capacity.Setting{{Day: day(1, 7), Version: 9}}},
		{Holidays: []capacity.Holiday{entry(day(4, 1), "Empat", 0)}, Settings: []capacity.Setting{{Day: day(1, 7), Capacity: 1, Reason: "x"}}},
	} {
		require.ErrorIs(t, o.edit(t, wrong, o.why("SKB")), postgres.ErrStale)
		require.Equal(t, v, o.table(t))
	}
	// What changed after the table was read is found out by the statements themselves.
	stale := v
	require.NoError(t, o.edit(t, capacity.Edition{Holidays: []capacity.Holiday{entry(day(1, 1), "Satu, diubah", 1)}, NoSettings: v.Settings[:1]}, o.why("SKB")))
	for _, late := range []capacity.Edition{
		{Holidays: []capacity.Holiday{entry(day(1, 1), "Satu, lain", 1)}}, {NoHolidays: []capacity.Holiday{entry(day(1, 1), "", 1)}},
		{NoSettings: v.Settings[:1]},
	} {
		require.ErrorIs(t, o.db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
			return capacity.Edit(ctx, tx, stale, late, o.why("SKB"))
		}), postgres.ErrStale)
	}
	v = o.table(t)
	require.Equal(t, []string{"Satu, diubah", "Dua", "Tiga"}, []string{v.Holidays[0].Name, v.Holidays[1].Name, v.Holidays[2].Name})
	require.EqualValues(t, 2, v.Holidays[0].Version)

	var kept, bells int
	require.NoError(t, o.db.Get(t.Context(), &kept, `SELECT count(*) FROM day_change`))
	require.NoError(t, o.db.Get(t.Context(), &bells, `SELECT count(*) FROM outbox WHERE subject IN (SELECT id FROM day_change)`))
	require.Equal(t, []int{7, 7}, []int{kept, bells}, "each change is kept and rings")
	changes, err := capacity.DayChanges(t.Context(), o.db, day(0, 0), day(11, 0), 1)
	require.NoError(t, err)
	require.Equal(t, "SKB", changes[0].Reason)
}

// However many days an edition changes, the plan moves once; the bells that come
// after find nothing to do.
func TestAnEditionMovesThePlanOnce(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	r := o.accepted(t, 15) // ten on Tuesday, five on Wednesday
	o.replan(t, o.day.At(9, 0))
	require.NoError(t, o.db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		table, err := capacity.LockYear(ctx, tx, o.day.Year)
		if err != nil {
			return err
		}
		return capacity.Edit(ctx, tx, table, capacity.Edition{
			Holidays: []capacity.Holiday{entry(o.next(), "Satu", 0), entry(o.next().AddDays(1), "Dua", 0)},
			Settings: []capacity.Setting{{Day: o.next().AddDays(2), Capacity: 3, Reason: "satu pembaca rusak"}},
		}, o.why("SKB perubahan"))
	}))
	require.Equal(t, capacity.Changes{Removed: 2, Placed: 3, Estimates: 1}, o.heard(t, o.day.At(10, 0)))
	require.Equal(t, map[string]int{"2026-11-26": 3, "2026-11-27": 10, "2026-11-30": 2}, o.plan(t, r))
	require.Zero(t, o.heard(t, o.day.At(10, 1)))
	e, err := capacity.EstimateOf(t.Context(), o.db, r.ID)
	require.NoError(t, err)
	require.Len(t, e.Moves, 2)
	require.Equal(t, "kapasitas 26 November 2026 menjadi 3 kartu", e.Cause)
}
