package xlsx

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/xuri/excelize/v2"
)

// Align is how a column's cells stand.
type Align uint8

// The alignments of a column.
const (
	Left Align = iota
	Center
	Right
)

// Column is a column of a Table.
type Column struct {
	Title string
	Width float64 // in characters; 0 is Excel's default
	Align Align
	// Number makes cells numbers that can be added up, where they are written in
	// digits alone. The others stay text; so must what only looks like a number, such
	// as a serial.
	Number bool
	// Date makes cells dates, where they are written as 2026-11-30. The others stay text.
	Date bool
	// Choices makes Excel offer a list in the cells below the header.
	Choices []string
}

// Table is a sheet with titles, a header row and text cells. Every cell is
// text unless its column is one of numbers or dates, so that serial numbers keep their zeros and digits and nothing in a
// cell is ever taken for a formula.
type Table struct {
	Sheet string
	// Titles are centred rows above the table, merged over its columns: the first row down.
	Titles []string
	// HeaderRow is the row of the column titles, counted from 1; 0 is the row
	// after the titles.
	HeaderRow int
	Columns   []Column
	Rows      [][]string
	// Blank is how many empty rows to rule for people to fill in below the rows.
	Blank int
	// FirstTitleColumn is where the titles begin, counted from 1; 0 is the first.
	FirstTitleColumn int
	// Landscape prints across.
	Landscape bool
}

// mostCellUnits is Excel's limit on the text of a cell, in UTF-16 units.
const mostCellUnits = 32_767

// WriteTable writes a workbook of one sheet. The same table gives the same
// bytes. A text too long for a cell is an error, not a shorter text.
func WriteTable(w io.Writer, table Table) (err error) {
	f := excelize.NewFile()
	defer func() { err = errors.Join(err, f.Close()) }()
	const first = "Sheet1"
	if err := f.SetSheetName(first, table.Sheet); err != nil {
		return fmt.Errorf("xlsx: sheet %q: %w", table.Sheet, err)
	}
	t := tableWriter{file: f, table: table}
	if err := t.write(); err != nil {
		return fmt.Errorf("xlsx: table %q: %w", table.Sheet, err)
	}
	if err := f.Write(w); err != nil {
		return fmt.Errorf("xlsx: write: %w", err)
	}
	return nil
}

type tableWriter struct {
	file   *excelize.File
	table  Table
	stream *excelize.StreamWriter

	title, header int
	cells         []int // style of each column
}

func (t *tableWriter) write() (err error) {
	if len(t.table.Columns) == 0 {
		return errors.New("no columns")
	}
	header := t.table.HeaderRow
	if header == 0 {
		header = len(t.table.Titles) + 1
	}
	if header <= len(t.table.Titles) {
		return fmt.Errorf("header row %d lies within the titles", header)
	}
	if err := t.styles(); err != nil {
		return err
	}
	// Sheet settings first: the stream writer keeps what stands before it.
	if err := t.page(header); err != nil {
		return err
	}
	if t.stream, err = t.file.NewStreamWriter(t.table.Sheet); err != nil {
		return err
	}
	// Last column first: the stream writer puts each before those it has, and
	// spreadsheet programs want them in ascending order.
	for i, column := range slices.Backward(t.table.Columns) {
		if column.Width > 0 {
			if err := t.stream.SetColWidth(i+1, i+1, column.Width); err != nil {
				return err
			}
		}
		// What people type below the table is text as well.
		if err := t.stream.SetColStyle(i+1, i+1, t.cells[len(t.table.Columns)+i]); err != nil {
			return err
		}
	}
	panes := &excelize.Panes{
		Freeze: true, YSplit: header, TopLeftCell: fmt.Sprintf("A%d", header+1), ActivePane: "bottomLeft",
	}
	if err := t.stream.SetPanes(panes); err != nil {
		return err
	}
	if err := t.titles(); err != nil {
		return err
	}
	titles := make([]any, len(t.table.Columns))
	for i, column := range t.table.Columns {
		titles[i] = excelize.Cell{StyleID: t.header, Value: column.Title}
	}
	if err := t.row(header, titles); err != nil {
		return err
	}
	if err := t.body(header + 1); err != nil {
		return err
	}
	return t.stream.Flush()
}

// styles: per column one with rules for rows and one without for the column itself.
func (t *tableWriter) styles() (err error) {
	rules := []excelize.Border{
		{Type: "left", Color: "000000", Style: 1}, {Type: "right", Color: "000000", Style: 1},
		{Type: "top", Color: "000000", Style: 1}, {Type: "bottom", Color: "000000", Style: 1},
	}
	font := excelize.Font{Family: "Arial", Size: 10}
	bold := font
	bold.Bold = true
	const textFormat, wholeFormat = 49, 3 // "@" and "#,##0"
	dateFormat := "yyyy-mm-dd"
	if t.title, err = t.file.NewStyle(&excelize.Style{Font: &bold, Alignment: &excelize.Alignment{Horizontal: "center", Vertical: "center", WrapText: true}}); err != nil {
		return err
	}
	if t.header, err = t.file.NewStyle(&excelize.Style{
		Font: &bold, Border: rules, NumFmt: textFormat,
		Fill:      excelize.Fill{Type: "pattern", Pattern: 1, Color: []string{"E7E6E6"}},
		Alignment: &excelize.Alignment{Horizontal: "center", Vertical: "center", WrapText: true},
	}); err != nil {
		return err
	}
	for _, border := range [][]excelize.Border{rules, nil} {
		for _, column := range t.table.Columns {
			alignment := &excelize.Alignment{Horizontal: [...]string{"left", "center", "right"}[column.Align], Vertical: "top", WrapText: true}
			format := textFormat
			if column.Number {
				format = wholeFormat
			}
			style := &excelize.Style{Font: &font, NumFmt: format, Border: border, Alignment: alignment}
			if column.Date {
				style.NumFmt, style.CustomNumFmt = 0, &dateFormat
			}
			id, err := t.file.NewStyle(style)
			if err != nil {
				return err
			}
			t.cells = append(t.cells, id)
		}
	}
	return nil
}

// page sets A4, one page wide, the header row on every page, and the choices.
func (t *tableWriter) page(header int) error {
	sheet := t.table.Sheet
	// Left at A1, other programs' readers would see one cell.
	last := header + len(t.table.Rows) + t.table.Blank
	if err := t.file.SetSheetDimension(sheet, fmt.Sprintf("A1:%s%d", ColumnName(len(t.table.Columns)), last)); err != nil {
		return err
	}
	orientation, paper, width, height := "portrait", 9, 1, 0
	if t.table.Landscape {
		orientation = "landscape"
	}
	if err := t.file.SetPageLayout(sheet, &excelize.PageLayoutOptions{
		Orientation: &orientation, Size: &paper, FitToWidth: &width, FitToHeight: &height,
	}); err != nil {
		return err
	}
	fit := true
	if err := t.file.SetSheetProps(sheet, &excelize.SheetPropsOptions{FitToPage: &fit}); err != nil {
		return err
	}
	if err := t.file.SetHeaderFooter(sheet, &excelize.HeaderFooterOptions{OddFooter: "&R&8Halaman &P dari &N"}); err != nil {
		return err
	}
	quoted := "'" + strings.ReplaceAll(sheet, "'", "''") + "'"
	if err := t.file.SetDefinedName(&excelize.DefinedName{
		Name: "_xlnm.Print_Titles", RefersTo: fmt.Sprintf("%s!$%d:$%d", quoted, header, header), Scope: sheet,
	}); err != nil {
		return err
	}
	for i, column := range t.table.Columns {
		if len(column.Choices) == 0 {
			continue
		}
		name := ColumnName(i + 1)
		validation := excelize.NewDataValidation(true)
		validation.Sqref = fmt.Sprintf("%s%d:%s%d", name, header+1, name, header+20_000)
		if err := validation.SetDropList(column.Choices); err != nil {
			return err
		}
		if err := t.file.AddDataValidation(sheet, validation); err != nil {
			return err
		}
	}
	return nil
}

func (t *tableWriter) titles() error {
	last := len(t.table.Columns)
	from := max(1, t.table.FirstTitleColumn)
	for i, title := range t.table.Titles {
		cells := make([]any, last)
		cells[from-1] = excelize.Cell{StyleID: t.title, Value: title}
		if err := t.row(i+1, cells, excelize.RowOpts{Height: t.titleHeight(title, from)}); err != nil {
			return err
		}
		if from < last {
			if err := t.stream.MergeCell(fmt.Sprintf("%s%d", ColumnName(from), i+1), fmt.Sprintf("%s%d", ColumnName(last), i+1)); err != nil {
				return err
			}
		}
	}
	return nil
}

// titleHeight is the height, in points, of a title that needs several lines: programs
// do not fit the height of a row to merged cells. 0 leaves the usual height.
func (t *tableWriter) titleHeight(title string, from int) float64 {
	const line, capital, usual = 13.5, 1.3, 8.43 // capital is the width of a bold one, in digits
	width := 0.0
	for _, column := range t.table.Columns[from-1:] {
		width += cmp.Or(column.Width, usual)
	}
	lines := math.Ceil(float64(utf8.RuneCountInString(title)) * capital / width)
	if lines < 2 {
		return 0
	}
	return lines * line
}

func (t *tableWriter) body(row int) error {
	columns := len(t.table.Columns)
	cells := make([]any, columns)
	for _, values := range t.table.Rows {
		if len(values) > columns {
			return fmt.Errorf("row %d has %d cells for %d columns", row, len(values), columns)
		}
		for i := range cells {
			value := ""
			if i < len(values) {
				value = values[i]
			}
			cells[i] = excelize.Cell{StyleID: t.cells[i], Value: t.value(i, value)}
		}
		if err := t.row(row, cells); err != nil {
			return err
		}
		row++
	}
	for range t.table.Blank {
		for i := range cells {
			cells[i] = excelize.Cell{StyleID: t.cells[i]}
		}
		if err := t.row(row, cells); err != nil {
			return err
		}
		row++
	}
	return nil
}

// value is what a cell of a column holds.
func (t *tableWriter) value(column int, text string) any {
	if t.table.Columns[column].Number {
		if n, err := strconv.ParseUint(text, 10, 32); err == nil {
			return n
		}
	}
	if t.table.Columns[column].Date {
		if day, err := time.Parse(time.DateOnly, text); err == nil {
			return day
		}
	}
	return text
}

// row writes a row after checking what excelize would cut or drop in silence.
func (t *tableWriter) row(number int, cells []any, opts ...excelize.RowOpts) error {
	for i, value := range cells {
		cell, ok := value.(excelize.Cell)
		if !ok {
			continue
		}
		text, ok := cell.Value.(string)
		if !ok {
			continue
		}
		if len(text) > mostCellUnits && len(utf16.Encode([]rune(text))) > mostCellUnits {
			return fmt.Errorf("the text of %s%d is too long for a cell", ColumnName(i+1), number)
		}
		if !utf8.ValidString(text) {
			return fmt.Errorf("the text of %s%d is not UTF-8", ColumnName(i+1), number)
		}
	}
	return t.stream.SetRow(fmt.Sprintf("A%d", number), cells, opts...)
}
