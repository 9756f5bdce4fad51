package validation_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"github.com/xuri/excelize/v2"

	"dukcapil.go.id/sifilma/pkg/cardlist"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/institution"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/register"
	"dukcapil.go.id/sifilma/pkg/register/registertest"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/pkg/validation"
	"dukcapil.go.id/sifilma/test/harness"
)

var morning = time.Date(2026, 11, 23, 2, 0, 0, 0, time.UTC)

// office is a database with the master data of the rules.
func office(t *testing.T) *postgres.DB {
	t.Helper()
	db := harness.DB(t)
	require.NoError(t, machine.Sync(t.Context(), db, request.Machine))
	require.NoError(t, db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		bank, err := institution.Ensure(ctx, tx, institution.Institution{Kind: institution.Lembaga, Name: "PT Bank Contoh"})
		if err != nil {
			return err
		}
		for number, p := range map[string]institution.PKS{
			"PKS/1": {State: "in_force", ValidFrom: clock.MustParseDate("2025-01-01"), ValidTo: clock.MustParseDate("2027-12-31")},
			"PKS/2": {State: "in_force", ValidFrom: clock.MustParseDate("2025-01-01"), ValidTo: clock.MustParseDate("2026-11-22")},
			"PKS/3": {State: "in_force", ValidFrom: clock.MustParseDate("2026-11-21"), ValidTo: clock.MustParseDate("2027-12-31")},
			"PKS/4": {State: "withdrawn", ValidFrom: clock.MustParseDate("2025-01-01"), ValidTo: clock.MustParseDate("2027-12-31")},
		} {
			p.Number, p.InstitutionID = number, bank.ID
			if err := institution.EnsurePKS(ctx, tx, p); err != nil {
				return err
			}
		}
		closed, err := institution.Ensure(ctx, tx, institution.Institution{Kind: institution.Lembaga, Name: "PT Bank Tutup"})
		if err != nil {
			return err
		}
		if err := institution.EnsurePKS(ctx, tx, institution.PKS{Number: "PKS/5", InstitutionID: closed.ID, State: "in_force",
			ValidFrom: clock.MustParseDate("2025-01-01"), ValidTo: clock.MustParseDate("2027-12-31")}); err != nil {
			return err
		}
		if err := tx.ExecOne(ctx, `UPDATE institution SET active = false WHERE id = $1`, closed.ID); err != nil {
			return err
		}
		for _, m := range []institution.MachineType{
			{Code: "GSX-01", Name: "GSX-01", UsesReader: true, SAMPattern: `SAM-[0-9]{6}`, ReaderPattern: `R-[0-9]{6}`,
				SAMExamples: []string{"SAM-000001", "SAM-000002", "SAM-000003", "SAM-000004"}, ReaderExamples: []string{"R-000001"}},
			{Code: "DIGIT", Name: "DIGIT", UsesReader: true, SAMPattern: `[0-9]+`, ReaderPattern: `R-[0-9]{6}`},
			{Code: "TANPA", Name: "Tidak menggunakan mesin", SAMPattern: `SAM-[0-9]{6}`},
		} {
			if err := institution.SeedMachineType(ctx, tx, m); err != nil {
				return err
			}
		}
		return nil
	}))
	return db
}

// submission is a request that passes, for tests to spoil.
type submission struct {
	r    request.Request
	book *excelize.File
}

func good(t *testing.T, n int) *submission {
	t.Helper()
	var b bytes.Buffer
	var rows []cardlist.Row
	for i := range n {
		rows = append(rows, cardlist.Row{Row: i + 1, Serial: fmt.Sprintf("SAM-%06d", i), ReaderSerial: fmt.Sprintf("R-%06d", i), Kind: "SAM"})
	}
	require.NoError(t, cardlist.WriteSheet(&b, rows))
	book, err := excelize.OpenReader(&b)
	require.NoError(t, err)
	t.Cleanup(func() { _ = book.Close() })
	return &submission{book: book, r: request.Request{
		ID: uuid.Must(uuid.NewV7()).String(), Institution: "PT Produsen Contoh",
		Form: request.Form{
			Kind: request.KindReader, CardCount: n, MachineType: "GSX-01", PKSNumber: "PKS/1",
			Letter: request.Letter{Date: clock.MustParseDate("2026-11-20")},
			Lines:  []request.Line{{Lembaga: "PT Bank Contoh", Quantity: n}},
			Orders: []request.PurchaseOrder{{Number: "PO", From: "PT. BANK CONTOH", To: "PT Produsen Contoh", ReaderCount: n}},
		},
	}}
}

