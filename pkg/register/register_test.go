package register_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/register"
	"dukcapil.go.id/sifilma/pkg/register/registertest"
	"dukcapil.go.id/sifilma/test/harness"
)

var day = clock.MustParseDate("2019-10-08")

// card is a whole entry, its numbers made of n.
func card(n int) register.Entry {
	return register.Entry{
		Sheet: "2019", Row: n + 5, Serial: fmt.Sprintf("SAM%05d", n), PCID: fmt.Sprintf("%032X", n), ManifestNo: fmt.Sprintf("M-%d", n),
		ReaderSerial: fmt.Sprintf("R%05d", n), ChipID: fmt.Sprintf("AA%02X", n), Produsen: "PT Produsen Contoh", Lembaga: "PT Bank Contoh",
		IssuedOn: day, Remarks: "Berhasil",
	}
}

var errDry = errors.New("nothing is kept")

// take runs one import; with a clash, or dry, nothing is stored.
func take(t *testing.T, db *postgres.DB, file string, dry bool, entries ...register.Entry) (c register.Comparison, added int) {
	t.Helper()
	err := db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		in, err := register.Begin(ctx, tx)
		require.NoError(t, err)
		for len(entries) > 0 { // in several portions
			n := min(2, len(entries))
			require.NoError(t, in.Add(ctx, entries[:n]))
			entries = entries[n:]
		}
		require.NoError(t, in.Hold(ctx))
		c, err = in.Compare(ctx)
		require.NoError(t, err)
		if dry {
			return errDry
		}
		added, err = in.Store(ctx, registertest.Source(file, "petugas"))
		if len(c.Clashes) > 0 {
			require.ErrorIs(t, err, register.ErrClashes)
			return errDry
		}
		return err
	})
	if !errors.Is(err, errDry) {
		require.NoError(t, err)
	}
	return c, added
}

func count(t *testing.T, db *postgres.DB, query string) (n int) {
	t.Helper()
	require.NoError(t, db.Get(t.Context(), &n, query))
	return n
}

func TestAnImportIsKeptWholeAndOnce(t *testing.T) {
	t.Parallel()
	db := harness.DB(t)
	c, added := take(t, db, "a.xlsx", true, card(1), card(2))
	require.Equal(t, register.Comparison{Rows: 2}, c)
	require.Zero(t, added)
	require.Zero(t, count(t, db, `SELECT count(*) FROM register_entry`)+count(t, db, `SELECT count(*) FROM audit`))

	reader := register.Entry{Row: 9, ReaderSerial: "R-ONLY"}
	_, added = take(t, db, "a.xlsx", false, card(1), card(2), reader)
	require.Equal(t, 3, added)
	var row struct {
		Sheet    string     `db:"sheet"`
		Row      int        `db:"row"`
		Serial   string     `db:"serial"`
		PCID     string     `db:"pcid"`
		IssuedOn clock.Date `db:"issued_on"`
		File     string     `db:"file"`
		By       string     `db:"imported_by"`
	}
	require.NoError(t, db.Get(t.Context(), &row, `SELECT sheet, row, serial, pcid, issued_on, file, imported_by
		FROM register_entry e JOIN register_import f ON f.id = e.import_id WHERE serial = 'SAM00002'`))
	require.Equal(t, []any{"2019", 7, "SAM00002", card(2).PCID, day, "a.xlsx", "petugas"},
		[]any{row.Sheet, row.Row, row.Serial, row.PCID, row.IssuedOn, row.File, row.By})

	// The same rows under another name, and rows that tell less, are known.
	less := register.Entry{Sheet: "x", Row: 1, Serial: "SAM00001", ReaderSerial: "R00001"}
	c, added = take(t, db, "b.xlsx", false, less, card(2), reader, card(3))
	require.Equal(t, register.Comparison{Rows: 4, Known: 3}, c)
	require.Equal(t, 1, added)
	c, added = take(t, db, "a.xlsx", false, card(1), card(2), reader)
	require.Equal(t, 3, c.Known)
	require.Zero(t, added)
	require.Equal(t, 2, count(t, db, `SELECT count(*) FROM register_import`), "an import that adds nothing is no source")
	require.Equal(t, 3, count(t, db, `SELECT count(*) FROM audit WHERE action = 'register.imported' AND actor = 'petugas'`))
	require.Equal(t, 4, count(t, db, `SELECT sum((detail->>'added')::int) FROM audit`))
}

