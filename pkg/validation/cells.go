package validation

import (
	"encoding/json"
	"fmt"
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
