package xlsx

import (
	"bytes"
	"strconv"
	"strings"
	"unicode/utf8"
)

// sharedStrings is the table of a workbook's repeated texts in one piece of
// memory: a cell's text is a part of it and costs nothing.
type sharedStrings struct {
	all  string
	ends []uint32
}

func (t *sharedStrings) at(i int) (string, bool) {
	if i < 0 || i >= len(t.ends) {
		return "", false
	}
	begin := uint32(0)
	if i > 0 {
		begin = t.ends[i-1]
	}
	return t.all[begin:t.ends[i]], true
}

// load reads the shared strings and the styles once, before the first sheet.
func (w *Workbook) load() error {
	if w.loaded {
		return nil
	}
	w.shared = &sharedStrings{}
	if w.stringsPart != "" && w.parts[partKey(w.stringsPart)] != nil {
		if err := w.readShared(); err != nil {
			return err
		}
	}
	if w.stylesPart != "" && w.parts[partKey(w.stylesPart)] != nil {
		if err := w.readStyles(); err != nil {
			return err
		}
	}
	w.loaded = true
	return nil
}

func (w *Workbook) readShared() error {
	// The part's own bytes bound the table: it cannot be longer than its XML.
	var all strings.Builder
	// Most of the rest is tags. Growing by doubling would hold it twice over.
	all.Grow(int(min(w.parts[partKey(w.stringsPart)].UncompressedSize64, uint64(w.limits.PartBytes)) / 2))
	var item []byte
	err := w.scan(w.stringsPart, func(s *scanner, tag string) (err error) {
		if tag != "si" {
			return nil
		}
		if item, err = readRichText(s, item[:0], w.limits.CellBytes); err != nil {
			return err
		}
		if bytes.Contains(item, []byte("_x")) {
			all.WriteString(unescape(item))
		} else {
			all.Write(item)
		}
		w.shared.ends = append(w.shared.ends, uint32(all.Len())) // bounded by Limits.PartBytes
		return nil
	})
	w.shared.all = all.String()
	return err
}

// readRichText appends the text of an <si> or <is>: its plain text and its
// runs, without the phonetic reading aids.
func readRichText(s *scanner, dst []byte, most int) ([]byte, error) {
	begin := len(dst)
	depth := len(s.marks)
	for {
		kind, err := s.next()
		if err != nil {
			return dst, err
		}
		switch kind {
		case atStart:
			switch string(s.name) {
			case "r":
			case "t":
				if dst, err = s.text(dst, most); err != nil {
					return dst, err
				}
				if len(dst)-begin > most {
					return dst, errLongCell
				}
			default:
				if err := s.skip(); err != nil {
					return dst, err
				}
			}
		case atEnd:
			if len(s.marks) < depth {
				return dst, nil
			}
		}
	}
}

// unescape replaces the _xHHHH_ by which Excel writes characters that XML has
// none of; a surrogate alone stands for nothing.
func unescape(b []byte) string {
	text := string(b)
	i := strings.Index(text, "_x")
	if i < 0 {
		return text
	}
	var out strings.Builder
	for i >= 0 {
		out.WriteString(text[:i])
		text = text[i:]
		if len(text) >= 7 && text[6] == '_' && isHex(text[2:6]) {
			n, _ := strconv.ParseUint(text[2:6], 16, 16)
			if r := rune(n); utf8.ValidRune(r) {
				out.WriteRune(r)
			}
			text = text[7:]
		} else {
			out.WriteString(text[:2])
			text = text[2:]
		}
		i = strings.Index(text, "_x")
	}
	out.WriteString(text)
	return out.String()
}

func isHex(s string) bool {
	for _, c := range []byte(s) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') && (c < 'A' || c > 'F') {
			return false
		}
	}
	return true
}
