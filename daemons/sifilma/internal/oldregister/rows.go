package oldregister

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"dukcapil.go.id/sifilma/pkg/cardlist"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/register"
	"dukcapil.go.id/sifilma/pkg/xlsx"
)

const (
	headerWithin = 100  // rows with content in which the header is looked for
	maxNumber    = 64   // characters, as in a card list
	maxWords     = 1000 // characters
)

var (
	// As wide as serials go: letters, digits and what stands between them; a header
	// or a word that slipped in has no digit.
	serialForm = regexp.MustCompile(`^[A-Z0-9][A-Z0-9 ./_:-]*$`)
	hasDigit   = regexp.MustCompile(`[0-9]`)
	pcidForm   = regexp.MustCompile(`^[0-9A-F]{32}$`) // features.md L10; 16 bytes
	chipForm   = regexp.MustCompile(`^([0-9A-F]{2}){4,32}$`)
	// What a spreadsheet leaves of a long number in a CSV file: 1,23457E+15.
	exponent = regexp.MustCompile(`^[0-9]+([.,][0-9]+)?E\+[0-9]+$`)
	grouping = strings.NewReplacer(" ", "", "-", "", ":", "")
)

// sheetReader makes entries of the rows of a sheet.
type sheetReader struct {
	name    string // empty for a CSV file
	today   clock.Date
	header  header
	seen    int // rows with content before the header
	found   bool
	above   aboveHeader
	skip    skips
	others  map[int]*otherColumn // columns that are not read, by their place
	read    map[int]bool         // places of the columns that are
	faults  *faults
	warning *faults
	rows    int // of the list
	take    func(register.Entry) error
}

// row reads one row. The error is that of take.
func (r *sheetReader) row(row xlsx.Row) error {
	if !r.found {
		if !hasContent(row) {
			return nil
		}
		if r.seen++; r.seen <= headerWithin {
			if r.header, r.found = readHeader(row, r.skip); r.found {
				r.judgeHeader()
			} else {
				r.above.note(row)
			}
		}
		return nil
	}
	r.noteOthers(row)
	e := register.Entry{Sheet: r.name, Row: row.Number}
	told := false // by cells of the list, also by a faulty one
	for _, c := range numbers {
		cell := r.cell(row, c)
		value, ok := r.number(c, cell)
		told = told || value != "" || !ok
		set(&e, c, value)
	}
	numbered := told
	e.Produsen = r.words(produsen, r.cell(row, produsen))
	e.Lembaga = r.words(lembaga, r.cell(row, lembaga))
	e.Remarks = r.words(remarks, r.cell(row, remarks))
	told = told || e.Produsen != "" || e.Lembaga != "" || e.Remarks != ""
	e.IssuedOn = r.date(r.cell(row, issuedOn))
	told = told || !e.IssuedOn.IsZero()
	switch {
	case !told:
		return nil // looks empty
	case !numbered:
		r.faults.cell("no_number", r.name, "A", row.Number, "baris ini tidak memuat nomor apa pun. Isi nomornya, atau hapus barisnya bila bukan bagian dari daftar.")
	}
	r.rows++
	for _, f := range register.Fields {
		if e.Value(f) != "" {
			return r.take(e)
		}
	}
	return nil // all its numbers are at fault
}

func set(e *register.Entry, c column, value string) {
	switch c {
	case serial:
		e.Serial = value
	case pcid:
		e.PCID = value
	case manifestNo:
		e.ManifestNo = value
	case readerSerial:
		e.ReaderSerial = value
	case chipID:
		e.ChipID = value
	}
}

func (r *sheetReader) judgeHeader() {
	for _, c := range r.header.doubled {
		r.faults.cell("header_twice", r.name, xlsx.ColumnName(c.Col), c.Row,
			fmt.Sprintf("kepala kolom \"%s\" menyebut nomor yang sudah ada di kolom lain. Sisakan satu kolom untuk tiap nomor.", clean(c.Text)))
	}
	for _, c := range r.header.strange {
		r.faults.cell("header_unknown", r.name, xlsx.ColumnName(c.Col), c.Row,
			fmt.Sprintf("kepala kolom \"%s\" tidak dikenal. ", clean(c.Text))+renameOrSkip("-skip-column", clean(c.Text)))
	}
	r.above.judge(r)
	r.read = map[int]bool{}
	for _, at := range r.header.columns {
		r.read[at] = true
	}
	r.others = map[int]*otherColumn{}
}

func numberLabels() string {
	names := make([]string, len(numbers))
	for i, c := range numbers {
		names[i] = labels[c]
	}
	return strings.Join(names, ", ")
}

// cell is the row's cell of a column; empty when the sheet does not have it.
func (r *sheetReader) cell(row xlsx.Row, c column) xlsx.Cell {
	if at := r.header.columns[c]; at > 0 {
		return row.Cell(at)
	}
	return xlsx.Cell{}
}

func (r *sheetReader) fault(code string, c xlsx.Cell, detail string) {
	r.faults.cell(code, r.name, xlsx.ColumnName(c.Col), c.Row, detail)
}

