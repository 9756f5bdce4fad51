package spoiled

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/xuri/excelize/v2"
)

// cells are lists with something about their cells.
func cells(t testing.TB) []Sheet {
	formatted := func(format, cell string, value any) func(*excelize.File) {
		return func(f *excelize.File) {
			style, err := f.NewStyle(&excelize.Style{CustomNumFmt: &format})
			require.NoError(t, err)
			require.NoError(t, f.SetCellValue(listName, cell, value))
			require.NoError(t, f.SetCellStyle(listName, cell, cell, style))
		}
	}
	merged := func(f *excelize.File) { require.NoError(t, f.MergeCell(listName, "B2", "B4")) }
	formula := func(cell, text string, options ...excelize.FormulaOpts) func(*excelize.File) {
		return func(f *excelize.File) { require.NoError(t, f.SetCellFormula(listName, cell, text, options...)) }
	}
	kind, span := excelize.STCellFormulaTypeShared, "B2:B4"
	shared := formula("B2", `"SAM-00000"&ROW()`, excelize.FormulaOpts{Type: &kind, Ref: &span})
	array := excelize.STCellFormulaTypeArray
	arrayed := formula("B2", `"SAM-"&A2:A2`, excelize.FormulaOpts{Type: &array, Ref: new("B2:B2")})
	rich := func(f *excelize.File) {
		require.NoError(t, f.SetCellRichText(listName, "B2", []excelize.RichTextRun{
			{Text: "SAM-"}, {Text: "0000", Font: &excelize.Font{Bold: true}}, {Text: "01"},
		}))
	}
	later := func(f *excelize.File) {
		yes := true
		require.NoError(t, f.SetWorkbookProps(&excelize.WorkbookPropsOptions{Date1904: &yes}))
	}
	both := func(changes ...func(*excelize.File)) func(*excelize.File) {
		return func(f *excelize.File) {
			for _, change := range changes {
				change(f)
			}
		}
	}
	with := func(first string, others ...string) []string {
		return append([]string{first}, append(others, three[1:]...)...)
	}
	day := time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)
	long := strings.Repeat("9", 65)
	return []Sheet{
		{Name: "serials in merged cells", Body: book(t, merged), Found: []string{"serial_missing " + at("B3:B4")}},
		{Name: "formula", Body: book(t, formula("B3", `"SAM-"&"000002"`)), Found: []string{"formula " + at("B3")}},
		{Name: "shared formula", Body: book(t, shared), Found: []string{"formula " + at("B2:B4")}},
		{Name: "array formula", Body: book(t, arrayed), Found: []string{"formula " + at("B2")}},
		{Name: "formula in the remarks", Body: book(t, formula("E4", "1+1")), Found: []string{"formula " + at("E4")}},
		{Name: "formula in a column of no concern", Body: book(t, formula("H4", "1+1")), Cards: three},
		{Name: "rich text", Body: book(t, rich), Cards: three},
		{Name: "1904 dates", Body: book(t, later), Cards: three},
		{Name: "1904 date for a serial", Body: book(t, both(later, set(t, "B2", day))), Found: []string{"serial_date " + at("B2")}},
		{Name: "date for a serial", Body: book(t, set(t, "C3", day)), Found: []string{"serial_date " + at("C3")}},
		{Name: "truth for a serial", Body: book(t, set(t, "B3", true)), Found: []string{"cell_error " + at("B3")}},
		{Name: "long numbers for serials", Body: book(t, set(t, "B2", 1234567890123456789, "B3", 8.935e18, "B4", 1e300)), Found: []string{"serial_numeric " + at("B2:B4")}},
		{Name: "short numbers for serials", Body: book(t, set(t, "B2", 1234567, "C2", 12)), Cards: with("1234567/12")},
		{Name: "number of 15 digits", Body: book(t, set(t, "B2", 123456789012345)), Cards: with("123456789012345/R-000001")},
		{Name: "broken number for a serial", Body: book(t, set(t, "B2", 12.5, "B3", -7)), Found: []string{"serial_numeric " + at("B2:B3")}},
		{Name: "zeros that only the format shows", Body: book(t, formatted("0000000000", "B2", 12345)), Found: []string{"serial_numeric " + at("B2")}},
		{Name: "letters that only the format shows", Body: book(t, formatted(`"SAM-"0`, "B2", 12345)), Found: []string{"serial_numeric " + at("B2")}},
		{Name: "thousands shown", Body: book(t, formatted("#,##0", "B2", 12345)), Cards: with("12345/R-000001")},
		{Name: "leading zeros in text", Body: book(t, set(t, "B2", "0012345")), Cards: with("0012345/R-000001")},
		{Name: "no-break spaces and zero widths", Body: book(t, set(t, "B2", "\u00a0sam-\u200b000001\ufeff ", "C2", "R\u00ad-000001\u202f")), Cards: three,
			Warned: []string{"invisible_characters " + at("B2"), "invisible_characters " + at("C2")}},
		{Name: "line breaks in a serial", Body: book(t, set(t, "B2", "SAM-000001\r\n")), Cards: three, Warned: []string{"invisible_characters " + at("B2")}},
		{Name: "serial of 65 characters", Body: book(t, set(t, "B2", long)), Found: []string{"too_long " + at("B2")}},
		{Name: "remarks without an end", Body: book(t, set(t, "E2", strings.Repeat("a", 1001))), Found: []string{"too_long " + at("E2")}},
		{Name: "blank rows between", Body: book(t, set(t, "B9", "SAM-000009", "C9", "R-000009", "B20", " ", "C21", "\u00a0")), Cards: append(three[:3:3], "SAM-000009/R-000009")},
		{Name: "numbers before cards to come", Body: book(t, set(t, "A5", 4, "A6", 5)), Cards: three},
		{Name: "reader without its card", Body: book(t, set(t, "B3", "")), Found: []string{"serial_missing " + at("B3")}},
		{Name: "columns of notes", Body: book(t, set(t, "G1", "Gudang", "AZ2", "rak 7", "XFD3", "x")), Cards: three},
		{Name: "several faults", Body: book(t, both(set(t, "B2", true, "C4", day), formula("E2", "1+1"))),
			Found: []string{"cell_error " + at("B2"), "formula " + at("E2"), "serial_date " + at("C4")}},
	}
}

