package planner

import (
	"context"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/rabbit"
)

// empty is what a clock says whose battery is empty.
var empty = clock.MustParseDate("2020-01-01").At(0, 1)

// TestPeopleAreToldOfAClockInDoubt: readyz names the cause, whatever the machine's clock
// says, and the log does, though something else failed before.
func TestPeopleAreToldOfAClockInDoubt(t *testing.T) {
	t.Parallel()
	d := newDeaf(t)
	require.NoError(t, d.p.Check(t.Context()))
	d.p.failing.Store(true) // the database was away
	d.office.Set(empty)
	d.p.once(t.Context())
	d.p.once(t.Context())
	require.Contains(t, d.log.String(), "sifilma clock -right")
	d.p.start = d.p.start.Add(-time.Hour) // it goes on, for an hour
	require.ErrorContains(t, d.p.Check(t.Context()), "sifilma clock -right")
	d.office.Set(monday.At(10, 0))
	d.tick(1)
	require.NoError(t, d.p.Check(t.Context()))
}

// TestABellRingsBeforeTheTickSeesTheClock: the clock is wrong between two ticks, and a
// bell comes then. It is not heard by that clock, but after the next tick that trusts it.
func TestABellRingsBeforeTheTickSeesTheClock(t *testing.T) {
	t.Parallel()
	d := newDeaf(t)
	hear := func() error {
		return d.p.db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
			return d.p.Hear(ctx, tx, []rabbit.Event{{Type: rabbit.CapacityChanged}})
		})
	}
	planned := d.planned()
	for _, wrong := range []time.Time{empty, monday.AddDays(40).At(9, 0)} {
		d.office.Set(wrong)
		require.ErrorIs(t, hear(), errNotLooked)
		require.Equal(t, planned, d.planned())
	}
	d.office.Set(monday.At(10, 0))
	require.NoError(t, hear())
	d.office.Set(tuesday.At(6, 59))
	require.ErrorIs(t, hear(), errNotLooked)
	d.tick(1)
	require.NoError(t, hear())
	require.Equal(t, map[string]int{"2026-03-03": 10, "2026-03-04": 10}, d.planned())
}

// TestALeapIsRightAfterAWhile: a scheduler was down for days, or the office was away. When
// its clock falls weeks later, it does not return to where it was before those days.
func TestALeapIsRightAfterAWhile(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		days int // that it goes on after the leap
		to   clock.Date
	}{"weeks later": {20, monday.AddDays(10)}, "weeks later, to before": {20, monday}, "at once, but elsewhere": {0, monday.AddDays(15)}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDeaf(t)
			for day := range c.days + 1 {
				d.office.Set(monday.AddDays(20+day).At(10, 0))
				d.tick(1)
			}
			require.Regexp(t, `"level":"warn".*the office clock went far ahead`, d.log.String())
			before, planned := d.effects(), d.planned()
			d.office.Set(c.to.At(12, 0))
			d.p.once(t.Context())
			require.ErrorIs(t, d.p.looked.Load().doubt, errWrong)
			require.Equal(t, before, d.effects())
			require.Equal(t, planned, d.planned())
		})
	}
}

// TestAMachineWhoseClockLeaps: a clock that follows the machine's goes ahead by more than
// what passed. That is told, though it is less than a weekend.
func TestAMachineWhoseClockLeaps(t *testing.T) {
	t.Parallel()
	d := newDeaf(t)
	d.p.real = true
	at := d.office.Now()
	require.NoError(t, d.p.watch(t.Context(), at.Add(59*time.Minute)))
	d.p.seen.at = d.p.seen.at.Add(-50 * time.Hour) // the database was away
	require.NoError(t, d.p.watch(t.Context(), at.Add(50*time.Hour)))
	require.NotContains(t, d.log.String(), "went far ahead")
	require.NoError(t, d.p.watch(t.Context(), at.Add(53*time.Hour)))
	require.Regexp(t, `"level":"error".*the office clock went far ahead`, d.log.String())
	measured, err := prometheus.DefaultGatherer.Gather()
	require.NoError(t, err)
	for _, m := range measured {
		if m.GetName() == "sifilma_office_clock_moved_total" {
			require.NotZero(t, m.GetMetric()[0].GetCounter().GetValue(), "by its label, ahead is the first")
			return
		}
	}
	t.Fatal("no alert can be made of it")
}

