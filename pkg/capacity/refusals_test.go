package capacity_test

import (
	"context"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/capacity"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/form"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/workday"
)

// down records a downtime, or is refused.
func (o *office) down(t *testing.T, d capacity.Downtime) (capacity.Downtime, error) {
	t.Helper()
	err := o.db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) (err error) {
		d, _, err = capacity.AddDowntime(ctx, tx, d, o.why("uji"))
		return err
	})
	return d, err
}

// said is the first of what an error tells people.
func said(t *testing.T, err error) string {
	t.Helper()
	var faults form.Faults
	require.ErrorAs(t, err, &faults)
	return faults[0].Detail
}

// TestStationsAreNamedOnce, on the board as well, whether or not people wrote the
// word themselves.
func TestStationsAreNamedOnce(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	for station, name := range map[string]string{"Stasiun 2": "Stasiun 2", "DC-1": "stasiun DC-1", "stasiun-1": "stasiun-1"} {
		require.Equal(t, name, capacity.Downtime{Station: station}.Name())
	}
	_, err := o.down(t, capacity.Downtime{Station: "Stasiun 2", From: o.next(), To: o.next(), Cards: 4})
	require.NoError(t, err)
	sizes, err := capacity.Sizes(t.Context(), o.db, o.next(), o.next(), o.day)
	require.NoError(t, err)
	require.Equal(t, "Stasiun 2 berhenti 24 November 2026, 4 kartu per hari berkurang", sizes[o.next()].Why)
}

// TestOnlyHariKerjaAreDecidedAbout: what people decide of another day would do
// nothing, so it is refused with the reason.
func TestOnlyHariKerjaAreDecidedAbout(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	r := o.accepted(t, 8)
	saturday, sunday, wednesday := o.day.AddDays(5), o.day.AddDays(6), o.day.AddDays(2)
	o.tx(t, func(ctx context.Context, tx *postgres.Tx) error {
		_, err := capacity.AddHoliday(ctx, tx, workday.Holiday{Date: wednesday, Kind: workday.National, Name: "Hari uji", Decree: "SKB"}, o.why("uji"))
		return err
	})
	set := func(s capacity.Setting) error {
		return o.db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
			_, err := capacity.Set(ctx, tx, s, o.why("uji"))
			return err
		})
	}
	for day, why := range map[clock.Date]string{sunday: "akhir pekan", wednesday: "Hari uji"} {
		err := set(capacity.Setting{Day: day, Capacity: 5})
		require.Equal(t, []string{"/day not_a_workday"}, pointers(t, err))
		require.Contains(t, said(t, err), "bukan hari kerja ("+why+")")
	}
	_, err := o.down(t, capacity.Downtime{Station: "2", From: saturday, To: sunday, Cards: 4})
	require.Equal(t, []string{"/from not_a_workday"}, pointers(t, err))
	d, err := o.down(t, capacity.Downtime{Station: "2", From: o.next(), To: sunday, Cards: 4})
	require.NoError(t, err, "a hari kerja is among the days")
	d.From = saturday
	require.Equal(t, []string{"/from not_a_workday"}, pointers(t, o.db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		_, err := capacity.ChangeDowntime(ctx, tx, d, o.why("uji"))
		return err
	})))

	thursday := o.day.AddDays(3)
	require.NoError(t, set(capacity.Setting{Day: thursday, Capacity: 0}))
	err = o.db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		_, err := capacity.Place(ctx, tx, capacity.Placement{RequestID: r.ID, Pin: true, Day: thursday}, o.why("uji"))
		return err
	})
	require.Equal(t, []string{"/day no_capacity"}, pointers(t, err))
	require.Contains(t, said(t, err), "0 kartu (uji; stasiun 2 berhenti")
	o.place(t, capacity.Placement{RequestID: r.ID, Day: thursday}) // not before that day is no promise of it

	_, err = o.suppose(t, capacity.Hypotheses{Workdays: []clock.Date{wednesday, o.next(), sunday}})
	require.Equal(t, []string{"/workdays/1 already_a_workday", "/workdays/2 weekend"}, pointers(t, err))
}

// TestADayThatBecomesAHolidayKeepsItsNumber, which harms nobody and comes back with
// the day.
func TestADayThatBecomesAHolidayKeepsItsNumber(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.tx(t, func(ctx context.Context, tx *postgres.Tx) error {
		if _, err := capacity.Set(ctx, tx, capacity.Setting{Day: o.next(), Capacity: 5}, o.why("uji")); err != nil {
			return err
		}
		_, err := capacity.AddHoliday(ctx, tx, workday.Holiday{Date: o.next(), Kind: workday.National, Name: "Hari uji", Decree: "SKB"}, o.why("uji"))
		return err
	})
	s, err := capacity.GetSetting(t.Context(), o.db, o.next())
	require.NoError(t, err)
	require.Equal(t, 5, s.Capacity)
	o.tx(t, func(ctx context.Context, tx *postgres.Tx) error {
		return capacity.Unset(ctx, tx, o.next(), s.Version, o.why("uji"))
	})
}

// TestAStationStandsStillOnce: a downtime that is sent again, however many at once and
// however the station is written, is the first; another one of the same days is
// refused and named.
func TestAStationStandsStillOnce(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	one := capacity.Downtime{Station: "Stasiun 2", From: o.next(), To: o.next().AddDays(2), Cards: 4}
	first, err := o.down(t, one)
	require.NoError(t, err)
	var all sync.WaitGroup
	for _, name := range []string{"Stasiun 2", "stasiun  2", "2"} {
		all.Go(func() {
			again := one
			again.Station = name
			made, err := o.down(t, again)
			assert.NoError(t, err)
			assert.Equal(t, first, made)
		})
	}
	all.Wait()
	var rows, bells int
	require.NoError(t, o.db.Get(t.Context(), &rows, `SELECT count(*) FROM station_downtime`))
	require.NoError(t, o.db.Get(t.Context(), &bells, `SELECT count(*) FROM outbox WHERE type = 'station.downtime_changed'`))
	require.Equal(t, []int{1, 1}, []int{rows, bells})

	late := one
	late.From, late.To = one.To, one.To.AddDays(3)
	_, err = o.down(t, late)
	require.Equal(t, []string{"/from in_use"}, pointers(t, err))
	require.Contains(t, said(t, err), "Stasiun 2 sudah tercatat berhenti 24 November 2026 sampai 26 November 2026, 4 kartu per hari.")
	late.Station = "3"
	other, err := o.down(t, late)
	require.NoError(t, err, "another station")
	change := func(d capacity.Downtime) error {
		return o.db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
			_, err := capacity.ChangeDowntime(ctx, tx, d, o.why("uji"))
			return err
		})
	}
	other.Station = "2"
	require.Equal(t, []string{"/from in_use"}, pointers(t, change(other)))
	first.Cards = 5
	require.NoError(t, change(first), "it is in nobody's way but its own")
	late.Cards = 1_000_000
	_, err = o.down(t, late)
	require.Contains(t, said(t, err), "dari 1 sampai 100.000.")
}
