package validation

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"dukcapil.go.id/sifilma/pkg/cardlist"
	"dukcapil.go.id/sifilma/pkg/terbilang"
	"dukcapil.go.id/sifilma/pkg/xlsx"
)

// ListLimits bound the workbook of a card list (features.md N37, users.md F.3).
// A list of MaxRows cards is some 10 MB when unpacked; the rest is room for the
// comments of a list that was handed back full of marks. Notes far to the right
// are no concern of the list.
var ListLimits = xlsx.Limits{
	FileBytes: 5 << 20, UnzippedBytes: 64 << 20, PartBytes: 32 << 20, Sheets: 32, Rows: MaxRows + spareRows, Columns: 16_384,
}

const (
	// MaxRows is the most cards of one list, and the ceiling of what an intake may
	// be configured to take.
	MaxRows      = cardlist.MostRows
	spareRows    = 1000 // with content but no card: titles, and numbers written beforehand
	headerWithin = 20   // rows in which the header is looked for
	maxSerial    = cardlist.LongestSerial
	maxRemarks   = cardlist.LongestRemarks

	serialMissing = "serial_missing"
)

// List is a card list as it was read, without judgement on its content.
type List struct {
	// Faults are what cannot be read or accepted, whatever the request.
	Faults []Finding
	// Unreadable says that the rows are not known, so nothing can be said of
	// their number.
	Unreadable bool

	rows    listRows
	columns map[string]string // letters of the columns, by header
}

// where points at cells of the list.
func where(cells string) string { return "daftar!" + cardlist.Sheet + "!" + cells }

const wholeList = "/card_list"

// ReadList reads a card list of size bytes. The error is a fault of the
// reading machine; what is wrong with the list is in its Faults.
func ReadList(r io.ReaderAt, size int64) (List, error) {
	return ReadListWithin(r, size, ListLimits, MaxRows)
}

// ReadListWithin is ReadList with other limits on the workbook and the cards.
func ReadListWithin(r io.ReaderAt, size int64, limits xlsx.Limits, most int) (List, error) {
	book, err := xlsx.Open(r, size, limits)
	if err != nil {
		return unreadable(err)
	}
	sheet, found := listSheet(book)
	switch {
	case !found:
		return unreadable(&xlsx.Error{Code: xlsx.NoSheet})
	case sheet.Hidden: // whoever opens the file sees another list, or none
		return List{Unreadable: true, Faults: []Finding{{Code: "list_sheet_hidden", Severity: Error, Pointer: wholeList,
			Detail: "Lembar \"" + cardlist.Sheet + "\" disembunyikan. Tampilkan lembar itu, periksa isinya, lalu kirim lagi."}}}, nil
	}
	header, err := book.FindHeader(sheet.Name, headerWithin, cardlist.HeaderSerial, cardlist.HeaderReaderSerial)
	var lacking *xlsx.HeaderError
	if errors.As(err, &lacking) && len(lacking.Twice) == 0 { // rekam-cetak needs no column of readers
		header, err = book.FindHeader(sheet.Name, headerWithin, cardlist.HeaderSerial)
	}
	if err != nil {
		return unreadable(err)
	}
	in := &listReader{faults: newGrouped()}
	in.list.columns = map[string]string{}
	for which, name := range listHeaders {
		in.columns[which] = header.Column(name)
		if in.columns[which] > 0 {
			in.list.columns[name] = xlsx.ColumnName(in.columns[which])
		}
	}
	for row, err := range book.Rows(sheet.Name) {
		if err != nil {
			return unreadable(err)
		}
		if row.Number <= header.Row {
			continue
		}
		in.row(row)
		if in.list.rows.n > most {
			return unreadable(&xlsx.Error{Code: xlsx.TooLarge})
		}
	}
	in.list.rows.seal()
	in.list.Faults = append(in.faults.findings(), unread(book)...)
	if in.list.rows.n == 0 {
		in.list.Faults = append(in.list.Faults, Finding{Code: "list_empty", Severity: Error, Pointer: wholeList,
			Detail: "Daftar kartu belum berisi kartu: di bawah kepala kolom pada lembar \"" + cardlist.Sheet + "\" tidak ada baris yang terisi."})
	}
	return in.list, nil
}

