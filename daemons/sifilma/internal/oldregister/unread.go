package oldregister

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"dukcapil.go.id/sifilma/pkg/cardlist"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/xlsx"
)

// A number that is not read is a card that is not protected, so what is not read
// is either harmless to see, or named by a person as not wanted, or a fault.

// skips are the sheets and columns that a person named as not wanted, and which of
// those names met something.
type skips struct {
	sheets, columns map[string]string // key -> as it was typed
	met             map[string]bool   // by unused's line
}

func newSkips(sheets, columns []string) skips {
	s := skips{map[string]string{}, map[string]string{}, map[string]bool{}}
	for _, name := range sheets {
		s.sheets[sheetKey(name)] = name
	}
	for _, name := range columns {
		s.columns[columnKey(name)] = name
	}
	return s
}

func sheetKey(name string) string { return strings.ToLower(strings.TrimSpace(name)) }

// columnKey lets a header be typed without its dots and line breaks.
func columnKey(name string) string {
	if key := plainKey(name); key != "" {
		return key
	}
	return strings.TrimSpace(name)
}

func (s skips) sheet(name string) bool { return s.meets("-skip-sheet", s.sheets, sheetKey(name)) }

// column is asked for a header, or for the letters of a column that has none.
func (s skips) column(name string) bool {
	return s.meets("-skip-column", s.columns, columnKey(name))
}

func (s skips) meets(option string, names map[string]string, key string) bool {
	typed, ok := names[key]
	if ok && key != "" {
		s.met[skipLine(option, typed)] = true
	}
	return ok && key != ""
}

func skipLine(option, typed string) string { return option + " \"" + typed + "\"" }