func TestClashes(t *testing.T) {
	t.Parallel()
	db := harness.DB(t)
	registertest.Put(t, db, card(1), card(2), register.Entry{Sheet: "2018", Row: 3, Serial: "SAM-X"})
	with := func(e register.Entry, change func(*register.Entry)) register.Entry {
		change(&e)
		return e
	}
	for name, c := range map[string]struct {
		rows []register.Entry
		want []string
	}{
		"another PCID for a card": {[]register.Entry{with(card(1), func(e *register.Entry) { e.PCID = card(7).PCID })},
			[]string{"differs serial SAM00001 2019 6 register-lama.xlsx 2019 6 pcid"}},
		"another person's words": {[]register.Entry{{Row: 8, ChipID: "AA02", Lembaga: "PT Lain", IssuedOn: day.AddDays(1), Remarks: "Gagal"}},
			[]string{"differs chip_id AA02  8 register-lama.xlsx 2019 7 lembaga,issued_on,remarks"}},
		"tells more than is known": {[]register.Entry{{Row: 8, Serial: "SAM-X", ManifestNo: "M-99"}},
			[]string{"differs serial SAM-X  8 register-lama.xlsx 2018 3 manifest_no"}},
		"two cards in one row": {[]register.Entry{{Row: 8, Serial: "SAM00001", PCID: card(2).PCID}},
			[]string{"differs serial SAM00001  8 register-lama.xlsx 2019 6 pcid", "differs pcid " + card(2).PCID + "  8 register-lama.xlsx 2019 7 serial"}},
		"twice in the file": {[]register.Entry{card(4), with(card(4), func(e *register.Entry) { e.Sheet, e.Row = "2020", 30 })},
			[]string{"repeated serial SAM00004 2020 30  2019 9 ", "repeated pcid " + card(4).PCID + " 2020 30  2019 9 ", "repeated manifest_no M-4 2020 30  2019 9 ",
				"repeated reader_serial R00004 2020 30  2019 9 ", "repeated chip_id AA04 2020 30  2019 9 "}},
		"a good row beside": {[]register.Entry{card(5), {Row: 8, Serial: "SAM-X", PCID: card(6).PCID}}, []string{"differs serial SAM-X  8 register-lama.xlsx 2018 3 pcid"}},
	} {
		got, added := take(t, db, "b.xlsx", false, c.rows...)
		var text []string
		for _, one := range got.Clashes {
			text = append(text, fmt.Sprintf("%s %s %s %s %d %s %s %d %s", one.Kind, one.Field, one.Value, one.Sheet, one.Row,
				one.Other, one.OtherSheet, one.OtherRow, one.Differing))
		}
		require.ElementsMatch(t, c.want, text, name)
		require.Zero(t, added, name)
	}
	require.Equal(t, 3, count(t, db, `SELECT count(*) FROM register_entry`))
}

func TestClashesAreBounded(t *testing.T) {
	t.Parallel()
	db := harness.DB(t)
	rows := make([]register.Entry, register.MostClashes+3)
	for i := range rows {
		rows[i] = register.Entry{Row: i + 1, Serial: "SAM1"}
	}
	require.NoError(t, db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		in, err := register.Begin(ctx, tx)
		require.NoError(t, err)
		require.NoError(t, in.Add(ctx, rows))
		c, err := in.Compare(ctx)
		require.NoError(t, err)
		require.Len(t, c.Clashes, register.MostClashes)
		require.True(t, c.More)
		_, err = in.Store(ctx, registertest.Source("a.csv", "petugas"))
		require.ErrorIs(t, err, register.ErrClashes)
		return nil
	}))
}

// TestTwoImportsOfOneFileAtOnce: one of them stores, the others find it all known.
func TestTwoImportsOfOneFileAtOnce(t *testing.T) {
	t.Parallel()
	db := harness.DB(t)
	var mu sync.Mutex
	total, known := 0, 0
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			c, added := take(t, db, "a.xlsx", false, card(1), card(2), card(3))
			mu.Lock()
			defer mu.Unlock()
			total, known = total+added, known+c.Known
		})
	}
	wg.Wait()
	require.Equal(t, 3, total)
	require.Equal(t, 9, known)
}

func TestOnlyTheOwnerWritesTheRegister(t *testing.T) {
	t.Parallel()
	database := harness.NewDatabase(t)
	registertest.Put(t, database.Open(t, ""), card(1))
	for _, role := range []string{"sifilma_portal", "sifilma_validator", "sifilma_perso_station"} {
		db := database.Open(t, role)
		require.ErrorContains(t, registertest.Insert(t, db, register.Entry{Serial: "SAM9"}), "permission denied", role)
		has, err := register.HasCard(t.Context(), db, "SAM00001", "")
		require.NoError(t, err)
		require.True(t, has)
	}
}