// listSheet is the sheet that holds the list.
func listSheet(book *xlsx.Workbook) (sheet xlsx.Sheet, found bool) {
	for _, s := range book.Sheets() {
		if strings.EqualFold(strings.TrimSpace(s.Name), cardlist.Sheet) {
			return s, true
		}
	}
	return xlsx.Sheet{}, false
}

// unread warns of sheets that look like a list as well: nobody reads them.
func unread(book *xlsx.Workbook) (found []Finding) {
	for _, s := range book.Sheets() {
		if name := strings.TrimSpace(s.Name); strings.EqualFold(name, cardlist.Sheet) || strings.EqualFold(name, cardlist.Guide) || !hasCards(book, s.Name) {
			continue
		}
		found = append(found, Finding{Code: "list_sheet_unread", Severity: Warning, Pointer: wholeList,
			Detail: "Lembar \"" + s.Name + "\" juga berisi kartu, tetapi tidak dibaca: hanya lembar \"" + cardlist.Sheet + "\" yang diajukan."})
	}
	return found
}

// hasCards says whether a sheet has the header of a list and a card soon below it. A
// sheet that cannot be read has none: it is no part of what is sent in.
func hasCards(book *xlsx.Workbook, sheet string) bool {
	header, err := book.FindHeader(sheet, headerWithin, cardlist.HeaderSerial)
	if err != nil {
		return false
	}
	column, seen := header.Column(cardlist.HeaderSerial), 0
	for row, err := range book.Rows(sheet) {
		if seen++; err != nil || seen > 2*headerWithin {
			break
		}
		if row.Number > header.Row && row.Cell(column).Text != "" {
			return true
		}
	}
	return false
}

// unreadable makes a finding of a file that cannot be read; other errors stay
// errors.
func unreadable(err error) (List, error) {
	f := Finding{Severity: Error, Pointer: wholeList}
	var refused *xlsx.Error
	var header *xlsx.HeaderError
	switch {
	case errors.As(err, &header):
		f.Code, f.Detail = "header_missing", "Kepala kolom \""+cardlist.HeaderSerial+"\" tidak ditemukan pada lembar \""+cardlist.Sheet+"\"."
		if len(header.Twice) > 0 {
			f.Code, f.Detail = "header_twice", "Kepala kolom \""+strings.Join(header.Twice, "\", \"")+"\" ada lebih dari satu."
		}
	case errors.As(err, &refused):
		f.Code, f.Detail = codeOf(refused.Code), Refusal(refused)
	default:
		return List{}, fmt.Errorf("validation: reading the card list: %w", err)
	}
	return List{Faults: []Finding{f}, Unreadable: true}, nil
}

// codeOf is the finding's code of a refused workbook.
func codeOf(c xlsx.Code) string { return "list_" + string(c) }

// Refusal says in Indonesian why a workbook is refused as a card list.
func Refusal(e *xlsx.Error) string {
	switch e.Code {
	case xlsx.TooLarge:
		return fmt.Sprintf("Daftar kartu terlalu besar, atau terlalu besar setelah dibuka. Paling banyak %s kartu, %d lembar, dan %d MB setelah dibuka.",
			terbilang.FormatInt(MaxRows), ListLimits.Sheets, ListLimits.UnzippedBytes>>20)
	case xlsx.NoSheet:
		return "Lembar \"" + cardlist.Sheet + "\" tidak ada dalam daftar kartu. Gunakan templat."
	}
	return e.Sentence("Daftar kartu")
}

// listHeaders are the headers over the texts of a row.
var listHeaders = [rowTexts]string{
	serialText: cardlist.HeaderSerial, readerText: cardlist.HeaderReaderSerial, kindText: cardlist.HeaderKind, remarksText: cardlist.HeaderRemarks, uidText: cardlist.HeaderUID,
}

// listReader collects the rows of a sheet.
type listReader struct {
	columns [rowTexts]int // counted from 1; 0 for none
	list    List
	faults  *grouped
}

