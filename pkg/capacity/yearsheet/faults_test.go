package yearsheet_test

import (
	"archive/zip"
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/xuri/excelize/v2"

	"dukcapil.go.id/sifilma/pkg/capacity"
	"dukcapil.go.id/sifilma/pkg/capacity/yearsheet"
	"dukcapil.go.id/sifilma/pkg/clock"
)

// row fills the cells of a row from A on.
func row(t *testing.T, f *excelize.File, sheet, at string, values ...any) {
	t.Helper()
	require.NoError(t, f.SetSheetRow(sheet, at, &values))
}

// Each thing that is wrong is told with its sheet and cell, and what to do.
func TestWhatIsWrongIsNamedByItsCell(t *testing.T) {
	t.Parallel()
	const libur, kapasitas = yearsheet.HolidaySheet, yearsheet.CapacitySheet
	for name, c := range map[string]struct {
		edit func(f *excelize.File)
		want []string // pointer and code
		says string   // in the first
	}{
		"another year": {func(f *excelize.File) { row(t, f, libur, "A9", "2027-01-01", "", "Libur nasional", "x", "y", "ya") },
			[]string{"sheet!Libur!A9 wrong_year"}, "1 Januari 2027 bukan tanggal tahun 2026."},
		"another day": {func(f *excelize.File) { set(t, f, libur, "B3", "Senin") }, []string{"sheet!Libur!B3 weekday_differs"}, "24 Desember 2026 adalah hari Kamis"},
		"no date":     {func(f *excelize.File) { row(t, f, libur, "C9", "Libur nasional", "x", "y", "ya") }, []string{"sheet!Libur!A9 missing"}, "Tanggal wajib diisi."},
		"kind":        {func(f *excelize.File) { set(t, f, libur, "C3", "Libur bersama") }, []string{"sheet!Libur!C3 unknown_value"}, "Tulis Libur nasional atau Cuti bersama."},
		"texts": {func(f *excelize.File) { row(t, f, libur, "D3", " ", "", "mungkin") },
			[]string{"sheet!Libur!D3 missing", "sheet!Libur!E3 missing", "sheet!Libur!F3 unknown_value"}, "Nama hari libur wajib diisi."},
		"long": {func(f *excelize.File) { set(t, f, libur, "D3", strings.Repeat("x", 121)) }, []string{"sheet!Libur!D3 too_long"}, "paling panjang 120 karakter"},
		"formula": {func(f *excelize.File) { require.NoError(t, f.SetCellFormula(libur, "E3", "E2")) },
			[]string{"sheet!Libur!E3 formula"}, "rumus"},
		"hidden row":    {func(f *excelize.File) { require.NoError(t, f.SetRowVisible(libur, 3, false)) }, []string{"sheet!Libur!A3 hidden"}, "baris 3."},
		"flat row":      {func(f *excelize.File) { require.NoError(t, f.SetRowHeight(libur, 3, 0)) }, []string{"sheet!Libur!A3 hidden"}, "baris 3."},
		"hidden column": {func(f *excelize.File) { require.NoError(t, f.SetColVisible(libur, "E", false)) }, []string{"sheet!Libur!E1 hidden"}, "Kolom E (Dasar) tersembunyi."},
		"merged":        {func(f *excelize.File) { require.NoError(t, f.MergeCell(libur, "E2", "E3")) }, []string{"sheet!Libur!E2 merged", "sheet!Libur!E3 missing"}, "Sel E2:E3 digabung."},
		"hidden sheet":  {func(f *excelize.File) { require.NoError(t, f.SetSheetVisible(kapasitas, false)) }, []string{"sheet!Kapasitas sheet_hidden"}, "disembunyikan"},
		"header":        {func(f *excelize.File) { set(t, f, libur, "E1", "Dasar hukum") }, []string{"sheet!Libur header_missing"}, "kepala kolom Dasar."},
		"header twice":  {func(f *excelize.File) { set(t, f, libur, "G1", "DASAR:") }, []string{"sheet!Libur header_twice"}, "lebih dari satu kolom Dasar"},
		"no sheet": {func(f *excelize.File) {
			require.NoError(t, f.SetSheetName(libur, "Lembar1"))
			require.NoError(t, f.DeleteSheet(kapasitas))
		}, []string{"/sheet no_sheet"}, "tidak berisi lembar Libur maupun Kapasitas"},
		"cards":  {func(f *excelize.File) { set(t, f, kapasitas, "C3", "banyak") }, []string{"sheet!Kapasitas!C3 out_of_range"}, "Isi jumlah kartu per hari"},
		"half":   {func(f *excelize.File) { set(t, f, kapasitas, "C3", 12.5) }, []string{"sheet!Kapasitas!C3 out_of_range"}, "Isi jumlah kartu per hari"},
		"reason": {func(f *excelize.File) { set(t, f, kapasitas, "D3", "") }, []string{"sheet!Kapasitas!D3 missing"}, "Alasan wajib diisi."},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, faults := read(t, edited(t, table(), c.edit), 2026)
			require.Equal(t, c.want, pointers(faults))
			require.Contains(t, faults[0].Detail, c.says)
		})
	}
}

func pointers(faults []yearsheet.Fault) (out []string) {
	for _, f := range faults {
		out = append(out, f.Pointer()+" "+f.Code)
	}
	return out
}