// number reads a number of a column in the form in which it is compared. ok is
// false when the cell is at fault.
func (r *sheetReader) number(c column, cell xlsx.Cell) (value string, ok bool) {
	label := labels[c]
	value = cardlist.Normalise(cell.Text)
	switch {
	case cell.Formula || strings.HasPrefix(value, "="):
		r.fault("formula", cell, label+" berisi rumus. Tempelkan sebagai nilai.")
	case cell.Kind == xlsx.Empty || strings.Trim(value, "-–—") == "":
		return "", true
	case cell.Kind == xlsx.Number && ((cell.Lossy || cell.Masked) || strings.ContainsFunc(cell.Text, func(r rune) bool { return r < '0' || r > '9' })),
		exponent.MatchString(value):
		r.fault("numeric", cell, label+" diketik sebagai angka sehingga sebagian digitnya hilang. Ubah format sel menjadi Teks, lalu ketik ulang.")
	case cell.Kind == xlsx.Date:
		r.fault("date", cell, label+" terbaca sebagai tanggal. Ubah format sel menjadi Teks, lalu ketik ulang.")
	case cell.Kind == xlsx.Bool || cell.Kind == xlsx.Fault:
		r.fault("cell_error", cell, label+" berisi nilai yang bukan nomor ("+cell.Text+").")
	case utf8.RuneCountInString(value) > maxNumber:
		r.fault("too_long", cell, fmt.Sprintf("%s lebih dari %d huruf.", label, maxNumber))
	default:
		return r.formed(c, cell, value)
	}
	return "", false
}

// formed judges the form of a number.
func (r *sheetReader) formed(c column, cell xlsx.Cell, value string) (string, bool) {
	switch c {
	case pcid:
		if value = grouping.Replace(value); !pcidForm.MatchString(value) {
			r.fault("form", cell, labels[c]+" harus 32 digit heksadesimal (0-9, A-F).")
			return "", false
		}
	case chipID:
		if value = grouping.Replace(value); !chipForm.MatchString(value) {
			r.fault("form", cell, labels[c]+" harus bilangan heksadesimal, 8 sampai 64 digit.")
			return "", false
		}
	default:
		if !serialForm.MatchString(value) || !hasDigit.MatchString(value) {
			r.fault("form", cell, labels[c]+" hanya boleh berisi huruf, angka, spasi, dan tanda . / _ : -, dengan sedikitnya satu angka.")
			return "", false
		}
	}
	if cell.Kind == xlsx.Number {
		r.warning.cell("typed_as_number", r.name, xlsx.ColumnName(cell.Col), cell.Row,
			labels[c]+" bertipe angka. Bila nomornya berawal nol, nol itu sudah hilang: cocokkan dengan register aslinya.")
	}
	return value, true
}

// words reads what is for people.
func (r *sheetReader) words(c column, cell xlsx.Cell) string {
	switch text := clean(cell.Text); {
	case cell.Formula:
		r.fault("formula", cell, labels[c]+" berisi rumus. Tempelkan sebagai nilai.")
	case cell.Kind == xlsx.Fault:
		r.fault("cell_error", cell, labels[c]+" berisi galat Excel ("+cell.Text+").")
	case utf8.RuneCountInString(text) > maxWords:
		r.fault("too_long", cell, fmt.Sprintf("%s lebih dari %d huruf.", labels[c], maxWords))
	default:
		return text
	}
	return ""
}

// clean drops what cannot be shown or stored.
func clean(s string) string {
	return strings.Join(strings.Fields(strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return ' '
		}
		if unicode.IsControl(r) || r == utf8.RuneError {
			return -1
		}
		return r
	}, s)), " ")
}

// months by the letters that begin them, in Indonesian and in English.
var months = map[string]time.Month{
	"jan": 1, "feb": 2, "peb": 2, "mar": 3, "apr": 4, "mei": 5, "may": 5, "jun": 6, "jul": 7, "agu": 8, "ags": 8, "aug": 8, "sep": 9,
	"okt": 10, "oct": 10, "nov": 11, "nop": 11, "des": 12, "dec": 12,
}

var writtenDate = regexp.MustCompile(`^(\d{1,2})[-/. ]+(\d{1,2}|[A-Za-z]{3,9})[-/. ]+(\d{4})$`)

// date reads the day of issue: a date of the spreadsheet, or day, month and year.
func (r *sheetReader) date(cell xlsx.Cell) clock.Date {
	text := clean(cell.Text)
	switch {
	case cell.Formula:
		r.fault("formula", cell, labels[issuedOn]+" berisi rumus. Tempelkan sebagai nilai.")
		return clock.Date{}
	case strings.Trim(text, "-–—") == "":
		return clock.Date{}
	}
	day, _, _ := strings.Cut(text, " ")
	d, err := clock.ParseDate(day)
	if m := writtenDate.FindStringSubmatch(text); err != nil && m != nil {
		date, _ := strconv.Atoi(m[1])
		month, named := months[strings.ToLower(m[2][:min(3, len(m[2]))])]
		if n, numeric := strconv.Atoi(m[2]); !named && numeric == nil {
			month = time.Month(n)
		}
		d, err = clock.ParseDate(fmt.Sprintf("%s-%02d-%02d", m[3], month, date))
	}
	switch {
	case err != nil:
		r.fault("date_form", cell, labels[issuedOn]+" tidak terbaca. Tulis seperti 08-10-2019 atau 8 Oktober 2019.")
		return clock.Date{}
	case d.After(r.today):
		r.fault("future", cell, labels[issuedOn]+" di masa depan.")
		return clock.Date{}
	}
	return d
}
