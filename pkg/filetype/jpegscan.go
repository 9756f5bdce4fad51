package filetype

import "math/bits"

// huffman are the codes of one table.
type huffman struct {
	first, index, count [17]int // by length
	values              [256]byte
	short               [256]uint16 // length and value of codes of at most 8 bits, by their 8 bits
}

func (h *huffman) prepare() {
	for length := 1; length <= 8; length++ {
		for i := range h.count[length] {
			begin := (h.first[length] + i) << (8 - length)
			for j := range 1 << (8 - length) {
				if begin+j < len(h.short) {
					h.short[begin+j] = uint16(length)<<8 | uint16(h.values[h.index[length]+i])
				}
			}
		}
	}
}

// jpegBits reads the bits of a scan up to the next marker.
type jpegBits struct {
	b   []byte
	at  int
	acc uint64
	n   int
}

func (r *jpegBits) fill() {
	for r.n <= 48 && r.at < len(r.b) {
		c := r.b[r.at]
		if c == 0xff {
			if r.at+1 >= len(r.b) || r.b[r.at+1] != 0 {
				return
			}
			r.at++
		}
		r.at++
		r.acc = r.acc<<8 | uint64(c)
		r.n += 8
	}
}

// take reads up to 16 bits.
func (r *jpegBits) take(n int) (uint32, bool) {
	if r.n < n {
		if r.fill(); r.n < n {
			return 0, false
		}
	}
	r.n -= n
	return uint32(r.acc>>r.n) & (1<<n - 1), true
}

// pass passes over any number of bits.
func (r *jpegBits) pass(n int) bool {
	for ; n > 16; n -= 16 {
		if _, ok := r.take(16); !ok {
			return false
		}
	}
	_, ok := r.take(n)
	return ok
}

func (r *jpegBits) decode(h *huffman) (byte, bool) {
	if r.n < 16 {
		r.fill()
	}
	var next byte
	if r.n >= 8 {
		next = byte(r.acc >> (r.n - 8))
	} else {
		next = byte(r.acc << (8 - r.n))
	}
	if e := h.short[next]; e != 0 {
		length := int(e >> 8)
		r.n -= length
		return byte(e), r.n >= 0
	}
	for length := 9; length <= 16 && length <= r.n; length++ {
		code := int(r.acc>>(r.n-length)) & (1<<length - 1)
		if i := code - h.first[length]; i >= 0 && i < h.count[length] {
			r.n -= length
			return h.values[h.index[length]+i], true
		}
	}
	return 0, false
}

// scan reads one scan to its last block.
func (p *jpegPicture) scan(body []byte) error {
	s, err := p.scanHeader(body)
	if err != nil {
		return err
	}
	across, down := ceil(p.width, 8*p.hMax), ceil(p.height, 8*p.vMax) // MCUs
	if len(s.parts) == 1 {
		across, down = s.parts[0].across, s.parts[0].down
	}
	r := &jpegBits{b: p.b, at: p.at}
	reader := &blockReader{bits: r, scan: s, progressive: p.progressive}
	next := byte(markerRST0)
	for mcu := range across * down {
		if p.restart > 0 && mcu > 0 && mcu%p.restart == 0 {
			if !r.restart(next) {
				return damaged("a restart marker is missing")
			}
			next = markerRST0 + (next+1)%8
			reader.endRun = 0
		}
		x, y := mcu%across, mcu/across
		for i, c := range s.parts {
			h, v := c.h, c.v
			if len(s.parts) == 1 {
				h, v = 1, 1
			}
			for j := range h * v {
				if p.visits--; p.visits < 0 {
					return damaged("too many scans")
				}
				if !p.work.spend(visitCost) {
					return errTooMuch
				}
				at := (y*v+j/h)*c.stride + x*h + j%h
				if !reader.block(i, c, at) {
					return damaged("ends in block %d of a scan", mcu)
				}
			}
		}
	}
	p.at = r.at
	return nil
}