func TestWhatTheCalendarForbids(t *testing.T) {
	t.Parallel()
	const libur, kapasitas = yearsheet.HolidaySheet, yearsheet.CapacitySheet
	for name, c := range map[string]struct {
		edit func(f *excelize.File)
		want []string
		says string
	}{
		"past changed": {func(f *excelize.File) { set(t, f, libur, "E2", "SKB lain") }, []string{"sheet!Libur!E2 in_past"}, "“Hari Kemerdekaan”, dasar SKB 1497/2025"},
		"past added": {func(f *excelize.File) { row(t, f, libur, "A9", "2026-08-18", "", "Cuti bersama", "x", "y", "ya") },
			[]string{"sheet!Libur!A9 in_past"}, "18 Agustus 2026 tidak tercatat pada kalender"},
		"frozen": {func(f *excelize.File) { set(t, f, kapasitas, "C2", 100) }, []string{"sheet!Kapasitas!C2 frozen"}, "Rencana hari ini sudah tetap."},
		"twice": {func(f *excelize.File) { row(t, f, libur, "A9", "25-12-2026", "", "Libur nasional", "x", "y", "ya") },
			[]string{"sheet!Libur!A9 repeated"}, "25 Desember 2026 sudah ada pada sel A4."},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := compare(t, edited(t, table(), c.edit), table(), yearsheet.Removal{})
			require.Equal(t, c.want, pointers(d.Faults))
			require.Contains(t, d.Faults[0].Detail, c.says)
			require.Empty(t, d.Changes)
		})
	}
}

func TestWhatIsNoWorkbook(t *testing.T) {
	t.Parallel()
	var bomb bytes.Buffer
	z := zip.NewWriter(&bomb)
	for _, name := range []string{"[Content_Types].xml", "xl/workbook.xml"} {
		w, err := z.Create(name)
		require.NoError(t, err)
		_, err = w.Write(bytes.Repeat([]byte(" "), 25<<20))
		require.NoError(t, err)
	}
	require.NoError(t, z.Close())
	require.Less(t, bomb.Len(), 1<<20)
	macros := edited(t, table(), func(f *excelize.File) { f.Pkg.Store("xl/vbaProject.bin", []byte("x")) })
	for code, content := range map[string][]byte{
		"too_large": bomb.Bytes(), "macro": macros, "plain_text": []byte("Tanggal;Jenis\n2026-12-25;Libur nasional\n"),
		"damaged": written(t, table())[:3000], "not_workbook": []byte("%PDF-1.7"),
	} {
		_, faults := read(t, content, 2026)
		require.Equal(t, []string{"/sheet " + code}, pointers(faults))
		require.Contains(t, faults[0].Detail, "Buku kerja ini ")
	}
}

// What stands beside the table, or above it, is not ours to judge.
func TestWhatIsNotRead(t *testing.T) {
	t.Parallel()
	book := edited(t, table(), func(f *excelize.File) {
		require.NoError(t, f.InsertRows(yearsheet.HolidaySheet, 1, 2))
		set(t, f, yearsheet.HolidaySheet, "A1", "Kalender")
		require.NoError(t, f.MergeCell(yearsheet.HolidaySheet, "A1", "F1"))
		require.NoError(t, f.SetCellFormula(yearsheet.HolidaySheet, "J5", "1+1"))
		set(t, f, yearsheet.HolidaySheet, "B30", "Senin")
		require.NoError(t, f.SetRowVisible(yearsheet.HolidaySheet, 31, false))
		set(t, f, yearsheet.Guide, "B50", "coretan")
	})
	d := compare(t, book, table(), yearsheet.Removal{})
	require.Empty(t, d.Faults)
	require.Empty(t, d.Changes)
	require.Empty(t, d.Missing)
}

// TestCapacityOfADayOffIsRefusedAtItsCell; one that the calendar has is left alone.
func TestCapacityOfADayOffIsRefusedAtItsCell(t *testing.T) {
	t.Parallel()
	now := table()
	now.Settings = append(now.Settings, capacity.Setting{Day: clock.MustParseDate("2026-12-25"), Capacity: 5, Reason: "sebelum ditetapkan", Version: 1})
	d := compare(t, written(t, now), now, yearsheet.Removal{})
	require.Empty(t, d.Faults)
	require.Empty(t, d.Changes)
	now = table()
	var content yearsheet.Content
	content, _ = read(t, written(t, now), 2026)
	for i, day := range []string{"2026-12-06", "2026-12-24", "2026-12-31"} {
		content.Capacity = append(content.Capacity, yearsheet.SettingRow{Row: 50 + i, Day: clock.MustParseDate(day), Capacity: 100, Reason: "lembur"})
	}
	d = yearsheet.Compare(content, now, yearsheet.Who{Today: today, Capacity: true}, yearsheet.Removal{})
	require.Len(t, d.Changes, 1)
	require.Len(t, d.Faults, 2)
	require.Equal(t, "A50 Minggu, 6 Desember 2026 bukan hari kerja (akhir pekan); kapasitasnya tidak dapat diatur. Hapus baris ini.", d.Faults[0].Cell+" "+d.Faults[0].Detail)
	require.Contains(t, d.Faults[1].Detail, "Cuti bersama")
}
