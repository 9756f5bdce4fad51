package xlsx

import (
	"bytes"
	"strconv"
)

// survey is what is known of a sheet before excelize makes structures of it.
type survey struct {
	marked []place // cells with a style of a mark
	// heights are those of rows that have their own, in pixels.
	heights map[int]int
	// drawing is the id of the relation to the shapes of the comments; empty when
	// there is none.
	drawing string
}

type place struct{ col, row int }

const pixelsPerPoint = 96.0 / 72

// surveySheet walks through the XML of a sheet and refuses one that would grow
// beyond mostGrid.
func (w *Workbook) surveySheet(part string, marked map[int]bool) (survey, error) {
	v := survey{heights: map[int]int{}}
	row, col, grid, top := 0, 0, 0, 0
	err := w.scan(part, func(s *scanner, name string) error {
		switch name {
		case "row":
			grid += col
			row, col = row+1, 0
			if n, ok := count(s.attr("r")); ok {
				row = n
			}
			if row > mostRows {
				return refuse(Damaged, part, "row %d", row)
			}
			top = max(top, row)
			if truth(s.attr("hidden")) {
				v.heights[row] = 0
			} else if points, err := strconv.ParseFloat(string(s.attr("ht")), 64); err == nil && points >= 0 && points <= 409 {
				v.heights[row] = int(points * pixelsPerPoint)
			}
		case "c":
			at := place{col + 1, row}
			if ref := s.attr("r"); ref != nil {
				var err error
				if at.col, at.row, err = ParseRef(string(ref)); err != nil {
					return refuse(Damaged, part, "cell %.20q", ref)
				}
			}
			col = max(col, at.col)
			if n, ok := count(bytes.TrimSpace(s.attr("s"))); ok && marked[n] {
				v.marked = append(v.marked, at)
			}
		case "legacyDrawing":
			id, err := s.attrText("id")
			if err != nil {
				return err
			}
			v.drawing = id
		}
		// A row costs as much as two cells.
		if grid+col+2*max(top, row) > mostGrid {
			return refuse(TooLarge, part, "cells far outside the list")
		}
		return nil
	})
	return v, err
}
