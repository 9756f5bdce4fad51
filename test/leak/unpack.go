package leak

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"os/exec"
	"strconv"
)

const (
	deepest = 8         // how often something may be packed in something
	most    = 512 << 20 // bytes of one packed text
)

// unpack gives out what is packed in text: entries of zip archives wherever they begin
// (of XLSX and DOCX too, and of an archive in the middle of something), streams of a
// PDF and its words, gzip, and the bytes that a dump of PostgreSQL writes in hex.
func (s *Search) unpack(place string, text []byte, inner func(name string, body []byte)) {
	s.zips(place, text, inner)
	each(text, []byte{0x1F, 0x8B, 8}, func(at int) {
		if r, err := gzip.NewReader(bytes.NewReader(text[at:])); err == nil {
			s.inflate(place, fmt.Sprintf("gzip@%d", at), r, inner)
		}
	})
	if bytes.HasPrefix(text, []byte("%PDF-")) {
		s.pdf(place, text, inner)
	}
	each(text, []byte(`\x`), func(at int) {
		digits := text[at+2:]
		n := 0
		for n < len(digits) && isHex(digits[n]) {
			n++
		}
		if n >= 2*window {
			inner(fmt.Sprintf("bytes@%d", at), unhex(digits[:n]))
		}
	})
}

// unhex reads the whole pairs of some hex digits.
func unhex(digits []byte) []byte {
	body := make([]byte, len(digits)/2)
	_, _ = hex.Decode(body, digits[:2*len(body)])
	return body
}

func isHex(c byte) bool { return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F' }

func each(text, mark []byte, do func(at int)) {
	for from := 0; ; {
		n := bytes.Index(text[from:], mark)
		if n < 0 {
			return
		}
		do(from + n)
		from += n + len(mark)
	}
}

// zips gives out the entries of archives by their local headers (APPNOTE 4.3.7), which
// stand before each, whatever came of the archive's end. A stored entry is in the text
// as it is.
func (s *Search) zips(place string, text []byte, inner func(name string, body []byte)) {
	const header = 30
	each(text, []byte("PK\x03\x04"), func(at int) {
		h := text[at:]
		if len(h) < header {
			return
		}
		flags, method := binary.LittleEndian.Uint16(h[6:]), binary.LittleEndian.Uint16(h[8:])
		name, extra := int(binary.LittleEndian.Uint16(h[26:])), int(binary.LittleEndian.Uint16(h[28:]))
		if len(h) < header+name+extra {
			return
		}
		called := string(h[header : header+name])
		switch body := h[header+name+extra:]; {
		case flags&1 != 0:
			s.closed = append(s.closed, place+"!"+called+": encrypted")
		case method == 8:
			s.inflate(place, called, flate.NewReader(bytes.NewReader(body)), inner)
		case method != 0:
			s.closed = append(s.closed, place+"!"+called+": packed by method "+strconv.Itoa(int(method)))
		}
	})
}

// inflate gives out what r has, as far as it goes: what looked like a packed text may
// be none.
func (s *Search) inflate(place, name string, r io.Reader, inner func(name string, body []byte)) {
	body, _ := io.ReadAll(io.LimitReader(r, most+1))
	if len(body) > most {
		s.closed = append(s.closed, place+"!"+name+": too large")
		return
	}
	if len(body) > 0 {
		inner(name, body)
	}
}

// pdf gives out the deflated streams of a PDF, and its words: fonts are subsets with
// codes of their own, so that no word stands in a stream as it is read.
func (s *Search) pdf(place string, text []byte, inner func(name string, body []byte)) {
	each(text, []byte("stream"), func(at int) {
		body := bytes.TrimLeft(text[at+len("stream"):], "\r\n")
		if r, err := zlib.NewReader(bytes.NewReader(body)); err == nil {
			s.inflate(place, fmt.Sprintf("stream@%d", at), r, inner)
		}
	})
	cmd := exec.Command("pdftotext", "-layout", "-", "-")
	cmd.Stdin = bytes.NewReader(text)
	words, err := cmd.Output()
	if err != nil {
		s.closed = append(s.closed, fmt.Sprintf("%s: pdftotext: %v", place, err))
		return
	}
	inner("words", words)
}
