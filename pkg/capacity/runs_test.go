package capacity_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/capacity"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
)

// runner runs a job that is due each day at 07.30, and says which windows it ran.
func runner(t *testing.T, o *office) func(at time.Time) []string {
	t.Helper()
	schedule, err := capacity.ParseSchedule("30 7 * * *")
	require.NoError(t, err)
	var windows []string
	jobs := []capacity.Job{{Name: "uji", Schedule: schedule, Do: func(_ context.Context, _ *postgres.Tx, w, _ time.Time) (any, error) {
		windows = append(windows, w.In(clock.Jakarta).Format("06-01-02"))
		return nil, nil
	}}}
	return func(at time.Time) []string {
		windows = nil
		n, err := capacity.RunDue(t.Context(), o.db, jobs, at)
		require.NoError(t, err)
		require.Len(t, windows, n)
		return windows
	}
}

// TestAClockYearsAheadForAMoment runs few windows there, and once it is right again
// the office's own, each once.
func TestAClockYearsAheadForAMoment(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	run := runner(t, o)
	require.Equal(t, []string{"26-11-23"}, run(o.day.At(8, 0)))
	require.Len(t, run(clock.MustParseDate("2036-05-01").At(12, 0)), 31)
	require.Empty(t, run(o.day.At(8, 1)))
	require.Equal(t, []string{"26-11-24"}, run(o.day.AddDays(1).At(7, 31)))
	require.Equal(t, []string{"26-11-25", "26-11-26", "26-11-27"}, run(o.day.AddDays(4).At(8, 0)), "three nights missed")
	require.Empty(t, run(o.day.AddDays(4).At(8, 1)))
}

// TestWindowsOfAClockThatWasAheadAreForgotten: it was two days ahead. What it ran
// there is due when its time comes.
func TestWindowsOfAClockThatWasAheadAreForgotten(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	run := runner(t, o)
	run(o.day.At(8, 0))
	require.Equal(t, []string{"26-11-24", "26-11-25"}, run(o.day.AddDays(2).At(8, 0)))
	newest, err := capacity.NewestRun(t.Context(), o.db)
	require.NoError(t, err)
	require.True(t, newest.Equal(o.day.AddDays(2).At(7, 30)), newest)
	o.tx(t, func(ctx context.Context, tx *postgres.Tx) error {
		n, err := capacity.SetBack(ctx, tx, o.input(t, o.day.At(8, 0)), o.day)
		require.Equal(t, 2, n)
		return err
	})
	require.Empty(t, run(o.day.At(9, 0)))
	require.Equal(t, []string{"26-11-24"}, run(o.day.AddDays(1).At(7, 30)))
}

// TestWhatIsReleasedAheadIsNotClaimed before its day: a clock that was a day ahead
// released tomorrow's orders. Taken back, their cards are planned again; where one was
// written, the day has spent it.
func TestWhatIsReleasedAheadIsNotClaimed(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	first, second := o.accepted(t, 4), o.accepted(t, 3)
	o.replan(t, o.day.At(9, 0))
	claim := func(r request.Request, today clock.Date) (order capacity.WorkOrder, err error) {
		err = o.db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) (err error) {
			order, err = capacity.ClaimOrder(ctx, tx, r.ID, today)
			return err
		})
		return order, err
	}
	o.tx(t, func(ctx context.Context, tx *postgres.Tx) error {
		_, err := capacity.ReleaseDay(ctx, tx, o.next(), o.next().At(7, 30))
		return err
	})
	order, err := claim(second, o.next())
	require.NoError(t, err)
	_, err = claim(second, o.next().AddDays(1))
	require.NoError(t, err, "the day is over and not closed yet")
	_, err = claim(second, o.day)
	require.ErrorIs(t, err, capacity.ErrNoOrder)

	o.tx(t, func(ctx context.Context, tx *postgres.Tx) error {
		if _, err := tx.Exec(ctx, `DELETE FROM card WHERE id IN (SELECT id FROM card WHERE request_id = $1 LIMIT 1)`, second.ID); err != nil { // it is finished
			return err
		}
		if err := capacity.CountDown(ctx, tx, order.ID, machine.Actor{Name: "stasiun", Role: request.Station}, o.next().At(8, 0)); err != nil {
			return err
		}
		_, err := capacity.SetBack(ctx, tx, o.input(t, o.day.At(10, 0)), o.day)
		return err
	})
	require.Equal(t, map[string]int{"2026-11-24": 4}, o.plan(t, first))
	require.Equal(t, map[string]int{"2026-11-24": 1, "2026-11-25": 1}, o.plan(t, second), "behind the slot that is spent")
	o.tx(t, func(ctx context.Context, tx *postgres.Tx) error {
		end, err := capacity.Settle(ctx, tx, o.day.At(10, 0))
		require.Equal(t, [2]int{1, 0}, [2]int{end.Orders, end.Balance.NotPresented})
		return err
	})
	require.Zero(t, o.replan(t, o.day.At(10, 1)))
}
