package xlsx

import (
	"strings"
	"unicode"
)

// Header finds columns by their names, for people move and rename them a little.
type Header struct {
	// Row is the number of the header row.
	Row     int
	columns map[string]int
}

// HeaderError says which columns a sheet lacks or has twice.
type HeaderError struct {
	Sheet   string
	Missing []string
	Twice   []string
}

// Error names the columns.
func (e *HeaderError) Error() string {
	text := "xlsx: header of sheet " + e.Sheet
	if len(e.Missing) > 0 {
		text += ": missing " + strings.Join(e.Missing, ", ")
	}
	if len(e.Twice) > 0 {
		text += ": given twice " + strings.Join(e.Twice, ", ")
	}
	return text
}

// FindHeader looks through the first "within" rows with content for the one
// that has all the names, and gives *HeaderError, judged by the row that comes
// nearest, when there is none. Names are compared by their letters and digits
// alone: "No. Seri Kartu SAM" is "NO SERI  KARTU SAM:".
func (w *Workbook) FindHeader(sheet string, within int, names ...string) (Header, error) {
	nearest := &HeaderError{Sheet: sheet, Missing: names}
	seen := 0
	for row, err := range w.Rows(sheet) {
		if err != nil {
			return Header{}, err
		}
		if seen++; seen > within {
			break
		}
		header, problem := readHeader(sheet, row, names)
		if problem == nil {
			return header, nil
		}
		if len(problem.Missing) < len(nearest.Missing) {
			nearest = problem
		}
	}
	return Header{}, nearest
}

func readHeader(sheet string, row Row, names []string) (Header, *HeaderError) {
	header := Header{Row: row.Number, columns: make(map[string]int, len(row.Cells))}
	problem := &HeaderError{Sheet: sheet}
	twice := make(map[string]bool)
	for _, cell := range row.Cells {
		key := headerKey(cell.Text)
		if key == "" {
			continue
		}
		if header.columns[key] != 0 {
			twice[key] = true
			continue
		}
		header.columns[key] = cell.Col
	}
	for _, name := range names {
		switch key := headerKey(name); {
		case header.columns[key] == 0:
			problem.Missing = append(problem.Missing, name)
		case twice[key]:
			problem.Twice = append(problem.Twice, name)
		}
	}
	if len(problem.Missing) > 0 || len(problem.Twice) > 0 {
		return Header{}, problem
	}
	return header, nil
}

// Column is the column of a name, counted from 1; 0 when there is none.
func (h Header) Column(name string) int { return h.columns[headerKey(name)] }

// Cell is the cell of a row under a name; Empty when there is none.
func (h Header) Cell(row Row, name string) Cell { return row.Cell(h.Column(name)) }

// headerKey keeps the letters and digits of a name in lower case.
func headerKey(name string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return unicode.ToLower(r)
		}
		return -1
	}, name)
}
