package capacity_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/capacity"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/perso/persotest"
	"dukcapil.go.id/sifilma/pkg/postgres"
)

var firstDay = clock.DateOf(persotest.OfficeAt)

func finish(t *testing.T, o *persotest.Office, h perso.Hand) {
	t.Helper()
	change := perso.Change{Actor: perso.StationActor("s1"), OfficeAt: persotest.OfficeAt}
	o.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
		h, err := perso.BeginWriting(ctx, tx, h, perso.Intent{Sealed: []byte{1}}, change)
		if err != nil {
			return err
		}
		_, err = perso.Finish(ctx, tx, h, nil, change)
		return err
	})
}

func letGo(t *testing.T, o *persotest.Office, h perso.Hand) {
	t.Helper()
	o.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
		_, err := perso.ReleaseClaim(ctx, tx, h, perso.Change{Actor: perso.StationActor("s1"), OfficeAt: persotest.OfficeAt, Reason: "uji"})
		return err
	})
}

func closeDays(t *testing.T, o *persotest.Office, day clock.Date) (end capacity.DayEnd) {
	t.Helper()
	o.Must(t, func(ctx context.Context, tx *postgres.Tx) (err error) {
		end, err = capacity.CloseDays(ctx, tx, day, day.At(16, 0), day.At(16, 0))
		return err
	})
	return end
}

func settle(t *testing.T, o *persotest.Office) (end capacity.DayEnd) {
	t.Helper()
	o.Must(t, func(ctx context.Context, tx *postgres.Tx) (err error) {
		end, err = capacity.Settle(ctx, tx, persotest.OfficeAt)
		return err
	})
	return end
}

// planAt makes the plan anew and returns the cards of each planned day.
func planAt(t *testing.T, o *persotest.Office, day clock.Date) map[string]int {
	t.Helper()
	o.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
		_, err := capacity.Replan(ctx, tx, capacity.PlanInput{Calendar: shipped(t), OfficeAt: day.At(16, 1), Cause: "uji"})
		return err
	})
	var rows []struct {
		Day   clock.Date `db:"day"`
		Cards int        `db:"cards"`
	}
	require.NoError(t, o.DB.Select(t.Context(), &rows, `SELECT day, sum(quantity) AS cards FROM work_order WHERE state = 'planned' GROUP BY day`))
	days := map[string]int{}
	for _, r := range rows {
		days[r.Day.String()] = r.Cards
	}
	return days
}

// TestAnOrderWithWrittenCardsIsNotTakenBack: the request is held in mid-day. The day
// has spent slots on the cards that were counted off, so their order keeps them: it
// is closed, and drawn up in the day's balance. All other slots are free again.
func TestAnOrderWithWrittenCardsIsNotTakenBack(t *testing.T) {
	t.Parallel()
	revoke := func(o *persotest.Office) {
		o.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
			return capacity.RevokeRequest(ctx, tx, o.RequestID, persotest.OfficeAt)
		})
	}
	o := persotest.New(t, 5, 5)
	finish(t, o, take(t, o, o.Serials[0]))
	h := take(t, o, o.Serials[1])
	letGo(t, o, h) // as if it had never been claimed
	revoke(o)
	end := settle(t, o)
	remaining, state := o.Remaining(t)
	require.Equal(t, "closed", state)
	require.Zero(t, remaining)
	var used int
	require.NoError(t, o.DB.Get(t.Context(), &used, `SELECT sum(quantity) FROM work_order WHERE state <> 'revoked'`))
	require.Equal(t, 1, used)
	require.Equal(t, [4]int{1, 1, 0, 0}, [4]int{end.Balance.Planned, end.Balance.Clear, end.Balance.NotPresented, end.Balance.Difference})

	o = persotest.New(t, 5, 5)
	letGo(t, o, take(t, o, o.Serials[1]))
	revoke(o)
	_, state = o.Remaining(t)
	require.Equal(t, "revoked", state)

	o = persotest.New(t, 3, 3)
	off(t, o, 1)
	shrink(t, o)
	revoke(o)
	settle(t, o)
	_, state = o.Remaining(t)
	require.Equal(t, "closed", state, "what became of the card that was taken off stays in the balance")
}

