package xlsx

import (
	"bytes"
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// mostEdits bounds the cells that are changed: those of several hundred thousand
// wrong ones, or such as somebody gave the colours of marks.
const mostEdits = 250_000

// filler gives cells of a sheet other styles by cutting and pasting in its text.
// Excelize would make structures of the whole sheet, which take thirty times the
// memory of the text, and of every cell that lies before a cell far outside too.
type filler struct {
	scanner *scanner
	raw     []byte
	part    string
	notes   []Note // those to come, by rising rows and columns
	survey  survey
	// restyle is the style of a cell with a note, or, for nil, without; the style
	// that it has now is kept where nothing is to be done.
	restyle func(style int, note *Note) (int, error)

	edits    []edit
	columns  map[int]int // styles of columns that were asked for
	data     string      // full name of sheetData, empty outside of it
	dataAt   int         // its depth
	done     bool        // the sheet data was read
	row      int
	rowStyle int
	rowTag   edit // of the row's start, for when cells are put into it
	rowName  string
	col      int
	added    bool // cells to the row
	failed   error
}

// fillCells returns the text of a sheet with the notes' cells filled, in which
// cells and rows that are not there are added.
func (f *filler) fillCells() ([]byte, error) {
	f.notes = slices.Clone(f.notes)
	slices.SortFunc(f.notes, func(a, b Note) int { return cmp.Or(cmp.Compare(a.Row, b.Row), cmp.Compare(a.Col, b.Col)) })
	f.columns = map[int]int{}
	f.scanner = newScanner(bytes.NewReader(f.raw), uint64(len(f.raw)))
	for {
		kind, err := f.scanner.next()
		switch {
		case err != nil:
			return nil, damaged(f.part, err)
		case kind == atEOF && len(f.notes) > 0:
			return nil, refuse(Damaged, f.part, "no rows")
		case kind == atEOF:
			slices.SortStableFunc(f.edits, func(a, b edit) int { return cmp.Compare(a.at, b.at) })
			return apply(f.raw, f.edits), nil
		case kind == atStart:
			err = f.start()
		case kind == atEnd:
			err = f.end()
		}
		if err != nil {
			return nil, err
		}
	}
}

// tag is the text of the tag just read.
func (f *filler) tag() []byte { return f.raw[f.scanner.from:f.scanner.to()] }

// fullName is the name in a tag, with its prefix.
func fullName(tag []byte) string {
	end := 1
	for end < len(tag) && !space(tag[end]) && tag[end] != '/' && tag[end] != '>' {
		end++
	}
	return string(tag[1:end])
}

// sibling is a name with the prefix of another.
func sibling(full, name string) string {
	if i := strings.IndexByte(full, ':'); i >= 0 {
		return full[:i+1] + name
	}
	return name
}

func (f *filler) start() error {
	s := f.scanner
	switch depth := len(s.marks); {
	case f.data == "" && !f.done && string(s.name) == "sheetData":
		f.data, f.dataAt = fullName(f.tag()), depth
		if s.selfClose {
			f.edits = append(f.edits, edit{s.from, s.to(), opened(f.tag()) + f.rowsBefore(mostRows+1) + "</" + f.data + ">"})
		}
	case f.data == "" && f.done && string(s.name) == "sheetData":
		return refuse(Damaged, f.part, "two lots of rows")
	case f.data != "" && depth == f.dataAt+1 && string(s.name) == "row":
		return f.startRow()
	case f.data != "" && depth == f.dataAt+2 && f.rowName != "" && string(s.name) == "c":
		return f.cell()
	}
	return nil
}

func (f *filler) startRow() error {
	s := f.scanner
	number := f.row + 1
	if given := s.attr("r"); given != nil {
		n, ok := count(given)
		if !ok || n <= f.row {
			return refuse(Damaged, f.part, "row number %.20q", given)
		}
		number = n
	}
	if number > mostRows {
		return refuse(Damaged, f.part, "row %d", number)
	}
	f.insert(s.from, f.rowsBefore(number))
	f.row, f.col, f.added = number, 0, false
	f.rowStyle, _ = count(s.attr("s"))
	f.rowName = fullName(f.tag())
	f.rowTag = edit{s.from, s.to(), withoutAttr(f.tag(), "spans", "")}
	if s.selfClose {
		if cells := f.cellsBefore(mostColumns + 1); cells != "" {
			f.edits = append(f.edits, edit{s.from, s.to(), opened([]byte(f.rowTag.text)) + cells + "</" + f.rowName + ">"})
		}
		f.added = false
	}
	return nil
}

func (f *filler) cell() error {
	s := f.scanner
	col := f.col + 1
	if ref := s.attr("r"); ref != nil {
		at, row, err := ParseRef(string(ref))
		if err != nil || row != f.row || at <= f.col {
			return refuse(Damaged, f.part, "cell %.20q", ref)
		}
		col = at
	}
	if col > mostColumns {
		return refuse(Damaged, f.part, "column %d", col)
	}
	f.insert(s.from, f.cellsBefore(col))
	f.col = col
	var note *Note
	if len(f.notes) > 0 && f.notes[0].Row == f.row && f.notes[0].Col == col {
		note = &f.notes[0]
		f.notes = f.notes[1:]
	}
	style, _ := count(bytes.TrimSpace(s.attr("s")))
	next, err := f.restyle(style, note)
	if err != nil || next == style {
		return err
	}
	if len(f.edits) > mostEdits {
		return refuse(TooLarge, f.part, "more than %d cells to mark, and to clear of earlier marks", mostEdits)
	}
	f.edits = append(f.edits, edit{s.from, s.to(), withoutAttr(f.tag(), "s", ` s="`+strconv.Itoa(next)+`"`)})
	return nil
}

func (f *filler) end() error {
	s := f.scanner
	if f.data == "" {
		return nil
	}
	empty := f.raw[s.from+1] != '/' // of an empty tag, which is its own end
	switch depth := len(s.marks); {
	case depth == f.dataAt && f.rowName != "":
		if !empty {
			f.insert(s.from, f.cellsBefore(mostColumns+1))
			if f.added {
				f.edits = append(f.edits, f.rowTag)
			}
		}
		f.rowName = ""
	case depth < f.dataAt:
		if !empty {
			f.insert(s.from, f.rowsBefore(mostRows+1))
		}
		f.data, f.done = "", true
	}
	return f.failed
}

func (f *filler) insert(at int, text string) {
	if text != "" {
		f.edits = append(f.edits, edit{at, at, text})
	}
}

// cellsBefore are new cells for the notes of the row that stand before a column.
func (f *filler) cellsBefore(col int) string {
	var b strings.Builder
	for len(f.notes) > 0 && f.notes[0].Row == f.row && f.notes[0].Col < col {
		f.newCell(&b, sibling(f.rowName, "c"), f.rowStyle)
		f.added = true
	}
	return b.String()
}

// rowsBefore are new rows for the notes that stand before a row.
func (f *filler) rowsBefore(row int) string {
	var b strings.Builder
	for len(f.notes) > 0 && f.notes[0].Row < row {
		name, number := sibling(f.data, "row"), f.notes[0].Row
		b.WriteString("<" + name + ` r="` + strconv.Itoa(number) + `">`)
		for len(f.notes) > 0 && f.notes[0].Row == number {
			f.newCell(&b, sibling(f.data, "c"), 0)
		}
		b.WriteString("</" + name + ">")
	}
	return b.String()
}

// newCell writes the cell of the next note: it looks as its row or column does.
func (f *filler) newCell(b *strings.Builder, name string, style int) {
	note := f.notes[0]
	f.notes = f.notes[1:]
	if style == 0 {
		known := false
		if style, known = f.columns[note.Col]; !known {
			c, _ := f.survey.column(note.Col)
			style = c.style
			f.columns[note.Col] = style
		}
	}
	next, err := f.restyle(style, &note)
	if err != nil && f.failed == nil {
		f.failed = err
	}
	b.WriteString("<" + name + ` r="` + Cell{Row: note.Row, Col: note.Col}.Ref() + `" s="` + strconv.Itoa(next) + `"/>`)
}

// opened is an empty tag without the slash that ends it.
func opened(tag []byte) string {
	return strings.TrimSuffix(strings.TrimSuffix(string(tag), ">"), "/") + ">"
}

// withoutAttr is a start tag without an attribute, with other text in its place.
func withoutAttr(tag []byte, name, instead string) string {
	var b strings.Builder
	i := 1 + len(fullName(tag))
	b.Write(tag[:i])
	b.WriteString(instead)
	for i < len(tag) {
		begin := i
		for i < len(tag) && space(tag[i]) {
			i++
		}
		from := i
		for i < len(tag) && tag[i] != '=' && !space(tag[i]) {
			i++
		}
		to := i
		equals := bytes.IndexByte(tag[i:], '=')
		if equals < 0 { // the end of the tag
			b.Write(tag[begin:])
			break
		}
		i += equals + 1
		for i < len(tag) && space(tag[i]) {
			i++
		}
		length := 0 // the scanner has found the tag well-formed
		if i < len(tag) {
			length = bytes.IndexByte(tag[i+1:], tag[i])
		}
		i += length + 2
		if string(local(tag[from:to])) != name {
			b.Write(tag[begin:min(i, len(tag))])
		}
	}
	return b.String()
}
