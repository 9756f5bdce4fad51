package xlsx

import (
	"bytes"
	"errors"
	"io"
	"unicode/utf8"
)

// scanner reads XML as a stream of events with a window of bounded size. It
// knows what workbook parts need: elements by local name, attributes, text,
// CDATA, the five entities and character references. It checks nesting and
// refuses document types and other encodings than UTF-8. encoding/xml does the
// same several times slower, which shows on lists of many thousand rows.
type scanner struct {
	r        io.Reader
	buf      []byte
	pos, end int
	passed   int // bytes before the window
	eof      bool

	from  int    // where the tag just read begins, from the beginning of the part
	name  []byte // local name of the tag just read; holds until the next event
	attrs []attribute
	chunk []byte // text just read, still encoded unless cdata
	cdata bool

	open      []byte // names of the open elements, one after the other
	marks     []int  // where each begins
	selfClose bool
	rooted    bool
}

type attribute struct{ name, value []byte }

type event uint8

const (
	atStart event = iota
	atEnd
	atText
	atEOF
)

const (
	windowBytes = 64 << 10
	// leastBytes is the window of an empty part.
	leastBytes = 512
	tokenBytes = 1 << 20 // the longest tag or CDATA section
	maxDepth   = 128
)

var (
	errCut      = errors.New("ends in the middle")
	errEncoding = errors.New("not in UTF-8")
	errText     = errors.New("not well-formed text")
)

// newScanner scans a part of about size bytes; most are much smaller than a
// window.
func newScanner(r io.Reader, size uint64) *scanner {
	return &scanner{r: r, buf: make([]byte, min(windowBytes, size+leastBytes))}
}

// more reads further bytes into the window, moving or growing it as needed.
func (s *scanner) more() error {
	if s.eof {
		return io.EOF
	}
	if s.pos > 0 {
		copy(s.buf, s.buf[s.pos:s.end])
		s.passed += s.pos
		s.end -= s.pos
		s.pos = 0
	}
	if s.end == len(s.buf) {
		if len(s.buf) >= tokenBytes {
			return errors.New("a tag is too long")
		}
		grown := make([]byte, 2*len(s.buf))
		copy(grown, s.buf[:s.end])
		s.buf = grown
	}
	n, err := io.ReadAtLeast(s.r, s.buf[s.end:], 1)
	s.end += n
	if errors.Is(err, io.EOF) {
		s.eof = true
		return io.EOF
	}
	return err
}

// next reads one event. Names and chunks hold until the following call.
func (s *scanner) next() (event, error) {
	if s.selfClose {
		s.selfClose = false
		s.pop()
		return atEnd, nil
	}
	for {
		if s.pos == s.end {
			switch err := s.more(); {
			case errors.Is(err, io.EOF):
				if len(s.marks) > 0 || !s.rooted {
					return atEOF, errCut
				}
				return atEOF, nil
			case err != nil:
				return atEOF, err
			}
		}
		if s.buf[s.pos] != '<' {
			found, err := s.readText()
			if err != nil || found {
				return atText, err
			}
			continue
		}
		kind, found, err := s.readMarkup()
		if err != nil || found {
			return kind, err
		}
	}
}

// readText takes text up to the next tag, or as much as the window holds. It
// reports whether there is text to hand on.
func (s *scanner) readText() (bool, error) {
	i := bytes.IndexByte(s.buf[s.pos:s.end], '<')
	for i < 0 && !s.eof && s.end-s.pos < windowBytes/2 {
		seen := s.end - s.pos
		if err := s.more(); err != nil && !errors.Is(err, io.EOF) {
			return false, err
		}
		if i = bytes.IndexByte(s.buf[s.pos+seen:s.end], '<'); i >= 0 {
			i += seen
		}
	}
	cut := s.pos + i
	if i < 0 {
		cut = s.end
		if !s.eof {
			cut = s.safeCut()
		}
	}
	s.chunk, s.cdata = s.buf[s.pos:cut], false
	s.pos = cut
	if len(s.marks) > 0 {
		return true, nil
	}
	if outside := bytes.TrimPrefix(s.chunk, []byte("\xef\xbb\xbf")); len(bytes.TrimSpace(outside)) > 0 {
		if s.rooted {
			return false, errors.New("text after the end")
		}
		return false, errEncoding
	}
	return false, nil
}

