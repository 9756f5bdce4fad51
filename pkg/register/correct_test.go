package register_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/register"
	"dukcapil.go.id/sifilma/pkg/register/registertest"
	"dukcapil.go.id/sifilma/test/harness"
)

// correct looks a row up by its serial and puts to in its place, or withdraws it.
func correct(t *testing.T, db *postgres.DB, serial string, to *register.Entry) (clashes []register.Clash, err error) {
	t.Helper()
	of, err := register.Find(t.Context(), db, register.Serial, serial)
	require.NoError(t, err)
	return correctAs(t, db, register.Correction{Of: of, To: to, Reason: "salah ketik", By: "petugas", At: registertest.At})
}

func correctAs(t *testing.T, db *postgres.DB, c register.Correction) (clashes []register.Clash, err error) {
	t.Helper()
	err = db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		if err := register.Correct(ctx, tx, c); err != nil || !c.Dry {
			return err
		}
		return errDry
	})
	var clash *register.ClashError
	switch {
	case errors.Is(err, errDry):
		err = nil
	case errors.As(err, &clash):
		clashes, err = clash.Clashes, nil
	}
	return clashes, err
}

func has(t *testing.T, db *postgres.DB, serial string) bool {
	t.Helper()
	has, err := register.HasCard(t.Context(), db, serial, "")
	require.NoError(t, err)
	return has
}

func TestAWrongRowIsSuperseded(t *testing.T) {
	t.Parallel()
	db := harness.DB(t)
	registertest.Put(t, db, card(1), card(2))
	right := card(1)
	right.Serial, right.Remarks, right.Sheet, right.Row = "SAM90001", "Salin dari buku", "elsewhere", 99
	_, err := correct(t, db, "SAM00001", &right)
	require.NoError(t, err)
	require.False(t, has(t, db, "SAM00001"), "the number is free")
	require.True(t, has(t, db, "SAM90001"))
	known, err := register.Known(t.Context(), db, register.PCID, []string{card(1).PCID, card(2).PCID})
	require.NoError(t, err)
	require.Len(t, known, 2)

	of, err := register.Find(t.Context(), db, register.Serial, "SAM90001")
	require.NoError(t, err)
	require.Equal(t, []any{2, "2019", 6, "register-lama.xlsx", "Salin dari buku", day}, []any{of.Edition, of.Sheet, of.Row, of.File, of.Remarks, of.IssuedOn})
	_, err = correctAs(t, db, register.Correction{Of: of, Reason: "dobel", By: "petugas", At: registertest.At}) // withdrawn
	require.NoError(t, err)
	_, err = register.Find(t.Context(), db, register.Serial, "SAM90001")
	require.ErrorIs(t, err, register.ErrNotFound)
	past, err := register.History(t.Context(), db, of)
	require.NoError(t, err)
	require.Equal(t, "1 salah ketik petugas, 2 dobel petugas", fmt.Sprintf("%d %s %s, %d %s %s", past[0].Edition, past[0].Reason, past[0].By, past[1].Edition, past[1].Reason, past[1].By))
	require.Equal(t, 3, count(t, db, `SELECT count(*) FROM register_entry`), "everything is kept")
	require.Equal(t, 1, count(t, db, `SELECT count(*) FROM register_standing`))
	require.Equal(t, 2, count(t, db, `SELECT count(*) FROM audit WHERE action = 'register.corrected' AND actor = 'petugas'`))
	require.Equal(t, 1, count(t, db, `SELECT count(*) FROM audit WHERE detail->'from'->>'serial' = 'SAM00001' AND detail->'to'->>'serial' = 'SAM90001'`))

	// The list of then brings nothing of it back; a row that says something else
	// does, and so does one that stands elsewhere: it may be a card of its own.
	c, added := take(t, db, "register-lama.xlsx", false, card(1), card(2))
	require.Equal(t, register.Comparison{Rows: 2, Known: 1, Past: 1}, c)
	require.Zero(t, added)
	c, added = take(t, db, "lain.csv", false, register.Entry{Row: 3, Serial: "SAM90001"})
	require.Equal(t, register.Comparison{Rows: 1}, c)
	require.Equal(t, 1, added)
	require.True(t, has(t, db, "SAM90001"))
	again := card(1)
	again.Remarks = "Dimuat lagi: keliru ditarik"
	_, added = take(t, db, "susulan.xlsx", false, again)
	require.Equal(t, 1, added)
	require.True(t, has(t, db, "SAM00001"))
}

