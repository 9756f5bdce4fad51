package cardlist_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/cardlist"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/register"
	"dukcapil.go.id/sifilma/pkg/register/registertest"
	"dukcapil.go.id/sifilma/test/harness"
)

// TestOtherSeparatorsAreNoOtherNumber: also for those who come past the check, and
// for a replacement.
func TestOtherSeparatorsAreNoOtherNumber(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	a := o.request(t)
	registertest.Put(t, o.db, register.Entry{Row: 1, Serial: "SAM 0001"}, register.Entry{Row: 2, Serial: "SAM0009", ReaderSerial: "R/SAM/0002"},
		register.Entry{Row: 3, Serial: "SAM-00011"}, register.Entry{Row: 4, ChipID: "AA"})
	want := []cardlist.Taken{{Serial: "SAM-0001", Personalised: true, Alike: true}, {ReaderSerial: "R-SAM-0002", Personalised: true, Alike: true}}
	taken, err := cardlist.InUse(t.Context(), o.db, a.ID, []string{"SAM-0001", "SAM-0002", "SAM-1"}, []string{"R-SAM-0001", "R-SAM-0002", ""})
	require.NoError(t, err)
	require.ElementsMatch(t, want, taken)
	o.tx(t, func(ctx context.Context, tx *postgres.Tx) (err error) {
		taken, err = cardlist.Store(ctx, tx, a.ID, rows("SAM-0001", "SAM-0002", "SAM-0003"))
		return err
	})
	require.Equal(t, want, taken)

	require.Empty(t, o.store(t, a.ID, "SAM-0003"))
	list, err := cardlist.List(t.Context(), o.db, a.ID)
	require.NoError(t, err)
	o.tx(t, func(ctx context.Context, tx *postgres.Tx) error {
		_, err := cardlist.AddReplacement(ctx, tx, a.ID, list[0].ID, "SAM-0009")
		require.ErrorIs(t, err, cardlist.ErrSerialAlike)
		_, err = cardlist.AddReplacement(ctx, tx, a.ID, list[0].ID, "SAM-0010")
		return err
	})
}

// TestAnImportTellsOfLikeNumbersOfRequests: they go in, and a person looks at them.
func TestAnImportTellsOfLikeNumbersOfRequests(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	a := o.request(t)
	require.Empty(t, o.store(t, a.ID, "SAM-0003"))
	o.tx(t, func(ctx context.Context, tx *postgres.Tx) error {
		c, err := importing(ctx, tx, register.Entry{Row: 4, Serial: "SAM-0003"})
		require.Len(t, c.Clashes, 1)
		require.Equal(t, []string{a.Ticket, string(a.State)}, []string{c.Clashes[0].Other, c.Clashes[0].OtherState})
		require.Empty(t, c.Alike, "it is the number itself")
		return err
	})
	o.tx(t, func(ctx context.Context, tx *postgres.Tx) error {
		c, err := importing(ctx, tx, register.Entry{Row: 4, Serial: "SAM 0003"})
		require.Equal(t, register.Comparison{Rows: 1, Alike: []register.Likeness{
			{Field: register.Serial, Value: "SAM 0003", Row: 4, OtherValue: "SAM-0003", Other: a.Ticket, Live: true},
		}}, c)
		return err
	})
	require.Equal(t, []string{"SAM-0003"}, o.store(t, a.ID, "SAM-0003"))
}

// longRegister has n entries.
func longRegister(t testing.TB, db *postgres.DB, n int) {
	t.Helper()
	entries := make([]register.Entry, n)
	for i := range entries {
		entries[i] = register.Entry{Row: i + 1, Serial: fmt.Sprintf("SAM 2018 %06d", i), ReaderSerial: fmt.Sprintf("GSX/%06d", i)}
	}
	registertest.Put(t, db, entries...)
}

// asked are the cards and readers of a request of 250, of which the register of
// longRegister has the first with other separators.
func asked(n int) (serials, readers []string) {
	for i := range n {
		serials, readers = append(serials, fmt.Sprintf("SAM-2019-%06d", i)), append(readers, fmt.Sprintf("GTX-%06d", i))
	}
	serials[0], readers[0] = "SAM-2018-000007", "GSX-000007"
	return serials, readers
}

// TestALongRegisterIsNotReadThrough: each number is looked up in an index, at once
// after an import and when the server has counted the rows.
func TestALongRegisterIsNotReadThrough(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	a := o.request(t)
	longRegister(t, o.db, 20_000)
	serials, readers := asked(250)
	for _, counted := range []string{"SELECT", "ANALYZE"} {
		o.tx(t, func(ctx context.Context, tx *postgres.Tx) error {
			_, err := tx.Exec(ctx, counted)
			require.NoError(t, err)
			for query, args := range map[string][]any{
				cardlist.InUseQuery:      cardlist.InUseParameters(a.ID, serials, readers),
				cardlist.RegisteredQuery: cardlist.RegisteredParameters(serials, readers),
			} {
				var plan []string
				require.NoError(t, tx.Select(ctx, &plan, "EXPLAIN "+query, args...))
				text := strings.Join(plan, "\n")
				for _, index := range []string{"register_entry_serial_alike", "register_entry_reader_alike"} {
					require.Contains(t, text, "Scan using "+index, text)
				}
				require.NotContains(t, text, "Filter: (standing AND", text)
			}
			return nil
		})
	}
	taken, err := cardlist.InUse(t.Context(), o.db, a.ID, serials, readers)
	require.NoError(t, err)
	require.Len(t, taken, 2)
}

// BenchmarkInUse asks for 250 cards and their readers beside a register of 200,000.
func BenchmarkInUse(b *testing.B) {
	db := harness.DB(b)
	longRegister(b, db, 200_000)
	serials, readers := asked(250)
	for b.Loop() { // the rows are not counted yet
		taken, err := cardlist.InUse(b.Context(), db, "00000000-0000-7000-8000-000000000000", serials, readers)
		require.NoError(b, err)
		require.Len(b, taken, 2)
	}
}
