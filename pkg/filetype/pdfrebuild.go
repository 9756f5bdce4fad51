package filetype

import (
	"bytes"
	"errors"
)

// rebuild looks for the objects of a file whose table is wrong: each where its
// header stands, the last of a number counting, and the trailer.
func (p *pdfFile) rebuild() error {
	p.rebuilt = true
	bundles, bundled := []int{}, map[int]bool{}
	for at := 0; ; {
		if p.work.done() {
			return &exhaustedError{"objects"}
		}
		i := bytes.Index(p.b[at:], []byte("obj"))
		if i < 0 {
			break
		}
		begin, number, ok := headerBefore(p.b, at+i)
		at += i + len("obj")
		if !ok {
			continue
		}
		if p.table[number] = (pdfPlace{offset: begin}); len(p.table) > maxObjects {
			return &exhaustedError{"objects"}
		}
		r := p.from(at)
		value, err := p.object(r)
		if isExhausted(err) {
			return err
		}
		d, ok := value.(pdfDict)
		if err != nil || !ok {
			continue
		}
		at = r.at
		switch d["Type"] {
		case pdfName("ObjStm"):
			if !bundled[number] {
				bundles, bundled[number] = append(bundles, number), true
			}
		case pdfName("XRef"):
			p.mend(d)
		case pdfName("Catalog"):
			if p.trailer["Root"] == nil {
				p.mend(pdfDict{"Root": pdfRef{number: number}})
			}
		}
		// What is in a stream is no object of this file, an enclosed PDF least of all.
		if n, ok := whole(d["Length"]); ok && r.keyword("stream") && n >= 0 && n <= len(p.b)-r.at {
			if bytes.HasPrefix(bytes.TrimLeft(p.b[r.at+n:min(len(p.b), r.at+n+16)], "\r\n"), []byte("endstream")) {
				at = r.at + n
			}
		}
	}
	if err := p.trailers(); err != nil {
		return err
	}
	if p.trailer["Root"] == nil {
		return errors.New("no trailer and no catalog")
	}
	for _, number := range bundles {
		if err := p.unfold(number); err != nil {
			return err
		}
	}
	return nil
}

// trailers reads the trailers in their order.
func (p *pdfFile) trailers() error {
	for at := 0; ; {
		i := bytes.Index(p.b[at:], []byte("trailer"))
		if i < 0 {
			return nil
		}
		at += i + len("trailer")
		value, err := p.object(p.from(at))
		if isExhausted(err) {
			return err
		}
		if d, ok := value.(pdfDict); ok && err == nil {
			p.mend(d)
		}
	}
}

// mend adds what a trailer says; later ones count.
func (p *pdfFile) mend(d pdfDict) {
	if p.trailer == nil {
		p.trailer = pdfDict{}
	}
	for _, key := range []pdfName{"Root", "Encrypt"} {
		if d[key] != nil {
			p.trailer[key] = d[key]
		}
	}
}

// unfold adds the objects within a stream that do not stand on their own.
func (p *pdfFile) unfold(number int) error {
	bundle, err := p.bundle(number)
	if err != nil {
		if isExhausted(err) && !p.encrypted() {
			return err
		}
		return nil // the pages may not need it
	}
	for within := range bundle.at {
		if place, ok := p.table[within]; !ok || place.within > 0 {
			p.table[within] = pdfPlace{within: number}
		}
	}
	if len(p.table) > maxObjects {
		return &exhaustedError{"objects"}
	}
	return nil
}

// headerBefore reads "12 0 " before the word obj at an offset.
func headerBefore(b []byte, obj int) (begin, number int, ok bool) {
	at := obj
	digits := func() bool {
		end := at
		for at > 0 && end-at < 10 && b[at-1] >= '0' && b[at-1] <= '9' {
			at--
		}
		return at < end
	}
	blanks := func() bool {
		end := at
		for at > 0 && end-at < 8 && pdfSpace(b[at-1]) {
			at--
		}
		return at < end
	}
	blanks()
	if !digits() || !blanks() || !digits() {
		return 0, 0, false
	}
	r := &pdfReader{b: b[:obj], at: at}
	number, ok = r.count()
	return at, number, ok
}