// headers are lists with something about their header.
func headers(t testing.TB) []Sheet {
	lower := func(rows int) func(*excelize.File) {
		return func(f *excelize.File) {
			require.NoError(t, f.InsertRows(listName, 1, rows))
			for i := range rows {
				require.NoError(t, f.SetCellValue(listName, fmt.Sprintf("A%d", i+1), fmt.Sprintf("Baris judul %d", i+1)))
			}
		}
	}
	empty := func(f *excelize.File) {
		for range 4 {
			require.NoError(t, f.RemoveRow(listName, 1))
		}
	}
	bare := func(f *excelize.File) {
		for range 3 {
			require.NoError(t, f.RemoveRow(listName, 2))
		}
	}
	return []Sheet{
		{Name: "header in row 5", Body: book(t, lower(4)), Cards: three},
		{Name: "header in row 21", Body: book(t, lower(20)), Found: []string{"header_missing /card_list"}},
		{Name: "header written otherwise", Body: book(t, set(t, "B1", "NO SERI\u00a0 KARTU  SAM :", "C1", "no_seri_reader")), Cards: three},
		{Name: "header of serials twice", Body: book(t, set(t, "F1", "No. Seri Kartu SAM")), Found: []string{"header_twice /card_list"}},
		{Name: "header of readers twice", Body: book(t, set(t, "F1", "No. Seri Reader")), Found: []string{"header_twice /card_list"}},
		{Name: "header of serials missing", Body: book(t, set(t, "B1", "Nomor")), Found: []string{"header_missing /card_list"}},
		{Name: "no header", Body: book(t, func(f *excelize.File) { require.NoError(t, f.RemoveRow(listName, 1)) }), Found: []string{"header_missing /card_list"}},
		{Name: "empty sheet", Body: book(t, empty), Found: []string{"header_missing /card_list"}},
		{Name: "header alone", Body: book(t, bare), Found: []string{"list_empty /card_list"}},
	}
}
