package capacity_test

import (
	"context"
	"fmt"
	"math"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/capacity"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/perso/persotest"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
)

// release opens the day's orders, as in the morning.
func (o *office) release(t *testing.T, day clock.Date) {
	t.Helper()
	o.tx(t, func(ctx context.Context, tx *postgres.Tx) error {
		_, err := capacity.ReleaseDay(ctx, tx, day, day.At(7, 30))
		return err
	})
}

// step takes a step of a request, and has the scheduler hear of it.
func (o *office) step(t *testing.T, r request.Request, verb machine.Verb, at time.Time) {
	t.Helper()
	o.tx(t, func(ctx context.Context, tx *postgres.Tx) error {
		now, err := request.Lock(ctx, tx, r.ID)
		if err != nil {
			return err
		}
		change := by(request.Kasubdit, at)
		change.Reason = "uji"
		if _, err := request.Take(ctx, tx, now, verb, change); err != nil || verb != request.Hold {
			return err
		}
		return capacity.RevokeRequest(ctx, tx, r.ID, at)
	})
	o.replan(t, at)
}

// cards puts n cards of a request that are in a state into another, past the guards.
func (o *office) cards(t *testing.T, r request.Request, n int, from, to string) {
	t.Helper()
	o.tx(t, func(ctx context.Context, tx *postgres.Tx) error {
		if _, err := tx.Exec(ctx, `SET LOCAL session_replication_role = replica`); err != nil {
			return err
		}
		moved, err := tx.Exec(ctx, `UPDATE card SET state = $3, version = version + 1, chip_id = id::text
			WHERE id IN (SELECT id FROM card WHERE request_id = $1 AND state = $2 ORDER BY serial LIMIT $4)`, r.ID, from, to, n)
		require.EqualValues(t, n, moved)
		return err
	})
}

// finish personalises n cards of a request under its released order.
func (o *office) finish(t *testing.T, r request.Request, n int, at time.Time) {
	t.Helper()
	o.cards(t, r, n, "listed", "failed") // whatever became of them, they are off the line
	o.tx(t, func(ctx context.Context, tx *postgres.Tx) error {
		for range n {
			order, err := capacity.ClaimOrder(ctx, tx, r.ID, clock.DateOf(at))
			if err != nil {
				return err
			}
			if err := capacity.CountDown(ctx, tx, order.ID, machine.Actor{Name: "s1", Role: request.Station}, at); err != nil {
				return err
			}
		}
		return nil
	})
}

// balanced wants the cards of each request's open orders to be no more than those
// that wait or are in hand, and no day above its capacity.
func (o *office) balanced(t *testing.T) {
	t.Helper()
	var wrong []string
	require.NoError(t, o.db.Select(t.Context(), &wrong, `
		SELECT r.ticket FROM request r WHERE r.state IN ('accepted','scheduled','in_progress')
		  AND coalesce((SELECT sum(remaining) FROM work_order o WHERE o.request_id = r.id AND o.state IN ('planned','released','closing')), 0) <>
		      (SELECT count(*) FROM card c WHERE c.request_id = r.id AND c.state IN ('listed','bound','numbered','claimed','writing','written','verified'))`))
	require.Empty(t, wrong, "places and cards differ")
	require.NoError(t, o.db.Select(t.Context(), &wrong, `
		SELECT d.day::text FROM capacity_day d JOIN work_order o ON o.day = d.day
		GROUP BY d.day, d.capacity HAVING sum(CASE WHEN o.state = 'revoked' THEN o.quantity - o.remaining - o.reduced ELSE o.quantity END) > d.capacity`))
	require.Empty(t, wrong, "days above their capacity")
}

// TestReleaseNowFillsTheGaps: what a request left that was held is room for others,
// wherever it lies in the day; what was made under it is not.
func TestReleaseNowFillsTheGaps(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	first, second := o.accepted(t, 4), o.accepted(t, 3)
	o.replan(t, o.day.At(9, 0))
	tuesday := o.next()
	o.release(t, tuesday)
	third := o.accepted(t, 12)
	o.finish(t, first, 1, tuesday.At(8, 0))
	o.step(t, first, request.Hold, tuesday.At(8, 30))
	o.balanced(t)

	o.give(t, tuesday.At(9, 0), capacity.Command{Verb: capacity.ReleaseNow, RequestID: &third.ID})
	require.Equal(t, "6 kartu dilepas untuk hari ini.", o.obey(t, tuesday.At(9, 0)), "10 less 3 of the second and the one that was made")
	require.Equal(t, map[string]int{"2026-11-24": 6, "2026-11-25": 6}, o.plan(t, third))
	require.Equal(t, map[string]int{"2026-11-24": 3}, o.plan(t, second))
	o.balanced(t)
	o.give(t, tuesday.At(9, 1), capacity.Command{Verb: capacity.ReleaseNow, RequestID: &third.ID, Cards: 2})
	require.Equal(t, "Tidak dilaksanakan: kapasitas hari ini sudah terpakai seluruhnya.", o.obey(t, tuesday.At(9, 1)))
	o.balanced(t)
}