func TestACorrectionThatCannotBe(t *testing.T) {
	t.Parallel()
	db := harness.DB(t)
	registertest.Put(t, db, card(1), card(2))
	of, err := register.Find(t.Context(), db, register.ChipID, card(1).ChipID)
	require.NoError(t, err)
	to := of.Entry
	try := func(change func(*register.Correction)) ([]register.Clash, error) {
		c := register.Correction{Of: of, To: &to, Reason: "salah", By: "petugas", At: registertest.At}
		change(&c)
		return correctAs(t, db, c)
	}
	_, err = try(func(c *register.Correction) { c.Reason = " " })
	require.ErrorIs(t, err, register.ErrNoReason)
	_, err = try(func(*register.Correction) {})
	require.ErrorIs(t, err, register.ErrUnchanged)
	for name, e := range map[string]register.Entry{
		"a number of another row":       {Serial: "SAM00001", PCID: card(2).PCID},
		"nothing but another row":       {ReaderSerial: card(2).ReaderSerial},
		"all that another row tells":    card(2),
		"a number more of another row ": {Serial: "SAM00001", ChipID: card(2).ChipID, Remarks: "x"},
	} {
		clashes, err := try(func(c *register.Correction) { c.To = &e })
		require.NoError(t, err, name)
		require.NotEmpty(t, clashes, name)
		require.Equal(t, register.Differs, clashes[0].Kind, name)
		require.Equal(t, 7, clashes[0].OtherRow, name)
	}
	other := register.Entry{Serial: "SAM90001"}
	_, err = try(func(c *register.Correction) { c.To, c.Dry = &other, true })
	require.NoError(t, err)
	require.Equal(t, 2, count(t, db, `SELECT count(*) FROM register_entry WHERE standing`), "only looked at")
	_, err = try(func(c *register.Correction) { c.To = &other })
	require.NoError(t, err)
	_, err = try(func(c *register.Correction) { c.To = nil })
	require.ErrorIs(t, err, postgres.ErrStale)

	for _, query := range []string{
		`UPDATE register_entry SET standing = true WHERE NOT standing`, `UPDATE register_entry SET standing = false WHERE standing`,
		`UPDATE register_correction SET reason = 'x'`, `DELETE FROM register_correction`, `TRUNCATE register_correction`,
	} {
		require.ErrorContains(t, db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
			_, err := tx.Exec(ctx, query)
			return err
		}), "never changed", query)
	}
}

func TestTwoCorrectionsOfOneRowAtOnce(t *testing.T) {
	t.Parallel()
	db := harness.DB(t)
	registertest.Put(t, db, card(1))
	of, err := register.Find(t.Context(), db, register.Serial, "SAM00001")
	require.NoError(t, err)
	results := make(chan error, 3)
	for i := range 3 {
		go func() {
			results <- db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
				to := register.Entry{Serial: fmt.Sprintf("SAM9000%d", i)}
				return register.Correct(ctx, tx, register.Correction{Of: of, To: &to, Reason: "salah", By: "petugas", At: registertest.At})
			})
		}()
	}
	stale := 0
	for range 3 {
		if err := <-results; err != nil {
			require.ErrorIs(t, err, postgres.ErrStale)
			stale++
		}
	}
	require.Equal(t, 2, stale)
	require.Equal(t, 1, count(t, db, `SELECT count(*) FROM register_standing`))
}
