package xlsx

import (
	"bytes"
	"errors"
	"io"
	"iter"
	"strconv"
	"strings"
)

// Rows yields the rows with content of a sheet, in order. After an error it
// ends; the error is *Error for a fault of the file. Empty rows are passed
// over and keep their number.
func (w *Workbook) Rows(sheet string) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		part := ""
		for _, s := range w.sheets {
			if s.Name == sheet {
				part = s.part
			}
		}
		if part == "" {
			yield(Row{}, refuse(NoSheet, sheet, "no such sheet"))
			return
		}
		if err := w.load(); err != nil {
			yield(Row{}, err)
			return
		}
		s, closer, err := w.openPart(part)
		if err != nil {
			yield(Row{}, err)
			return
		}
		reader := &rowReader{book: w, scanner: s, sheet: sheet}
		stopped := false
		for !stopped {
			var row Row
			if row, err = reader.next(); err != nil {
				break
			}
			stopped = !yield(row, nil)
		}
		closing := closer.Close()
		if stopped {
			return
		}
		if errors.Is(err, io.EOF) {
			err = nil
		}
		if err = errors.Join(err, closing); err != nil {
			yield(Row{}, damaged(part, err))
		}
	}
}

// rowReader walks the XML of one sheet.
type rowReader struct {
	book    *Workbook
	scanner *scanner
	sheet   string

	inData  bool
	depth   int // of sheetData
	row     int // number of the last row
	content int // rows with content so far
	cells   []Cell
	value   []byte
}

// next returns the next row with content, io.EOF after the last.
func (r *rowReader) next() (Row, error) {
	s := r.scanner
	for {
		kind, err := s.next()
		if err != nil {
			return Row{}, err
		}
		switch kind {
		case atEOF:
			return Row{}, io.EOF
		case atEnd:
			if r.inData && len(s.marks) < r.depth {
				r.inData = false
			}
		case atStart:
			switch {
			case !r.inData && string(s.name) == "sheetData":
				r.inData, r.depth = true, len(s.marks)
			case r.inData && len(s.marks) == r.depth+1 && string(s.name) == "row":
				if err := r.readRow(); err != nil {
					return Row{}, err
				}
				if len(r.cells) == 0 {
					continue
				}
				if r.content++; r.content > r.book.limits.Rows {
					return Row{}, refuse(TooLarge, r.sheet, "more than %d rows", r.book.limits.Rows)
				}
				return Row{Number: r.row, Cells: r.cells}, nil
			}
		}
	}
}

func (r *rowReader) readRow() error {
	s := r.scanner
	number := r.row + 1
	if given := s.attr("r"); given != nil {
		n, ok := count(given)
		if !ok || n <= r.row || n > 1_048_576 {
			return refuse(Damaged, r.sheet, "row number %.20q", given)
		}
		number = n
	}
	r.row = number
	r.cells = r.cells[:0]
	col := 0
	for depth := len(s.marks); ; {
		kind, err := s.next()
		if err != nil {
			return err
		}
		switch kind {
		case atEnd:
			if len(s.marks) < depth {
				return nil
			}
		case atStart:
			if string(s.name) != "c" {
				if err := s.skip(); err != nil {
					return err
				}
				continue
			}
			next, err := r.column(s.attr("r"), col)
			if err != nil {
				return err
			}
			col = next
			cell, err := r.readCell(col)
			if err != nil {
				return r.name(col, err)
			}
			if cell.Kind == Empty && !cell.Formula {
				continue
			}
			if col > r.book.limits.Columns {
				return refuse(TooLarge, r.sheet, "more than %d columns", r.book.limits.Columns)
			}
			r.cells = append(r.cells, cell)
		}
	}
}

// name puts the cell's name to an error of the XML in it.
func (r *rowReader) name(col int, err error) error {
	var refused *Error
	if errors.As(err, &refused) {
		return err
	}
	code := Damaged
	if errors.Is(err, errLongCell) {
		code = TooLarge
	}
	return refuse(code, r.sheet+"!"+Cell{Row: r.row, Col: col}.Ref(), "%v", err)
}

// column reads a cell's reference; without one a cell follows its neighbour.
func (r *rowReader) column(ref []byte, last int) (int, error) {
	if ref == nil {
		return last + 1, nil
	}
	col, i := 0, 0
	for ; i < len(ref) && i < 4; i++ {
		c := ref[i] &^ 0x20
		if c < 'A' || c > 'Z' {
			break
		}
		col = col*26 + int(c-'A') + 1
	}
	row, ok := count(ref[i:])
	if !ok || row != r.row || col <= last || col > 16_384 {
		return 0, refuse(Damaged, r.sheet, "cell reference %.20q in row %d", ref, r.row)
	}
	return col, nil
}