func (in *listReader) row(row xlsx.Row) {
	serial, reader := row.Cell(in.columns[serialText]), row.Cell(in.columns[readerText])
	kind, remarks, uid := row.Cell(in.columns[kindText]), row.Cell(in.columns[remarksText]), row.Cell(in.columns[uidText])
	out := ListRow{At: row.Number, Row: cardlist.Row{
		Serial: cardlist.Normalise(serial.Text), ReaderSerial: cardlist.Normalise(reader.Text),
		Kind: clean(kind.Text), Remarks: clean(remarks.Text), UID: cardlist.NormaliseUID(uid.Text),
	}}
	formula := serial.Formula || reader.Formula || kind.Formula || remarks.Formula || uid.Formula
	if out.Serial == "" && out.ReaderSerial == "" && out.Kind == "" && out.Remarks == "" && out.UID == "" && !formula {
		return // numbered beforehand, or looks empty
	}
	in.serial(serial, row.Number, cardlist.HeaderSerial, &out.Serial)
	out.readerRefused = in.serial(reader, row.Number, cardlist.HeaderReaderSerial, &out.ReaderSerial)
	if refused := in.serial(uid, row.Number, cardlist.HeaderUID, &out.UID); !refused && out.UID != "" && !cardlist.IsUID(out.UID) {
		in.faults.cell("uid_form", uid, "bukan UID chip: 4 sampai 32 byte dalam digit heksadesimal.")
		out.UID = ""
	}
	for _, c := range []xlsx.Cell{kind, remarks} {
		switch {
		case c.Formula:
			in.formula(c)
		case c.Kind == xlsx.Fault:
			in.faults.cell("cell_error", c, "berisi galat Excel"+named(c.Text)+".")
		case utf8.RuneCountInString(c.Text) > maxRemarks:
			in.faults.cell("too_long", c, fmt.Sprintf("berisi lebih dari %d huruf.", maxRemarks))
		}
	}
	in.list.rows.add(out)
}

// named is an error of Excel in brackets; other texts are the sender's own.
func named(fault string) string {
	if slices.Contains([]string{"#N/A", "#REF!", "#VALUE!", "#DIV/0!", "#NAME?", "#NUM!", "#NULL!", "#SPILL!", "#CALC!"}, fault) {
		return " (" + fault + ")"
	}
	return ""
}

func (in *listReader) formula(c xlsx.Cell) {
	in.faults.cell("formula", c, "berisi rumus.")
}

// serial checks how a serial stands in its cell. A serial at fault is refused and
// emptied, so that nothing else is said of it.
func (in *listReader) serial(c xlsx.Cell, row int, name string, serial *string) (refused bool) {
	switch {
	case c.Formula:
		in.formula(c)
	case c.Kind == xlsx.Number && (c.Lossy || c.Masked || strings.ContainsFunc(c.Text, func(r rune) bool { return r < '0' || r > '9' })):
		in.faults.cell("serial_numeric", c, name+" diketik sebagai angka sehingga sebagian digitnya hilang.")
	case c.Kind == xlsx.Date:
		in.faults.cell("serial_date", c, name+" terbaca sebagai tanggal.")
	case c.Kind == xlsx.Bool || c.Kind == xlsx.Fault:
		in.faults.cell("cell_error", c, name+" berisi nilai yang bukan nomor seri.")
	case utf8.RuneCountInString(*serial) > maxSerial:
		in.faults.cell("too_long", c, fmt.Sprintf("%s lebih dari %d huruf.", name, maxSerial))
	case *serial == "" && name == cardlist.HeaderSerial:
		in.faults.at(serialMissing, in.list.columns[name], row, name+" kosong.")
	default:
		if cardlist.Invisible(c.Text) {
			in.faults.warn("invisible_characters", in.list.columns[name], row, name+" berisi karakter yang tidak terlihat, yang diabaikan.")
		}
		return false
	}
	*serial = ""
	return true
}

// clean drops what cannot be shown or stored.
func clean(s string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' {
			return ' '
		}
		if unicode.IsControl(r) || r == utf8.RuneError {
			return -1
		}
		return r
	}, s))
}
