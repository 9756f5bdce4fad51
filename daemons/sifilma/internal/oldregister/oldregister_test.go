package oldregister_test

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/xuri/excelize/v2"

	"dukcapil.go.id/sifilma/daemons/sifilma/internal/oldregister"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/test/harness"
)

var morning = time.Date(2026, 11, 23, 2, 0, 0, 0, time.UTC)

// list is a file of a name, made by write.
func list(t *testing.T, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, content, 0o600))
	return path
}

type grid [][]any

// workbook is an XLSX of sheets, in the order of their names.
func workbook(t *testing.T, sheets map[string]grid, change func(*excelize.File)) []byte {
	t.Helper()
	book := excelize.NewFile()
	for name, rows := range sheets {
		_, err := book.NewSheet(name)
		require.NoError(t, err)
		for i, row := range rows {
			require.NoError(t, book.SetSheetRow(name, fmt.Sprintf("A%d", i+1), &row))
		}
	}
	require.NoError(t, book.DeleteSheet("Sheet1"))
	if change != nil {
		change(book)
	}
	var b bytes.Buffer
	require.NoError(t, book.Write(&b))
	require.NoError(t, book.Close())
	return b.Bytes()
}

// run imports files and returns the report.
func run(t *testing.T, db *postgres.DB, o oldregister.Order, files ...string) (string, error) {
	t.Helper()
	o.By, o.Files, o.Now = "petugas uji", files, morning
	var out strings.Builder
	err := oldregister.Run(t.Context(), db, o, &out)
	return out.String(), err
}

func count(t *testing.T, db *postgres.DB, query string, args ...any) (n int) {
	t.Helper()
	require.NoError(t, db.Get(t.Context(), &n, query, args...))
	return n
}

func pcid(n int) string { return fmt.Sprintf("%032X", n) }

// cover is the sheet of a report that is no part of the register.
var cover = []string{"sampul"}

// receiveReport is the office's own list of results (features.md G22, G23).
func receiveReport(t *testing.T) []byte {
	return workbook(t, map[string]grid{"Data Receive": {
		{"LAPORAN HASIL PERSONALISASI KARTU SAM PT PRODUSEN CONTOH"}, {"(PT Bank Contoh)"}, {}, {},
		{"No.", "No. Seri Kartu SAM", "No. Manifest Kartu SAM", "No. PCID", "Keterangan"},
		{1, " sam-00001 ", "m-19-1", strings.ToLower(pcid(1)), "Berhasil"},
		{2, "SAM-00002", "M-19-2", pcid(2), "Berhasil"},
		{3, "SAM-00003", "", "-", "Gagal"},
		{4, "", "", "", ""},
	}, "Sampul": {{"Tahun 2019"}}}, nil)
}

func TestTheOfficesOwnListGoesIn(t *testing.T) {
	t.Parallel()
	db := harness.DB(t)
	path := list(t, "receive-report-08102019.xlsx", receiveReport(t))

	out, err := run(t, db, oldregister.Order{Dry: true, SkipSheets: cover}, path)
	require.NoError(t, err)
	require.Contains(t, out, "Uji coba: 3 baris dapat diimpor; tidak ada yang ditulis.")
	require.Zero(t, count(t, db, `SELECT count(*) FROM register_entry`)+count(t, db, `SELECT count(*) FROM audit`))

	out, err = run(t, db, oldregister.Order{SkipSheets: cover}, path)
	require.NoError(t, err)
	require.Contains(t, out, `Lembar "Data Receive": kepala kolom di baris 5, 3 baris data. Dibaca: No. Seri Kartu SAM (B), `+
		`No. Manifest Kartu SAM (C), No. PCID (D), Keterangan (E).`)
	require.Contains(t, out, `Tidak dibaca: "No.".`)
	require.Contains(t, out, `Dikecualikan oleh perintah: lembar "Sampul".`)
	require.Contains(t, out, "3 baris diimpor.")
	require.Equal(t, 1, count(t, db, `SELECT count(*) FROM register_entry WHERE sheet = 'Data Receive' AND row = 6
		AND serial = 'SAM-00001' AND pcid = $1 AND manifest_no = 'M-19-1' AND remarks = 'Berhasil' AND reader_serial IS NULL`, pcid(1)))
	require.Equal(t, 1, count(t, db, `SELECT count(*) FROM audit WHERE action = 'register.imported' AND actor = 'petugas uji' AND (detail->>'added')::int = 3`))

	out, err = run(t, db, oldregister.Order{SkipSheets: cover}, path, list(t, "salinan.csv", []byte("Nomor Seri SAM;PCID\nSAM-00002;"+pcid(2)+"\n")))
	require.NoError(t, err)
	require.Contains(t, out, "3 baris sudah ada dalam register dan dibiarkan.\n  Tidak ada yang baru: 0 baris diimpor.")
	require.Contains(t, out, "1 baris sudah ada dalam register dan dibiarkan.\n  Tidak ada yang baru: 0 baris diimpor.")
	require.Equal(t, 3, count(t, db, `SELECT count(*) FROM register_entry`))
}

