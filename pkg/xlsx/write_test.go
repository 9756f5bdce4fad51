package xlsx_test

import (
	"archive/zip"
	"bytes"
	"io"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/xuri/excelize/v2"
	"pgregory.net/rapid"

	"dukcapil.go.id/sifilma/pkg/xlsx"
)

// report has the layout of features.md G22 and G23.
func report(rows ...[]string) xlsx.Table {
	return xlsx.Table{
		Sheet:            "Data Receive",
		Titles:           []string{"LAPORAN HASIL PERSONALISASI KARTU SAM PT PRODUSEN CONTOH", "(LEMBAGA CONTOH)"},
		FirstTitleColumn: 2,
		HeaderRow:        5,
		Columns: []xlsx.Column{
			{Title: "No.", Width: 6, Align: xlsx.Center}, {Title: "No. Seri Kartu SAM", Width: 26},
			{Title: "No. Manifest Kartu SAM", Width: 26}, {Title: "No. PCID", Width: 22}, {Title: "Keterangan", Width: 30},
		},
		Rows: rows,
	}
}

func written(t require.TestingT, table xlsx.Table) []byte {
	var b bytes.Buffer
	require.NoError(t, xlsx.WriteTable(&b, table))
	return b.Bytes()
}

// part is one file inside a workbook.
func part(t *testing.T, workbook []byte, name string) string {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(workbook), int64(len(workbook)))
	require.NoError(t, err)
	f, err := z.Open(name)
	require.NoError(t, err)
	defer func() { require.NoError(t, f.Close()) }()
	body, err := io.ReadAll(f)
	require.NoError(t, err)
	return string(body)
}

// TestLongTitlesAreSeenWhole: programs do not fit rows to merged cells by themselves.
func TestLongTitlesAreSeenWhole(t *testing.T) {
	t.Parallel()
	table := report()
	table.Titles[1] = "(" + strings.Repeat("LEMBAGA CONTOH ", 11) + ")"
	f, err := excelize.OpenReader(bytes.NewReader(written(t, table)))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, f.Close()) })
	short, err := f.GetRowHeight("Data Receive", 1)
	require.NoError(t, err)
	tall, err := f.GetRowHeight("Data Receive", 2)
	require.NoError(t, err)
	require.GreaterOrEqual(t, tall, 2*12.75)
	require.Less(t, short, 20.0)
}

func TestWriteTable(t *testing.T) {
	t.Parallel()
	file := written(t, report([]string{"1", "0000893500001", "M-2026-000001", "33000000000000000001", "Berhasil"}, []string{"2", "=1+1", "", "+62", ""}))
	f, err := excelize.OpenReader(bytes.NewReader(file))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, f.Close()) })
	rows, err := f.GetRows("Data Receive")
	require.NoError(t, err)
	require.Equal(t, [][]string{
		{"", "LAPORAN HASIL PERSONALISASI KARTU SAM PT PRODUSEN CONTOH"},
		{"", "(LEMBAGA CONTOH)"},
		nil, nil,
		{"No.", "No. Seri Kartu SAM", "No. Manifest Kartu SAM", "No. PCID", "Keterangan"},
		{"1", "0000893500001", "M-2026-000001", "33000000000000000001", "Berhasil"},
		{"2", "=1+1", "", "+62"},
	}, rows)
	formula, err := f.GetCellFormula("Data Receive", "B7")
	require.NoError(t, err)
	require.Empty(t, formula)
	merged, err := f.GetMergeCells("Data Receive")
	require.NoError(t, err)
	require.Len(t, merged, 2)
	require.Equal(t, "B1:E1", merged[0].GetStartAxis()+":"+merged[0].GetEndAxis())
	for _, cell := range []string{"B6", "B900"} { // a row, and below the table
		id, err := f.GetCellStyle("Data Receive", cell)
		require.NoError(t, err)
		style, err := f.GetStyle(id)
		require.NoError(t, err)
		require.Equal(t, 49, style.NumFmt, "%s is text", cell)
	}
	dimension, err := f.GetSheetDimension("Data Receive")
	require.NoError(t, err)
	require.Equal(t, "A1:E7", dimension)
	sheet := part(t, file, "xl/worksheets/sheet1.xml")
	columns := regexp.MustCompile(`<col min="(\d+)"`).FindAllStringSubmatch(sheet, -1)
	require.Len(t, columns, 5)
	for i, c := range columns {
		require.Equal(t, strconv.Itoa(i+1), c[1], "columns stand in ascending order")
	}
	panes, err := f.GetPanes("Data Receive")
	require.NoError(t, err)
	require.True(t, panes.Freeze)
	require.Equal(t, "A6", panes.TopLeftCell)
	require.Equal(t, file, written(t, report([]string{"1", "0000893500001", "M-2026-000001", "33000000000000000001", "Berhasil"}, []string{"2", "=1+1", "", "+62", ""})),
		"the same table gives the same bytes")
}

