package xlsx

import "slices"

// Layout is what a sheet hides from whoever reads it on the screen, or shows in
// another place than it stands in.
type Layout struct {
	HiddenRows []int // ascending, from 1
	// HiddenColumns are ranges of columns, both ends included, from 1.
	HiddenColumns [][2]int
	Merged        []Area
}

// Area is a rectangle of cells, both ends included, from 1.
type Area struct {
	Ref                            string // as the file has it: "A1:C2"
	FromCol, FromRow, ToCol, ToRow int
}

// mostOddities bounds the hidden rows, the hidden columns and the merged areas of a sheet.
const mostOddities = 20_000

// Layout reads what is hidden and merged on a sheet. The error is *Error for a
// fault of the file.
func (w *Workbook) Layout(sheet string) (Layout, error) {
	i := slices.IndexFunc(w.sheets, func(s Sheet) bool { return s.Name == sheet })
	if i < 0 {
		return Layout{}, refuse(NoSheet, sheet, "no such sheet")
	}
	var l Layout
	row := 0
	err := w.scan(w.sheets[i].part, func(s *scanner, name string) error {
		switch name {
		case "row":
			row++
			if n, ok := count(s.attr("r")); ok {
				row = n
			}
			if unseen(s, "ht") {
				l.HiddenRows = append(l.HiddenRows, row)
			}
		case "col":
			from, _ := count(s.attr("min"))
			to, _ := count(s.attr("max"))
			if unseen(s, "width") {
				l.HiddenColumns = append(l.HiddenColumns, [2]int{from, to})
			}
		case "mergeCell":
			ref, err := s.attrText("ref")
			if err != nil {
				return err
			}
			area, err := parseArea(ref)
			if err != nil {
				return refuse(Damaged, sheet, "%v", err)
			}
			l.Merged = append(l.Merged, area)
		}
		if len(l.HiddenRows)+len(l.HiddenColumns)+len(l.Merged) > mostOddities {
			return refuse(TooLarge, sheet, "more than %d hidden or merged parts", mostOddities)
		}
		return nil
	})
	return l, err
}

// unseen says whether a row or a column is hidden, be it by having no size.
func unseen(s *scanner, size string) bool {
	if truth(s.attr("hidden")) {
		return true
	}
	n, ok := measure(s.attr(size), 1000)
	return ok && n == 0
}
