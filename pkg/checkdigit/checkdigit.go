// Package checkdigit forms the numbers that people read out and type, such as
// PSAM-2026-000123-8: their last digit tells a typing error.
package checkdigit

import (
	"fmt"
	"regexp"
	"strings"
)

// The Damm quasigroup of order 10 (H. M. Damm, 2004): its check digit finds
// every single wrong digit and every swap of neighbours.
var damm = [10][10]byte{
	{0, 3, 1, 7, 5, 9, 8, 6, 4, 2}, {7, 0, 9, 2, 1, 5, 4, 8, 6, 3}, {4, 2, 0, 6, 8, 7, 1, 3, 5, 9},
	{1, 7, 5, 0, 9, 8, 3, 4, 2, 6}, {6, 1, 2, 3, 0, 4, 5, 9, 7, 8}, {3, 6, 7, 4, 2, 0, 9, 5, 8, 1},
	{5, 8, 6, 9, 7, 2, 0, 1, 3, 4}, {8, 9, 4, 5, 3, 6, 2, 0, 1, 7}, {9, 4, 3, 8, 6, 1, 7, 2, 0, 5},
	{2, 5, 8, 1, 4, 3, 6, 7, 9, 0},
}

var form = regexp.MustCompile(`^([A-Z]+)-([0-9]{4})-([0-9]{6,})-([0-9])$`)

func digit(digits string) byte {
	var interim byte
	for i := range len(digits) {
		interim = damm[interim][digits[i]-'0']
	}
	return interim
}

// Number forms the number of a year's n-th of a kind. kind is upper-case letters
// and is not in the digit: two kinds may have the same.
func Number(kind string, year int, n int64) string {
	return fmt.Sprintf("%s-%04d-%06d-%d", kind, year, n, digit(fmt.Sprintf("%04d%06d", year, n)))
}

// Parse returns a number as Number writes it: upper case, without spaces around
// it; ok is false if it cannot be one of this kind, for a typing error for
// instance.
func Parse(kind, s string) (number string, ok bool) {
	s = strings.ToUpper(strings.TrimSpace(s))
	m := form.FindStringSubmatch(s)
	if m == nil || m[1] != kind || digit(m[2]+m[3]) != m[4][0]-'0' {
		return "", false
	}
	return s, true
}
