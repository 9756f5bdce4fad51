package validation

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/lib/pq"

	"dukcapil.go.id/sifilma/pkg/xlsx"
)

// Cells are cells of the card list's sheet as ranges of one column each, such as
// "B7:B20" and "B25", by rising rows.
type Cells []string

// MarshalJSON writes no cells as an empty array.
func (c Cells) MarshalJSON() ([]byte, error) {
	if c == nil {
		return []byte("[]"), nil
	}
	return json.Marshal([]string(c))
}

// Scan reads a text[] of PostgreSQL.
func (c *Cells) Scan(src any) error {
	var list pq.StringArray
	if err := list.Scan(src); err != nil {
		return err
	}
	*c = nil
	if len(list) > 0 {
		*c = Cells(list)
	}
	return nil
}

// rangesOf writes sorted rows of a column as ranges.
func rangesOf(column string, rows []int) Cells {
	var parts Cells
	for i := 0; i < len(rows); {
		j := i
		for j+1 < len(rows) && rows[j+1] <= rows[j]+1 {
			j++
		}
		part := column + strconv.Itoa(rows[i])
		if rows[j] != rows[i] {
			part += ":" + column + strconv.Itoa(rows[j])
		}
		parts = append(parts, part)
		i = j + 1
	}
	return parts
}

// span is a range of cells of one column; all counts are from 1.
type span struct{ col, first, last int }

// parseSpan reads "B7" or "B7:B20".
func parseSpan(text string) (span, error) {
	from, to, isRange := strings.Cut(text, ":")
	if !isRange {
		to = from
	}
	col, first, err := xlsx.ParseRef(from)
	if err != nil {
		return span{}, fmt.Errorf("validation: range %q: %w", text, err)
	}
	end, last, err := xlsx.ParseRef(to)
	if err != nil || end != col || last < first {
		return span{}, fmt.Errorf("validation: range %q is none", text)
	}
	return span{col, first, last}, nil
}