// safeCut ends a piece of text before an unfinished reference or line break.
func (s *scanner) safeCut() int {
	cut := s.end
	tail := max(s.pos, s.end-16)
	if i := bytes.LastIndexByte(s.buf[tail:s.end], '&'); i >= 0 && bytes.IndexByte(s.buf[tail+i:s.end], ';') < 0 {
		cut = tail + i
	}
	if cut > s.pos && s.buf[cut-1] == '\r' {
		cut--
	}
	if cut == s.pos {
		return s.end
	}
	return cut
}

// readMarkup takes what begins with "<". It reports whether that is an event.
func (s *scanner) readMarkup() (event, bool, error) {
	for s.end-s.pos < len("<![CDATA[") && !s.eof {
		if err := s.more(); err != nil && !errors.Is(err, io.EOF) {
			return 0, false, err
		}
	}
	rest := s.buf[s.pos:s.end]
	s.from = s.passed + s.pos
	second := byte(0)
	if len(rest) > 1 {
		second = rest[1]
	}
	switch {
	case second == '/':
		return atEnd, true, s.readEnd()
	case second == '?':
		body, err := s.until("<?", "?>")
		if err == nil && bytes.HasPrefix(body, []byte("xml ")) {
			err = declared(body)
		}
		return 0, false, err
	case second != '!':
		return atStart, true, s.readStart()
	case bytes.HasPrefix(rest, []byte("<!--")):
		return 0, false, s.skipComment()
	case bytes.HasPrefix(rest, []byte("<![CDATA[")):
		body, err := s.until("<![CDATA[", "]]>")
		if err == nil && len(s.marks) == 0 {
			err = errText
		}
		s.chunk, s.cdata = body, true
		return atText, true, err
	default:
		return 0, false, errors.New("a document type declaration")
	}
}

// readEnd takes an end tag.
func (s *scanner) readEnd() error {
	var body []byte
	if i := bytes.IndexByte(s.buf[s.pos:s.end], '>'); i >= 0 {
		body = s.buf[s.pos+len("</") : s.pos+i]
		s.pos += i + 1
	} else {
		var err error
		if body, err = s.until("</", ">"); err != nil {
			return err
		}
	}
	for len(body) > 0 && space(body[len(body)-1]) {
		body = body[:len(body)-1]
	}
	return s.close(body)
}

// until takes the bytes between the opening at the position and the closing mark.
func (s *scanner) until(opening, closing string) ([]byte, error) {
	from := len(opening)
	for {
		if i := bytes.Index(s.buf[s.pos+from:s.end], []byte(closing)); i >= 0 {
			body := s.buf[s.pos+len(opening) : s.pos+from+i]
			s.pos += from + i + len(closing)
			return body, nil
		}
		from = max(len(opening), s.end-s.pos-len(closing)+1)
		if err := s.more(); errors.Is(err, io.EOF) {
			return nil, errCut
		} else if err != nil {
			return nil, err
		}
	}
}

// skipComment passes over a comment of any length.
func (s *scanner) skipComment() error {
	s.pos += len("<!--")
	for {
		if i := bytes.Index(s.buf[s.pos:s.end], []byte("-->")); i >= 0 {
			s.pos += i + len("-->")
			return nil
		}
		s.pos = max(s.pos, s.end-2)
		if err := s.more(); errors.Is(err, io.EOF) {
			return errCut
		} else if err != nil {
			return err
		}
	}
}

// declared accepts no encoding but UTF-8.
func declared(body []byte) error {
	i := bytes.Index(body, []byte("encoding"))
	if i < 0 {
		return nil
	}
	value := bytes.TrimLeft(body[i+len("encoding"):], " \t\r\n=")
	if len(value) < 2 || !bytes.EqualFold(value[1:min(len(value), 6)], []byte("utf-8")) {
		return errEncoding
	}
	return nil
}

// readStart takes a start tag with its attributes.
func (s *scanner) readStart() error {
	stop, err := s.tagEnd()
	if err != nil {
		return err
	}
	body := s.buf[s.pos+1 : stop]
	s.pos = stop + 1
	if len(body) > 0 && body[len(body)-1] == '/' {
		s.selfClose = true
		body = body[:len(body)-1]
	}
	n := 0
	for n < len(body) && !space(body[n]) {
		switch body[n] {
		case '=', '"', '\'', '/', '&':
			return errors.New("a tag without a name")
		}
		n++
	}
	if n == 0 {
		return errors.New("a tag without a name")
	}
	full := body[:n]
	if len(s.marks) == 0 && s.rooted {
		return errors.New("more than one root")
	}
	if len(s.marks) >= maxDepth {
		return errors.New("nested too deep")
	}
	s.rooted = true
	s.marks = append(s.marks, len(s.open))
	s.open = append(s.open, full...)
	s.name = local(full)
	return s.readAttrs(body[n:])
}