func TestWhatCSVFilesAreRead(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"semicolon":     "No. Seri Kartu SAM;No. Seri Reader;Produsen;Lembaga Pengguna;Tgl BAST;Ket\r\nSAM1;R1;PT A;PT B;8 Oktober 2019;baik\r\n",
		"comma and BOM": "\xef\xbb\xbfNomor Asal,Nomor Seri Reader,Lembaga Produsen,Lembaga,Tanggal,Catatan\nSAM1,R1,PT A,PT B,08/10/2019,baik\n",
		"quoted, title": "\"Register; lama\";;\n;;\nSERI SAM;Serial Reader;Produsen;Nama Lembaga;Tanggal Terbit;Keterangan\n\"sam1\";R1;\"PT A\";\"PT B\";2019-10-08;baik\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := harness.DB(t)
			out, err := run(t, db, oldregister.Order{}, list(t, "a.csv", []byte(text)))
			require.NoError(t, err, out)
			require.Equal(t, 1, count(t, db, `SELECT count(*) FROM register_entry WHERE sheet = '' AND serial = 'SAM1' AND reader_serial = 'R1'
				AND produsen = 'PT A' AND lembaga = 'PT B' AND issued_on = '2019-10-08' AND remarks = 'baik'`))
		})
	}
}

// TestSpoiledFiles: each spoiled file is refused with its cells, and not one row
// of it goes in.
func TestSpoiledFiles(t *testing.T) {
	t.Parallel()
	db := harness.DB(t)
	if _, err := run(t, db, oldregister.Order{}, list(t, "lama.csv", []byte("No. Seri Kartu SAM;No. PCID\nSAM-OLD-1;"+pcid(900)+"\n"))); err != nil {
		t.Fatal(err)
	}
	book := func(rows ...[]any) []byte {
		return workbook(t, map[string]grid{"2019": append(grid{{"No. Seri Kartu SAM", "No. PCID", "No. Seri Reader", "Tanggal", "Keterangan"}, {"SAM-1", pcid(1)}}, rows...)}, nil)
	}
	csv := func(rows ...string) []byte {
		return []byte("No. Seri Kartu SAM;No. PCID;No. Manifest;Tanggal\nSAM-1;" + pcid(1) + ";;\n" + strings.Join(rows, "\n") + "\n")
	}
	whole := book()
	for name, c := range map[string]struct {
		content []byte
		sheet   string
		want    []string
	}{
		"old excel":        {append([]byte("\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1"), bytes.Repeat([]byte("W\x00o\x00r\x00k\x00b\x00o\x00o\x00k\x00"), 8)...), "", []string{"[file_old_excel] Berkas berformat Excel 97-2003"}},
		"truncated":        {whole[:len(whole)/2], "", []string{"[file_damaged]"}},
		"PDF":              {[]byte("%PDF-1.7\n"), "", []string{"[file_not_workbook]", "dan bukan CSV"}},
		"empty file":       {nil, "", []string{"[file_not_workbook]"}},
		"windows-1252":     {csv("SAM-2;;;\xe9"), "", []string{"[encoding]", "baris 3", "Windows-1252", "CSV UTF-8"}},
		"utf-16":           {[]byte("\xff\xfeN\x00o\x00"), "", []string{"[encoding]", "UTF-16"}},
		"broken quotes":    {csv(`SAM-2;"x`), "", []string{"[csv] Baris 3"}},
		"no header":        {[]byte("SAM-1;x\nSAM-2;x\n"), "", []string{"[header_missing]", "No. Seri Kartu SAM"}},
		"only a header":    {[]byte("No. PCID;Keterangan\n"), "", []string{"[empty]"}},
		"header twice":     {[]byte("PCID;No. PCID\n;\n"), "", []string{"[header_twice] B1: kepala kolom \"No. PCID\""}},
		"header unknown":   {[]byte("PCID;No. SAM Lama\n" + pcid(5) + ";SAM-5\n"), "", []string{"[header_unknown] B1: kepala kolom \"No. SAM Lama\" tidak dikenal"}},
		"sheet missing":    {whole, "2020", []string{"[sheet_missing]", "2019"}},
		"long number":      {book([]any{1234567890123456789, ""}), "", []string{`[numeric] Lembar "2019", A3`, "Teks"}},
		"fraction":         {book([]any{12.5, ""}), "", []string{`[numeric] Lembar "2019", A3`}},
		"csv of numbers":   {csv("1,23457E+15;;;", "1.2E+15;;;"), "", []string{"[numeric] 2 sel, A3:A4"}},
		"date":             {book([]any{time.Date(2019, 1, 2, 0, 0, 0, 0, time.UTC), ""}), "", []string{`[date] Lembar "2019", A3`}},
		"truth":            {book([]any{true, ""}), "", []string{"[cell_error]"}},
		"csv formula":      {csv(`"=""SAM-2""";;;`), "", []string{"[formula] A3"}},
		"word":             {book([]any{"Jumlah", ""}), "", []string{`[form] Lembar "2019", A3`}},
		"header again":     {book([]any{"No. Seri Kartu SAM", ""}), "", []string{`[form] Lembar "2019", A3`}},
		"long serial":      {book([]any{strings.Repeat("A1", 33), ""}), "", []string{"[too_long]"}},
		"short PCID":       {book([]any{"SAM-2", "1234"}, []any{"SAM-3", "12345"}, []any{"SAM-4", ""}, []any{"SAM-5", "1"}), "", []string{`[form] 3 sel, lembar "2019", B3:B4, B6: No. PCID harus 32`}},
		"repeated":         {book([]any{"sam-1 ", pcid(2)}), "", []string{`[repeated] Lembar "2019", A3: No. Seri Kartu SAM SAM-1 sudah ada di lembar "2019" sel A2.`}},
		"repeated often":   {csv("SAM-1", "SAM-1", "SAM-1", "SAM-1", "SAM-1", "SAM-1"), "", []string{"[repeated] 6 sel, A3:A8: No. Seri Kartu SAM sudah ada pada baris sebelumnya"}},
		"known otherwise":  {csv("SAM-OLD-1;" + pcid(901) + ";;"), "", []string{"[differs] B3: No. Seri Kartu SAM SAM-OLD-1 sudah ada dalam register dengan isi lain (berkas lama.csv, baris 2, diimpor 23-11-2026 09.00 WIB oleh petugas uji). Yang berbeda: No. PCID."}},
		"only remarks":     {book([]any{"", "", "", "", "Jakarta, 8 Oktober 2019"}), "", []string{`[no_number] Lembar "2019", A3`}},
		"day that is none": {csv("SAM-2;;;31-02-2019"), "", []string{"[date_form] D3"}},
		"tomorrow":         {csv("SAM-2;;;24-11-2026"), "", []string{"[future] D3"}},
	} {
		out, err := run(t, db, oldregister.Order{Sheet: c.sheet}, list(t, "b", c.content))
		require.ErrorIs(t, err, oldregister.ErrFaulty, "%s\n%s", name, out)
		require.Contains(t, out, "Kesalahan (1):", name)
		for _, want := range append(c.want, "TIDAK DIIMPOR") {
			require.Contains(t, out, want, "%s", name)
		}
	}
	formula := workbook(t, map[string]grid{"2019": {{"No. Seri Kartu SAM", "Keterangan"}, {"SAM-1"}}}, func(f *excelize.File) {
		require.NoError(t, f.SetCellFormula("2019", "A3", `="SAM-"&2`))
		require.NoError(t, f.SetCellFormula("2019", "B2", `=1/0`))
	})
	out, err := run(t, db, oldregister.Order{}, list(t, "b.xlsx", formula))
	require.ErrorIs(t, err, oldregister.ErrFaulty)
	require.Contains(t, out, `[formula] Lembar "2019", A3`)
	require.Contains(t, out, `[formula] Lembar "2019", B2`)
	require.Equal(t, 1, count(t, db, `SELECT count(*) FROM register_entry`))

	// A good file beside a spoiled one goes in.
	out, err = run(t, db, oldregister.Order{}, list(t, "b.csv", csv("x")), list(t, "c.csv", csv("")))
	require.ErrorIs(t, err, oldregister.ErrFaulty)
	require.Contains(t, out, "1 baris diimpor.")
	require.Equal(t, 2, count(t, db, `SELECT count(*) FROM register_entry`))
}

