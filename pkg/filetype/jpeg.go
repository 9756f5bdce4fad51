package filetype

import (
	"encoding/binary"
)

// Markers of a JPEG (ITU-T T.81, table B.1).
const (
	markerSOF0 = 0xc0 // baseline
	markerSOF1 = 0xc1 // extended sequential
	markerSOF2 = 0xc2 // progressive
	markerDHT  = 0xc4
	markerJPG  = 0xc8
	markerDAC  = 0xcc
	markerRST0 = 0xd0
	markerSOI  = 0xd8
	markerEOI  = 0xd9
	markerSOS  = 0xda
	markerDRI  = 0xdd
)

// jpegPicture is a JPEG being read. Its codes are decoded to the last block, so
// that nothing is missing, but no pixel is made of them: of a progressive
// picture a bit per coefficient is kept, which later scans need, a thirty-second
// of what a decoder holds.
type jpegPicture struct {
	b  []byte
	at int

	width, height int
	progressive   bool
	parts         []jpegPart
	hMax, vMax    int
	restart       int // MCUs between restart markers, 0 without
	tables        [2][4]*huffman
	visits        int // blocks that may still be visited
	work          *Work
}

// jpegPart is a component.
type jpegPart struct {
	id, h, v int
	// across and down are its blocks; stride is across padded to whole MCUs.
	across, down, stride int
	known                []uint64 // coefficients other than zero, in zigzag order
	begun                bool     // its first scan was read
}

// maxVisits is how often each block may be visited: a progressive picture has
// about ten scans, a bomb hundreds.
const maxVisits = 24

func checkJPEG(b []byte, work *Work) error {
	p := &jpegPicture{b: b, at: 2, work: work}
	for {
		marker, err := p.marker()
		if err != nil {
			return err
		}
		if marker == markerEOI {
			return p.complete()
		}
		if marker == markerSOI || marker >= markerRST0 && marker < markerSOI || marker == 0x01 {
			continue // without a body; decoders pass over them
		}
		body, err := p.segment()
		if err != nil {
			return err
		}
		switch {
		case marker == markerSOF0, marker == markerSOF1, marker == markerSOF2:
			err = p.frame(body, marker == markerSOF2)
		case marker == markerDHT:
			err = p.huffmanTables(body)
		case marker == markerDRI:
			if len(body) < 2 {
				return damaged("a restart interval without a value")
			}
			p.restart = int(binary.BigEndian.Uint16(body))
		case marker == markerSOS:
			err = p.scan(body)
		case marker > markerSOF2 && marker <= 0xcf && marker != markerJPG, marker == markerDAC:
			err = &fault{Unsupported, "lossless, hierarchical or arithmetic coding"}
		}
		if err != nil {
			return err
		}
	}
}

// marker finds the next marker; decoders pass over what stands before it.
func (p *jpegPicture) marker() (byte, error) {
	for ; p.at+1 < len(p.b); p.at++ {
		if p.b[p.at] == 0xff && p.b[p.at+1] != 0 && p.b[p.at+1] != 0xff {
			p.at += 2
			return p.b[p.at-1], nil
		}
	}
	return 0, damaged("ends before its end marker")
}

func (p *jpegPicture) segment() ([]byte, error) {
	if len(p.b)-p.at < 2 {
		return nil, damaged("ends in a marker")
	}
	n := int(binary.BigEndian.Uint16(p.b[p.at:]))
	if n < 2 || n > len(p.b)-p.at {
		return nil, damaged("ends in a segment")
	}
	body := p.b[p.at+2 : p.at+n]
	p.at += n
	return body, nil
}

