package cardlist_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/cardlist"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/register"
	"dukcapil.go.id/sifilma/pkg/register/registertest"
)

func TestWhatWasIssuedBeforeDayOneIsTaken(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	a := o.request(t)
	registertest.Put(t, o.db, register.Entry{Row: 1, Serial: "SAM-0001"}, register.Entry{Row: 2, Serial: "SAM-0009", ReaderSerial: "R-SAM-0002"})

	taken, err := cardlist.InUse(t.Context(), o.db, a.ID, []string{"SAM-0001", "SAM-0002"}, []string{"R-SAM-0001", "R-SAM-0002"})
	require.NoError(t, err)
	want := []cardlist.Taken{{Serial: "SAM-0001", Personalised: true}, {ReaderSerial: "R-SAM-0002", Personalised: true}}
	require.ElementsMatch(t, want, taken)
	o.tx(t, func(ctx context.Context, tx *postgres.Tx) (err error) {
		taken, err = cardlist.Store(ctx, tx, a.ID, rows("SAM-0001", "SAM-0002", "SAM-0003"))
		return err
	})
	require.Equal(t, want, taken, "those who came past the check are found out")

	require.Empty(t, o.store(t, a.ID, "SAM-0003"))
	list, err := cardlist.List(t.Context(), o.db, a.ID)
	require.NoError(t, err)
	o.tx(t, func(ctx context.Context, tx *postgres.Tx) error {
		_, err := cardlist.AddReplacement(ctx, tx, a.ID, list[0].ID, "SAM-0009")
		require.ErrorIs(t, err, cardlist.ErrSerialLive)
		_, err = cardlist.AddReplacement(ctx, tx, a.ID, list[0].ID, "SAM-0010")
		return err
	})
}

// stages of an import in a transaction of its own.
func importing(ctx context.Context, tx *postgres.Tx, e register.Entry) (register.Comparison, error) {
	in, err := register.Begin(ctx, tx)
	if err != nil {
		return register.Comparison{}, err
	}
	if err := in.Add(ctx, []register.Entry{e}); err != nil {
		return register.Comparison{}, err
	}
	if err := in.Hold(ctx); err != nil {
		return register.Comparison{}, err
	}
	c, err := in.Compare(ctx)
	if err == nil && len(c.Clashes) == 0 {
		_, err = in.Store(ctx, registertest.Source("register-lama.xlsx", "uji"))
	}
	return c, err
}

// TestAListAndAnImportAtOnce: whoever comes second sees what the first one wrote.
func TestAListAndAnImportAtOnce(t *testing.T) {
	t.Parallel()
	for name, e := range map[string]register.Entry{
		"card": {Row: 1, Serial: "SAM-0001"}, "reader": {Row: 1, ReaderSerial: "R-SAM-0001"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, importFirst := range []bool{true, false} {
				o := newOffice(t)
				a := o.request(t)
				var taken []cardlist.Taken
				var compared register.Comparison
				list := func(ctx context.Context, tx *postgres.Tx) (err error) {
					taken, err = cardlist.Store(ctx, tx, a.ID, rows("SAM-0001"))
					return err
				}
				load := func(ctx context.Context, tx *postgres.Tx) (err error) {
					compared, err = importing(ctx, tx, e)
					return err
				}
				first, second := load, list
				if !importFirst {
					first, second = list, load
				}
				done := make(chan error, 1)
				o.tx(t, func(ctx context.Context, tx *postgres.Tx) error {
					if err := first(ctx, tx); err != nil {
						return err
					}
					go func() { done <- o.db.InTx(t.Context(), second) }()
					require.Eventually(t, func() bool {
						var waits int
						err := o.db.Get(t.Context(), &waits, `SELECT count(*) FROM pg_stat_activity
							WHERE datname = current_database() AND wait_event_type = 'Lock'`)
						return err == nil && waits == 1
					}, 30*time.Second, 10*time.Millisecond, "the second one waits for the first")
					return nil
				})
				err := <-done
				if !importFirst { // it had compared already, so it is told and looks again
					require.ErrorIs(t, err, register.ErrTaken)
					err = o.db.InTx(t.Context(), load)
				}
				require.NoError(t, err)
				if importFirst {
					require.Empty(t, compared.Clashes)
					require.Len(t, taken, 1)
					require.True(t, taken[0].Personalised)
				} else {
					require.Empty(t, taken)
					require.Len(t, compared.Clashes, 1)
					require.Equal(t, register.Live, compared.Clashes[0].Kind)
					require.Equal(t, a.Ticket, compared.Clashes[0].Other)
				}
			}
		})
	}
}

// TestACorrectedNumberIsFree: what a wrong row held can be asked for again, and what
// the office has does not come in by a correction.
func TestACorrectedNumberIsFree(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	registertest.Put(t, o.db, register.Entry{Row: 1, Serial: "SAM-0001", ReaderSerial: "R-SAM-0001"}, register.Entry{Row: 2, Serial: "SAM-0009"})
	correct := func(serial string, to *register.Entry) error {
		of, err := register.Find(t.Context(), o.db, register.Serial, serial)
		require.NoError(t, err)
		return o.db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
			return register.Correct(ctx, tx, register.Correction{Of: of, To: to, Reason: "salah", By: "uji", At: registertest.At})
		})
	}
	require.NoError(t, correct("SAM-0001", nil))
	a := o.request(t)
	o.tx(t, func(ctx context.Context, tx *postgres.Tx) error {
		taken, err := cardlist.Store(ctx, tx, a.ID, rows("SAM-0001"))
		require.Empty(t, taken)
		return err
	})
	var clash *register.ClashError
	require.ErrorAs(t, correct("SAM-0009", &register.Entry{Serial: "SAM-0001"}), &clash)
	require.Len(t, clash.Clashes, 1)
	require.Equal(t, register.Live, clash.Clashes[0].Kind)
	require.Equal(t, a.Ticket, clash.Clashes[0].Other)
}

// TestTheOfficeGoesOnWhileAListIsCompared: lists are stored until an import is
// written, which waits for those who are at it, but not for ever.
func TestTheOfficeGoesOnWhileAListIsCompared(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	a, b := o.request(t), o.request(t)
	var first error
	o.tx(t, func(ctx context.Context, tx *postgres.Tx) error {
		in, err := register.Begin(ctx, tx)
		require.NoError(t, err)
		require.NoError(t, in.Add(ctx, []register.Entry{{Row: 1, Serial: "SAM-0009"}}))
		require.NoError(t, in.Hold(ctx))
		c, err := in.Compare(ctx)
		require.NoError(t, err)
		require.Empty(t, c.Clashes)
		first = o.db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
			_, err := cardlist.Store(ctx, tx, a.ID, rows("SAM-0001"))
			return err
		})
		_, err = in.Store(ctx, registertest.Source("register-lama.xlsx", "uji"))
		return err
	})
	require.NoError(t, first)

	o.tx(t, func(ctx context.Context, tx *postgres.Tx) error {
		if _, err := cardlist.Store(ctx, tx, b.ID, rows("SAM-0002")); err != nil {
			return err
		}
		err := o.db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
			_, err := importing(ctx, tx, register.Entry{Row: 1, Serial: "SAM-0010"})
			return err
		})
		require.ErrorIs(t, err, register.ErrBusy)
		return nil
	})
}
