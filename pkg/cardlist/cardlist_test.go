package cardlist_test

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/xuri/excelize/v2"

	"dukcapil.go.id/sifilma/pkg/cardlist"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/institution"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/test/harness"
)

var morning = time.Date(2026, 11, 23, 2, 0, 0, 0, time.UTC)

func TestNormalise(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]string{
		" sam-001 ":                    "SAM-001",
		"SAM\u00a0001":                 "SAM001",
		"\ufeffSAM\u200b-\u200d001":    "SAM-001",
		"SAM\u00ad001\x00\n":           "SAM001",
		"e\u0301tude":                  "\u00c9TUDE",
		"SAM 001":                      "SAM 001",
		"\u202f\u2060\u200e \t \u00a0": "",
	} {
		require.Equal(t, want, cardlist.Normalise(given), "%q", given)
	}
}

// office is a database with one produsen whose requests are made by make.
type office struct {
	db *postgres.DB
	in institution.Institution
	n  int
}

func newOffice(t *testing.T) *office {
	t.Helper()
	o := &office{db: harness.DB(t)}
	ctx := t.Context()
	require.NoError(t, machine.Sync(ctx, o.db, request.Machine))
	o.tx(t, func(ctx context.Context, tx *postgres.Tx) (err error) {
		o.in, err = institution.Ensure(ctx, tx, institution.Institution{Kind: institution.Produsen, Name: "PT Produsen Contoh"})
		if err != nil {
			return err
		}
		return institution.SeedMachineType(ctx, tx, institution.MachineType{
			Code: "TANPA", Name: "Tidak menggunakan mesin", SAMPattern: `SAM-[0-9]{4}`,
		})
	})
	return o
}

func (o *office) tx(t *testing.T, f func(ctx context.Context, tx *postgres.Tx) error) {
	t.Helper()
	require.NoError(t, o.db.InTx(t.Context(), f))
}

func (o *office) request(t *testing.T) request.Request {
	t.Helper()
	o.n++
	var r request.Request
	o.tx(t, func(ctx context.Context, tx *postgres.Tx) (err error) {
		r, err = request.Create(ctx, tx, request.New{
			InstitutionID: o.in.ID, OfficeAt: morning, Actor: machine.Actor{Name: "uji", Role: request.Produsen},
			Form: request.Form{
				Kind: request.KindRekamCetak, Reference: fmt.Sprint(o.n), Title: "Uji", SAMFunction: "Rekam", CardCount: 3,
				MachineType: "TANPA", Letter: request.Letter{Sender: "PT", Post: "Direktur", Number: "1",
					Date: clock.DateOf(morning), Subject: "Permohonan"},
			},
		})
		if err != nil {
			return err
		}
		// Spare blanks, for replacements to be made of.
		return tx.ExecOne(ctx, `
			INSERT INTO blank_movement (id, request_id, ordinal, kind, quantity, happened, party, reason, booked_by, office_at)
			VALUES (gen_random_uuid(), $1, 1, 'receipt', 9, $2, 'uji', 'uji', 'uji', $3)`, r.ID, clock.DateOf(morning), morning)
	})
	return r
}

func (o *office) store(t *testing.T, id string, serials ...string) (duplicates []string) {
	t.Helper()
	var taken []cardlist.Taken
	o.tx(t, func(ctx context.Context, tx *postgres.Tx) (err error) {
		taken, err = cardlist.Store(ctx, tx, id, rows(serials...))
		return err
	})
	for _, one := range taken {
		duplicates = append(duplicates, one.Serial+one.ReaderSerial) // one of them is empty
	}
	return duplicates
}

func rows(serials ...string) []cardlist.Row {
	var out []cardlist.Row
	for i, s := range serials {
		out = append(out, cardlist.Row{Row: i + 1, Serial: s, ReaderSerial: "R-" + s, Line: 1})
	}
	return out
}

func TestASerialIsInOneLiveRequest(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	a, b := o.request(t), o.request(t)
	require.Empty(t, o.store(t, a.ID, "SAM-0001", "SAM-0002"))
	require.Empty(t, o.store(t, a.ID, "SAM-0001", "SAM-0003"), "a list replaces its own earlier one")
	require.Equal(t, []string{"SAM-0003", "R-SAM-0003"}, o.store(t, b.ID, "SAM-0004", "SAM-0003"))

	taken, err := cardlist.InUse(t.Context(), o.db, b.ID, []string{"SAM-0001", "SAM-0002", "SAM-0004"}, nil)
	require.NoError(t, err)
	require.Equal(t, []cardlist.Taken{{Serial: "SAM-0001"}}, taken, "its own and free serials are not in use")

	o.tx(t, func(ctx context.Context, tx *postgres.Tx) error { return cardlist.Free(ctx, tx, a.ID) })
	list, err := cardlist.List(t.Context(), o.db, a.ID)
	require.NoError(t, err)
	require.Len(t, list, 2, "the list of a returned request stays to be read")
	require.Empty(t, o.store(t, b.ID, "SAM-0004", "SAM-0003"))
}

