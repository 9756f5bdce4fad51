package xlsx_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/xuri/excelize/v2"

	"dukcapil.go.id/sifilma/pkg/xlsx"
	"dukcapil.go.id/sifilma/test/spoiled"
)

// FuzzOpen: whatever comes in, it is read or refused with *Error.
func FuzzOpen(f *testing.F) {
	f.Add(excel(f, "Daftar", func(e *excelize.File) { require.NoError(f, e.SetCellValue("Daftar", "A1", "x")) }))
	f.Add([]byte("PK\x03\x04"))
	if spoiled.AreSeeds() {
		for _, s := range append(spoiled.Sheets(f), spoiled.Converted(f)...) {
			if len(s.Body) < 30<<10 {
				f.Add(s.Body)
			}
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		w, err := xlsx.Open(bytes.NewReader(b), int64(len(b)), xlsx.Limits{UnzippedBytes: 4 << 20})
		if err != nil {
			var refused *xlsx.Error
			require.True(t, errors.As(err, &refused), "%v", err)
			return
		}
		for _, sheet := range w.Sheets() {
			for _, err := range w.Rows(sheet.Name) { // only that it ends
				_ = err
			}
			if _, err := w.Layout(sheet.Name); err != nil {
				var refused *xlsx.Error
				require.True(t, errors.As(err, &refused), "%v", err)
			}
		}
	})
}

// FuzzSheet reads any sheet, shared strings and styles; rows and columns rise.
func FuzzSheet(f *testing.F) {
	good := excel(f, "S", func(*excelize.File) {})
	f.Add(`<worksheet><sheetData><row r="1"><c r="A1" t="s"><v>0</v></c><c s="1"><v>45000</v></c></row></sheetData></worksheet>`,
		`<sst><si><t>a</t></si></sst>`, `<styleSheet><numFmts><numFmt numFmtId="164" formatCode="dd\-mm"/></numFmts><cellXfs><xf/><xf numFmtId="164"/></cellXfs></styleSheet>`)
	f.Fuzz(func(t *testing.T, sheet, shared, styles string) {
		file := repack(t, good, "xl/worksheets/sheet1.xml", func(string) (string, bool) { return sheet, true })
		file = repack(t, file, "xl/sharedStrings.xml", func(string) (string, bool) { return shared, true })
		file = repack(t, file, "xl/styles.xml", func(string) (string, bool) { return styles, true })
		file = repack(t, file, "xl/_rels/workbook.xml.rels", func(b string) (string, bool) {
			return strings.Replace(b, "</Relationships>", `<Relationship Id="x9" Type="t/sharedStrings" Target="sharedStrings.xml"/></Relationships>`, 1), true
		})
		last := 0
		for row, err := range open(t, file).Rows("S") {
			if err != nil {
				var refused *xlsx.Error
				require.True(t, errors.As(err, &refused), "%v", err)
				return
			}
			require.Greater(t, row.Number, last)
			last = row.Number
			col := 0
			for _, cell := range row.Cells {
				require.Greater(t, cell.Col, col)
				require.Equal(t, row.Number, cell.Row)
				col = cell.Col
			}
		}
	})
}

// FuzzSameAsExcelize writes values with excelize and reads what it reads.
func FuzzSameAsExcelize(f *testing.F) {
	f.Add("0001", "_x000D_ \u00a0", 12345678901234567.0, int64(7), true)
	f.Add("=1", "<&>\n\t'\"", -0.1, int64(-9007199254740993), false)
	f.Fuzz(func(t *testing.T, a, b string, number float64, whole int64, truth bool) {
		for _, stream := range []bool{false, true} {
			values := []any{a, b, number, whole, truth}
			file := excel(t, "S", func(e *excelize.File) {
				if !stream {
					require.NoError(t, e.SetSheetRow("S", "A1", &values))
					return
				}
				w, err := e.NewStreamWriter("S")
				require.NoError(t, err)
				require.NoError(t, w.SetRow("A1", values))
				require.NoError(t, w.Flush())
			})
			e, err := excelize.OpenReader(bytes.NewReader(file))
			if err != nil {
				return
			}
			want, err := e.GetRows("S", excelize.Options{RawCellValue: true})
			require.NoError(t, e.Close())
			if err != nil {
				return
			}
			for row, err := range open(t, file).Rows("S") {
				if err != nil { // a text or number that no workbook can hold
					return
				}
				for col, text := range want[0] {
					require.Equal(t, text, row.Cell(col+1).Raw, "%v", fmt.Sprint(stream, col))
				}
			}
		}
	})
}
