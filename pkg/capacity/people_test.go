package capacity_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/capacity"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/form"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
)

// plan is where a request's open orders are: cards by day.
func (o *office) plan(t *testing.T, r request.Request) map[string]int {
	t.Helper()
	var rows []struct {
		Day   clock.Date `db:"day"`
		Cards int        `db:"cards"`
	}
	require.NoError(t, o.db.Select(t.Context(), &rows, `
		SELECT day, sum(remaining) AS cards FROM work_order WHERE request_id = $1 AND state IN ('planned','released') GROUP BY day`, r.ID))
	days := map[string]int{}
	for _, row := range rows {
		days[row.Day.String()] = row.Cards
	}
	return days
}

func (o *office) place(t *testing.T, p capacity.Placement) (placed capacity.Placement) {
	t.Helper()
	o.tx(t, func(ctx context.Context, tx *postgres.Tx) (err error) {
		placed, err = capacity.Place(ctx, tx, p, o.why("uji"))
		return err
	})
	return placed
}

// TestPlacementsAreObeyedAndTakenBack pins, moves and splits a request of 8 cards
// among two others, ten cards a day.
func TestPlacementsAreObeyedAndTakenBack(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	first, second, third := o.accepted(t, 8), o.accepted(t, 8), o.accepted(t, 8)
	o.replan(t, o.day.At(9, 0))
	tuesday, wednesday, thursday := "2026-11-24", "2026-11-25", "2026-11-26"
	require.Equal(t, map[string]int{wednesday: 4, thursday: 4}, o.plan(t, third))

	pin := o.place(t, capacity.Placement{RequestID: third.ID, Pin: true, Day: o.next()})
	require.Equal(t, capacity.Changes{Removed: 5, Placed: 5, Estimates: 3}, o.replan(t, o.day.At(10, 0)))
	require.Equal(t, map[string]int{tuesday: 8}, o.plan(t, third), "ahead of the queue")
	require.Equal(t, map[string]int{tuesday: 2, wednesday: 6}, o.plan(t, first))
	require.Equal(t, map[string]int{wednesday: 4, thursday: 4}, o.plan(t, second))

	o.tx(t, func(ctx context.Context, tx *postgres.Tx) error {
		_, err := capacity.Unplace(ctx, tx, pin.ID, pin.Version, o.why("uji"))
		return err
	})
	o.place(t, capacity.Placement{RequestID: first.ID, Day: clock.MustParseDate(thursday)})
	o.replan(t, o.day.At(10, 0))
	require.Equal(t, map[string]int{thursday: 8}, o.plan(t, first), "moved: not before that day")
	require.Equal(t, map[string]int{tuesday: 8}, o.plan(t, second), "and the others close up")
	require.Equal(t, map[string]int{tuesday: 2, wednesday: 6}, o.plan(t, third))

	o.place(t, capacity.Placement{RequestID: second.ID, Cards: 3, Day: clock.MustParseDate("2026-11-30")})
	o.replan(t, o.day.At(10, 0))
	require.Equal(t, map[string]int{tuesday: 5, "2026-11-30": 3}, o.plan(t, second), "split")
	require.Zero(t, o.replan(t, o.day.At(10, 0)))
	list, err := capacity.Placements(t.Context(), o.db, second.ID)
	require.NoError(t, err)
	require.Equal(t, "3 kartu paling cepat 30 November 2026", list[0].Text())
}

func TestPlacementsThatCannotBe(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	r := o.accepted(t, 8)
	try := func(p capacity.Placement, w capacity.Why) error {
		p.RequestID = r.ID
		return o.db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
			_, err := capacity.Place(ctx, tx, p, w)
			return err
		})
	}
	for name, c := range map[string]struct {
		p    capacity.Placement
		w    capacity.Why
		want []string
	}{
		"no reason":        {capacity.Placement{Day: o.next()}, capacity.Why{Actor: "x", OfficeAt: o.day.At(9, 0)}, []string{"/reason missing"}},
		"a Saturday":       {capacity.Placement{Day: o.day.AddDays(5)}, o.why("uji"), []string{"/day not_a_workday"}},
		"today":            {capacity.Placement{Day: o.day}, o.why("uji"), []string{"/day frozen"}},
		"yesterday":        {capacity.Placement{Day: o.day.AddDays(-1)}, o.why("uji"), []string{"/day in_past"}},
		"too many cards":   {capacity.Placement{Day: o.next(), Cards: 9}, o.why("uji"), []string{"/cards out_of_range"}},
		"everything wrong": {capacity.Placement{Cards: -1}, capacity.Why{Actor: "x", OfficeAt: o.day.At(9, 0)}, []string{"/day missing", "/cards out_of_range", "/reason missing"}},
	} {
		require.Equal(t, c.want, pointers(t, try(c.p, c.w)), name)
	}
	o.tx(t, func(ctx context.Context, tx *postgres.Tx) error {
		now, err := request.Lock(ctx, tx, r.ID)
		if err != nil {
			return err
		}
		_, err = request.Take(ctx, tx, now, request.Hold, request.Change{Actor: machine.Actor{Name: "k", Role: request.Kasubdit}, Reason: "uji", OfficeAt: o.day.At(9, 0)})
		return err
	})
	require.ErrorIs(t, try(capacity.Placement{Day: o.next()}, o.why("uji")), capacity.ErrNotPlannable)
}

