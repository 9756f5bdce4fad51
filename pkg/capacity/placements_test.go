package capacity_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/capacity"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
)

// TestARequestHasSoManyPartsAndNoMore: the last of them can still be changed, and
// those whose day is over do not count.
func TestARequestHasSoManyPartsAndNoMore(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	r := o.accepted(t, 40)
	calendar := shipped(t)
	place := func(p capacity.Placement, at clock.Date) error {
		p.RequestID = r.ID
		return o.db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
			w := o.why("uji")
			w.OfficeAt = at.At(9, 0)
			_, err := capacity.Place(ctx, tx, p, w)
			return err
		})
	}
	day := o.day
	for range 19 {
		day = calendar.Next(day)
		require.NoError(t, place(capacity.Placement{Day: day, Cards: 1}, o.day))
	}
	whole := capacity.Placement{Pin: true, Day: o.next()}
	require.NoError(t, place(whole, o.day), "the twentieth is of all that remain")
	require.Equal(t, []string{"/cards too_many"}, pointers(t, place(capacity.Placement{Day: calendar.Next(day), Cards: 1}, o.day)))
	require.NoError(t, place(capacity.Placement{Day: day, Cards: 2}, o.day), "another number of cards of a part")
	whole.Day = day
	require.NoError(t, place(whole, o.day), "another day for all that remain")
	require.NoError(t, place(whole, o.day), "once more the same")
	require.NoError(t, place(capacity.Placement{Day: calendar.Next(day), Cards: 1}, o.next().AddDays(1)), "the first part's day is over")
}

// TestAPartWhoseDayIsOverBindsNobody: what the others were to have is theirs.
func TestAPartWhoseDayIsOverBindsNobody(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	r := o.accepted(t, 8)
	friday := clock.MustParseDate("2026-11-27")
	o.place(t, capacity.Placement{RequestID: r.ID, Cards: 3, Day: o.next()})
	o.place(t, capacity.Placement{RequestID: r.ID, Cards: 4, Day: friday})
	o.replan(t, o.day.At(10, 0))
	require.Equal(t, map[string]int{"2026-11-24": 4, "2026-11-27": 4}, o.plan(t, r))
	o.release(t, o.next())
	o.finish(t, r, 4, o.next().At(9, 0))
	require.Zero(t, o.replan(t, o.next().At(18, 0)), "the four of Friday stay")
	require.Equal(t, map[string]int{"2026-11-27": 4}, o.plan(t, r))
}

// TestOnlyPlacementsThatMayBindAreRead by the planner.
func TestOnlyPlacementsThatMayBindAreRead(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	r, gone := o.accepted(t, 8), o.accepted(t, 8)
	for _, one := range []request.Request{r, gone} {
		o.place(t, capacity.Placement{RequestID: one.ID, Cards: 2, Day: o.next()})
		o.place(t, capacity.Placement{RequestID: one.ID, Cards: 3, Day: o.day.AddDays(3)})
	}
	o.step(t, gone, request.Hold, o.day.At(11, 0))
	load := func(at clock.Date) (parts int) {
		in, err := capacity.Load(t.Context(), o.db, capacity.PlanInput{Calendar: shipped(t), OfficeAt: at.At(9, 0)})
		require.NoError(t, err)
		require.Len(t, in.Queue, 1)
		return len(in.Queue[0].Parts)
	}
	require.Equal(t, 2, load(o.day))
	require.Equal(t, 2, load(o.next()), "the day has not begun")
	o.begin(t, o.next())
	require.Equal(t, 1, load(o.next()))
	o.begin(t, o.day.AddDays(3))
	require.Zero(t, load(o.day.AddDays(3)))
}