// set writes a cell: a string is text, a number a number.
func (s *submission) set(t *testing.T, cell string, value any) {
	t.Helper()
	require.NoError(t, s.book.SetCellValue(s.book.GetSheetName(0), cell, value))
}

func (s *submission) list(t *testing.T) validation.List {
	t.Helper()
	b, err := s.book.WriteToBuffer()
	require.NoError(t, err)
	list, err := validation.ReadList(bytes.NewReader(b.Bytes()), int64(b.Len()))
	require.NoError(t, err)
	return list
}

func (s *submission) check(t *testing.T, db postgres.Reader) []validation.Finding {
	t.Helper()
	found, err := validation.Check(t.Context(), db, s.r, s.list(t), clock.DateOf(morning))
	require.NoError(t, err)
	return found
}

func TestRules(t *testing.T) {
	t.Parallel()
	db := office(t)
	for name, c := range map[string]struct {
		spoil func(t *testing.T, s *submission)
		want  []string // code at pointer, or code! for a warning
	}{
		"nothing wrong": {func(*testing.T, *submission) {}, nil},
		"serial with invisible characters": {func(t *testing.T, s *submission) {
			s.set(t, "B2", "\u00a0sam-000000\u200b ")
		}, []string{"invisible_characters! daftar!Daftar!B2"}},
		"spaces around a serial": {func(t *testing.T, s *submission) { s.set(t, "B2", "  sam-000000 ") }, nil},
		"blank rows in between":  {func(t *testing.T, s *submission) { require.NoError(t, s.book.InsertRows(cardlist.Sheet, 3, 4)) }, nil},
		"nothing but the header": {func(t *testing.T, s *submission) {
			for range 3 {
				require.NoError(t, s.book.RemoveRow(cardlist.Sheet, 2))
			}
		}, []string{"list_empty /card_list"}},
		"cards on another sheet": {func(t *testing.T, s *submission) {
			_, err := s.book.NewSheet("Daftar 2")
			require.NoError(t, err)
			require.NoError(t, s.book.SetCellStr("Daftar 2", "B3", cardlist.HeaderSerial))
			require.NoError(t, s.book.SetCellStr("Daftar 2", "B4", "SAM-000009"))
		}, []string{"list_sheet_unread! /card_list"}},
		"a sheet with the header only": {func(t *testing.T, s *submission) {
			_, err := s.book.NewSheet("Kosong")
			require.NoError(t, err)
			require.NoError(t, s.book.SetCellStr("Kosong", "B3", cardlist.HeaderSerial))
		}, nil},
		"too many sheets": {func(t *testing.T, s *submission) {
			for i := range validation.ListLimits.Sheets {
				_, err := s.book.NewSheet(fmt.Sprint("Lain ", i))
				require.NoError(t, err)
			}
		}, []string{"list_too_large /card_list"}},
		"numbered beforehand": {func(t *testing.T, s *submission) { s.set(t, "A5", 4); s.set(t, "A6", 5) }, nil},
		"title above the header": {func(t *testing.T, s *submission) {
			require.NoError(t, s.book.InsertRows(cardlist.Sheet, 1, 2))
			s.set(t, "A1", "DAFTAR KARTU SAM")
		}, nil},
		"columns in another order": {func(t *testing.T, s *submission) {
			require.NoError(t, s.book.InsertCols(cardlist.Sheet, "B", 1))
			s.set(t, "B1", "Catatan gudang")
		}, nil},
		"long serial typed as a number": {func(t *testing.T, s *submission) {
			s.r.MachineType = "DIGIT"
			for i := range 3 {
				s.set(t, fmt.Sprintf("B%d", i+2), fmt.Sprint(1000+i))
			}
			s.set(t, "B3", 1234567890123456789)
		}, []string{"serial_numeric daftar!Daftar!B3"}},
		"short serial typed as a number": {func(t *testing.T, s *submission) {
			s.r.MachineType = "DIGIT"
			for i := range 3 {
				s.set(t, fmt.Sprintf("B%d", i+2), 123456+i)
			}
		}, nil},
		"formula": {func(t *testing.T, s *submission) {
			require.NoError(t, s.book.SetCellFormula(cardlist.Sheet, "B3", `"SAM-"&"000001"`))
		}, []string{"formula daftar!Daftar!B3"}},
		"formula in the remarks": {func(t *testing.T, s *submission) {
			require.NoError(t, s.book.SetCellFormula(cardlist.Sheet, "E2", `1+1`))
		}, []string{"formula daftar!Daftar!E2"}},
		"date for a reader": {func(t *testing.T, s *submission) {
			s.set(t, "C2", morning)
		}, []string{"serial_date daftar!Daftar!C2"}},
		"serial of the wrong form": {func(t *testing.T, s *submission) { s.set(t, "B4", "SAM-1") }, []string{"serial_form daftar!Daftar!B4"}},
		"serial missing":           {func(t *testing.T, s *submission) { s.set(t, "B4", "") }, []string{"serial_missing daftar!Daftar!B4"}},
		"serial repeated": {func(t *testing.T, s *submission) { s.set(t, "B4", "sam-000000") },
			[]string{"serial_repeated daftar!Daftar!B4"}},
		"reader missing":           {func(t *testing.T, s *submission) { s.set(t, "C3", "") }, []string{"reader_serial_missing daftar!Daftar!C3"}},
		"reader of the wrong form": {func(t *testing.T, s *submission) { s.set(t, "C3", "X") }, []string{"reader_serial_form daftar!Daftar!C3"}},
		"reader repeated":          {func(t *testing.T, s *submission) { s.set(t, "C3", "R-000000") }, []string{"reader_serial_repeated daftar!Daftar!C3"}},
		"no column of readers":     {func(t *testing.T, s *submission) { s.set(t, "C1", "Lain") }, []string{"header_missing /card_list"}},
		"no column of serials":     {func(t *testing.T, s *submission) { s.set(t, "B1", "Lain") }, []string{"header_missing /card_list"}},
		"two columns of serials":   {func(t *testing.T, s *submission) { s.set(t, "E1", "no seri kartu sam") }, []string{"header_twice /card_list"}},
		"another sheet":            {func(t *testing.T, s *submission) { require.NoError(t, s.book.SetSheetName("Daftar", "Sheet1")) }, []string{"list_no_sheet /card_list"}},
		"count above the list":     {func(_ *testing.T, s *submission) { s.r.CardCount = 4 }, []string{"card_count /card_count", "lines_count /lines", "po_too_small /purchase_orders"}},
		"count below the list":     {func(_ *testing.T, s *submission) { s.r.CardCount = 2 }, []string{"card_count /card_count", "lines_count /lines"}},
		"PO too small":             {func(_ *testing.T, s *submission) { s.r.Orders[0].ReaderCount = 2 }, []string{"po_too_small /purchase_orders"}},
		"PO to another":            {func(_ *testing.T, s *submission) { s.r.Orders[0].To = "PT Lain" }, []string{"po_not_to_produsen /purchase_orders", "po_chain /lines/0/lembaga"}},
		"PO of another lembaga":    {func(_ *testing.T, s *submission) { s.r.Orders[0].From = "PT Lain" }, []string{"po_chain /lines/0/lembaga"}},
		"reseller's two POs":       {func(_ *testing.T, s *submission) { s.r.Orders = reseller(3, 3) }, nil},
		"reseller orders too few":  {func(_ *testing.T, s *submission) { s.r.Orders = reseller(3, 2) }, []string{"po_too_small /purchase_orders"}},
		"lembaga orders too few":   {func(_ *testing.T, s *submission) { s.r.Orders = reseller(2, 3) }, []string{"po_lembaga_small /lines/0/quantity"}},
		"a PO twice":               {func(_ *testing.T, s *submission) { s.r.Orders = append(s.r.Orders, s.r.Orders[0]) }, []string{"po_repeated /purchase_orders/1"}},
		"reseller passes on too few": {func(_ *testing.T, s *submission) {
			s.r.Orders = append(reseller(3, 1), request.PurchaseOrder{Number: "PO/9", From: "PT Lain", To: "PT Produsen Contoh", ReaderCount: 9})
		}, []string{"po_reseller_small /purchase_orders/0/reader_count"}},
		"PKS unknown":               {func(_ *testing.T, s *submission) { s.r.PKSNumber = "PKS/9" }, []string{"pks_unknown /pks_number"}},
		"PKS ended yesterday":       {func(_ *testing.T, s *submission) { s.r.PKSNumber = "PKS/2" }, []string{"pks_not_in_force /pks_number"}},
		"PKS later than the letter": {func(_ *testing.T, s *submission) { s.r.PKSNumber = "PKS/3" }, []string{"pks_not_in_force /pks_number"}},
		"PKS withdrawn":             {func(_ *testing.T, s *submission) { s.r.PKSNumber = "PKS/4" }, []string{"pks_withdrawn /pks_number"}},
		"PKS of a closed lembaga": {func(_ *testing.T, s *submission) {
			s.r.PKSNumber, s.r.Lines[0].Lembaga, s.r.Orders[0].From = "PKS/5", "PT Bank Tutup", "PT Bank Tutup"
		}, []string{"lembaga_inactive /pks_number"}},
		"PKS of another lembaga": {func(_ *testing.T, s *submission) {
			s.r.Lines[0].Lembaga, s.r.Orders[0].From = "PT Lain", "PT Lain"
		}, []string{"pks_unknown /pks_number"}},
		"a second lembaga without PKS": {func(_ *testing.T, s *submission) {
			s.r.Lines = []request.Line{{Lembaga: "PT Bank Contoh", Quantity: 1}, {Lembaga: "PT Bank Tutup", Quantity: 1}, {Lembaga: "PT Tak Tercatat", Quantity: 1}}
			s.r.Orders = append(s.r.Orders, request.PurchaseOrder{Number: "PO/8", From: "PT Bank Tutup", To: "PT Produsen Contoh", ReaderCount: 1},
				request.PurchaseOrder{Number: "PO/9", From: "PT Tak Tercatat", To: "PT Produsen Contoh", ReaderCount: 1})
		}, []string{"pks_missing /lines/1/lembaga", "pks_missing /lines/2/lembaga"}},
		"machine type unknown": {func(_ *testing.T, s *submission) { s.r.MachineType = "X" }, []string{"machine_type_unknown /machine_type"}},
		"machine type without readers": {func(_ *testing.T, s *submission) { s.r.MachineType = "TANPA" },
			[]string{"machine_type_kind /machine_type", "reader_serial_unexpected daftar!Daftar!C2:C4"}},
		"rekam-cetak": {func(t *testing.T, s *submission) {
			s.r.Kind, s.r.MachineType, s.r.PKSNumber, s.r.Orders, s.r.Lines = request.KindRekamCetak, "TANPA", "", nil, nil
			require.NoError(t, s.book.RemoveCol(cardlist.Sheet, "C"))
		}, nil},
	} {
		s := good(t, 3)
		c.spoil(t, s)
		var got []string
		for _, f := range s.check(t, db) {
			if f.Severity == validation.Warning {
				f.Code += "!"
			}
			got = append(got, f.Code+" "+f.Pointer)
			require.NotContains(t, f.Detail, "%!", name)
			require.True(t, strings.HasSuffix(f.Detail, ".") || strings.HasSuffix(f.Detail, ")."), "%s: %s", name, f.Detail)
		}
		require.Equal(t, c.want, got, name)
	}
}

