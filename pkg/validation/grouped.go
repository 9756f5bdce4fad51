package validation

import (
	"fmt"
	"slices"
	"strconv"

	"dukcapil.go.id/sifilma/pkg/xlsx"
)

// grouped gathers equal faults of many cells of a column into one finding: 500
// serials typed as numbers are one mistake, and one finding.
type grouped struct {
	order []faultKey
	cells map[faultKey][]int // rows
}

type faultKey struct{ code, severity, column, detail string }

func newGrouped() *grouped { return &grouped{cells: map[faultKey][]int{}} }

// cell notes a fault of a cell. detail goes on after the name of the cell: it
// is the same for all cells with the same fault.
func (g *grouped) cell(code string, c xlsx.Cell, detail string) {
	g.at(code, xlsx.ColumnName(c.Col), c.Row, detail)
}

func (g *grouped) at(code, column string, row int, detail string) {
	g.note(faultKey{code, Error, column, detail}, row)
}

// warn notes what is only to be shown of a cell.
func (g *grouped) warn(code, column string, row int, detail string) {
	g.note(faultKey{code, Warning, column, detail}, row)
}

func (g *grouped) note(key faultKey, row int) {
	if len(g.cells[key]) == 0 {
		g.order = append(g.order, key)
	}
	g.cells[key] = append(g.cells[key], row)
}

// findings returns one finding per group, in the order of their first cells.
func (g *grouped) findings() []Finding {
	keys := slices.Clone(g.order)
	slices.SortStableFunc(keys, func(a, b faultKey) int { return g.cells[a][0] - g.cells[b][0] })
	var out []Finding
	for _, key := range keys {
		rows := g.cells[key]
		slices.Sort(rows)
		f := Finding{Code: key.code, Severity: key.severity, Cells: xlsx.Ranges(key.column, rows)}
		first, last := rows[0], rows[len(rows)-1]
		if first == last {
			f.Pointer = where(key.column + strconv.Itoa(first))
			f.Detail = "Sel " + key.column + strconv.Itoa(first) + cellsEnd + key.detail
		} else {
			f.Pointer = where(key.column + strconv.Itoa(first) + ":" + key.column + strconv.Itoa(last))
			f.Detail = fmt.Sprintf("%d sel (%s)%s%s", len(rows), xlsx.Shortened(f.Cells), cellsEnd, key.detail)
		}
		out = append(out, f)
	}
	return out
}

// cellsEnd parts the cells that a sentence names from what it says of them.
const cellsEnd = ": "