// frame reads the header of the picture (T.81 B.2.2).
func (p *jpegPicture) frame(body []byte, progressive bool) error {
	if p.parts != nil {
		return damaged("two frames")
	}
	if len(body) < 6 || len(body) < 6+3*int(body[5]) {
		return damaged("a frame without its components")
	}
	if body[0] != 8 {
		return &fault{Unsupported, "more than 8 bits"}
	}
	p.height, p.width = int(binary.BigEndian.Uint16(body[1:])), int(binary.BigEndian.Uint16(body[3:]))
	if err := checkSize(p.width, p.height); err != nil {
		return err
	}
	n := int(body[5])
	if n != 1 && n != 3 && n != 4 {
		return damaged("%d components", n)
	}
	p.progressive = progressive
	for i := range n {
		c := body[6+3*i:]
		part := jpegPart{id: int(c[0]), h: int(c[1] >> 4), v: int(c[1] & 15)}
		if part.h < 1 || part.h > 4 || part.v < 1 || part.v > 4 {
			return damaged("a component of %d by %d", part.h, part.v)
		}
		if n == 1 {
			part.h, part.v = 1, 1 // alone, its blocks stand in plain order (T.81 A.2.2)
		}
		p.hMax, p.vMax = max(p.hMax, part.h), max(p.vMax, part.v)
		p.parts = append(p.parts, part)
	}
	blocks := 0
	for i := range p.parts {
		c := &p.parts[i]
		c.across = ceil(ceil(p.width*c.h, p.hMax), 8)
		c.down = ceil(ceil(p.height*c.v, p.vMax), 8)
		c.stride = ceil(p.width, 8*p.hMax) * c.h
		n := c.stride * ceil(p.height, 8*p.vMax) * c.v
		if progressive {
			c.known = make([]uint64, n)
		}
		blocks += n
	}
	p.visits = maxVisits * blocks
	return nil
}

// complete wants every component to have been read at least once.
func (p *jpegPicture) complete() error {
	if p.parts == nil {
		return damaged("no frame")
	}
	for _, c := range p.parts {
		if !c.begun {
			return damaged("a component without its scan")
		}
	}
	return nil
}

// jpegScan is the header of a scan (T.81 B.2.3).
type jpegScan struct {
	parts                []*jpegPart
	dc, ac               []*huffman
	from, to, high, blur int // spectral selection, approximation
}

func (p *jpegPicture) scanHeader(body []byte) (*jpegScan, error) {
	if p.parts == nil {
		return nil, damaged("a scan before the frame")
	}
	if len(body) < 1 || body[0] < 1 || int(body[0]) > len(p.parts) || len(body) < 4+2*int(body[0]) {
		return nil, damaged("a scan without its header")
	}
	n := int(body[0])
	tail := body[1+2*n:]
	s := &jpegScan{from: 0, to: 63}
	if p.progressive {
		s.from, s.to, s.high, s.blur = int(tail[0]), int(tail[1]), int(tail[2]>>4), int(tail[2]&15)
		if s.to > 63 || s.from > s.to || s.from == 0 && s.to != 0 || s.from > 0 && n != 1 || s.high != 0 && s.high != s.blur+1 {
			return nil, damaged("a scan of coefficients %d to %d", s.from, s.to)
		}
	}
	for i := range n {
		id, tables := int(body[1+2*i]), body[2+2*i]
		var part *jpegPart
		for j := range p.parts {
			if p.parts[j].id == id {
				part = &p.parts[j]
			}
		}
		if part == nil || tables>>4 > 3 || tables&15 > 3 {
			return nil, damaged("a scan of component %d, which is not there", id)
		}
		for _, earlier := range s.parts {
			if earlier == part {
				return nil, damaged("a scan of component %d twice", id)
			}
		}
		s.parts = append(s.parts, part)
		s.dc, s.ac = append(s.dc, p.tables[0][tables>>4]), append(s.ac, p.tables[1][tables&15])
		needsDC := s.from == 0 && s.high == 0
		needsAC := s.to > 0
		if needsDC && s.dc[i] == nil || needsAC && s.ac[i] == nil {
			return nil, damaged("a scan without its codes")
		}
		if s.from > 0 && !part.begun {
			return nil, damaged("details before the outline")
		}
		part.begun = true
	}
	return s, nil
}

// huffmanTables reads codes (T.81 B.2.4.2).
func (p *jpegPicture) huffmanTables(body []byte) error {
	for len(body) > 0 {
		if len(body) < 17 || body[0]>>4 > 1 || body[0]&15 > 3 {
			return damaged("codes without their table")
		}
		h := &huffman{}
		n, code := 0, 0
		for length := 1; length <= 16; length++ {
			count := int(body[length])
			h.first[length], h.index[length], h.count[length] = code, n, count
			n += count
			code = (code + count) << 1
			if code > 2<<length || n > 256 {
				return damaged("codes that cannot be told apart")
			}
		}
		if n == 0 || len(body) < 17+n {
			return damaged("codes without their values")
		}
		copy(h.values[:], body[17:17+n])
		h.prepare()
		p.tables[body[0]>>4][body[0]&15] = h
		body = body[17+n:]
	}
	return nil
}

func ceil(n, by int) int { return (n + by - 1) / by }
