package oldregister_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/daemons/sifilma/internal/oldregister"
	"dukcapil.go.id/sifilma/test/harness"
)

// below puts rows under a letterhead of n rows.
func below(n int, rows ...[]any) grid {
	var g grid
	for i := range n {
		g = append(g, []any{fmt.Sprintf("Lampiran surat nomor %d tahun 2019", i+1), "", "Telp. (021) 3456789"})
	}
	return append(g, rows...)
}

// cards are rows of a running number and what make makes of it.
func cards(n int, make func(i int) []any) (rows [][]any) {
	for i := 1; i <= n; i++ {
		rows = append(rows, append([]any{i}, make(i)...))
	}
	return rows
}

func TestHeadersAreFoundBelowALongLetterheadAndByTheirOtherNames(t *testing.T) {
	t.Parallel()
	db := harness.DB(t)
	sam := func(prefix string) func(int) []any {
		return func(i int) []any { return []any{fmt.Sprintf("%s-%04d", prefix, i)} }
	}
	path := list(t, "a.xlsx", workbook(t, map[string]grid{
		"2017": below(60, append([][]any{{"No.", "No. Seri Kartu SAM"}}, cards(500, sam("A"))...)...),
		"2018": append(grid{{"No", "Kode SAM Card", "Kode PC", "SN Reader"}}, cards(500, func(i int) []any {
			return []any{fmt.Sprintf("B-%04d", i), pcid(i), fmt.Sprintf("R-%d", i)}
		})...),
	}, nil))
	out, err := run(t, db, oldregister.Order{}, path)
	require.NoError(t, err, out)
	require.Contains(t, out, "kepala kolom di baris 61, 500 baris data")
	require.Equal(t, 500, count(t, db, `SELECT count(*) FROM register_entry WHERE serial LIKE 'A-%' AND row > 61`))
	require.Equal(t, 500, count(t, db, `SELECT count(*) FROM register_entry WHERE serial LIKE 'B-%' AND pcid IS NOT NULL AND reader_serial IS NOT NULL`))

	for header, column := range map[string]string{
		"Kode SAM": "serial", "No SAM": "serial", "SN SAM": "serial", "Serial Number SAM Card": "serial", "No. Seri\nKartu SAM": "serial",
		"Kode PC": "pcid", "PCID": "pcid", "No. Perso/PCID": "pcid", "No. Manifest": "manifest_no", "Nomor Manifest Kartu SAM": "manifest_no",
		"SN Reader": "reader_serial", "Reader Serial Number": "reader_serial", "No. Seri KTP-el Reader": "reader_serial", "Chip UID": "chip_id",
	} {
		db := harness.DB(t)
		out, err := run(t, db, oldregister.Order{}, list(t, "a.csv", []byte("\""+header+"\"\n"+pcid(7)+"\n")))
		require.NoError(t, err, header+out)
		require.Equal(t, 1, count(t, db, `SELECT count(*) FROM register_entry WHERE `+column+` = $1`, pcid(7)), header)
	}
}

