package leak

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"strconv"
	"strings"
	"unicode/utf16"
)

// form is a way to write bytes down.
type form struct {
	name   string
	binary bool // also for secrets that are bytes, not only for text
	write  func(part []byte) []byte
}

// forms are all that is looked for. A part is written so as it would stand in the
// middle of a longer text in that form.
var forms = allForms()

func allForms() []form {
	list := []form{{"raw bytes", true, bytes.Clone}}
	text := func(name string, write func([]byte) string) {
		list = append(list,
			form{name, true, func(p []byte) []byte { return []byte(write(p)) }},
			form{name + ", UTF-16 LE", true, func(p []byte) []byte { return wide(write(p), 0) }},
			form{name + ", UTF-16 BE", true, func(p []byte) []byte { return wide(write(p), 1) }},
		)
	}
	text("hex", hex.EncodeToString)
	text("HEX", func(p []byte) string { return strings.ToUpper(hex.EncodeToString(p)) })
	for _, between := range []string{" ", ":", "-"} {
		text("hex with "+strconv.Quote(between), func(p []byte) string { return spaced(p, between) })
		text("HEX with "+strconv.Quote(between), func(p []byte) string { return strings.ToUpper(spaced(p, between)) })
	}
	for shift := range 3 {
		after := " after " + strconv.Itoa(shift)
		text("base64"+after, func(p []byte) string { return inner64(base64.RawStdEncoding, p, shift) })
		text("base64url"+after, func(p []byte) string { return inner64(base64.RawURLEncoding, p, shift) })
	}
	for _, between := range []string{" ", ",", ", "} { // %v, JSON, and JSON as others write it
		list = append(list, form{"numbers with " + strconv.Quote(between), true, func(p []byte) []byte { return []byte(numbers(p, between)) }})
	}
	list = append(list,
		form{"Go syntax, as %#v", true, func(p []byte) []byte { return []byte(literal(p)) }},
		form{"UTF-16 LE", false, func(p []byte) []byte { return wide(string(p), 0) }},
		form{"UTF-16 BE", false, func(p []byte) []byte { return wide(string(p), 1) }},
	)
	return list
}

func spaced(part []byte, between string) string {
	digits := make([]string, len(part))
	for i, b := range part {
		digits[i] = hex.EncodeToString([]byte{b})
	}
	return strings.Join(digits, between)
}

// inner64 is what stands for the part within a longer base64 text in which it comes
// shift bytes after a multiple of three: those characters that it alone makes.
func inner64(e *base64.Encoding, part []byte, shift int) string {
	whole := e.EncodeToString(append(make([]byte, shift), part...))
	first := (8*shift + 5) / 6
	return whole[first : 8*(shift+len(part))/6]
}

func numbers(part []byte, between string) string {
	list := make([]string, len(part))
	for i, b := range part {
		list[i] = strconv.Itoa(int(b))
	}
	return strings.Join(list, between)
}

func literal(part []byte) string {
	list := make([]string, len(part))
	for i, b := range part {
		list[i] = "0x" + strconv.FormatUint(uint64(b), 16)
	}
	return strings.Join(list, ", ")
}

// wide is UTF-16 with the low byte at the given place of each two.
func wide(text string, low int) []byte {
	var out []byte
	for _, u := range utf16.Encode([]rune(text)) {
		pair := [2]byte{}
		pair[low], pair[1-low] = byte(u), byte(u>>8)
		out = append(out, pair[0], pair[1])
	}
	return out
}