// TestDowntimeTakesItsCardsFromTheDays moves what does not fit, and gives it back.
func TestDowntimeTakesItsCardsFromTheDays(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	r := o.accepted(t, 15)
	o.replan(t, o.day.At(9, 0))
	var d capacity.Downtime
	o.tx(t, func(ctx context.Context, tx *postgres.Tx) (err error) {
		d, err = capacity.AddDowntime(ctx, tx, capacity.Downtime{Station: "DC-1", From: o.next(), To: o.next().AddDays(1), Cards: 7}, o.why("uji"))
		return err
	})
	o.replan(t, o.day.At(10, 0))
	require.Equal(t, map[string]int{"2026-11-24": 3, "2026-11-25": 3, "2026-11-26": 9}, o.plan(t, r))
	list, err := capacity.Downtimes(t.Context(), o.db, o.next(), o.next())
	require.NoError(t, err)
	require.Equal(t, []capacity.Downtime{d}, list)
	ahead, err := capacity.Ahead(t.Context(), o.db, capacity.PlanInput{Calendar: shipped(t), OfficeAt: o.day.At(10, 0)}, 4)
	require.NoError(t, err)
	require.Equal(t, []capacity.DayLoad{{o.day, 10, 0}, {o.next(), 3, 3}, {o.next().AddDays(1), 3, 3}, {o.next().AddDays(2), 10, 9}}, ahead)

	d.To = d.From
	o.tx(t, func(ctx context.Context, tx *postgres.Tx) (err error) {
		d, err = capacity.ChangeDowntime(ctx, tx, d, o.why("uji"))
		return err
	})
	o.replan(t, o.day.At(10, 0))
	require.Equal(t, map[string]int{"2026-11-24": 3, "2026-11-25": 10, "2026-11-26": 2}, o.plan(t, r))
	stale := o.db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		return capacity.RemoveDowntime(ctx, tx, d.ID, d.Version-1, o.why("uji"))
	})
	require.ErrorIs(t, stale, postgres.ErrStale)
	o.tx(t, func(ctx context.Context, tx *postgres.Tx) error {
		return capacity.RemoveDowntime(ctx, tx, d.ID, d.Version, o.why("uji"))
	})
	o.replan(t, o.day.At(10, 0))
	require.Equal(t, map[string]int{"2026-11-24": 10, "2026-11-25": 5}, o.plan(t, r))
	var bells int
	require.NoError(t, o.db.Get(t.Context(), &bells, `SELECT count(*) FROM outbox WHERE type = 'station.downtime_changed'`))
	require.Equal(t, 3, bells)
	require.Equal(t, []string{"/station missing", "/from in_past", "/to in_past", "/to out_of_range", "/cards out_of_range", "/reason missing"}, pointers(t, o.db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		_, err := capacity.AddDowntime(ctx, tx, capacity.Downtime{From: o.day.AddDays(-1), To: o.day.AddDays(-2)}, capacity.Why{OfficeAt: o.day.At(9, 0)})
		return err
	})))
}

// TestRamadanFactor: 6.5 of 7.5 hours make 216 of 250 cards (features.md N7).
func TestRamadanFactor(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	data := shippedData(t)
	p := capacity.Parameters{Usual: 250, RamadanOn: true, Ramadan: data.Hours.Fasts}
	require.Equal(t, 216, p.On(clock.MustParseDate("2026-03-02")))
	require.Equal(t, 250, p.On(clock.MustParseDate("2026-04-02")))
	o.tx(t, func(ctx context.Context, tx *postgres.Tx) error {
		changed, err := capacity.SetParameters(ctx, tx, p)
		require.True(t, changed)
		require.NoError(t, err)
		changed, err = capacity.SetParameters(ctx, tx, p)
		require.False(t, changed)
		return err
	})
	read, err := capacity.ReadParameters(t.Context(), o.db)
	require.NoError(t, err)
	require.Equal(t, p, read)
	ahead, err := capacity.Ahead(t.Context(), o.db, capacity.PlanInput{Calendar: data.Calendar(), OfficeAt: clock.MustParseDate("2027-03-05").At(9, 0)}, 2)
	require.NoError(t, err)
	require.Equal(t, []int{216, 250}, []int{ahead[0].Capacity, ahead[1].Capacity}, "after Idulfitri as usual")
	p.RamadanOn = false
	require.Equal(t, 250, p.On(clock.MustParseDate("2026-03-02")))
}

func (o *office) give(t *testing.T, at time.Time, c capacity.Command) {
	t.Helper()
	o.tx(t, func(ctx context.Context, tx *postgres.Tx) error {
		w := o.why("uji")
		w.OfficeAt = at
		_, _, err := capacity.Give(ctx, tx, c, w)
		return err
	})
}

// obey has the scheduler do what was ordered, and returns the answer to the newest
// command.
func (o *office) obey(t *testing.T, at time.Time) string {
	t.Helper()
	in := capacity.PlanInput{Calendar: shipped(t), OfficeAt: at, Cause: "perintah"}
	o.tx(t, func(ctx context.Context, tx *postgres.Tx) error {
		if _, err := capacity.Obey(ctx, tx, in); err != nil {
			return err
		}
		_, err := capacity.Replan(ctx, tx, in)
		return err
	})
	list, err := capacity.Commands(t.Context(), o.db, clock.DateOf(at))
	require.NoError(t, err)
	require.NotNil(t, list[0].DoneAt)
	return list[0].Outcome
}

// TestReleaseNowCloseEarlyReopen plays a day on which people step in: ten cards a
// day, 6 of the first request planned for it and 8 of the second for the next.
func TestReleaseNowCloseEarlyReopen(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	first := o.accepted(t, 6)
	o.replan(t, o.day.At(9, 0))
	tuesday := o.next()
	o.tx(t, func(ctx context.Context, tx *postgres.Tx) error {
		_, err := capacity.ReleaseDay(ctx, tx, tuesday, tuesday.At(7, 30))
		return err
	})
	second := o.accepted(t, 8)
	o.replan(t, tuesday.At(8, 0))
	require.Equal(t, map[string]int{"2026-11-25": 8}, o.plan(t, second))

	o.give(t, tuesday.At(9, 0), capacity.Command{Verb: capacity.ReleaseNow, RequestID: &second.ID, Cards: 3})
	require.Equal(t, "3 kartu dilepas untuk hari ini.", o.obey(t, tuesday.At(9, 0)))
	require.Equal(t, map[string]int{"2026-11-24": 3, "2026-11-25": 5}, o.plan(t, second))
	o.give(t, tuesday.At(9, 0), capacity.Command{Verb: capacity.ReleaseNow, RequestID: &second.ID})
	require.Equal(t, "1 kartu dilepas untuk hari ini.", o.obey(t, tuesday.At(9, 0)), "as many as the day has slots")
	o.give(t, tuesday.At(9, 0), capacity.Command{Verb: capacity.ReleaseNow, RequestID: &second.ID})
	require.Equal(t, "Tidak dilaksanakan: kapasitas hari ini sudah terpakai seluruhnya.", o.obey(t, tuesday.At(9, 0)))
	r, err := request.Get(t.Context(), o.db, second.ID)
	require.NoError(t, err)
	require.Equal(t, request.InProgress, r.State)

	o.give(t, tuesday.At(10, 0), capacity.Command{Verb: capacity.CloseEarly})
	require.Equal(t, "3 perintah kerja ditutup; 10 kartu belum selesai dan dijadwalkan kembali.", o.obey(t, tuesday.At(10, 0)))
	require.Equal(t, map[string]int{"2026-11-25": 6}, o.plan(t, first), "with its rank")
	require.Equal(t, map[string]int{"2026-11-25": 4, "2026-11-26": 4}, o.plan(t, second))
	balances, err := capacity.Balances(t.Context(), o.db, tuesday)
	require.NoError(t, err)
	require.Len(t, balances, 2)
	require.Equal(t, [3]int{6, 6, 0}, [3]int{balances[0].Planned, balances[0].NotPresented, balances[0].Difference})
	require.ErrorIs(t, o.db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		_, err := capacity.ClaimOrder(ctx, tx, first.ID, tuesday)
		return err
	}), capacity.ErrNoOrder, "nothing is claimed on a closed day")

	o.give(t, tuesday.At(11, 0), capacity.Command{Verb: capacity.Reopen, RequestID: &first.ID})
	require.Equal(t, "1 perintah kerja dibuka kembali; 6 kartu dapat dikerjakan hari ini.", o.obey(t, tuesday.At(11, 0)))
	require.Equal(t, map[string]int{"2026-11-24": 6}, o.plan(t, first))
	require.Equal(t, map[string]int{"2026-11-25": 8}, o.plan(t, second))
	o.tx(t, func(ctx context.Context, tx *postgres.Tx) error {
		_, err := capacity.ClaimOrder(ctx, tx, first.ID, tuesday)
		return err
	})
	balances, err = capacity.Balances(t.Context(), o.db, tuesday)
	require.NoError(t, err)
	require.Len(t, balances, 1, "the reopened order has no balance until it is closed again")

	o.give(t, tuesday.At(23, 0), capacity.Command{Verb: capacity.CloseEarly})
	in := capacity.PlanInput{Calendar: shipped(t), OfficeAt: tuesday.AddDays(1).At(0, 1)}
	o.tx(t, func(ctx context.Context, tx *postgres.Tx) error {
		_, err := capacity.Obey(ctx, tx, in)
		return err
	})
	list, err := capacity.Commands(t.Context(), o.db, tuesday)
	require.NoError(t, err)
	require.Equal(t, "Tidak dilaksanakan: harinya sudah lewat.", list[0].Outcome)
}