// TestTheNightReleaseIsNotLost: what is released soon after midnight stays released when
// the clock is set back over midnight and its window is not forgotten.
func TestTheNightReleaseIsNotLost(t *testing.T) {
	t.Parallel()
	d := newDeaf(t)
	cfg := d.p.cfg
	cfg.Release = "30 0 * * *"
	p, err := New(cfg, d.p.db, d.office, nil, d.p.log, statusOf(t))
	require.NoError(t, err)
	d.p = p
	released := func() (n int) {
		require.NoError(t, d.DB.Get(t.Context(), &n, `SELECT coalesce(sum(quantity), 0) FROM work_order WHERE day = $1 AND state = 'released'`, tuesday))
		return n
	}
	d.tick(1)
	d.office.Set(tuesday.At(0, 50))
	d.tick(1)
	require.Equal(t, 10, released())
	d.office.Set(monday.At(23, 40))
	d.tick(1)
	require.Contains(t, d.log.String(), "the office clock was set back")
	for _, at := range []time.Time{tuesday.At(0, 30), tuesday.At(8, 0)} {
		d.office.Set(at)
		d.tick(2)
		require.Equal(t, 10, released())
	}
}

// TestAClockIsSetBackInSteps: each of them is a wobble, and together they are none.
func TestAClockIsSetBackInSteps(t *testing.T) {
	t.Parallel()
	d := newDeaf(t)
	closed := func() (n int) {
		require.NoError(t, d.DB.Get(t.Context(), &n, `SELECT count(*) FROM schedule_run WHERE job = 'close' AND window_start = $1`, monday.At(16, 0).UTC()))
		return n
	}
	for i, at := range []time.Time{monday.At(16, 30), monday.At(15, 40), monday.At(14, 50), monday.At(14, 0)} {
		d.office.Set(at)
		d.tick(1)
		if i < 2 {
			require.Equal(t, 1, closed())
		}
	}
	require.Zero(t, closed(), "it is due again")
	require.Contains(t, d.log.String(), "the office clock was set back")
}

// TestAWrongClockKeepsNoBells: a scheduler that waits for people lets the bells go. When
// its clock is right again, or at another scheduler's ticks, what they told of is done.
func TestAWrongClockKeepsNoBells(t *testing.T) {
	t.Parallel()
	d := newDeaf(t)
	d.office.Set(empty)
	d.p.once(t.Context())
	d.Must(t, func(ctx context.Context, tx *postgres.Tx) error { // all cards of the request have ended
		if _, err := tx.Exec(ctx, `SET LOCAL session_replication_role = replica`); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `UPDATE card SET state = 'reduced'`)
		return err
	})
	require.NoError(t, d.p.db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		return d.p.Hear(ctx, tx, []rabbit.Event{{Type: rabbit.WorkorderFinished, Request: d.RequestID}})
	}))
	state := func() (state string) {
		require.NoError(t, d.DB.Get(t.Context(), &state, `SELECT state FROM request WHERE id = $1`, d.RequestID))
		return state
	}
	require.Equal(t, "in_progress", state(), "it does nothing by this clock")
	d.office.Set(monday.At(10, 0))
	for range 2 { // the bell has its chance
		require.Equal(t, "in_progress", state())
		d.p.seen.counted = time.Time{} // a minute passes
		d.tick(1)
	}
	require.Equal(t, "done", state())
	require.Contains(t, d.log.String(), `"finished":1`)
}