// restart finds the restart marker that must follow here.
func (r *jpegBits) restart(want byte) bool {
	r.acc, r.n = 0, 0
	for ; r.at+1 < len(r.b); r.at++ {
		if r.b[r.at] == 0xff && r.b[r.at+1] != 0 && r.b[r.at+1] != 0xff {
			if r.b[r.at+1] != want {
				return false
			}
			r.at += 2
			return true
		}
	}
	return false
}

// blockReader reads blocks of coefficients, minding only how long they are and,
// of a progressive picture, which of them are not zero (T.81 F.2.2, G.1.2).
type blockReader struct {
	bits        *jpegBits
	scan        *jpegScan
	progressive bool
	endRun      int // blocks to come of which nothing is new
}

func (r *blockReader) block(i int, c *jpegPart, at int) bool {
	s := r.scan
	switch {
	case !r.progressive:
		return r.outline(s.dc[i]) && r.details(s.ac[i])
	case s.from == 0 && s.high == 0:
		return r.outline(s.dc[i])
	case s.from == 0:
		return r.bits.pass(1)
	case s.high == 0:
		return r.first(s.ac[i], &c.known[at])
	default:
		return r.refine(s.ac[i], &c.known[at])
	}
}

// outline is the DC coefficient.
func (r *blockReader) outline(h *huffman) bool {
	length, ok := r.bits.decode(h)
	return ok && length <= 16 && r.bits.pass(int(length))
}

// details are the AC coefficients of a sequential picture.
func (r *blockReader) details(h *huffman) bool {
	for k := 1; k <= 63; k++ {
		code, ok := r.bits.decode(h)
		if !ok {
			return false
		}
		run, length := int(code>>4), int(code&15)
		if length == 0 {
			if run != 15 {
				return true
			}
			k += 15
			continue
		}
		if k += run; k > 63 {
			return true // decoders leave it at that
		}
		if !r.bits.pass(length) {
			return false
		}
	}
	return true
}

// run reads how many blocks have no more that is new.
func (r *blockReader) run(length int) bool {
	more, ok := r.bits.take(length)
	r.endRun = 1<<length | int(more)
	return ok
}

// first reads coefficients for the first time.
func (r *blockReader) first(h *huffman, known *uint64) bool {
	if r.endRun > 0 {
		r.endRun--
		return true
	}
	for k := r.scan.from; k <= r.scan.to; k++ {
		code, ok := r.bits.decode(h)
		if !ok {
			return false
		}
		run, length := int(code>>4), int(code&15)
		if length == 0 {
			if run != 15 {
				ok = r.run(run)
				r.endRun--
				return ok
			}
			k += 15
			continue
		}
		if k += run; k > r.scan.to {
			return true
		}
		if !r.bits.pass(length) {
			return false
		}
		*known |= 1 << k
	}
	return true
}

// refine reads one more bit of the coefficients that are known, and new ones
// between them.
func (r *blockReader) refine(h *huffman, known *uint64) bool {
	k := r.scan.from
	for r.endRun == 0 && k <= r.scan.to {
		code, ok := r.bits.decode(h)
		if !ok {
			return false
		}
		zeros, length := int(code>>4), int(code&15)
		if length > 1 {
			return false
		}
		if length == 0 && zeros != 15 {
			if !r.run(zeros) {
				return false
			}
			break
		}
		if length == 1 && !r.bits.pass(1) {
			return false
		}
		for ; k <= r.scan.to; k++ {
			if *known>>k&1 == 0 {
				if zeros == 0 {
					break
				}
				zeros--
			} else if !r.bits.pass(1) {
				return false
			}
		}
		if k > r.scan.to {
			// Only a run of sixteen zeros may end beyond the last.
			return length == 0
		}
		if length == 1 {
			*known |= 1 << k
		}
		k++
	}
	if r.endRun > 0 {
		r.endRun--
		left := *known >> k << k & (1<<(r.scan.to+1) - 1)
		if k > 63 {
			left = 0
		}
		return r.bits.pass(bits.OnesCount64(left))
	}
	return true
}
