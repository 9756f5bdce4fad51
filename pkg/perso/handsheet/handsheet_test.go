package handsheet_test

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/xuri/excelize/v2"

	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/perso/handsheet"
)

var cards = []perso.HandCard{
	{ID: "a", Row: 1, Serial: "SAM00001", State: perso.Clear, PCID: "36710001000000000000000000000001", ManifestNo: "M-1"},
	{ID: "b", Row: 2, Serial: "SAM00002", State: perso.Failed, PCID: "36710001000000000000000000000002", ManifestNo: "M-2", Reason: "Chip mati"},
	{ID: "c", Row: 3, Serial: "SAM00003", State: perso.Numbered, PCID: "36710001000000000000000000000003", ManifestNo: "M-3"},
	{ID: "d", Row: 4, Serial: "0004", State: perso.Listed},
	{ID: "e", Row: 5, Serial: "SAM00005", State: perso.InDoubt, PCID: "36710001000000000000000000000005", ManifestNo: "M-5", Reason: "meragukan"},
	{ID: "f", Row: 6, Serial: "SAM00006", State: perso.Claimed, PCID: "36710001000000000000000000000006", ManifestNo: "M-6",
		Waiting: &perso.HandResult{Result: perso.Failed, Reason: "retak"}},
}

// book is the workbook of the cards, as edit leaves it. The cards begin in row 4.
func book(t testing.TB, edit func(f *excelize.File)) []byte {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, handsheet.Write(&b, "PSAM-2026-000001-5", cards))
	f, err := excelize.OpenReader(&b)
	require.NoError(t, err)
	defer f.Close() //nolint:errcheck // in memory
	if edit != nil {
		edit(f)
	}
	var out bytes.Buffer
	require.NoError(t, f.Write(&out))
	return out.Bytes()
}

func read(t testing.TB, book []byte) (handsheet.Content, []handsheet.Fault) {
	t.Helper()
	content, faults, err := handsheet.Read(bytes.NewReader(book), int64(len(book)))
	require.NoError(t, err)
	return content, faults
}

func TestWhatWasExportedComesBackAsNothingNew(t *testing.T) {
	t.Parallel()
	content, faults := read(t, book(t, nil))
	require.Empty(t, faults)
	require.Len(t, content.Rows, len(cards))
	require.Equal(t, "0004", content.Rows[3].Serial, "a serial keeps its zeros")
	entries, _, faults := content.Entries(cards)
	require.Empty(t, faults)
	require.Empty(t, entries)
}

func TestWhatWasTypedBecomesEntries(t *testing.T) {
	t.Parallel()
	content, faults := read(t, book(t, func(f *excelize.File) {
		for cell, text := range map[string]string{"E6": " GAGAL ", "F6": "tidak  menjawab", "C7": "ki-4", "D7": "abcdef0123456789abcdef0123456789", "E7": "Clear"} {
			require.NoError(t, f.SetCellStr(handsheet.Sheet, cell, text))
		}
	}))
	require.Empty(t, faults)
	entries, rows, faults := content.Entries(cards)
	require.Empty(t, faults)
	require.Equal(t, []perso.Entry{
		{CardID: "c", Result: perso.Failed, Reason: "tidak menjawab"},
		{CardID: "d", Result: perso.Clear, PCID: "ABCDEF0123456789ABCDEF0123456789", ManifestNo: "KI-4"},
	}, entries)
	require.Equal(t, []int{6, 7}, rows)
	wrong := content.Faults(perso.EntryFaults{{Index: 1, Field: "pcid", Code: "in_use", Detail: "x"}}, rows)
	require.Equal(t, "sheet!Data Personalisasi!D7", wrong[0].Pointer())
}

func TestWhatIsWrongIsNamedByItsCell(t *testing.T) {
	t.Parallel()
	const sheet = handsheet.Sheet
	for name, c := range map[string]struct {
		edit func(f *excelize.File)
		want []string
	}{
		"status":        {func(f *excelize.File) { require.NoError(t, f.SetCellStr(sheet, "E6", "mungkin")) }, []string{"sheet!Data Personalisasi!E6 unknown_value"}},
		"formula":       {func(f *excelize.File) { require.NoError(t, f.SetCellFormula(sheet, "E6", "E5")) }, []string{"sheet!Data Personalisasi!E6 formula"}},
		"PCID a number": {func(f *excelize.File) { require.NoError(t, f.SetCellValue(sheet, "D7", 123456)) }, []string{"sheet!Data Personalisasi!D7 wrong_form"}},
		"twice":         {func(f *excelize.File) { require.NoError(t, f.SetCellStr(sheet, "B7", "SAM00003")) }, []string{"sheet!Data Personalisasi!B7 repeated"}},
		"no serial":     {func(f *excelize.File) { require.NoError(t, f.SetCellStr(sheet, "B6", " ")) }, []string{"sheet!Data Personalisasi!B6 missing"}},
		"hidden row":    {func(f *excelize.File) { require.NoError(t, f.SetRowVisible(sheet, 6, false)) }, []string{"sheet!Data Personalisasi!B6 hidden"}},
		"hidden column": {func(f *excelize.File) { require.NoError(t, f.SetColVisible(sheet, "E", false)) }, []string{"sheet!Data Personalisasi!E3 hidden"}},
		"merged":        {func(f *excelize.File) { require.NoError(t, f.MergeCell(sheet, "E6", "E7")) }, []string{"sheet!Data Personalisasi!E6 merged"}},
		"header":        {func(f *excelize.File) { require.NoError(t, f.SetCellStr(sheet, "E3", "Hasil")) }, []string{"sheet!Data Personalisasi header_missing"}},
		"no sheet": {func(f *excelize.File) {
			require.NoError(t, f.SetSheetName(sheet, "Lembar1"))
			_, err := f.NewSheet("Lembar2")
			require.NoError(t, err)
		}, []string{"/sheet no_sheet"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, faults := read(t, book(t, c.edit))
			var got []string
			for _, f := range faults {
				got = append(got, f.Pointer()+" "+f.Code)
				require.NotEmpty(t, f.Detail)
			}
			require.Equal(t, c.want, got)
		})
	}
}

// FuzzRead: whatever is sent, it is read or refused, and no card stands in it twice.
func FuzzRead(f *testing.F) {
	f.Add(book(f, nil))
	f.Add([]byte("No. Seri Kartu SAM;Status\n"))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, book []byte) {
		content, faults := read(t, book)
		if len(faults) > 0 {
			return
		}
		seen := map[string]bool{}
		for _, r := range content.Rows {
			require.False(t, seen[r.Serial])
			require.NotEmpty(t, r.Serial)
			seen[r.Serial] = true
		}
	})
}