// TestAClosingOrderCoversTheCardsInHandOnly: the station stays away with one card of
// fifty. The others are in the queue at once, and none is there twice, however the
// card in hand turns out and whether the day is opened again.
func TestAClosingOrderCoversTheCardsInHandOnly(t *testing.T) {
	t.Parallel()
	for name, last := range map[string]func(t *testing.T, o *persotest.Office, h perso.Hand) int{
		"it is finished": func(t *testing.T, o *persotest.Office, h perso.Hand) int { finish(t, o, h); return 49 },
		"it is let go":   func(t *testing.T, o *persotest.Office, h perso.Hand) int { letGo(t, o, h); return 50 },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := persotest.New(t, 50, 50)
			h := take(t, o, o.Serials[7])
			require.Zero(t, closeDays(t, o, firstDay).Orders)
			tuesday := firstDay.AddDays(1).String()
			require.Equal(t, map[string]int{tuesday: 49}, planAt(t, o, firstDay))
			_, state := o.Remaining(t)
			require.Equal(t, "closing", state)

			left := last(t, o, h)
			require.Equal(t, 49, planAt(t, o, firstDay)[tuesday], "until it is settled")
			end := settle(t, o)
			require.Equal(t, 1, end.Orders)
			require.Equal(t, [3]int{50, left, 0}, [3]int{end.Balance.Planned, end.Balance.NotPresented, end.Balance.Difference})
			require.Equal(t, map[string]int{tuesday: left}, planAt(t, o, firstDay))
			remaining, _ := o.Remaining(t)
			require.Equal(t, left, remaining, "what a new opening of the day would find")
			var waiting int
			require.NoError(t, o.DB.Get(t.Context(), &waiting, `SELECT sum(remaining) FROM work_order WHERE state IN ('planned','released','closing')`))
			require.Equal(t, left, waiting)

			o.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
				w := capacity.Why{Actor: "kasubdit", Reason: "lembur", OfficeAt: firstDay.At(17, 0)}
				if _, _, err := capacity.Give(ctx, tx, capacity.Command{Verb: capacity.Reopen}, w); err != nil {
					return err
				}
				_, err := capacity.Obey(ctx, tx, capacity.PlanInput{Calendar: shipped(t), OfficeAt: firstDay.At(17, 0)})
				return err
			})
			require.Empty(t, planAt(t, o, firstDay), "the reopened order has them all")
			remaining, state = o.Remaining(t)
			require.Equal(t, left, remaining)
			require.Equal(t, "released", state)
		})
	}
}

// TestClosingADayDrawsItUpWhateverElseEnds: an order of the day before is settled by
// the same call. The balance of the day itself, of which the last card closed the
// order, is drawn up all the same.
func TestClosingADayDrawsItUpWhateverElseEnds(t *testing.T) {
	t.Parallel()
	o := persotest.New(t, 3, 2)
	h := take(t, o, o.Serials[0])
	closeDays(t, o, firstDay)
	planAt(t, o, firstDay)
	tuesday := firstDay.AddDays(1)
	o.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
		_, err := capacity.ReleaseDay(ctx, tx, tuesday, tuesday.At(7, 30))
		return err
	})
	finish(t, o, takeAt(t, o, o.Serials[1], tuesday.At(8, 0)))
	finish(t, o, takeAt(t, o, o.Serials[2], tuesday.At(8, 0)))
	letGo(t, o, h)
	require.Equal(t, 1, closeDays(t, o, tuesday).Orders)
	list, err := capacity.Balances(t.Context(), o.DB, tuesday)
	require.NoError(t, err)
	require.Len(t, list, 1)
	require.Equal(t, [3]int{2, 2, 0}, [3]int{list[0].Planned, list[0].Clear, list[0].Difference})
}
