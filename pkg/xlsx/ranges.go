package xlsx

import (
	"fmt"
	"strconv"
	"strings"
)

// mostRanges bounds the ranges that a sentence names.
const mostRanges = 8

// Ranges writes sorted rows of a column as ranges: "B7:B20", "B25".
func Ranges(column string, rows []int) (parts []string) {
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

// Shortened writes ranges for an Indonesian sentence, which names only some of
// many.
func Shortened(parts []string) string {
	if n := len(parts) - mostRanges; n > 0 {
		return strings.Join(parts[:mostRanges], ", ") + fmt.Sprintf(" dan %d rentang lain", n)
	}
	return strings.Join(parts, ", ")
}