func TestAFindingSaysWhatIsRightAndWhatToDo(t *testing.T) {
	t.Parallel()
	db := office(t)
	s := good(t, 12)
	for cell, value := range map[string]any{"B3": "salah", "C5": "salah", "C10": "salah lagi", "C11": "keliru", "B8": morning, "B9": "SAM-000007\u200b"} {
		s.set(t, cell, value)
	}
	require.NoError(t, s.book.SetCellFormula(cardlist.Sheet, "E2", `1+1`))
	found := map[string]validation.Finding{}
	for _, f := range s.check(t, db) {
		found[f.Code] = f
	}
	require.Len(t, found, 5)
	require.Equal(t, "Sel B3: bentuk No. Seri Kartu SAM tidak sesuai dengan Jenis Mesin GSX-01. Contoh yang benar: SAM-000001, SAM-000002, SAM-000003.",
		found["serial_form"].Detail)
	require.Contains(t, found["reader_serial_form"].Detail, "Jenis Mesin GSX-01. Contoh yang benar: R-000001.")
	require.Equal(t, "daftar!Daftar!C5:C11", found["reader_serial_form"].Pointer)
	require.Equal(t, "Daftar kartu, lembar Daftar, sel C5, C10:C11", found["reader_serial_form"].Place(), "none that is right")
	require.Equal(t, "Sel E2: berisi rumus.", found["formula"].Detail)
	for code, f := range found {
		text, err := json.Marshal(f)
		require.NoError(t, err)
		var told map[string]any
		require.NoError(t, json.Unmarshal(text, &told))
		require.Equal(t, validation.Advice(f), told["advice"], code)
		require.Equal(t, f.Detail, told["detail"], code)
		require.Len(t, told, 6, code)
		require.NotContains(t, strings.ToLower(f.Detail), strings.TrimSuffix(strings.ToLower(validation.Advice(f)), "."), "%s says twice what to do", code)
	}

	s = good(t, 1)
	s.r.MachineType = "DIGIT"
	s.set(t, "B2", "X")
	require.Contains(t, s.check(t, db)[0].Detail, "Jenis Mesin DIGIT.", "one without examples")
	require.NotContains(t, s.check(t, db)[0].Detail, "Contoh")
}