func TestNumbersTypedAsNumbersAreToldOf(t *testing.T) {
	t.Parallel()
	db := harness.DB(t)
	out, err := run(t, db, oldregister.Order{}, list(t, "a.xlsx", workbook(t, map[string]grid{"A": {{"No. Seri Kartu SAM"}, {1001}, {1002}}}, nil)))
	require.NoError(t, err)
	require.Contains(t, out, `[typed_as_number] 2 sel, lembar "A", A2:A3`)
	require.Equal(t, 1, count(t, db, `SELECT count(*) FROM register_entry WHERE serial = '1002'`))
}

func TestAllSheetsWithAHeaderAreOneFile(t *testing.T) {
	t.Parallel()
	db := harness.DB(t)
	years := map[string]grid{"2018": {{"No. Seri Kartu SAM"}, {"SAM-1"}, {"SAM-2"}}, "2019": {{"Keterangan", "Seri SAM"}, {"", "SAM-3"}, {"", "SAM-2"}}}
	path := list(t, "a.xlsx", workbook(t, years, nil))
	out, err := run(t, db, oldregister.Order{}, path)
	require.ErrorIs(t, err, oldregister.ErrFaulty)
	require.Regexp(t, `\[repeated\] Lembar "201[89]", [AB]3: No. Seri Kartu SAM SAM-2 sudah ada di lembar "201[89]" sel [AB]3`, out)
	out, err = run(t, db, oldregister.Order{Sheet: "2018"}, path)
	require.NoError(t, err, out)
	require.Equal(t, 2, count(t, db, `SELECT count(*) FROM register_entry`))
}