// TestCommandsThatCannotBe names what is wrong at once.
func TestCommandsThatCannotBe(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	err := o.db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		_, _, err := capacity.Give(ctx, tx, capacity.Command{Verb: capacity.ReleaseNow}, capacity.Why{OfficeAt: o.day.AddDays(5).At(9, 0)})
		return err
	})
	require.Equal(t, []string{"/ticket missing", "/day not_a_workday", "/reason missing"}, pointers(t, err))
	err = o.db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		_, _, err := capacity.Give(ctx, tx, capacity.Command{Verb: "dance"}, o.why("uji"))
		return err
	})
	var faults form.Faults
	require.ErrorAs(t, err, &faults)
}

// TestExtendPlacesAsReplanWould: new requests placed behind the others stand where
// a plan from scratch has them; one that ranks earlier wants the whole plan.
func TestExtendPlacesAsReplanWould(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.accepted(t, 7)
	o.replan(t, o.day.At(9, 0))
	extend := func(at time.Time, requests ...request.Request) (done capacity.Changes, ok bool) {
		var ids []string
		for _, r := range requests {
			ids = append(ids, r.ID)
		}
		o.tx(t, func(ctx context.Context, tx *postgres.Tx) (err error) {
			done, ok, err = capacity.Extend(ctx, tx, capacity.PlanInput{Calendar: shipped(t), OfficeAt: at, Cause: "permohonan baru"}, ids)
			return err
		})
		return done, ok
	}
	second, third := o.accepted(t, 8), o.accepted(t, 12)
	done, ok := extend(o.day.At(9, 5), third, second)
	require.True(t, ok)
	require.Equal(t, capacity.Changes{Placed: 4, Estimates: 2, Scheduled: 2}, done)
	require.Zero(t, o.replan(t, o.day.At(9, 10)), "from scratch it is the same")
	done, ok = extend(o.day.At(9, 5), third)
	require.True(t, ok)
	require.Zero(t, done, "the bell rang twice")

	// A disposition of before, accepted after the others (features.md I12).
	late := o.accepted(t, 10)
	o.tx(t, func(ctx context.Context, tx *postgres.Tx) error {
		return tx.ExecOne(ctx, `UPDATE request SET disposition_date = $2 WHERE id = $1`, late.ID, o.day.AddDays(-4))
	})
	_, ok = extend(o.day.At(9, 20), late)
	require.False(t, ok)
	o.replan(t, o.day.At(9, 20))
	require.Equal(t, map[string]int{"2026-11-24": 10}, o.plan(t, late), "its rank is that of its disposition")
	e, err := capacity.EstimateOf(t.Context(), o.db, third.ID)
	require.NoError(t, err)
	require.Len(t, e.Moves, 2)
	require.Equal(t, "2026-11-25", e.FirstStart.String(), "the first promise stays beside")

	// A day has another capacity by now than it was planned with.
	o.tx(t, func(ctx context.Context, tx *postgres.Tx) error {
		_, err := capacity.Set(ctx, tx, capacity.Setting{Day: o.next().AddDays(1), Capacity: 20}, o.why("uji"))
		return err
	})
	_, ok = extend(o.day.At(9, 30), o.accepted(t, 1))
	require.False(t, ok)
}