// reseller is a chain of two orders over a reseller (features.md I06).
func reseller(end, produsen int) []request.PurchaseOrder {
	return []request.PurchaseOrder{
		{Number: "PO-A", From: "PT Bank Contoh", To: "CV Penyalur", ReaderCount: end},
		{Number: "PO-B", From: "CV Penyalur", To: "PT Produsen Contoh", ReaderCount: produsen},
	}
}

func TestManyEqualFaultsAreOneFinding(t *testing.T) {
	t.Parallel()
	db := office(t)
	s := good(t, 500)
	for i := range 500 {
		s.set(t, fmt.Sprintf("B%d", i+2), 1e18+float64(i))
	}
	found := s.check(t, db)
	require.Len(t, found, 1)
	require.Equal(t, "daftar!Daftar!B2:B501", found[0].Pointer)
	require.Contains(t, found[0].Detail, "500 sel (B2:B501):")

	s = good(t, 500)
	for i := range 250 { // the first half pasted once more
		s.set(t, fmt.Sprintf("B%d", i+252), fmt.Sprintf("SAM-%06d", i))
	}
	found = s.check(t, db)
	require.Len(t, found, 1)
	require.Equal(t, "serial_repeated", found[0].Code)

	s = good(t, 60)
	for i := 0; i < 60; i += 3 {
		s.set(t, fmt.Sprintf("C%d", i+2), "")
	}
	found = s.check(t, db)
	require.Len(t, found, 1)
	require.Contains(t, found[0].Detail, "20 sel (C2, C5, C8, C11, C14, C17, C20, C23 dan 12 rentang lain)")
}

