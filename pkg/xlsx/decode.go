package xlsx

import (
	"bytes"
	"fmt"
	"strconv"
	"unicode/utf8"
)

// appendText decodes references and line breaks as XML 1.0 has it.
func appendText(dst, raw []byte, cdata bool) ([]byte, error) {
	for i := 0; i < len(raw); i++ {
		switch c := raw[i]; {
		case c == '&' && !cdata:
			semicolon := bytes.IndexByte(raw[i:], ';')
			if semicolon < 2 {
				return dst, errText
			}
			var err error
			if dst, err = appendReference(dst, raw[i+1:i+semicolon]); err != nil {
				return dst, err
			}
			i += semicolon
		case c == '\r':
			if i+1 < len(raw) && raw[i+1] == '\n' {
				i++
			}
			dst = append(dst, '\n')
		case c < ' ' && c != '\t' && c != '\n':
			return dst, errText
		default:
			dst = append(dst, c)
		}
	}
	return dst, nil
}

func appendReference(dst, name []byte) ([]byte, error) {
	switch string(name) {
	case "amp":
		return append(dst, '&'), nil
	case "lt":
		return append(dst, '<'), nil
	case "gt":
		return append(dst, '>'), nil
	case "quot":
		return append(dst, '"'), nil
	case "apos":
		return append(dst, '\''), nil
	}
	if name[0] != '#' || len(name) < 2 {
		return dst, fmt.Errorf("unknown entity %q", name)
	}
	digits, base := name[1:], 10
	if digits[0] == 'x' {
		digits, base = digits[1:], 16
	}
	n, err := strconv.ParseUint(string(digits), base, 32)
	if err != nil || !validRune(rune(n)) || n > utf8.MaxRune {
		return dst, errText
	}
	return utf8.AppendRune(dst, rune(n)), nil
}

// validRune reports whether XML 1.0 allows the character.
func validRune(r rune) bool {
	return r == '\t' || r == '\n' || r == '\r' || (r >= ' ' && r <= 0xD7FF) || (r >= 0xE000 && r <= 0xFFFD) || r >= 0x10000
}
