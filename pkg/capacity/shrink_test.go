package capacity_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/capacity"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/perso/persotest"
	"dukcapil.go.id/sifilma/pkg/postgres"
)

// off takes n listed cards off a request, as a reduction does, past the guards.
func off(t *testing.T, o *persotest.Office, n int) {
	t.Helper()
	o.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
		if _, err := tx.Exec(ctx, `SET LOCAL session_replication_role = replica`); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `UPDATE card SET state = 'reduced', version = version + 1
			WHERE id IN (SELECT id FROM card WHERE state = 'listed' ORDER BY serial DESC LIMIT $1)`, n)
		return err
	})
}

func shrink(t *testing.T, o *persotest.Office) {
	t.Helper()
	o.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
		return capacity.Shrink(ctx, tx, o.RequestID, persotest.OfficeAt)
	})
}

func take(t *testing.T, o *persotest.Office, serial string) perso.Hand {
	t.Helper()
	return takeAt(t, o, serial, persotest.OfficeAt)
}

func takeAt(t *testing.T, o *persotest.Office, serial string, at time.Time) perso.Hand {
	t.Helper()
	var h perso.Hand
	o.Must(t, func(ctx context.Context, tx *postgres.Tx) (err error) {
		h, err = perso.Claim(ctx, tx, perso.Identity{Serial: serial, ChipID: "CHIP-" + serial}, persotest.Place(t, o.DB, "s1"),
			perso.Change{Actor: perso.StationActor("s1"), OfficeAt: at})
		return err
	})
	return h
}

func TestReleasedOrderShrinksToTheCardsLeft(t *testing.T) {
	t.Parallel()
	o := persotest.New(t, 6, 5) // the sixth card is planned for another day
	shrink(t, o)
	remaining, state := o.Remaining(t)
	require.Equal(t, 5, remaining, "nothing was taken off")
	require.Equal(t, "released", state)
	off(t, o, 1)
	shrink(t, o)
	remaining, _ = o.Remaining(t)
	require.Equal(t, 5, remaining, "the card of another day makes room")

	hand := take(t, o, o.Serials[0])
	off(t, o, 3)
	shrink(t, o)
	shrink(t, o) // a bell rings twice
	remaining, _ = o.Remaining(t)
	require.Equal(t, 2, remaining)
	off(t, o, 1)
	shrink(t, o)
	remaining, state = o.Remaining(t)
	require.Equal(t, 1, remaining, "the card in hand keeps its place")
	require.Equal(t, "released", state)
	var tail perso.Hand
	o.Must(t, func(ctx context.Context, tx *postgres.Tx) (err error) {
		tail, err = perso.Fail(ctx, tx, hand, perso.Change{Actor: perso.StationActor("s1"), Reason: "menolak", OfficeAt: persotest.OfficeAt})
		return err
	})
	require.Equal(t, perso.Failed, tail.Card.State)
	_, state = o.Remaining(t)
	require.Equal(t, "closed", state)
}

func TestOrderWithoutACardLeftCloses(t *testing.T) {
	t.Parallel()
	o := persotest.New(t, 3, 3)
	off(t, o, 3)
	shrink(t, o)
	remaining, state := o.Remaining(t)
	require.Zero(t, remaining)
	require.Equal(t, "closed", state)
	var rang int
	require.NoError(t, o.DB.Get(t.Context(), &rang, `SELECT count(*) FROM outbox WHERE type = 'workorder.finished'`))
	require.Equal(t, 1, rang)
}

func TestTodaysOrderShrinksBeforeItsRelease(t *testing.T) {
	t.Parallel()
	for left, want := range map[int][]int{1: {1}, 0: nil} {
		o := persotest.New(t, 3, 3)
		o.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
			if _, err := tx.Exec(ctx, `SET LOCAL session_replication_role = replica`); err != nil {
				return err
			}
			_, err := tx.Exec(ctx, `UPDATE work_order SET state = 'planned', released_at = NULL`)
			return err
		})
		off(t, o, 3-left)
		shrink(t, o)
		var orders []int
		require.NoError(t, o.DB.Select(t.Context(), &orders, `SELECT quantity FROM work_order WHERE remaining = quantity`))
		require.Equal(t, want, orders)
	}
}

// The order under which a station holds a card keeps its place, though it is the last.
func TestTheOrderOfACardInHandDoesNotShrink(t *testing.T) {
	t.Parallel()
	o := persotest.New(t, 3, 2)
	o.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
		if _, err := tx.Exec(ctx, `INSERT INTO capacity_day (day, capacity) VALUES ('2026-03-03', 250)`); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `SET LOCAL session_replication_role = replica`); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `UPDATE work_order SET mode = 'manual'`); err != nil { // stations take the other
			return err
		}
		_, err := tx.Exec(ctx, `INSERT INTO work_order (id, request_id, day, slots, capacity, remaining, state, released_at)
			VALUES (gen_random_uuid(), $1, '2026-03-03', '[1,2)', 250, 1, 'released', $2)`, o.RequestID, persotest.OfficeAt)
		return err
	})
	hand := takeAt(t, o, o.Serials[0], persotest.OfficeAt.AddDate(0, 0, 1))
	require.NotEqual(t, o.OrderID, hand.Card.WorkOrderID)
	off(t, o, 2)
	shrink(t, o)
	remaining, state := o.Remaining(t)
	require.Zero(t, remaining)
	require.Equal(t, "closed", state)
	var held string
	require.NoError(t, o.DB.Get(t.Context(), &held, `SELECT state FROM work_order WHERE id = $1`, hand.Card.WorkOrderID))
	require.Equal(t, "released", held)
}
