package spoiled

import (
	"compress/zlib"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"image"
	"image/jpeg"
	"image/png"
	"io"
	"math/rand/v2"
	"testing"
)

// Scans are pages as scanners send them, of about 100 KB and 3 MB.
func Scans(t testing.TB) []Paper {
	var list []Paper
	for _, size := range []struct {
		name         string
		width, lines int
	}{{"100 KB", 620, 877}, {"3 MB", 2480, 3508}} {
		m := image.NewGray(image.Rect(0, 0, size.width, size.lines))
		dice := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // the same scans in every run
		for i := range m.Pix {              // paper with noise, as scanners see it
			m.Pix[i] = 240 + uint8(dice.IntN(4))
			if i/size.width%40 < 12 && i%size.width%9 < 4 {
				m.Pix[i] = uint8(dice.IntN(40))
			}
		}
		photo := encoded(t, func(w io.Writer) error { return jpeg.Encode(w, m, &jpeg.Options{Quality: 80}) })
		pdf := objects("", catalog, onePage, page, fmt.Sprintf("<</Subtype/Image/Filter/DCTDecode/Length %d>>\nstream\n%s\nendstream", len(photo), photo))
		list = append(list,
			Paper{size.name + "/JPEG", "surat.jpg", photo, jpegType, ""},
			Paper{size.name + "/PDF", "surat.pdf", pdf, pdfType, ""},
			Paper{size.name + "/PNG", "surat.png", encoded(t, func(w io.Writer) error { return png.Encode(w, m) }), pngType, ""})
	}
	return list
}

// DearPNG is a whole picture of the largest kind that is taken, 20 000 by 2000
// pixels of four channels: 160 MB in less than 200 KB.
func DearPNG(t testing.TB) []byte {
	const width, height = 20_000, 2000
	pixels := encoded(t, func(w io.Writer) error {
		packed := zlib.NewWriter(w)
		row := make([]byte, 1+4*width)
		for range height {
			if _, err := packed.Write(row); err != nil {
				return err
			}
		}
		return packed.Close()
	})
	b := []byte("\x89PNG\r\n\x1a\n")
	chunk := func(name string, body []byte) {
		b = binary.BigEndian.AppendUint32(b, uint32(len(body)))
		begin := len(b)
		b = append(append(b, name...), body...)
		b = binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b[begin:]))
	}
	header := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, width), height)
	chunk("IHDR", append(header, 8, 6, 0, 0, 0))
	chunk("IDAT", pixels)
	chunk("IEND", nil)
	return b
}
