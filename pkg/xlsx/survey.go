package xlsx

import (
	"strconv"
)

// survey is what a sheet says before and behind its cells.
type survey struct {
	// heights are those of rows that have their own, in pixels.
	heights map[int]int
	columns []columns
	width   float64 // of columns without their own, in characters; 0 is not told
	// drawing is the id of the relation to the shapes of the comments; empty when
	// there is none.
	drawing string
}

type place struct{ col, row int }

// columns are neighbours that look the same.
type columns struct {
	from, to int // counted from 1
	style    int
	width    float64 // in characters; 0 is not told
}

const (
	// mostHeights bounds the rows whose height is known; it matters only for where
	// comments open.
	mostHeights = 50_000
	// mostColumnSets is as many as there can be without overlapping.
	mostColumnSets = mostColumns
)

const pixelsPerPoint = 96.0 / 72

// surveySheet walks through the XML of a sheet.
func (w *Workbook) surveySheet(part string) (survey, error) {
	v := survey{heights: map[int]int{}}
	row := 0
	err := w.scan(part, func(s *scanner, name string) error {
		switch name {
		case "row":
			row++
			if n, ok := count(s.attr("r")); ok {
				row = n
			}
			if len(v.heights) >= mostHeights {
				return nil
			}
			if truth(s.attr("hidden")) {
				v.heights[row] = 0
			} else if points, ok := measure(s.attr("ht"), 409); ok {
				v.heights[row] = int(points * pixelsPerPoint)
			}
		case "sheetFormatPr":
			v.width, _ = measure(s.attr("defaultColWidth"), 255)
		case "col":
			if len(v.columns) == mostColumnSets {
				return refuse(TooLarge, part, "more than %d sets of columns", mostColumnSets)
			}
			var c columns
			c.from, _ = count(s.attr("min"))
			c.to, _ = count(s.attr("max"))
			c.style, _ = count(s.attr("style"))
			c.width, _ = measure(s.attr("width"), 255)
			v.columns = append(v.columns, c)
		case "legacyDrawing":
			id, err := s.attrText("id")
			if err != nil {
				return err
			}
			v.drawing = id
		}
		return nil
	})
	return v, err
}

// measure reads a length of at most so many units.
func measure(b []byte, most float64) (float64, bool) {
	if len(b) == 0 {
		return 0, false
	}
	n, err := strconv.ParseFloat(string(b), 64)
	if err != nil || !(n >= 0 && n <= most) { // NaN is neither
		return 0, false
	}
	return n, true
}

// column is how a column looks that is told of.
func (v survey) column(col int) (columns, bool) {
	for _, c := range v.columns {
		if c.from <= col && col <= c.to {
			return c, true
		}
	}
	return columns{}, false
}