// TestReleaseNowOfSomeCards: before the morning, so many cards of the day's own order
// are released and the others keep their place; then those of later days follow.
func TestReleaseNowOfSomeCards(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	r := o.accepted(t, 13)
	o.replan(t, o.day.At(9, 0))
	tuesday := o.next()
	release := func(cards int, at time.Time) string {
		t.Helper()
		o.give(t, at, capacity.Command{Verb: capacity.ReleaseNow, RequestID: &r.ID, Cards: cards})
		defer o.balanced(t)
		return o.obey(t, at)
	}
	states := func() map[string]int {
		t.Helper()
		placed, err := capacity.PlacedOf(t.Context(), o.db, r.ID)
		require.NoError(t, err)
		out := map[string]int{}
		for _, p := range placed {
			out[p.Day.String()+" "+string(p.State)] += p.Cards
		}
		return out
	}
	require.Equal(t, "4 kartu dilepas untuk hari ini; 6 kartu lagi tetap dilepas menurut jadwal hari ini.", release(4, tuesday.At(6, 0)))
	require.Equal(t, map[string]int{"2026-11-24 released": 4, "2026-11-24 planned": 6, "2026-11-25 planned": 3}, states())
	o.release(t, tuesday)
	require.Equal(t, map[string]int{"2026-11-24 released": 10, "2026-11-25 planned": 3}, states())
	o.balanced(t)
	o.tx(t, func(ctx context.Context, tx *postgres.Tx) error { // past the frozen day, to see what is short
		_, err := tx.Exec(ctx, `UPDATE capacity_day SET capacity = 12 WHERE day = $1`, tuesday)
		return err
	})
	require.Equal(t, "2 dari 3 kartu dilepas untuk hari ini; kapasitas hari ini tidak memuat lebih banyak.", release(3, tuesday.At(8, 0)))
	o.tx(t, func(ctx context.Context, tx *postgres.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE capacity_day SET capacity = 100 WHERE day = $1`, tuesday)
		return err
	})
	require.Equal(t, "1 dari 50 kartu dilepas untuk hari ini; hanya sebanyak itu yang masih menunggu.", release(50, tuesday.At(8, 1)))
	require.Equal(t, map[string]int{"2026-11-24 released": 13}, states())
	require.Equal(t, "Tidak ada kartu permohonan ini yang masih menunggu.", release(1, tuesday.At(8, 2)))
}

// TestNumbersThatNoColumnHolds are faults of the form.
func TestNumbersThatNoColumnHolds(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	r := o.accepted(t, 3)
	for _, n := range []int{-1, math.MinInt64, 100_001, math.MaxInt32, math.MaxInt32 + 1, math.MaxInt64} {
		require.Equal(t, []string{"/cards out_of_range"}, pointers(t, o.db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
			_, _, err := capacity.Give(ctx, tx, capacity.Command{Verb: capacity.ReleaseNow, RequestID: &r.ID, Cards: n}, o.why("uji"))
			return err
		})), n)
		require.Equal(t, []string{"/cards out_of_range"}, pointers(t, o.db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
			_, err := capacity.Place(ctx, tx, capacity.Placement{RequestID: r.ID, Day: o.next(), Cards: n}, o.why("uji"))
			return err
		})), n)
		require.Equal(t, []string{"/cards out_of_range"}, pointers(t, o.db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
			_, _, err := capacity.AddDowntime(ctx, tx, capacity.Downtime{Station: "s", From: o.next(), To: o.next(), Cards: n}, o.why("uji"))
			return err
		})), n)
		require.Equal(t, []string{"/capacity out_of_range"}, pointers(t, o.db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
			_, err := capacity.Set(ctx, tx, capacity.Setting{Day: o.next(), Capacity: n}, o.why("uji"))
			return err
		})), n)
	}
}

// TestACommandThatWaitsIsNotGivenTwice, whoever gives it again and however many at
// once; once it is done it may be given anew.
func TestACommandThatWaitsIsNotGivenTwice(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	r, other := o.accepted(t, 8), o.accepted(t, 8)
	o.replan(t, o.day.At(9, 0))
	give := func(who string, c capacity.Command) (given capacity.Command, fresh bool, err error) {
		err = o.db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
			given, fresh, err = capacity.Give(ctx, tx, c, capacity.Why{Actor: who, Reason: "uji " + who, OfficeAt: o.day.At(9, 0)})
			return err
		})
		return given, fresh, err
	}
	for _, c := range []capacity.Command{
		{Verb: capacity.CloseEarly}, {Verb: capacity.CloseEarly, RequestID: &r.ID}, {Verb: capacity.Reopen}, {Verb: capacity.ReleaseNow, RequestID: &r.ID, Cards: 3},
		{Verb: capacity.ReleaseNow, RequestID: &other.ID},
	} {
		const people = 8
		ids, fresh := make([]string, people), make([]bool, people)
		errs := make([]error, people)
		var wg sync.WaitGroup
		for i := range people {
			wg.Go(func() {
				var given capacity.Command
				given, fresh[i], errs[i] = give(fmt.Sprint("orang ", i), c)
				ids[i] = given.ID
			})
		}
		wg.Wait()
		n := 0
		for i := range people {
			require.NoError(t, errs[i])
			require.Equal(t, ids[0], ids[i])
			if fresh[i] {
				n++
			}
		}
		require.Equal(t, 1, n)
	}
	_, _, err := give("lain", capacity.Command{Verb: capacity.ReleaseNow, RequestID: &r.ID, Cards: 4})
	require.ErrorIs(t, err, capacity.ErrCommandWaits, "another number is another order")
	list, err := capacity.Commands(t.Context(), o.db, o.day)
	require.NoError(t, err)
	require.Len(t, list, 5)
	o.obey(t, o.day.At(9, 1))
	_, fresh, err := give("lain", capacity.Command{Verb: capacity.ReleaseNow, RequestID: &r.ID, Cards: 4})
	require.NoError(t, err)
	require.True(t, fresh)
}

// TestReopenGivesBackWhatStillWaits: between the close and the reopening the cards
// went elsewhere. However it went, no card has two places and the day's balance is
// drawn up anew.
func TestReopenGivesBackWhatStillWaits(t *testing.T) {
	t.Parallel()
	tuesday := clock.MustParseDate("2026-11-24")
	at := func(minute int) time.Time { return tuesday.At(11, minute) }
	for name, c := range map[string]struct {
		between func(t *testing.T, o *office, r request.Request)
		outcome string
		want    map[string]int
		planned int // of the balance of the day, for the request
	}{
		"planned again on later days": {func(*testing.T, *office, request.Request) {},
			"1 perintah kerja dibuka kembali; 6 kartu dapat dikerjakan hari ini.", map[string]int{"2026-11-24": 6}, 8},
		"pinned to a later day": {func(t *testing.T, o *office, r request.Request) {
			o.place(t, capacity.Placement{RequestID: r.ID, Pin: true, Day: tuesday.AddDays(2)})
			o.replan(t, at(1))
		}, "1 perintah kerja dibuka kembali; 6 kartu dapat dikerjakan hari ini.", map[string]int{"2026-11-24": 6}, 8},
		"released once more": {func(t *testing.T, o *office, r request.Request) {
			o.give(t, at(1), capacity.Command{Verb: capacity.ReleaseNow, RequestID: &r.ID})
			require.Equal(t, "2 kartu dilepas untuk hari ini.", o.obey(t, at(1)))
		}, "1 perintah kerja dibuka kembali; 4 kartu dapat dikerjakan hari ini.", map[string]int{"2026-11-24": 6}, 8},
		"reduced": {func(t *testing.T, o *office, r request.Request) {
			o.cards(t, r, 4, "listed", "reduced")
			o.replan(t, at(1))
		},
			"1 perintah kerja dibuka kembali; 2 kartu dapat dikerjakan hari ini.", map[string]int{"2026-11-24": 2}, 4},
		"failed": {func(t *testing.T, o *office, r request.Request) {
			o.cards(t, r, 1, "listed", "failed")
			o.replan(t, at(1))
		},
			"1 perintah kerja dibuka kembali; 5 kartu dapat dikerjakan hari ini.", map[string]int{"2026-11-24": 5}, 7},
		"all of them reduced": {func(t *testing.T, o *office, r request.Request) {
			o.cards(t, r, 6, "listed", "reduced")
			o.replan(t, at(1))
		},
			"Tidak dibuka kembali: kartunya sudah dilepas lagi, dikurangi, atau tidak menunggu lagi.", map[string]int{}, 8},
		"held": {func(t *testing.T, o *office, r request.Request) { o.step(t, r, request.Hold, at(1)) },
			"Tidak ada perintah kerja hari ini yang masih bersisa.", map[string]int{}, 8},
		"held and let go on": {func(t *testing.T, o *office, r request.Request) {
			o.step(t, r, request.Hold, at(1))
			o.step(t, r, request.Release, at(2))
		}, "1 perintah kerja dibuka kembali; 6 kartu dapat dikerjakan hari ini.", map[string]int{"2026-11-24": 6}, 8},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := newOffice(t)
			r := o.accepted(t, 8)
			o.replan(t, o.day.At(9, 0))
			o.release(t, tuesday)
			o.finish(t, r, 2, tuesday.At(8, 0))
			o.give(t, at(0), capacity.Command{Verb: capacity.CloseEarly})
			require.Equal(t, "1 perintah kerja ditutup; 6 kartu belum selesai dan dijadwalkan kembali.", o.obey(t, at(0)))
			require.Equal(t, map[string]int{"2026-11-25": 6}, o.plan(t, r))
			c.between(t, o, r)
			o.balanced(t)

			o.give(t, at(10), capacity.Command{Verb: capacity.Reopen})
			require.Equal(t, c.outcome, o.obey(t, at(10)))
			require.Equal(t, c.want, o.plan(t, r))
			o.balanced(t)
			require.Zero(t, o.replan(t, at(10)))
			o.tx(t, func(ctx context.Context, tx *postgres.Tx) error {
				_, err := capacity.CloseDays(ctx, tx, tuesday, tuesday.At(16, 0), tuesday.At(16, 0))
				return err
			})
			o.replan(t, tuesday.At(16, 0))
			balances, err := capacity.Balances(t.Context(), o.db, tuesday)
			require.NoError(t, err)
			require.Len(t, balances, 1)
			require.Equal(t, c.planned, balances[0].Planned)
			o.balanced(t)
		})
	}
}

// TestReopenWhileACardIsInHand: an order that a station has not let go of yet goes on
// as it was.
func TestReopenWhileACardIsInHand(t *testing.T) {
	t.Parallel()
	o := persotest.New(t, 3, 3)
	hand := take(t, o, o.Serials[0])
	command := func(c capacity.Command, minutes int) string {
		t.Helper()
		at := persotest.OfficeAt.Add(time.Duration(minutes) * time.Minute)
		in := capacity.PlanInput{Calendar: shipped(t), OfficeAt: at, Cause: "perintah"}
		o.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
			if _, _, err := capacity.Give(ctx, tx, c, capacity.Why{Actor: "kasubdit", Reason: "uji", OfficeAt: at}); err != nil {
				return err
			}
			if _, err := capacity.Obey(ctx, tx, in); err != nil {
				return err
			}
			_, err := capacity.Replan(ctx, tx, in)
			return err
		})
		list, err := capacity.Commands(t.Context(), o.DB, clock.DateOf(at))
		require.NoError(t, err)
		return list[0].Outcome
	}
	require.Equal(t, "1 perintah kerja ditutup; 3 kartu belum selesai dan dijadwalkan kembali.", command(capacity.Command{Verb: capacity.CloseEarly}, 1))
	_, state := o.Remaining(t)
	require.Equal(t, "closing", state)
	require.Equal(t, "1 perintah kerja dibuka kembali; 3 kartu dapat dikerjakan hari ini.", command(capacity.Command{Verb: capacity.Reopen}, 2))
	remaining, state := o.Remaining(t)
	require.Equal(t, "released", state)
	require.Equal(t, 3, remaining)
	o.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
		_, err := perso.Fail(ctx, tx, hand, perso.Change{Actor: perso.StationActor("s1"), Reason: "menolak", OfficeAt: persotest.OfficeAt})
		return err
	})
	take(t, o, o.Serials[1])
	remaining, _ = o.Remaining(t)
	require.Equal(t, 2, remaining)
}