// unused tells of names that no file has: a slip of the pen.
func (s skips) unused() string {
	var lines []string
	for option, names := range map[string]map[string]string{"-skip-sheet": s.sheets, "-skip-column": s.columns} {
		for _, typed := range names {
			if line := skipLine(option, typed); !s.met[line] {
				lines = append(lines, "Peringatan: "+line+" tidak cocok dengan apa pun dalam berkas. Periksa ejaannya.\n")
			}
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "")
}

// renameOrSkip says what to do about something that is not read.
func renameOrSkip(option, name string) string {
	what := "kolom"
	if option == "-skip-sheet" {
		what = "lembar"
	}
	return fmt.Sprintf("Ganti kepala kolomnya menjadi salah satu dari: %s; atau, bila %s ini memang tidak dikehendaki, tambahkan %s \"%s\" pada perintah.",
		allLabels(), what, option, name)
}

// leftOut are the sheets and columns that were left out because the command said
// so, for the report and the audit.
func (c *contents) leftOut() (left []string) {
	for _, name := range c.unchosen {
		left = append(left, fmt.Sprintf("lembar \"%s\" (tidak dipilih dengan -sheet)", name))
	}
	for _, name := range c.left {
		left = append(left, fmt.Sprintf("lembar \"%s\"", name))
	}
	for _, s := range c.sheets {
		place := ""
		if s.name != "" {
			place = fmt.Sprintf("lembar \"%s\" ", s.name)
		}
		for _, cell := range s.header.skipped {
			left = append(left, fmt.Sprintf("%skolom %s \"%s\"", place, xlsx.ColumnName(cell.Col), clean(cell.Text)))
		}
		for _, at := range slices.Sorted(maps.Keys(s.others)) {
			if s.others[at].skipped {
				left = append(left, fmt.Sprintf("%skolom %s (tanpa kepala)", place, xlsx.ColumnName(at)))
			}
		}
	}
	return left
}

// hasContent says whether a row has anything that people see.
func hasContent(row xlsx.Row) bool {
	return slices.ContainsFunc(row.Cells, func(c xlsx.Cell) bool { return c.Formula || clean(c.Text) != "" })
}

// mostMissing is how far a running number may jump, for rows that were taken out.
const mostMissing = 10

// manyDistinct values are numbers of something, however often each is repeated.
const manyDistinct = 20

// otherColumn is a column that is not read, and how its cells look.
type otherColumn struct {
	skipped  bool
	counts   bool            // its header is that of a running number, or it has none
	last     int             // of the running number
	filled   int             // cells with content
	bearing  int             // of them, those that may be numbers of a card or reader
	distinct map[string]bool // of those, manyDistinct+1 at most
	example  string
}

// ordinals are headers of the running number of a list, as plainKey writes them.
var ordinals = map[string]bool{"": true, "no": true, "nomor": true, "nourut": true, "nomorurut": true, "urut": true, "urutan": true, "nr": true}

// noteOthers looks at the cells of a row that are not read.
func (r *sheetReader) noteOthers(row xlsx.Row) {
	for _, cell := range row.Cells {
		if r.read[cell.Col] || !cell.Formula && clean(cell.Text) == "" {
			continue
		}
		o := r.others[cell.Col]
		if o == nil {
			name := r.header.names[cell.Col]
			o = &otherColumn{counts: ordinals[plainKey(name)], distinct: map[string]bool{}}
			o.skipped = name == "" && r.skip.column(xlsx.ColumnName(cell.Col))
			r.others[cell.Col] = o
		}
		o.note(cell)
	}
}

func (o *otherColumn) note(cell xlsx.Cell) {
	o.filled++
	text := cardlist.Normalise(cell.Text)
	if text == "" { // a formula whose result was not saved
		text = "=" + strconv.Itoa(cell.Row)
	}
	if o.counts {
		if cell.Formula && strings.HasPrefix(text, "=") {
			return
		}
		n, err := strconv.Atoi(strings.TrimRight(text, ".)"))
		fits := err == nil && n > 0 && (n <= cell.Row || n > o.last && n <= o.last+mostMissing)
		if o.last = n; fits {
			return
		}
	}
	if !mayBeNumber(cell, text) {
		return
	}
	o.bearing++
	if o.example == "" {
		o.example = text
	}
	if len(o.distinct) <= manyDistinct {
		o.distinct[text] = true
	}
}

// numbered says whether the cells look like numbers of cards or readers: there are
// many, or most stand there once.
func (o *otherColumn) numbered() bool {
	return len(o.distinct) > manyDistinct || 2*len(o.distinct) > o.bearing
}

// mayBeNumber says whether a cell may be a number of a card or reader: it has a
// digit and is neither a day nor prose.
func mayBeNumber(cell xlsx.Cell, text string) bool {
	if cell.Kind == xlsx.Date || cell.Kind == xlsx.Bool || utf8.RuneCountInString(text) > 2*maxNumber || !hasDigit.MatchString(text) {
		return false
	}
	day, _, _ := strings.Cut(text, " ")
	_, err := clock.ParseDate(day)
	return err != nil && !writtenDate.MatchString(text)
}

// judgeOthers makes faults of the columns that look like numbers and are not read.
func (r *sheetReader) judgeOthers() {
	told := map[int]bool{} // of which the header is a fault, or which are not wanted
	for _, cell := range slices.Concat(r.header.strange, r.header.doubled, r.header.skipped) {
		told[cell.Col] = true
	}
	for _, at := range slices.Sorted(maps.Keys(r.others)) {
		o, letters := r.others[at], xlsx.ColumnName(at)
		if told[at] || o.skipped || !o.numbered() {
			continue
		}
		name, skip := "kolom \""+r.header.names[at]+"\"", r.header.names[at]
		if skip == "" {
			name, skip = "kolom "+letters+" (tanpa kepala)", letters
		}
		r.faults.cell("column_unread", r.name, letters, r.header.row, fmt.Sprintf(
			"%s tampak berisi nomor (%d isian, misalnya %s), tetapi kepalanya tidak dikenal sehingga tidak dibaca. %s",
			name, o.filled, o.example, renameOrSkip("-skip-column", skip)))
	}
}

// unread are the columns that are not read and are no fault.
func (r *sheetReader) unread() (names []string) {
	skipped := map[int]bool{}
	for _, cell := range r.header.skipped {
		skipped[cell.Col] = true
	}
	for _, at := range slices.Sorted(maps.Keys(r.others)) {
		switch name := r.header.names[at]; {
		case skipped[at] || r.others[at].skipped:
		case name == "":
			names = append(names, "kolom "+xlsx.ColumnName(at)+" (tanpa kepala)")
		default:
			names = append(names, "\""+name+"\"")
		}
	}
	return names
}

// letterheadNumbers is how many cells of a column above the header may look like
// serials: a letterhead has a telephone and a letter's number, a list has more.
const letterheadNumbers = 5

// aboveHeader are the rows of cells above the header that look like serials, by
// their column.
type aboveHeader map[int][]int

func (a *aboveHeader) note(row xlsx.Row) {
	for _, cell := range row.Cells {
		if text := cardlist.Normalise(cell.Text); mayBeNumber(cell, text) && serialLike(text) {
			if *a == nil {
				*a = aboveHeader{}
			}
			(*a)[cell.Col] = append((*a)[cell.Col], row.Number)
		}
	}
}

// serialLike is stricter than mayBeNumber: one word, or more digits than letters.
func serialLike(text string) bool {
	letters, digits := 0, 0
	for _, r := range text {
		switch {
		case unicode.IsDigit(r):
			digits++
		case unicode.IsLetter(r):
			letters++
		}
	}
	return letters+digits >= 4 && serialForm.MatchString(text) && (digits >= letters || !strings.Contains(text, " "))
}

// judge makes faults of what looks like another list above the header.
func (a *aboveHeader) judge(r *sheetReader) {
	for _, at := range slices.Sorted(maps.Keys(*a)) {
		if rows := (*a)[at]; len(rows) >= letterheadNumbers {
			for _, row := range rows {
				r.faults.cell("above_header", r.name, xlsx.ColumnName(at), row, fmt.Sprintf("di atas kepala kolom (baris %d) ada isian yang tampak seperti nomor "+
					"dan tidak dibaca. Pindahkan ke lembar sendiri dengan kepala kolomnya, atau hapus dari salinan berkas bila bukan bagian dari register.", r.header.row))
			}
		}
	}
}