// TestALongListGoesInPortions: more rows than one portion, whole, and known again.
func TestALongListGoesInPortions(t *testing.T) {
	t.Parallel()
	db := harness.DB(t)
	const n = 12_001
	path := list(t, "a.csv", longCSV(n))
	out, err := run(t, db, oldregister.Order{}, path)
	require.NoError(t, err, out)
	require.Contains(t, out, fmt.Sprintf("%d baris diimpor.", n))
	require.Equal(t, n, count(t, db, `SELECT count(DISTINCT serial) FROM register_entry`))
	out, err = run(t, db, oldregister.Order{}, path)
	require.NoError(t, err)
	require.Contains(t, out, "0 baris diimpor")
}

// BenchmarkImport is one list of 200,000 rows into an empty register.
func BenchmarkImport(b *testing.B) {
	const n = 200_000
	path := filepath.Join(b.TempDir(), "a.csv")
	require.NoError(b, os.WriteFile(path, longCSV(n), 0o600))
	for b.Loop() {
		b.StopTimer()
		config := harness.NewDatabase(b).Config(b, "")
		config.TxTimeout = oldregister.Timeout
		db, err := postgres.Open(config)
		require.NoError(b, err)
		b.StartTimer()
		o := oldregister.Order{By: "petugas uji", Files: []string{path}, Now: morning}
		require.NoError(b, oldregister.Run(b.Context(), db, o, io.Discard))
		b.StopTimer()
		require.NoError(b, db.Close())
		b.StartTimer()
	}
	b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}

func longCSV(n int) []byte {
	var b bytes.Buffer
	b.WriteString("No. Seri Kartu SAM;No. Manifest Kartu SAM;No. PCID;No. Seri Reader;Produsen;Tanggal\n")
	for i := 1; i <= n; i++ {
		fmt.Fprintf(&b, "SAM%08d;M-2019-%07d;%s;GSX-%08d;PT Produsen Contoh;08-10-2019\n", i, i, pcid(i), i)
	}
	return b.Bytes()
}
