package cardlist

import (
	"fmt"
	"io"

	"github.com/xuri/excelize/v2"
)

// Sheet is the name of the sheet that holds the list (features.md N20).
const Sheet = "Daftar"

// MostRows is the most cards of one list.
const MostRows = 20_000

// Headers of the columns of the list, in the order of the template.
const (
	HeaderNumber       = "No."
	HeaderSerial       = "No. Seri Kartu SAM"
	HeaderReaderSerial = "No. Seri Reader"
	HeaderKind         = "Jenis"
	HeaderRemarks      = "Keterangan"
)

// HeaderUID is over a column that a list may have besides those of the template: which
// chip each card has, where the printed serial is not on the chip.
const HeaderUID = "UID"

// WriteSheet writes a list as an XLSX; without rows it is the template. The
// columns of serials are formatted as text, so that Excel keeps leading zeros
// and does not turn long serials into numbers (users.md F.3). Whatever Excel can
// check while people type it checks, and the sheet Petunjuk explains the rest.
func WriteSheet(w io.Writer, rows []Row) (err error) {
	book := excelize.NewFile()
	defer func() {
		if closed := book.Close(); err == nil && closed != nil {
			err = fmt.Errorf("cardlist: sheet: %w", closed)
		}
	}()
	for _, step := range []func(*excelize.File) error{
		func(book *excelize.File) error { return fill(book, rows) }, guardHeader, guardCells, showFaults, setUpPrint, writeGuide,
	} {
		if err := step(book); err != nil {
			return fmt.Errorf("cardlist: sheet: %w", err)
		}
	}
	if err := book.Write(w); err != nil {
		return fmt.Errorf("cardlist: sheet: %w", err)
	}
	return nil
}

func fill(book *excelize.File, rows []Row) error {
	const text = 49 // the built-in number format "@", ECMA-376 part 1 section 18.8.30
	if err := book.SetSheetName(book.GetSheetName(0), Sheet); err != nil {
		return err
	}
	cells, err := book.NewStyle(&excelize.Style{NumFmt: text})
	if err != nil {
		return err
	}
	head, err := book.NewStyle(&excelize.Style{
		NumFmt: text, Font: &excelize.Font{Bold: true, Family: typeface, Size: 11}, Alignment: &excelize.Alignment{Vertical: "center"}, Fill: excelize.Fill{Type: "pattern", Pattern: 1, Color: []string{"D9E2F3"}},
		Border: []excelize.Border{{Type: "bottom", Style: 1, Color: "404040"}},
	})
	if err != nil {
		return err
	}
	if err := book.SetColStyle(Sheet, "B:E", cells); err != nil {
		return err
	}
	numbers, err := book.NewStyle(&excelize.Style{Alignment: &excelize.Alignment{Horizontal: "center"}})
	if err != nil {
		return err
	}
	if err := book.SetColStyle(Sheet, "A", numbers); err != nil {
		return err
	}
	for i, width := range []float64{6, 26, 26, 24, 36} {
		column := string(rune('A' + i))
		if err := book.SetColWidth(Sheet, column, column, width); err != nil {
			return err
		}
	}
	if err := book.SetRowHeight(Sheet, 1, 22); err != nil {
		return err
	}
	titles := []any{HeaderNumber, HeaderSerial, HeaderReaderSerial, HeaderKind, HeaderRemarks}
	if err := book.SetSheetRow(Sheet, "A1", &titles); err != nil {
		return err
	}
	if err := book.SetCellStyle(Sheet, "A1", "E1", head); err != nil {
		return err
	}
	for i, row := range rows {
		values := []any{row.Row, row.Serial, row.ReaderSerial, row.Kind, row.Remarks}
		at := fmt.Sprintf("A%d", i+2)
		if err := book.SetSheetRow(Sheet, at, &values); err != nil {
			return err
		}
		if err := book.SetCellStyle(Sheet, at, at, numbers); err != nil {
			return err
		}
		if err := book.SetCellStyle(Sheet, fmt.Sprintf("B%d", i+2), fmt.Sprintf("E%d", i+2), cells); err != nil {
			return err
		}
	}
	return book.SetPanes(Sheet, &excelize.Panes{Freeze: true, YSplit: 1, TopLeftCell: "A2", ActivePane: "bottomLeft"})
}