func TestSerialsOfOthersAreFoundWithoutTellingWhose(t *testing.T) {
	t.Parallel()
	db := office(t)
	var other request.Request
	require.NoError(t, db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		in, err := institution.Ensure(ctx, tx, institution.Institution{Kind: institution.Produsen, Name: "PT Produsen Lain"})
		if err != nil {
			return err
		}
		form := good(t, 2).r.Form
		form.Reference, form.Title, form.SAMFunction = "rahasia", "rahasia", "R"
		other, err = request.Create(ctx, tx, request.New{
			InstitutionID: in.ID, Form: form, Actor: machine.Actor{Name: "uji", Role: request.Produsen}, OfficeAt: morning,
		})
		if err != nil {
			return err
		}
		if _, err := cardlist.Store(ctx, tx, other.ID, []cardlist.Row{{Row: 1, Serial: "SAM-000000", Line: 1}, {Row: 2, Serial: "SAM-000001", Line: 1}}); err != nil {
			return err
		}
		// The machine of cards is perso's, which stands beside this package.
		if _, err := tx.Exec(ctx, `INSERT INTO transition VALUES ('card', '', 'list', 'clear', true)`); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `INSERT INTO capacity_day (day, capacity) VALUES ('2026-11-23', 250)`); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `INSERT INTO transition VALUES ('work_order', '', 'plan', 'planned', true)`); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `INSERT INTO work_order (id, request_id, day, slots, capacity, remaining, state)
			VALUES ($1, $1, '2026-11-23', '[1,3)', 250, 2, 'planned')`, other.ID); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `INSERT INTO card (id, request_id, serial, state, chip_id, pcid, manifest_no, work_order_id)
			SELECT id, request_id, serial, 'clear', 'chip', repeat('A', 32), 'M-1', request_id FROM listed_card WHERE serial = 'SAM-000001'`)
		return err
	}))
	found := good(t, 3).check(t, db)
	var got []string
	for _, f := range found {
		got = append(got, f.Code+" "+f.Pointer)
		require.NotContains(t, f.Detail, "Lain")
		require.NotContains(t, f.Detail, other.Ticket)
		require.NotContains(t, f.Detail, "rahasia")
	}
	require.Equal(t, []string{"serial_in_use daftar!Daftar!B2", "serial_personalised daftar!Daftar!B3"}, got)
}

