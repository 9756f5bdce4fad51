package xlsx

import (
	"fmt"
	"strings"
)

// Excel's own limits of a sheet.
const (
	mostRows    = 1_048_576
	mostColumns = 16_384
)

// ParseRef reads a cell's name such as "B17"; "$" signs are passed over. Both
// counts are from 1.
func ParseRef(ref string) (col, row int, err error) {
	plain := strings.ReplaceAll(ref, "$", "")
	i := 0
	for ; i < len(plain) && i < 4; i++ {
		c := plain[i] &^ 0x20
		if c < 'A' || c > 'Z' {
			break
		}
		col = col*26 + int(c-'A') + 1
	}
	row, ok := count([]byte(plain[i:]))
	if !ok || col < 1 || col > mostColumns || row < 1 || row > mostRows {
		return 0, 0, fmt.Errorf("xlsx: %.20q is no cell", ref)
	}
	return col, row, nil
}

// parseArea reads the name of a rectangle such as "A1:C2"; a single cell is one.
func parseArea(ref string) (Area, error) {
	from, to, ranged := strings.Cut(ref, ":")
	if !ranged {
		to = from
	}
	a := Area{Ref: ref}
	var err error
	if a.FromCol, a.FromRow, err = ParseRef(from); err != nil {
		return a, err
	}
	a.ToCol, a.ToRow, err = ParseRef(to)
	return a, err
}