func TestCardsOnTheLineKeepTheirSerials(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	a, b := o.request(t), o.request(t)
	require.Empty(t, o.store(t, a.ID, "SAM-0001", "SAM-0002"))
	o.tx(t, func(ctx context.Context, tx *postgres.Tx) error {
		// The machine of cards is perso's, which stands above this package.
		if _, err := tx.Exec(ctx, `INSERT INTO transition VALUES ('card', '', 'list', 'listed', true)`); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `INSERT INTO card (id, request_id, serial, state)
			SELECT id, request_id, serial, 'listed' FROM listed_card WHERE serial = 'SAM-0001'`); err != nil {
			return err
		}
		return cardlist.Free(ctx, tx, a.ID)
	})
	require.Equal(t, []string{"SAM-0001", "R-SAM-0001"}, o.store(t, b.ID, "SAM-0001", "SAM-0002"))
}

func TestTwoListsThatOverlapAtOnce(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	const lists, shared = 6, "SAM-0000"
	ids := make([]string, lists)
	for i := range ids {
		ids[i] = o.request(t).ID
	}
	var mu sync.Mutex
	var refused int
	var wg sync.WaitGroup
	for i, id := range ids {
		wg.Go(func() {
			var duplicates []cardlist.Taken
			err := o.db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) (err error) {
				duplicates, err = cardlist.Store(ctx, tx, id, rows(shared, fmt.Sprintf("SAM-%04d", i+1)))
				return err
			})
			mu.Lock()
			defer mu.Unlock()
			if err == nil && len(duplicates) == 2 { // the card and its reader
				refused++
			}
		})
	}
	wg.Wait()
	require.Equal(t, lists-1, refused, "exactly one list has the shared serial")
}

func TestReplacement(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	a, b := o.request(t), o.request(t)
	require.Empty(t, o.store(t, a.ID, "SAM-0001", "SAM-0002"))
	require.Empty(t, o.store(t, b.ID, "SAM-0009"))
	list, err := cardlist.List(t.Context(), o.db, a.ID)
	require.NoError(t, err)
	old := list[0]

	add := func(oldID, serial string) (id string, err error) {
		o.tx(t, func(ctx context.Context, tx *postgres.Tx) error {
			id, err = cardlist.AddReplacement(ctx, tx, a.ID, oldID, serial)
			return nil // the transaction goes on after each of these errors
		})
		return id, err
	}
	for name, c := range map[string]struct {
		old, serial string
		want        error
	}{
		"in another live request": {old.ID, "SAM-0009", cardlist.ErrSerialLive},
		"in its own list":         {old.ID, "SAM-0002", cardlist.ErrSerialLive},
		"of the wrong form":       {old.ID, "X-1", cardlist.ErrSerialForm},
		"empty":                   {old.ID, " ", cardlist.ErrSerialForm},
		"for nothing":             {b.ID, "SAM-0010", cardlist.ErrNotFound},
	} {
		_, err := add(c.old, c.serial)
		require.ErrorIs(t, err, c.want, name)
	}
	id, err := add(old.ID, " sam-0010\u00a0")
	require.NoError(t, err)
	_, err = add(old.ID, "SAM-0011")
	require.ErrorIs(t, err, cardlist.ErrReplaced)

	list, err = cardlist.List(t.Context(), o.db, a.ID)
	require.NoError(t, err)
	require.Len(t, list, 3)
	require.Equal(t, cardlist.Card{ID: id, Row: 3, Serial: "SAM-0010", ReaderSerial: old.ReaderSerial, Line: 1, Replaces: &old.ID}, list[2])
	require.Equal(t, []string{"SAM-0010"}, o.store(t, b.ID, "SAM-0010"), "a replacement is live at once")
}

func TestTemplateKeepsSerialsAsText(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	require.NoError(t, cardlist.WriteSheet(&b, []cardlist.Row{{Row: 1, Serial: "00123456789012345678", Remarks: "=1+1"}}))
	book, err := excelize.OpenReader(&b)
	require.NoError(t, err)
	defer func() { require.NoError(t, book.Close()) }()
	got, err := book.GetRows(cardlist.Sheet)
	require.NoError(t, err)
	require.Equal(t, [][]string{
		{"No.", "No. Seri Kartu SAM", "No. Seri Reader", "Jenis", "Keterangan"},
		{"1", "00123456789012345678", "", "", "=1+1"},
	}, got)
	for _, cell := range []string{"B3", "C500"} { // cells that people will fill in
		style, err := book.GetCellStyle(cardlist.Sheet, cell)
		require.NoError(t, err)
		format, err := book.GetStyle(style)
		require.NoError(t, err)
		require.Equal(t, 49, format.NumFmt, cell)
	}
}
