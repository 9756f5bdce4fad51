package filetype

import (
	"bytes"
	"errors"
	"strconv"
)

// Objects of a PDF (ISO 32000-1, section 7.3): nil, bool, float64, pdfName,
// pdfText, []any, pdfDict, pdfRef. Texts are passed over: no rule needs one.
type (
	pdfName string
	pdfText struct{}
	pdfDict map[pdfName]any
	pdfRef  struct{ number, generation int }
)

const (
	maxNesting = 64     // of arrays and dictionaries
	maxValues  = 50_000 // of one object
)

var errSyntax = errors.New("no PDF object")

// pdfWork is how many bytes may still be looked at, those looked at again too:
// what makes a reader go over the same bytes again and again is no paper.
type pdfWork struct{ left int }

func (w *pdfWork) done() bool { return w.left < 0 }

// pdfReader reads objects from b.
type pdfReader struct {
	b      []byte
	at     int
	values int      // read so far
	work   *pdfWork // nil counts nothing
}

// spend counts bytes that were looked at; when none are left, the file ends.
func (r *pdfReader) spend(n int) {
	if r.work == nil {
		return
	}
	if r.work.left -= n; r.work.done() {
		r.at = len(r.b)
	}
}

func pdfSpace(c byte) bool {
	return c == ' ' || c == '\n' || c == '\r' || c == '\t' || c == '\f' || c == 0
}

func pdfDelimiter(c byte) bool {
	switch c {
	case '(', ')', '<', '>', '[', ']', '{', '}', '/', '%':
		return true
	}
	return false
}

func (r *pdfReader) space() {
	begin := r.at
	defer func() { r.spend(r.at - begin) }()
	for r.at < len(r.b) {
		switch c := r.b[r.at]; {
		case pdfSpace(c):
			r.at++
		case c == '%':
			for r.at < len(r.b) && r.b[r.at] != '\n' && r.b[r.at] != '\r' {
				r.at++
			}
		default:
			return
		}
	}
}

// word reads a run of regular characters; it may be empty.
func (r *pdfReader) word() []byte {
	r.space()
	begin := r.at
	for r.at < len(r.b) && !pdfSpace(r.b[r.at]) && !pdfDelimiter(r.b[r.at]) {
		r.at++
	}
	word := r.b[begin:r.at]
	r.spend(len(word))
	return word
}

// keyword passes over the word when it comes next.
func (r *pdfReader) keyword(word string) bool {
	before := r.at
	if r.space(); bytes.HasPrefix(r.b[min(r.at, len(r.b)):], []byte(word)) {
		r.at += len(word)
		return true
	}
	if r.at = before; r.work != nil && r.work.done() {
		r.at = len(r.b)
	}
	return false
}

// count reads a whole number that is not negative.
func (r *pdfReader) count() (int, bool) {
	before := r.at
	n, err := strconv.ParseUint(string(r.word()), 10, 31)
	if err != nil {
		if r.at = before; r.work != nil && r.work.done() {
			r.at = len(r.b)
		}
		return 0, false
	}
	return int(n), true
}

func (r *pdfReader) object(depth int) (any, error) {
	if r.values++; depth > maxNesting || r.values > maxValues {
		return nil, errSyntax
	}
	r.space()
	if r.at >= len(r.b) {
		return nil, errSyntax
	}
	switch c := r.b[r.at]; {
	case c == '/':
		r.at++
		return r.name(), nil
	case c == '(':
		return pdfText{}, r.text()
	case c == '[':
		r.at++
		return r.array(depth)
	case c == '<' && r.at+1 < len(r.b) && r.b[r.at+1] == '<':
		r.at += 2
		return r.dict(depth)
	case c == '<':
		end := bytes.IndexByte(r.b[r.at:], '>')
		if end < 0 {
			r.spend(len(r.b) - r.at)
			return nil, errSyntax
		}
		r.spend(end)
		r.at += end + 1
		return pdfText{}, nil
	}
	return r.simple()
}

// simple reads a reference, a number or a word.
func (r *pdfReader) simple() (any, error) {
	before := r.at
	if number, ok := r.count(); ok {
		after := r.at
		if generation, ok := r.count(); ok && r.keyword("R") {
			return pdfRef{number, generation}, nil
		}
		r.at = after
		return float64(number), nil
	}
	if r.at = before; r.work != nil && r.work.done() {
		return nil, errSyntax
	}
	word := string(r.word())
	switch word {
	case "null":
		return nil, nil
	case "true", "false":
		return word == "true", nil
	case "":
		return nil, errSyntax
	}
	if number, err := strconv.ParseFloat(word, 64); err == nil {
		return number, nil
	}
	return nil, errSyntax
}

func (r *pdfReader) name() pdfName {
	begin := r.at
	for r.at < len(r.b) && !pdfSpace(r.b[r.at]) && !pdfDelimiter(r.b[r.at]) {
		r.at++
	}
	word := r.b[begin:r.at]
	r.spend(len(word))
	if bytes.IndexByte(word, '#') < 0 {
		return pdfName(word)
	}
	var out []byte
	for i := 0; i < len(word); i++ {
		if word[i] == '#' && i+2 < len(word) {
			if n, err := strconv.ParseUint(string(word[i+1:i+3]), 16, 8); err == nil {
				out = append(out, byte(n))
				i += 2
				continue
			}
		}
		out = append(out, word[i])
	}
	return pdfName(out)
}

func (r *pdfReader) text() error {
	depth, begin := 0, r.at
	defer func() { r.spend(r.at - begin) }()
	for ; r.at < len(r.b); r.at++ {
		switch r.b[r.at] {
		case '\\':
			r.at++
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				r.at++
				return nil
			}
		}
	}
	return errSyntax
}

func (r *pdfReader) array(depth int) ([]any, error) {
	list := []any{}
	for {
		if r.keyword("]") {
			return list, nil
		}
		value, err := r.object(depth + 1)
		if err != nil {
			return nil, err
		}
		list = append(list, value)
	}
}

func (r *pdfReader) dict(depth int) (pdfDict, error) {
	d := pdfDict{}
	for {
		if r.keyword(">>") {
			return d, nil
		}
		if !r.keyword("/") {
			return nil, errSyntax
		}
		key := r.name()
		if r.keyword(">>") { // a name without its value, as some programs leave it
			return d, nil
		}
		value, err := r.object(depth + 1)
		if err != nil {
			return nil, err
		}
		d[key] = value
	}
}

// whole is a number as an int; false for what is none.
func whole(value any) (int, bool) {
	f, ok := value.(float64)
	if !ok || f != float64(int32(f)) {
		return 0, false
	}
	return int(f), true
}