func TestWhatWasIssuedBeforeDayOneIsReturned(t *testing.T) {
	t.Parallel()
	db := office(t)
	s := good(t, 4)
	list := s.list(t)
	registertest.Put(t, db, register.Entry{Row: 1, Serial: list.Row(1).Serial, Produsen: "PT Produsen Lain"},
		register.Entry{Row: 2, Serial: "SAM-999999", ReaderSerial: list.Row(3).ReaderSerial, Produsen: "PT Produsen Lain"})
	found := s.check(t, db)
	var got []string
	for _, f := range found {
		got = append(got, f.Code+" "+f.Pointer)
		require.NotContains(t, f.Detail, "Lain")
	}
	require.Equal(t, []string{"serial_personalised daftar!Daftar!B3", "reader_serial_issued daftar!Daftar!C5"}, got)
}

// TestANumberWithOtherSeparatorsIsTheNumber: lists of the old register were typed by
// many hands.
func TestANumberWithOtherSeparatorsIsTheNumber(t *testing.T) {
	t.Parallel()
	db := office(t)
	s := good(t, 4)
	list := s.list(t)
	spaced := func(serial string) string { return strings.ReplaceAll(serial[:3]+" "+serial[3:], "-", "/") }
	registertest.Put(t, db,
		register.Entry{Row: 1, Serial: spaced(list.Row(0).Serial), Produsen: "PT Produsen Lain"},
		register.Entry{Row: 2, Serial: spaced(list.Row(1).Serial)}, register.Entry{Row: 3, Serial: list.Row(1).Serial},
		register.Entry{Row: 4, ReaderSerial: spaced(list.Row(3).ReaderSerial), Produsen: "PT Produsen Lain"})
	found := s.check(t, db)
	var got []string
	for _, f := range found {
		got = append(got, f.Code+" "+f.Pointer)
		require.Equal(t, validation.Error, f.Severity)
		require.NotContains(t, f.Detail, "Lain")
		require.NotContains(t, f.Detail, spaced(list.Row(0).Serial))
		require.Contains(t, validation.Advice(f), "kartu")
	}
	require.ElementsMatch(t, []string{"serial_like_issued daftar!Daftar!B2", "serial_personalised daftar!Daftar!B3",
		"reader_serial_like_issued daftar!Daftar!C5"}, got)
	require.Contains(t, found[0].Detail, "hanya berbeda tanda pemisahnya")
}

func TestCardsAreSharedOutToTheLines(t *testing.T) {
	t.Parallel()
	s := good(t, 5)
	s.r.Lines = []request.Line{{Lembaga: "A", Quantity: 2}, {Lembaga: "B", Quantity: 3}}
	var lines []int
	for _, row := range validation.Cards(s.r, s.list(t)) {
		lines = append(lines, row.Line)
	}
	require.Equal(t, []int{1, 1, 2, 2, 2}, lines)
	s.r.Lines = nil
	for _, row := range validation.Cards(s.r, s.list(t)) {
		require.Equal(t, 1, row.Line)
	}
}

// A change of name makes nothing wrong that was right, under whichever name each of
// the papers has.
func TestAChangeOfNameIsNoFault(t *testing.T) {
	t.Parallel()
	db := office(t)
	s := good(t, 2)
	require.Empty(t, s.check(t, db))
	rename := func(in institution.Institution, to string) {
		require.NoError(t, db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
			in.Name = to
			_, err := institution.Change(ctx, tx, in)
			return err
		}))
	}
	bank, err := institution.ByName(t.Context(), db, "PT Bank Contoh")
	require.NoError(t, err)
	rename(bank, "PT Bank Contoh Nusantara")
	require.Empty(t, s.check(t, db), "all of it was written before")
	s.r.Lines[0].Lembaga = "PT Bank Contoh Nusantara"
	require.Empty(t, s.check(t, db), "only the order was")

	var maker institution.Institution
	require.NoError(t, db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) (err error) {
		maker, err = institution.Create(ctx, tx, institution.Institution{Kind: institution.Produsen, Name: "PT Produsen Contoh"})
		return err
	}))
	rename(maker, "PT Reader Nusantara")
	s.r.Institution = "PT Reader Nusantara"
	require.Empty(t, s.check(t, db), "the order names the produsen as it was")
	s.r.Orders[0].To = "PT Reader Lain"
	codes := []string{}
	for _, f := range s.check(t, db) {
		codes = append(codes, f.Code)
	}
	require.ElementsMatch(t, []string{"po_not_to_produsen", "po_chain"}, codes)
}
