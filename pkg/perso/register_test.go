package perso_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/perso/persotest"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/register"
	"dukcapil.go.id/sifilma/pkg/register/registertest"
)

// pcid and manifest are the numbers that the templates of persotest make.
func pcid(epoch, counter int) string { return fmt.Sprintf("3671%04X%024X", epoch, counter) }
func manifest(epoch, counter int) string {
	return fmt.Sprintf("M-2026-%02d%06d", epoch, counter)
}

func TestNumbersOfTheRegisterAreNeverGiven(t *testing.T) {
	t.Parallel()
	o := persotest.New(t, 4, 4)
	// A former series longer than what is looked at in one go, with one number that
	// was left out, and one number in what will be the next epoch.
	var old []register.Entry
	const series = 300
	for i := 1; i <= series; i++ {
		if i != 200 {
			old = append(old, register.Entry{Row: i, PCID: pcid(1, i)})
		}
	}
	old = append(old,
		register.Entry{Row: series + 1, ManifestNo: manifest(1, 1)},
		register.Entry{Row: series + 2, ManifestNo: manifest(1, 3), PCID: pcid(2, 302)})
	registertest.Put(t, o.DB, old...)

	h := run(t, o, o.Serials[0])
	require.Equal(t, pcid(1, 200), h.Card.PCID)
	require.Equal(t, manifest(1, 2), h.Card.ManifestNo)
	h = run(t, o, o.Serials[1])
	require.Equal(t, pcid(1, series+1), h.Card.PCID)
	require.Equal(t, manifest(1, 4), h.Card.ManifestNo)
	require.Equal(t, 302, count(t, o, `SELECT next FROM number_counter WHERE kind = 'pcid'`))

	// The epoch after a restore passes over the register too.
	o.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
		_, err := perso.RaiseEpoch(ctx, tx, 0)
		return err
	})
	h = run(t, o, o.Serials[2])
	require.Equal(t, pcid(2, 303), h.Card.PCID)
}

// TestTheSchemaKeepsNumbersApart: what the code would never do, the database
// refuses, from either side.
func TestTheSchemaKeepsNumbersApart(t *testing.T) {
	t.Parallel()
	o := persotest.New(t, 2, 2)
	given := run(t, o, o.Serials[0])
	registertest.Put(t, o.DB, register.Entry{Row: 1, Serial: "SAM77777777", PCID: pcid(9, 9), ManifestNo: "M-OLD-9", ChipID: "AA09"})
	id := o.CardIDs[1]
	for name, c := range map[string]struct {
		query string
		args  []any
	}{
		"pcid":                 {`INSERT INTO card_number (kind, value, card_id) VALUES ('pcid', $1, $2)`, []any{pcid(9, 9), id}},
		"manifest":             {`INSERT INTO card_number (kind, value, card_id) VALUES ('manifest', $1, $2)`, []any{"m-old-9", id}},
		"chip":                 {`UPDATE card SET chip_id = 'AA09' WHERE id = $1`, []any{id}},
		"serial changed":       {`UPDATE live_serial SET serial = 'SAM77777777' WHERE card_id = $1`, []any{id}},
		"a number of the card": {`UPDATE card SET pcid = $1 WHERE id = $2`, []any{pcid(9, 9), id}},
		"serial": {`WITH gone AS (DELETE FROM live_serial WHERE card_id = $1 RETURNING request_id, card_id)
			INSERT INTO live_serial SELECT 'SAM77777777', request_id, card_id FROM gone`, []any{id}},
	} {
		err := o.DB.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
			_, err := tx.Exec(ctx, c.query, c.args...)
			return err
		})
		require.True(t, postgres.IsUnique(err, "register_apart"), "%s: %v", name, err)
	}
	for name, e := range map[string]register.Entry{
		"pcid": {PCID: given.Card.PCID}, "manifest": {ManifestNo: given.Card.ManifestNo}, "serial": {Serial: o.Serials[1]},
	} {
		err := registertest.Insert(t, o.DB, e)
		require.True(t, postgres.IsUnique(err, "register_apart"), "%s: %v", name, err)
	}
	for _, query := range []string{`UPDATE register_entry SET remarks = 'x'`, `DELETE FROM register_entry`, `TRUNCATE register_entry, register_correction`,
		`UPDATE register_import SET file = 'x'`} {
		require.ErrorContains(t, o.DB.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
			_, err := tx.Exec(ctx, query)
			return err
		}), "never changed", query)
	}
}

func TestACardOfTheRegisterIsRefused(t *testing.T) {
	t.Parallel()
	o := persotest.New(t, 1, 1)
	registertest.Put(t, o.DB, register.Entry{Row: 1, Serial: "SAM77777777"}, register.Entry{Row: 2, Serial: "SAM77777778", ChipID: "AA01"})
	for name, id := range map[string]perso.Identity{
		"serial":                   {Serial: "SAM77777777", ChipID: "AA77"},
		"chip, under a new serial": {Serial: o.Serials[0], ChipID: "AA01"},
		"chip, unlisted":           {Serial: "SAM00009999", ChipID: "AA01"},
	} {
		_, err := claim(o, id, "s1")
		why, ok := perso.RefusedFor(err)
		require.True(t, ok, "%s: %v", name, err)
		require.Equal(t, perso.IssuedEarlier, why, name)
		_, err = perso.Find(t.Context(), o.DB, id)
		why, _ = perso.RefusedFor(err)
		require.Equal(t, perso.IssuedEarlier, why, name)
	}
	require.Equal(t, perso.Listed, o.Card(t, o.Serials[0]).State)
	run(t, o, o.Serials[0])
}

// TestTheRegisterTakesNothingThatIsOurs: what this system has on its lists or has
// given does not come in as issued before day one.
func TestTheRegisterTakesNothingThatIsOurs(t *testing.T) {
	t.Parallel()
	o := persotest.New(t, 2, 2)
	done := run(t, o, o.Serials[0], begin, finish)
	o.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
		if err := tx.ExecOne(ctx, `UPDATE listed_card SET reader_serial = 'R-1' WHERE serial = $1`, o.Serials[1]); err != nil {
			return err
		}
		return tx.ExecOne(ctx, `INSERT INTO live_reader (reader_serial, request_id, card_id)
			SELECT reader_serial, request_id, id FROM listed_card WHERE serial = $1`, o.Serials[1])
	})
	var ticket string
	require.NoError(t, o.DB.Get(t.Context(), &ticket, `SELECT ticket FROM request`))
	o.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
		in, err := register.Begin(ctx, tx)
		require.NoError(t, err)
		require.NoError(t, in.Add(ctx, []register.Entry{
			{Row: 1, Serial: o.Serials[0]}, {Row: 2, Serial: o.Serials[1]}, {Row: 3, ReaderSerial: "R-1"}, {Row: 4, PCID: done.Card.PCID},
			{Row: 5, ManifestNo: done.Card.ManifestNo}, {Row: 6, ChipID: done.Card.ChipID}, {Row: 7, Serial: "SAM99999999"},
		}))
		c, err := in.Compare(ctx)
		require.NoError(t, err)
		var got []string
		for _, one := range c.Clashes {
			require.Equal(t, ticket, one.Other)
			got = append(got, fmt.Sprintf("%d %s %s", one.Row, one.Kind, one.Field))
		}
		require.ElementsMatch(t, []string{"1 issued serial", "2 live serial", "3 live reader_serial", "4 issued pcid",
			"5 issued manifest_no", "6 issued chip_id"}, got)
		return nil
	})
}