// count reads a plain count of at most nine digits without making a string of it.
func count(b []byte) (int, bool) {
	if len(b) == 0 || len(b) > 9 {
		return 0, false
	}
	n := 0
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int(c-'0')
	}
	return n, true
}

// readCell reads the <c> element just begun.
func (r *rowReader) readCell(col int) (Cell, error) {
	s := r.scanner
	cell := Cell{Row: r.row, Col: col}
	// The attributes do not outlive the next event.
	kind := cellType(s.attr("t"))
	style := 0
	if given := s.attr("s"); given != nil {
		if n, ok := count(given); ok {
			style = n
		}
	}
	r.value = r.value[:0]
	found := false
	for depth := len(s.marks); ; {
		at, err := s.next()
		if err != nil {
			return cell, err
		}
		if at == atEnd && len(s.marks) < depth {
			break
		}
		if at != atStart {
			continue
		}
		switch string(s.name) {
		case "v":
			found = true
			r.value, err = s.text(r.value[:0], r.book.limits.CellBytes)
		case "is":
			if kind == inlineCell {
				found = true
				r.value, err = readRichText(s, r.value[:0], r.book.limits.CellBytes)
			} else {
				err = s.skip()
			}
		case "f":
			cell.Formula = true
			err = s.skip()
		default:
			err = s.skip()
		}
		if err != nil {
			return cell, err
		}
	}
	if !found {
		return cell, nil
	}
	return cell, r.interpret(&cell, kind, style)
}

type cellKind uint8

const (
	numberCell cellKind = iota
	sharedCell
	inlineCell
	formulaTextCell
	boolCell
	faultCell
	isoDateCell
	unknownCell
)

func cellType(t []byte) cellKind {
	switch string(t) {
	case "", "n":
		return numberCell
	case "s":
		return sharedCell
	case "inlineStr":
		return inlineCell
	case "str":
		return formulaTextCell
	case "b":
		return boolCell
	case "e":
		return faultCell
	case "d":
		return isoDateCell
	}
	return unknownCell
}

// interpret gives the cell its kind and texts from the value read.
func (r *rowReader) interpret(cell *Cell, kind cellKind, style int) error {
	switch kind {
	case sharedCell:
		index := bytes.TrimSpace(r.value)
		if len(index) == 0 {
			return nil
		}
		i, ok := count(index)
		text, known := r.book.shared.at(i)
		if !ok || !known {
			return errors.New("a shared text that is not there")
		}
		return cell.text(Text, text, text)
	case inlineCell:
		text := unescape(r.value)
		return cell.text(Text, text, text)
	case formulaTextCell:
		return cell.text(Text, string(r.value), string(r.value))
	case boolCell:
		text := "FALSE"
		if truth(r.value) {
			text = "TRUE"
		}
		return cell.text(Bool, text, string(r.value))
	case faultCell:
		return cell.text(Fault, string(r.value), string(r.value))
	case isoDateCell:
		return cell.text(Date, strings.Replace(string(r.value), "T", " ", 1), string(r.value))
	case numberCell:
		return r.numeric(cell, style)
	default:
		return errors.New("unknown type of cell")
	}
}

func (c *Cell) text(kind Kind, text, raw string) error {
	if text == "" && raw == "" {
		return nil
	}
	c.Kind, c.Text, c.Raw = kind, text, raw
	return nil
}

func (r *rowReader) numeric(cell *Cell, style int) error {
	raw := string(r.value)
	trimmed := strings.TrimSpace(raw)
	if trimmed == "" {
		return nil
	}
	value, err := strconv.ParseFloat(trimmed, 64)
	if err != nil || strings.ContainsAny(trimmed, "xXpP_nN") {
		return errors.New("a number that is none")
	}
	if style >= 0 && style < len(r.book.formats) {
		format := r.book.formats[style]
		if format.date {
			if text, ok := dateText(value, r.book.date1904); ok {
				return cell.text(Date, text, raw)
			}
		}
		cell.Masked = format.masked
	}
	text := trimmed
	if strings.ContainsAny(trimmed, "eE") && value < 1e21 && value > -1e21 {
		text = strconv.FormatFloat(value, 'f', -1, 64)
	}
	whole, _, _ := strings.Cut(strings.TrimLeft(text, "-+0"), ".")
	cell.Lossy = len(whole) > 15
	return cell.text(Number, text, raw)
}