// TestNothingIsPassedOverInSilence: each list has numbers that are not read.
func TestNothingIsPassedOverInSilence(t *testing.T) {
	t.Parallel()
	db := harness.DB(t)
	column := func(header string, value func(i int) any) []byte {
		return workbook(t, map[string]grid{"2019": append(grid{{"No.", "No. Seri Kartu SAM", header}}, cards(30, func(i int) []any {
			return []any{fmt.Sprintf("SAM-%04d", i), value(i)}
		})...)}, nil)
	}
	good := grid{{"No. Seri Kartu SAM"}, {"SAM-1"}}
	for name, c := range map[string]struct {
		content []byte
		want    []string
		skip    oldregister.Order // what makes it go in; nothing when that is zero
	}{
		"a header too far down": {workbook(t, map[string]grid{"2019": good, "Lama": below(100, []any{"PCID"}, []any{pcid(1)})}, nil),
			[]string{`[sheet_unread] Lembar "Lama": lembar ini berisi, tetapi dalam 100 baris pertamanya`, "No. Seri Kartu SAM, No. PCID", `-skip-sheet "Lama"`},
			oldregister.Order{SkipSheets: []string{" lama "}}},
		"headers that nobody knows": {workbook(t, map[string]grid{"2019": good, "2018": {{"Kode Satu", "Kode Dua"}, {"SAM-8", pcid(8)}}}, nil),
			[]string{`[sheet_unread] Lembar "2018"`}, oldregister.Order{SkipSheets: []string{"2018"}}},
		"one word":          {workbook(t, map[string]grid{"2019": good, "Sampul": {{"Tahun"}}}, nil), []string{`[sheet_unread] Lembar "Sampul"`}, oldregister.Order{Sheet: "2019"}},
		"SN":                {column("SN", func(i int) any { return fmt.Sprintf("8935%09d", i) }), []string{`[column_unread] Lembar "2019", C1: kolom "SN" tampak berisi nomor (30 isian, misalnya 8935000000001)`, `-skip-column "SN"`}, oldregister.Order{SkipColumns: []string{"S/N"}}},
		"counted":           {column("SN", func(i int) any { return i }), []string{"[column_unread]"}, oldregister.Order{SkipColumns: []string{"sn"}}},
		"no header":         {column("", func(i int) any { return fmt.Sprintf("X%d", i) }), []string{`[column_unread] Lembar "2019", C1: kolom C (tanpa kepala)`, `-skip-column "C"`}, oldregister.Order{SkipColumns: []string{"c"}}},
		"each number twice": {column("Alat", func(i int) any { return fmt.Sprintf("X-%d", (i*7)%15) }), nil, oldregister.Order{}},
		"few of them": {column("Alat", func(i int) any { return map[bool]any{true: "X-17", false: "belum ada"}[i == 9] }),
			[]string{"[column_unread]", "misalnya X-17"}, oldregister.Order{SkipColumns: []string{"ALAT"}}},
		"many of each": {column("Kotak", func(i int) any { return fmt.Sprintf("K%d", i%22) }), []string{"[column_unread]"}, oldregister.Order{SkipColumns: []string{"Kotak"}}},
		"a known number": {workbook(t, map[string]grid{"2019": {{"SAM", "PCID", "No. PCID"}, {"", pcid(1), pcid(2)}}}, nil), []string{"[header_twice]"},
			oldregister.Order{SkipColumns: []string{"PCID"}}},
		"serials under No.": {[]byte("No.;PCID\nSAM-77;" + pcid(1) + "\n"), []string{`[column_unread] A1: kolom "No."`}, oldregister.Order{SkipColumns: []string{"No"}}},
		"numbers under No.": {[]byte("No.;PCID\n7001;" + pcid(1) + "\n7002;" + pcid(2) + "\n"), []string{`[column_unread] A1: kolom "No."`}, oldregister.Order{SkipColumns: []string{"No"}}},
		"a list above": {workbook(t, map[string]grid{"2019": append(grid{{"Kode"}, {"SAM-91"}, {"SAM-92"}, {"SAM-93"}, {"SAM-94"}, {"SAM-95"}}, good...)}, nil),
			[]string{`[above_header] 5 sel, lembar "2019", A2:A6: di atas kepala kolom (baris 7)`}, oldregister.Order{}},
	} {
		path := list(t, "b", c.content)
		for _, dry := range []bool{true, false} {
			out, err := run(t, db, oldregister.Order{Dry: dry}, path)
			if c.want == nil {
				require.NoError(t, err, name+out)
				continue
			}
			require.ErrorIs(t, err, oldregister.ErrFaulty, name+out)
			require.Contains(t, out, "Kesalahan (1):", name)
			for _, want := range c.want {
				require.Contains(t, out, want, name)
			}
		}
		if c.skip.Sheet == "" && c.skip.SkipSheets == nil && c.skip.SkipColumns == nil {
			continue
		}
		c.skip.Dry = true
		out, err := run(t, db, c.skip, path)
		require.NoError(t, err, name+out)
		require.Contains(t, out, "Dikecualikan oleh perintah: ", name)
		require.NotContains(t, out, "Peringatan", name)
	}
	require.Equal(t, 30, count(t, db, `SELECT count(*) FROM register_entry`), "of the one list without a fault")
}

// TestWhatIsHarmlessIsNotAsked: columns that every list has need no word.
func TestWhatIsHarmlessIsNotAsked(t *testing.T) {
	t.Parallel()
	db := harness.DB(t)
	rows := cards(40, func(i int) []any {
		return []any{fmt.Sprintf("SAM-%04d", i), "R", fmt.Sprintf("%02d-10-2019", i%28+1), fmt.Sprintf("Batch %d", i%3+1), ""}
	})
	rows = append(rows[:7], rows[9:]...) // the running number may miss some
	out, err := run(t, db, oldregister.Order{SkipColumns: []string{"Alamat"}}, list(t, "a.xlsx", workbook(t, map[string]grid{
		"2019": append(grid{{"No. Urut", "No. Seri Kartu SAM", "Fungsi", "Tgl Kirim", "Batch", "Paraf"}}, rows...), "Kosong": {{" "}}}, nil)))
	require.NoError(t, err, out)
	require.Contains(t, out, `Tidak dibaca: "No. Urut", "Fungsi", "Tgl Kirim", "Batch".`)
	require.Contains(t, out, `Peringatan: -skip-column "Alamat" tidak cocok dengan apa pun`)
	require.Equal(t, 38, count(t, db, `SELECT count(*) FROM register_entry`))
}

func TestWhatIsLeftOutIsInTheAudit(t *testing.T) {
	t.Parallel()
	db := harness.DB(t)
	out, err := run(t, db, oldregister.Order{SkipSheets: []string{"Sampul"}, SkipColumns: []string{"sn"}}, list(t, "a.xlsx", workbook(t, map[string]grid{
		"2019": {{"PCID", "SN"}, {pcid(1), "X-1"}, {pcid(2), "X-2"}}, "Sampul": {{"Tahun 2019"}}}, nil)))
	require.NoError(t, err, out)
	left := []string{`lembar "Sampul"`, `lembar "2019" kolom B "SN"`}
	require.Contains(t, out, "Dikecualikan oleh perintah: "+strings.Join(left, "; ")+".")
	var kept []string
	require.NoError(t, db.Select(t.Context(), &kept, `SELECT jsonb_array_elements_text(detail->'left_out') FROM audit WHERE action = 'register.imported'`))
	require.Equal(t, left, kept)
}
