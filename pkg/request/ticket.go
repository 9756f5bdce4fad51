package request

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

var ticketForm = regexp.MustCompile(`^PSAM-([0-9]{4})-([0-9]{6,})-([0-9])$`)

func checkDigit(digits string) byte {
	var interim byte
	for i := range len(digits) {
		interim = damm[interim][digits[i]-'0']
	}
	return interim
}

// NewTicket forms the Kode Tiket of a year's request, such as
// PSAM-2026-000123-8: the key that people use everywhere (features.md N22). The
// last digit is a check digit.
func NewTicket(year int, number int64) string {
	digits := fmt.Sprintf("%04d%06d", year, number)
	return fmt.Sprintf("PSAM-%04d-%06d-%d", year, number, checkDigit(digits))
}

// ParseTicket returns the ticket as it is written by us: upper case, without
// spaces around it; ok is false if it cannot be one of ours, for a typing error
// for instance.
func ParseTicket(s string) (ticket string, ok bool) {
	s = strings.ToUpper(strings.TrimSpace(s))
	m := ticketForm.FindStringSubmatch(s)
	if m == nil || checkDigit(m[1]+m[2]) != m[3][0]-'0' {
		return "", false
	}
	return s, true
}
