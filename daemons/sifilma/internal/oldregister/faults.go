package oldregister

import (
	"fmt"
	"slices"
	"strings"

	"dukcapil.go.id/sifilma/pkg/xlsx"
)

// faults are what is wrong with a file. Equal faults of many cells of a column are
// one.
type faults struct {
	order []place
	rows  map[place][]int
}

// place is where a fault is, without its rows, and what it says.
type place struct {
	code   string // stable, English
	sheet  string // empty for a CSV file
	column string // letters; empty for a fault of the whole file or sheet
	detail string // an Indonesian sentence
}

func newFaults() *faults { return &faults{rows: map[place][]int{}} }

// file notes a fault of a whole file or sheet.
func (f *faults) file(code, sheet, detail string, args ...any) {
	f.cell(code, sheet, "", 0, fmt.Sprintf(detail, args...))
}

// cell notes a fault of a cell.
func (f *faults) cell(code, sheet, column string, row int, detail string) {
	p := place{code, sheet, column, detail}
	if f.rows[p] == nil {
		f.order = append(f.order, p)
	}
	f.rows[p] = append(f.rows[p], row)
}

// none says whether nothing is wrong.
func (f *faults) none() bool { return len(f.order) == 0 }

// lines describes the faults, one line for all equal ones.
func (f *faults) lines() []string {
	lines := make([]string, len(f.order))
	for i, p := range f.order {
		rows := f.rows[p]
		slices.Sort(rows)
		where := ""
		switch {
		case p.column == "" && p.sheet != "":
			where = "lembar \"" + p.sheet + "\": "
		case p.column != "":
			where = xlsx.Shortened(xlsx.Ranges(p.column, rows)) + ": "
			if p.sheet != "" {
				where = "lembar \"" + p.sheet + "\", " + where
			}
			if len(rows) > 1 {
				where = fmt.Sprintf("%d sel, ", len(rows)) + where
			}
		}
		lines[i] = "[" + p.code + "] " + capital(where+p.detail)
	}
	return lines
}

// capital begins a line with a capital letter.
func capital(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}
