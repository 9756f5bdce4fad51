package filetype

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"sync"
)

const pngSignature = "\x89PNG\r\n\x1a\n"

// maxRaw bounds what the pixels of a PNG unpack to, in bytes: MaxPixels of four
// channels.
const maxRaw = 4 * MaxPixels

// pngChannels are the samples of a pixel by color type (PNG 1.2, section 4.1.1).
var pngChannels = map[byte]int{0: 1, 2: 3, 3: 1, 4: 2, 6: 4}

// checkPNG wants every chunk whole and exactly as many bytes of pixels as the
// header promises. The pixels are unpacked piece by piece and dropped.
func checkPNG(b []byte, work *Work) error {
	chunks := &pngChunks{rest: b[len(pngSignature):]}
	name, header, err := chunks.next()
	if err != nil {
		return err
	}
	if name != "IHDR" || len(header) != 13 {
		return damaged("no header")
	}
	passes, err := pngPasses(header)
	if err != nil {
		return err
	}
	palette := false
	for name != "IDAT" {
		if name, _, err = chunks.next(); err != nil {
			return err
		}
		palette = palette || name == "PLTE"
		if name == "IEND" {
			return damaged("no pixels")
		}
	}
	if header[9] == 3 && !palette {
		return damaged("no palette")
	}
	chunks.again = true
	pixels := &pngPixels{chunks: chunks}
	unpacked, err := zlib.NewReader(pixels)
	if err != nil {
		return broken(err)
	}
	buf := rows.Get().(*[32 << 10]byte)
	defer rows.Put(buf)
	for _, p := range passes {
		if err := p.read(unpacked, buf[:], work); err != nil {
			return err
		}
	}
	// The checksum of the stream stands behind its last byte.
	if _, err := io.ReadFull(unpacked, buf[:1]); !errors.Is(err, io.EOF) {
		return damaged("more pixels than promised, or a wrong checksum (%v)", err)
	}
	for name = "IDAT"; name != "IEND"; {
		if name, _, err = chunks.next(); err != nil {
			return err
		}
	}
	return nil
}

var rows = sync.Pool{New: func() any { return new([32 << 10]byte) }}

// pngChunks walks the chunks and checks their checksums.
type pngChunks struct {
	rest  []byte
	again bool // the last chunk is given once more
	name  string
	body  []byte
}

func (c *pngChunks) next() (name string, body []byte, err error) {
	if c.again {
		c.again = false
		return c.name, c.body, nil
	}
	if len(c.rest) < 12 {
		return "", nil, damaged("ends in the middle")
	}
	n := int64(binary.BigEndian.Uint32(c.rest))
	if n > int64(len(c.rest)-12) {
		return "", nil, damaged("ends in a chunk")
	}
	if crc32.ChecksumIEEE(c.rest[4:8+n]) != binary.BigEndian.Uint32(c.rest[8+n:]) {
		return "", nil, damaged("a chunk with a wrong checksum")
	}
	c.name, c.body, c.rest = string(c.rest[4:8]), c.rest[8:8+n], c.rest[12+n:]
	return c.name, c.body, nil
}

// pngPixels joins the IDAT chunks.
type pngPixels struct {
	chunks *pngChunks
	now    bytes.Reader
}

func (p *pngPixels) Read(to []byte) (int, error) {
	for p.now.Len() == 0 {
		name, body, err := p.chunks.next()
		if err != nil {
			return 0, err
		}
		if name != "IDAT" {
			p.chunks.again = true
			return 0, io.EOF
		}
		p.now.Reset(body)
	}
	return p.now.Read(to)
}

// pngPass is a picture within the picture: one, or seven when it is interlaced.
type pngPass struct{ rows, rowBytes int }

// pngPasses judges the header (PNG 1.2, section 4.1.1).
func pngPasses(h []byte) ([]pngPass, error) {
	width, height := binary.BigEndian.Uint32(h), binary.BigEndian.Uint32(h[4:])
	depth, kind, interlace := h[8], h[9], h[12]
	channels := pngChannels[kind]
	fits := map[byte]bool{1: kind == 0 || kind == 3, 2: kind == 0 || kind == 3, 4: kind == 0 || kind == 3, 8: true, 16: kind != 3}[depth]
	if channels == 0 || !fits || h[10] != 0 || h[11] != 0 || interlace > 1 {
		return nil, damaged("a header that no picture has")
	}
	if width > MaxSide || height > MaxSide {
		return nil, checkSize(MaxSide+1, MaxSide+1)
	}
	w, ht := int(width), int(height)
	if err := checkSize(w, ht); err != nil {
		return nil, err
	}
	row := func(pixels int) int { return 1 + (pixels*channels*int(depth)+7)/8 }
	if row(w)*ht > maxRaw+ht {
		return nil, checkSize(MaxSide+1, MaxSide+1)
	}
	if interlace == 0 {
		return []pngPass{{ht, row(w)}}, nil
	}
	var passes []pngPass
	for _, a := range []struct{ x, y, dx, dy int }{
		{0, 0, 8, 8}, {4, 0, 8, 8}, {0, 4, 4, 8}, {2, 0, 4, 4}, {0, 2, 2, 4}, {1, 0, 2, 2}, {0, 1, 1, 2},
	} {
		columns, lines := (w-a.x+a.dx-1)/a.dx, (ht-a.y+a.dy-1)/a.dy
		if columns > 0 && lines > 0 {
			passes = append(passes, pngPass{lines, row(columns)})
		}
	}
	return passes, nil
}

// read takes the rows of a pass and looks at their filters.
func (p pngPass) read(from io.Reader, buf []byte, work *Work) error {
	for range p.rows {
		for left := p.rowBytes; left > 0; {
			n := min(left, len(buf))
			if !work.spend(n) {
				return errTooMuch
			}
			if _, err := io.ReadFull(from, buf[:n]); err != nil {
				return broken(err)
			}
			if left == p.rowBytes && buf[0] > 4 {
				return damaged("an unknown filter")
			}
			left -= n
		}
	}
	return nil
}

// broken makes a finding of what unpacking says; a fault of a chunk stays it.
func broken(err error) error {
	var f *fault
	if errors.As(err, &f) {
		return f
	}
	return damaged("pixels that cannot be unpacked: %v", err)
}
