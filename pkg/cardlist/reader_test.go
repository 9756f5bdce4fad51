package cardlist_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/cardlist"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/register"
	"dukcapil.go.id/sifilma/pkg/register/registertest"
)

// row is a list of one card for a reader.
func row(serial, reader string) []cardlist.Row {
	return []cardlist.Row{{Row: 1, Serial: serial, ReaderSerial: reader, Line: 1}}
}

func (o *office) storeRow(t *testing.T, id, serial, reader string) (taken []cardlist.Taken) {
	t.Helper()
	o.tx(t, func(ctx context.Context, tx *postgres.Tx) (err error) {
		taken, err = cardlist.Store(ctx, tx, id, row(serial, reader))
		return err
	})
	return taken
}

func TestAReaderIsInOneLiveRequest(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	a, b := o.request(t), o.request(t)
	live := []cardlist.Taken{{ReaderSerial: "R-1"}}
	require.Empty(t, o.storeRow(t, a.ID, "SAM-0001", "R-1"))
	require.Empty(t, o.storeRow(t, a.ID, "SAM-0002", "R-1"), "a list replaces its own earlier one")

	taken, err := cardlist.InUse(t.Context(), o.db, b.ID, []string{"SAM-0003"}, []string{"R-1", "R-2"})
	require.NoError(t, err)
	require.Equal(t, live, taken)
	taken, err = cardlist.InUse(t.Context(), o.db, a.ID, nil, []string{"R-1"})
	require.NoError(t, err)
	require.Empty(t, taken, "its own reader is not in use")

	require.Equal(t, live, o.storeRow(t, b.ID, "SAM-0003", "R-1"))
	o.tx(t, func(ctx context.Context, tx *postgres.Tx) error { return cardlist.Free(ctx, tx, b.ID) })
	require.Equal(t, live, o.storeRow(t, b.ID, "SAM-0003", "R-1"), "the one that was refused has given nothing back")
	o.tx(t, func(ctx context.Context, tx *postgres.Tx) error { return cardlist.Free(ctx, tx, a.ID) })
	require.Empty(t, o.storeRow(t, b.ID, "SAM-0003", "R-1"))
	require.Empty(t, o.storeRow(t, a.ID, "SAM-0004", ""), "cards for no reader do not meet")
}

// A failed card passes its reader on to the replacement, and a personalised one
// keeps it for ever.
func TestAReaderStaysWithTheNewestOfItsCards(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	a, b := o.request(t), o.request(t)
	require.Empty(t, o.storeRow(t, a.ID, "SAM-0001", "R-1"))
	list, err := cardlist.List(t.Context(), o.db, a.ID)
	require.NoError(t, err)
	o.tx(t, func(ctx context.Context, tx *postgres.Tx) error {
		id, err := cardlist.AddReplacement(ctx, tx, a.ID, list[0].ID, "SAM-0002")
		if err != nil {
			return err
		}
		// The life of a card and of its order is of packages that stand above this one.
		for _, query := range []string{
			`INSERT INTO transition VALUES ('card', '', 'list', 'clear', true), ('work_order', '', 'plan', 'released', true)`,
			`INSERT INTO capacity_day (day, capacity) VALUES ('2026-11-23', 250)`,
			`INSERT INTO work_order (id, request_id, day, slots, capacity, remaining, state)
			 SELECT gen_random_uuid(), request_id, '2026-11-23', int4range(1, 2), 250, 0, 'released' FROM listed_card WHERE replaces IS NOT NULL`,
		} {
			if _, err := tx.Exec(ctx, query); err != nil {
				return err
			}
		}
		_, err = tx.Exec(ctx, `INSERT INTO card (id, request_id, serial, state, chip_id, pcid, manifest_no, work_order_id)
			SELECT $1, $2, 'SAM-0002', 'clear', '04AA', $3, 'M-1', id FROM work_order`, id, a.ID, fmt.Sprintf("%032X", 1))
		return err
	})
	require.Equal(t, []cardlist.Taken{{ReaderSerial: "R-1", Personalised: true}}, o.storeRow(t, b.ID, "SAM-0003", "R-1"))
	taken, err := cardlist.InUse(t.Context(), o.db, b.ID, nil, []string{"R-1"})
	require.NoError(t, err)
	require.Equal(t, []cardlist.Taken{{ReaderSerial: "R-1", Personalised: true}}, taken)
	o.tx(t, func(ctx context.Context, tx *postgres.Tx) error { return cardlist.Free(ctx, tx, a.ID) })
	require.Len(t, o.storeRow(t, b.ID, "SAM-0003", "R-1"), 1, "what is personalised is not given back")
}

func TestTwoListsAskForOneReaderAtOnce(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	const lists = 6
	ids := make([]string, lists)
	for i := range ids {
		ids[i] = o.request(t).ID
	}
	taken := make([][]cardlist.Taken, lists)
	faults := make([]error, lists)
	var all sync.WaitGroup
	for i, id := range ids {
		all.Go(func() {
			faults[i] = o.db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) (err error) {
				taken[i], err = cardlist.Store(ctx, tx, id, row(fmt.Sprintf("SAM-%04d", i+1), "R-1"))
				return err
			})
		})
	}
	all.Wait()
	got := 0
	for i := range ids {
		require.NoError(t, faults[i])
		if len(taken[i]) == 0 {
			got++
		}
	}
	require.Equal(t, 1, got, "exactly one list has the reader")
}

// The schema itself keeps the old register's readers and those of live requests
// apart, whoever writes.
func TestReadersOfTheRegisterAreHeldApart(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	a := o.request(t)
	require.Empty(t, o.storeRow(t, a.ID, "SAM-0001", "R-1"))
	registertest.Put(t, o.db, register.Entry{Row: 1, Serial: "SAM-0009", ReaderSerial: "R-9"})
	err := o.db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE live_reader SET reader_serial = 'R-9'`)
		return err
	})
	require.ErrorContains(t, err, "register")

	o.tx(t, func(ctx context.Context, tx *postgres.Tx) error {
		c, err := importing(ctx, tx, register.Entry{Row: 1, ReaderSerial: "R-1"})
		require.Len(t, c.Clashes, 1)
		require.Equal(t, register.Live, c.Clashes[0].Kind)
		require.Equal(t, a.Ticket, c.Clashes[0].Other)
		return err
	})
}