// tagEnd finds the ">" of the tag at the position, outside of quotes.
func (s *scanner) tagEnd() (int, error) {
	i, quote := s.pos+1, byte(0)
	for {
		for ; i < s.end; i++ {
			switch c := s.buf[i]; {
			case quote != 0:
				if c == quote {
					quote = 0
				}
			case c == '"' || c == '\'':
				quote = c
			case c == '>':
				return i, nil
			case c == '<':
				return 0, errors.New("a tag within a tag")
			}
		}
		i -= s.pos
		if err := s.more(); errors.Is(err, io.EOF) {
			return 0, errCut
		} else if err != nil {
			return 0, err
		}
		i += s.pos
	}
}

func (s *scanner) readAttrs(b []byte) error {
	s.attrs = s.attrs[:0]
	for i := 0; ; {
		for i < len(b) && space(b[i]) {
			i++
		}
		if i == len(b) {
			return nil
		}
		begin := i
		for i < len(b) && b[i] != '=' && !space(b[i]) {
			i++
		}
		name := b[begin:i]
		for i < len(b) && space(b[i]) {
			i++
		}
		if len(name) == 0 || i == len(b) || b[i] != '=' {
			return errors.New("an attribute without a value")
		}
		i++
		for i < len(b) && space(b[i]) {
			i++
		}
		if i == len(b) || (b[i] != '"' && b[i] != '\'') {
			return errors.New("an attribute without quotes")
		}
		length := bytes.IndexByte(b[i+1:], b[i])
		if length < 0 {
			return errors.New("an attribute without an end")
		}
		s.attrs = append(s.attrs, attribute{name: local(name), value: b[i+1 : i+1+length]})
		i += length + 2
	}
}

// attr is the undecoded value of the attribute with the local name.
func (s *scanner) attr(name string) []byte {
	for i := range s.attrs {
		if string(s.attrs[i].name) == name {
			return s.attrs[i].value
		}
	}
	return nil
}

// attrText is the decoded value of an attribute.
func (s *scanner) attrText(name string) (string, error) {
	b, err := appendText(nil, s.attr(name), false)
	return string(b), err
}

func (s *scanner) close(full []byte) error {
	if len(s.marks) == 0 || !bytes.Equal(s.open[s.marks[len(s.marks)-1]:], full) {
		return errors.New("an end tag without its start")
	}
	s.name = local(full)
	s.pop()
	return nil
}

// to is where the tag just read ends, from the beginning of the part.
func (s *scanner) to() int { return s.passed + s.pos }

func (s *scanner) pop() {
	last := len(s.marks) - 1
	s.open = s.open[:s.marks[last]]
	s.marks = s.marks[:last]
}

// skip passes over the rest of the element whose start was just read.
func (s *scanner) skip() error {
	for depth := len(s.marks); ; {
		kind, err := s.next()
		if err != nil {
			return err
		}
		if kind == atEnd && len(s.marks) < depth {
			return nil
		}
	}
}

// text appends the text of the element whose start was just read. Elements
// inside it are passed over.
func (s *scanner) text(dst []byte, most int) ([]byte, error) {
	begin := len(dst)
	for {
		kind, err := s.next()
		if err != nil {
			return dst, err
		}
		switch kind {
		case atStart:
			if err := s.skip(); err != nil {
				return dst, err
			}
		case atText:
			if dst, err = appendText(dst, s.chunk, s.cdata); err != nil {
				return dst, err
			}
			if len(dst)-begin > most {
				return dst, errLongCell
			}
		case atEnd:
			if !utf8.Valid(dst[begin:]) {
				return dst, errEncoding
			}
			return dst, nil
		}
	}
}

var errLongCell = errors.New("the text of a cell is too long")

// local strips the namespace prefix.
func local(name []byte) []byte {
	if i := bytes.IndexByte(name, ':'); i > 0 && i < len(name)-1 {
		return name[i+1:]
	}
	return name
}

func space(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }
