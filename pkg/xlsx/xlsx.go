// Package xlsx reads the lists that people upload as Excel workbooks and writes
// the office's lists.
//
// The reader streams: of a workbook it holds the shared strings and one row. It
// tells for every cell what Excel made of it (text, number, date, formula), for
// a serial number typed as a number has lost digits and must be refused with
// its cell's name (users.md F.3). What is no workbook, too large, macro-laden or
// encrypted is refused with *Error before anything is unpacked beyond the limits.
package xlsx

import (
	"fmt"
	"strconv"
)

// Code is a stable name for why a file was refused, for the Indonesian text that users read.
type Code string

// Why a file is refused.
const (
	NotWorkbook  Code = "not_workbook"  // something else altogether; Detail says what it looks like
	OldExcel     Code = "old_excel"     // .xls of Excel 97-2003
	Binary       Code = "binary"        // .xlsb
	OpenDocument Code = "open_document" // .ods
	PlainText    Code = "plain_text"    // CSV or other text
	Encrypted    Code = "encrypted"     // protected by a password
	Macro        Code = "macro"         // .xlsm, or macros inside
	Damaged      Code = "damaged"       // broken archive, XML or references
	TooLarge     Code = "too_large"     // beyond a limit; Detail names it
	NoSheet      Code = "no_sheet"      // no sheet of that name, or none at all
)

// Error is a refused workbook.
type Error struct {
	Code Code
	// Part is the entry of the archive or the cell ("Daftar!B17") concerned; may be empty.
	Part string
	// Detail is for the log and the developer.
	Detail string
}

// Error says why in English, for logs.
func (e *Error) Error() string {
	text := "xlsx: " + string(e.Code)
	if e.Part != "" {
		text += " in " + e.Part
	}
	if e.Detail != "" {
		text += ": " + e.Detail
	}
	return text
}

func refuse(code Code, part, format string, args ...any) error {
	return &Error{Code: code, Part: part, Detail: fmt.Sprintf(format, args...)}
}

// Limits bound what a workbook may hold. A zero field takes its default.
type Limits struct {
	FileBytes     int64 // packed; default 5 MiB (features.md N37)
	UnzippedBytes int64 // all parts together; default 64 MiB
	PartBytes     int64 // one part; default 32 MiB
	Entries       int   // entries of the archive; default 256
	Sheets        int   // default 32
	Rows          int   // rows with content in a sheet; default 20 000
	Columns       int   // right-most column with content; default 256
	CellBytes     int   // text of one cell; default 32 KiB
}

// DefaultLimits are the limits of zero Limits.
func DefaultLimits() Limits {
	return Limits{
		FileBytes: 5 << 20, UnzippedBytes: 64 << 20, PartBytes: 32 << 20,
		Entries: 256, Sheets: 32, Rows: 20_000, Columns: 256, CellBytes: 32 << 10,
	}
}

func (l Limits) withDefaults() Limits {
	d := DefaultLimits()
	return Limits{
		FileBytes: or(l.FileBytes, d.FileBytes), UnzippedBytes: or(l.UnzippedBytes, d.UnzippedBytes),
		PartBytes: or(l.PartBytes, d.PartBytes), Entries: or(l.Entries, d.Entries), Sheets: or(l.Sheets, d.Sheets),
		Rows: or(l.Rows, d.Rows), Columns: or(l.Columns, d.Columns), CellBytes: or(l.CellBytes, d.CellBytes),
	}
}

func or[T int | int64](value, otherwise T) T {
	if value > 0 {
		return value
	}
	return otherwise
}

// Kind is what Excel holds in a cell.
type Kind uint8

// The kinds of a cell.
const (
	Empty Kind = iota
	Text
	Number
	Date // a number shown as a date or time
	Bool
	Fault // #N/A and the like
)

var kindNames = [...]string{"empty", "text", "number", "date", "bool", "error"}

// String is the kind's name in English, for logs.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return "kind " + strconv.Itoa(int(k))
}

// Cell is a cell with content.
type Cell struct {
	Row, Col int // both count from 1
	Kind     Kind
	// Formula is set when the content is a formula's last result.
	Formula bool
	// Lossy is set for a number of more than 15 digits, of which Excel keeps 15.
	Lossy bool
	// Masked is set for a number whose format shows zeros or letters that are not
	// in it: 12345 under the format 0000000000 is seen as 0000012345.
	Masked bool
	// Text is the content as people read it: a number in plain digits, a date as
	// 2026-11-21 or 2026-11-21 14:30:00, a time of day as 14:30:00, TRUE or FALSE.
	Text string
	// Raw is the content as the file has it.
	Raw string
}

// Ref is the cell's name on its sheet, "B17".
func (c Cell) Ref() string { return ColumnName(c.Col) + strconv.Itoa(c.Row) }

// ColumnName is the letters of a column counted from 1: "A", "Z", "AA".
func ColumnName(col int) string {
	var letters [8]byte
	i := len(letters)
	for ; col > 0; col = (col - 1) / 26 {
		i--
		letters[i] = byte('A' + (col-1)%26)
	}
	return string(letters[i:])
}

// Row is a row with content.
type Row struct {
	Number int // counts from 1
	// Cells are the cells with content, by rising column. The slice is the
	// reader's: it holds until the next row.
	Cells []Cell
}

// Cell returns the cell of a column counted from 1; an Empty cell when there is none.
func (r Row) Cell(col int) Cell {
	for _, c := range r.Cells {
		if c.Col == col {
			return c
		}
	}
	return Cell{Row: r.Number, Col: col}
}
