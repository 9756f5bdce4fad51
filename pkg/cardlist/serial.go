package cardlist

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Normalise brings a serial number into the one form in which it is stored and
// compared (users.md F.3): NFC, upper case, without the spaces around it and
// without the characters that nobody sees: no-break spaces, zero-width
// characters, soft hyphens, control characters.
func Normalise(serial string) string {
	serial = strings.Map(func(r rune) rune {
		if hidden(r) {
			return -1
		}
		return r
	}, serial)
	// What was dropped may have kept parts of a character from joining, and
	// upper case may part them again.
	return strings.TrimSpace(norm.NFC.String(strings.ToUpper(norm.NFC.String(serial))))
}

// NormaliseUID brings what a chip calls itself into the form in which it is compared:
// upper case hexadecimal digits without what people put between the bytes.
func NormaliseUID(uid string) string {
	return strings.NewReplacer(" ", "", ":", "", "-", "").Replace(Normalise(uid))
}

// uidForm is 4 to 32 bytes.
var uidForm = regexp.MustCompile(`^([0-9A-F]{2}){4,32}$`)

// IsUID tells whether a text can be the UID of a chip, as NormaliseUID has it.
func IsUID(uid string) bool { return uidForm.MatchString(uid) }

// Invisible says whether a serial number as it was typed holds characters that
// nobody sees and that Normalise drops. Ordinary spaces around it do not count.
func Invisible(typed string) bool { return strings.ContainsFunc(typed, hidden) }

func hidden(r rune) bool {
	if r < utf8.RuneSelf { // nearly all of them
		return r < ' ' || r == 0x7f
	}
	return r == '\u00a0' || r == '\u202f' || r == utf8.RuneError || unicode.In(r, unicode.Cc, unicode.Cf)
}