// TestWriteTemplate: the card list people download, fill in and upload again (features.md N20).
func TestWriteTemplate(t *testing.T) {
	t.Parallel()
	file := written(t, xlsx.Table{
		Sheet: "Daftar",
		Columns: []xlsx.Column{
			{Title: "No.", Width: 6, Align: xlsx.Center}, {Title: "No. Seri Kartu SAM", Width: 26}, {Title: "No. Seri Reader", Width: 26},
			{Title: "Jenis", Width: 24, Choices: []string{"Type IdGlobalScan GSX-01", "Tidak menggunakan mesin"}}, {Title: "Keterangan", Width: 30},
		},
		Blank: 250,
	})
	w := open(t, file)
	header, err := w.FindHeader("Daftar", 10, "No. Seri Kartu SAM", "No. Seri Reader", "Jenis")
	require.NoError(t, err)
	require.Equal(t, 1, header.Row)
	require.Len(t, read(t, w, "Daftar"), 1, "ruled blank rows are no content")
	f, err := excelize.OpenReader(bytes.NewReader(file))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, f.Close()) })
	validations, err := f.GetDataValidations("Daftar")
	require.NoError(t, err)
	require.Len(t, validations, 1)
	require.Equal(t, "D2:D20001", validations[0].Sqref)
	require.Equal(t, `"Type IdGlobalScan GSX-01,Tidak menggunakan mesin"`, validations[0].Formula1)
}

func TestWriteTableRefuses(t *testing.T) {
	t.Parallel()
	short := report()
	short.HeaderRow = 2
	for name, table := range map[string]xlsx.Table{
		"no columns":       {Sheet: "x"},
		"header in titles": short,
		"too many cells":   report(make([]string, 6)),
		"long text":        report([]string{strings.Repeat("é", 32_768)}),
		"not UTF-8":        report([]string{"\xff"}),
		"bad sheet name":   {Sheet: "a/b", Columns: []xlsx.Column{{Title: "x"}}},
		"long sheet name":  {Sheet: strings.Repeat("a", 40), Columns: []xlsx.Column{{Title: "x"}}},
	} {
		require.Error(t, xlsx.WriteTable(&bytes.Buffer{}, table), name)
	}
	require.NoError(t, xlsx.WriteTable(&bytes.Buffer{}, report([]string{strings.Repeat("é", 32_767)})))
}

// TestWrittenReadsBack: whatever text goes into a table comes out of it.
func TestWrittenReadsBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		text := rapid.OneOf(
			rapid.StringMatching(`[0-9]{1,30}`), rapid.StringMatching(`[ \tA-Za-z0-9_x=+<>&"'-]{0,12}`),
			rapid.SampledFrom([]string{"_x000D_", "_x005F_x0041_", "é\u200b", "😀", "a\nb", "'x"}),
		)
		rows := rapid.SliceOfN(rapid.SliceOfN(text, 5, 5), 0, 8).Draw(rt, "rows")
		got := map[string]string{}
		file := written(rt, report(rows...))
		w, err := xlsx.Open(bytes.NewReader(file), int64(len(file)), xlsx.Limits{})
		require.NoError(rt, err)
		for row, err := range w.Rows("Data Receive") {
			require.NoError(rt, err)
			for _, cell := range row.Cells {
				require.Equal(rt, xlsx.Text, cell.Kind)
				got[cell.Ref()] = cell.Text
			}
		}
		for i, values := range rows {
			for j, value := range values {
				require.Equal(rt, value, got[xlsx.Cell{Row: 6 + i, Col: 1 + j}.Ref()])
			}
		}
	})
}
