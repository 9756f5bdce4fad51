package spoiled

import (
	"bytes"
	"embed"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// Paper is a scan as it may be uploaded.
type Paper struct {
	Name string // what it is
	File string // how its sender calls it
	Body []byte
	// Kind is its media type when it is taken, Code why it is refused.
	Kind, Code string
}

const (
	pdfType  = "application/pdf"
	jpegType = "image/jpeg"
	pngType  = "image/png"
)

//go:embed testdata/*.jpeg testdata/*.png
var pictures embed.FS

var papers struct {
	once sync.Once
	list []Paper
}

// Papers are scans of every kind, good and spoiled. They are made once.
func Papers(t testing.TB) []Paper {
	papers.once.Do(func() {
		list := pdfs(t)
		list = append(list, hostilePDFs(t)...)
		list = append(list, jpegs(t)...)
		list = append(list, pngs(t)...)
		papers.list = append(list, strangers(t)...)
	})
	require.NotEmpty(t, papers.list)
	return papers.list
}

func picture(t testing.TB, name string) []byte {
	b, err := pictures.ReadFile("testdata/" + name)
	require.NoError(t, err)
	return b
}

// drawn is a small picture that is not all of one color.
func drawn(width, height int) *image.RGBA {
	m := image.NewRGBA(image.Rect(0, 0, width, height))
	for y := range height {
		for x := range width {
			m.Set(x, y, color.RGBA{R: uint8(x * 3), G: uint8(y * 5), B: uint8(x ^ y), A: 255})
		}
	}
	return m
}

func encoded(t testing.TB, encode func(io.Writer) error) []byte {
	var b bytes.Buffer
	require.NoError(t, encode(&b))
	return b.Bytes()
}

func jpegs(t testing.TB) []Paper {
	whole := encoded(t, func(w io.Writer) error { return jpeg.Encode(w, drawn(200, 150), nil) })
	gray := encoded(t, func(w io.Writer) error { return jpeg.Encode(w, image.NewGray(image.Rect(0, 0, 33, 7)), nil) })
	progressive := picture(t, "progressive.jpeg")
	frame := bytes.Index(whole, []byte{0xff, 0xc0})
	sized := func(width, height uint16) []byte {
		b := bytes.Clone(whole)
		binary.BigEndian.PutUint16(b[frame+5:], height)
		binary.BigEndian.PutUint16(b[frame+7:], width)
		return b
	}
	arithmetic := bytes.Clone(whole)
	arithmetic[frame+1] = 0xc9
	middle := append(bytes.Clone(whole[:len(whole)/2]), 0xff, 0xd9)
	scan := bytes.Index(progressive, []byte{0xff, 0xda})
	bomb := bytes.Clone(progressive[:scan])
	for range 3000 {
		bomb = append(bomb, progressive[scan:scan+600]...)
	}
	return []Paper{
		{"JPEG", "surat.jpg", whole, jpegType, ""},
		{"gray JPEG", "surat.jpeg", gray, jpegType, ""},
		{"progressive JPEG", "surat.jpg", progressive, jpegType, ""},
		{"CMYK JPEG", "surat.jpg", picture(t, "cmyk.jpeg"), jpegType, ""},
		{"JPEG with restart markers", "surat.jpg", picture(t, "restart.jpeg"), jpegType, ""},
		{"JPEG with a second picture behind it", "surat.jpg", append(bytes.Clone(whole), gray...), jpegType, ""},
		{"JPEG called PDF", "surat.pdf", whole, jpegType, ""},
		{"JPEG cut in the middle", "surat.jpg", whole[:len(whole)/2], "", "damaged"},
		{"JPEG cut in the middle and closed", "surat.jpg", middle, "", "damaged"},
		{"JPEG without its last byte", "surat.jpg", whole[:len(whole)-1], "", "damaged"},
		{"JPEG cut in its header", "surat.jpg", whole[:20], "", "damaged"},
		{"progressive JPEG cut in the middle", "surat.jpg", progressive[:len(progressive)*2/3], "", "damaged"},
		{"JPEG of two bytes and a half", "surat.jpg", []byte("\xff\xd8\xff"), "", "damaged"},
		{"JPEG that says it is 20 000 by 20 000", "surat.jpg", sized(20_000, 20_000), "", "dimensions"},
		{"JPEG of no height", "surat.jpg", sized(200, 0), "", "dimensions"},
		{"JPEG that is larger than its scan", "surat.jpg", sized(208, 800), "", "damaged"},
		{"JPEG of an arithmetic coder", "surat.jpg", arithmetic, "", "unsupported"},
		{"progressive JPEG of thousands of scans", "surat.jpg", bomb, "", "damaged"},
	}
}

func pngs(t testing.TB) []Paper {
	whole := encoded(t, func(w io.Writer) error { return png.Encode(w, drawn(120, 90)) })
	deep := encoded(t, func(w io.Writer) error { return png.Encode(w, image.NewNRGBA64(image.Rect(0, 0, 30, 20))) })
	palette := encoded(t, func(w io.Writer) error {
		return png.Encode(w, image.NewPaletted(image.Rect(0, 0, 30, 20), color.Palette{color.Black, color.White}))
	})
	sized := func(width, height uint32) []byte {
		b := bytes.Clone(whole)
		binary.BigEndian.PutUint32(b[16:], width)
		binary.BigEndian.PutUint32(b[20:], height)
		binary.BigEndian.PutUint32(b[29:], crc32.ChecksumIEEE(b[12:29]))
		return b
	}
	flipped := bytes.Clone(whole)
	flipped[len(flipped)/2] ^= 0x55
	noPalette := bytes.Replace(palette, []byte("PLTE"), []byte("teXt"), 1)
	at := bytes.Index(noPalette, []byte("teXt"))
	length := int(binary.BigEndian.Uint32(noPalette[at-4:]))
	binary.BigEndian.PutUint32(noPalette[at+4+length:], crc32.ChecksumIEEE(noPalette[at:at+4+length]))
	return []Paper{
		{"PNG", "surat.png", whole, pngType, ""},
		{"PNG of 16 bits", "surat.png", deep, pngType, ""},
		{"PNG with a palette", "surat.png", palette, pngType, ""},
		{"interlaced PNG", "surat.png", picture(t, "interlaced.png"), pngType, ""},
		{"PNG with junk behind it", "surat.png", append(bytes.Clone(whole), "junk"...), pngType, ""},
		{"PNG called JPG", "surat.jpg", whole, pngType, ""},
		{"PNG cut in the middle", "surat.png", whole[:len(whole)/2], "", "damaged"},
		{"PNG without its last chunk", "surat.png", whole[:len(whole)-12], "", "damaged"},
		{"PNG of its signature alone", "surat.png", whole[:8], "", "damaged"},
		{"PNG with a wrong byte", "surat.png", flipped, "", "damaged"},
		{"PNG with a palette that is gone", "surat.png", noPalette, "", "damaged"},
		{"PNG that says it is 20 000 by 20 000", "surat.png", sized(20_000, 20_000), "", "dimensions"},
		{"PNG that says it is 4 000 000 000 wide", "surat.png", sized(4_000_000_000, 1), "", "dimensions"},
		{"PNG that is taller than its pixels", "surat.png", sized(120, 91), "", "damaged"},
		{"PNG that is lower than its pixels", "surat.png", sized(120, 89), "", "damaged"},
		{"PNG bomb", "surat.png", pngBomb(t), "", "dimensions"},
	}
}

// pngBomb is a real picture of 20 000 by 20 000 pixels in less than 100 KB.
func pngBomb(t testing.TB) []byte {
	b := encoded(t, func(w io.Writer) error {
		return png.Encode(w, image.NewPaletted(image.Rect(0, 0, 20_000, 20_000), color.Palette{color.White}))
	})
	require.Less(t, len(b), 100_000)
	return b
}

// strangers are no papers at all.
func strangers(t testing.TB) []Paper {
	pictured := encoded(t, func(w io.Writer) error { return gif.Encode(w, drawn(9, 9), nil) })
	list := []Paper{
		{"nothing", "surat.pdf", nil, "", "empty"},
		{"GIF", "surat.gif", pictured, "", "wrong_type"},
		{"GIF called PNG", "surat.png", pictured, "", "wrong_type"},
	}
	for name, head := range map[string]string{
		"HTML called PDF":       "<!DOCTYPE html>\n<html><body>Sesi Anda telah berakhir</body></html>",
		"HTML that tells of":    "<html>%PDF-1.7 \n%%EOF",
		"TIFF":                  "II*\x00\x08\x00\x00\x00",
		"TIFF of the other end": "MM\x00*\x00\x00\x00\x08",
		"WebP":                  "RIFF\x24\x00\x00\x00WEBPVP8 ",
		"HEIC called JPG":       "\x00\x00\x00\x18ftypheic\x00\x00\x00\x00",
		"BMP":                   "BM\x36\x00\x00\x00",
		"Word called PDF":       "PK\x03\x04\x14\x00\x06\x00word/document.xml",
		"old Word":              "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
		"text called PDF":       "Yth. Direktur Jenderal",
		"zeros":                 strings.Repeat("\x00", 4096),
		"program":               "MZ\x90\x00\x03",
		"RTF":                   "{\\rtf1 surat}",
	} {
		list = append(list, Paper{name, "surat.pdf", []byte(head), "", "wrong_type"})
	}
	return list
}

// objects writes a PDF of the objects 1, 2 and so on with a table of lines.
// trailer goes on with the trailer's entries.
func objects(trailer string, list ...string) []byte {
	var b bytes.Buffer
	b.WriteString("%PDF-1.7\n%\xe2\xe3\xcf\xd3\n")
	var at []int
	for i, o := range list {
		at = append(at, b.Len())
		fmt.Fprintf(&b, "%d 0 obj\n%s\nendobj\n", i+1, o)
	}
	table := b.Len()
	fmt.Fprintf(&b, "xref\n0 %d\n0000000000 65535 f \n", len(list)+1)
	for _, offset := range at {
		fmt.Fprintf(&b, "%010d 00000 n \n", offset)
	}
	fmt.Fprintf(&b, "trailer\n<</Size %d/Root 1 0 R%s>>\nstartxref\n%d\n%%%%EOF\n", len(list)+1, trailer, table)
	return b.Bytes()
}

const (
	catalog = "<</Type/Catalog/Pages 2 0 R>>"
	onePage = "<</Type/Pages/Kids[3 0 R]/Count 1>>"
	page    = "<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 4 0 R>>"
	content = "<</Length 22>>\nstream\n0 0 m 595 842 l S     \nendstream"
)

// PDF is the smallest one that is whole: a page with a line across it.
func PDF() []byte { return objects("", catalog, onePage, page, content) }
