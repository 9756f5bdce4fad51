package spoiled

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/pdfcpu/pdfcpu/pkg/api"
	"github.com/pdfcpu/pdfcpu/pkg/pdfcpu/model"
	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/test/demo/sample"
)

// disableConfigDir keeps pdfcpu from writing into the home directory.
var disableConfigDir = sync.OnceFunc(api.DisableConfigDir)

// pdfs are what programs write, what scanners and gateways make of it, and what
// goes wrong on the way.
func pdfs(t testing.TB) []Paper {
	disableConfigDir()
	small := PDF()
	written, err := sample.PDF("SURAT PERMOHONAN", strings.Repeat("Dengan hormat. ", 400))
	require.NoError(t, err)
	var packed bytes.Buffer
	require.NoError(t, api.Optimize(bytes.NewReader(written), &packed, model.NewDefaultConfiguration()))
	require.Contains(t, packed.String(), "/ObjStm")
	locked := func(user, owner string) []byte {
		var b bytes.Buffer
		require.NoError(t, api.Encrypt(bytes.NewReader(written), &b, model.NewAESConfiguration(user, owner, 256)))
		return b.Bytes()
	}
	table := bytes.Index(small, []byte("xref\n"))
	replaced := func(from, to string) []byte { return bytes.Replace(small, []byte(from), []byte(to), 1) }
	without := func(text string) []byte { return bytes.ReplaceAll(small, []byte(text), nil) }
	enclosed := objects("", catalog, onePage, strings.Replace(page, "/Contents 4 0 R", "", 1),
		fmt.Sprintf("<</Length %d>>\nstream\n%s\nendstream", len(small), small))
	good := map[string][]byte{
		"PDF":                               small,
		"PDF with compressed content":       written,
		"PDF with streams of objects":       packed.Bytes(),
		"PDF saved again":                   saved(small),
		"PDF with lines before it":          append([]byte("X-Scanner: 1\r\n\r\n"), small...),
		"PDF with its table off by bytes":   replaced("startxref\n", "startxref\n1"),
		"PDF whose objects have moved":      replaced("%\xe2\xe3\xcf\xd3\n", "% a longer second line than it was\n"),
		"PDF whose table counts from 1":     replaced("xref\n0 5", "xref\n1 5"),
		"PDF without endobj":                without("endobj\n"),
		"PDF with junk behind it":           append(bytes.Clone(small), "\r\n--boundary--\r\n"...),
		"PDF with zeros behind it":          append(bytes.Clone(small), make([]byte, 64<<10)...),
		"PDF with a PDF enclosed":           replaced2(enclosed, "startxref\n", "startxref\n9"),
		"PDF whose stream tells the length": replaced("/Length 22", "/Length 99"),
		"PDF without a table":               append(bytes.Clone(small[:table]), "trailer<</Root 1 0 R>>\nstartxref\n0\n%%EOF"...),
		"PDF with 300 pages":                manyPages(300),
		"PDF with a table that is a stream": streamed(0),
	}
	bad := map[string]struct {
		body []byte
		code string
	}{
		"PDF under a password":               {locked("rahasia", "rahasia2"), "encrypted"},
		"PDF with restrictions":              {locked("", "rahasia2"), "encrypted"},
		"PDF cut in the middle":              {written[:len(written)/2], "damaged"},
		"PDF cut before its table":           {small[:table], "damaged"},
		"PDF without its last line":          {small[:len(small)-6], "damaged"},
		"PDF with streams cut in the middle": {packed.Bytes()[:packed.Len()/2], "damaged"},
		"PDF saved again and cut":            {saved(small)[:len(small)+40], "damaged"},
		"PDF of its first line":              {[]byte("%PDF-1.7\n"), "damaged"},
		"PDF of its first and last lines":    {[]byte("%PDF-1.7\nstartxref\n9\n%%EOF\n"), "damaged"},
		"PDF with text in its middle":        {[]byte("%PDF-1.7\nbukan PDF\nstartxref\n9\n%%EOF\n"), "damaged"},
		"PDF with a piece gone":              {append(bytes.Clone(small[:bytes.Index(small, []byte("4 0 obj"))]), small[table:]...), "damaged"},
		"PDF without a catalog":              {replaced("/Root 1 0 R", ""), ""},
		"PDF with a catalog of nothing":      {objects("", "<</Type/Catalog>>"), "damaged"},
		"PDF without pages":                  {objects("", catalog, "<</Type/Pages/Kids[]/Count 0>>"), "no_pages"},
		"PDF whose pages are gone":           {objects("", catalog, "<</Type/Pages/Kids[7 0 R]/Count 1>>"), "damaged"},
	}
	var list []Paper
	for name, body := range good {
		list = append(list, Paper{name, "surat.pdf", body, pdfType, ""})
	}
	list = append(list, Paper{"PDF called JPG", "surat.jpg", small, pdfType, ""})
	for name, c := range bad {
		kind := ""
		if c.code == "" { // a viewer finds the catalog by itself
			kind = pdfType
		}
		list = append(list, Paper{name, "surat.pdf", c.body, kind, c.code})
	}
	return list
}

func replaced2(b []byte, from, to string) []byte {
	return bytes.Replace(b, []byte(from), []byte(to), 1)
}

// saved appends a change to a PDF (ISO 32000-1, section 7.5.6).
func saved(b []byte) []byte {
	begin := bytes.LastIndex(b, []byte("xref\n0"))
	var out bytes.Buffer
	out.Write(b)
	at := out.Len()
	fmt.Fprintf(&out, "3 0 obj\n%s\nendobj\n", page)
	table := out.Len()
	fmt.Fprintf(&out, "xref\n3 1\n%010d 00000 n \ntrailer\n<</Size 5/Root 1 0 R/Prev %d>>\nstartxref\n%d\n%%%%EOF\n", at, begin, table)
	return out.Bytes()
}

func manyPages(n int) []byte {
	list := []string{catalog, ""}
	var kids []string
	for i := range n {
		kids = append(kids, fmt.Sprintf("%d 0 R", i+3))
		list = append(list, "<</Type/Page/Parent 2 0 R>>")
	}
	list[1] = fmt.Sprintf("<</Type/Pages/Kids[%s]/Count %d>>", strings.Join(kids, " "), n)
	return objects("", list...)
}

// streamed is a PDF whose page tree lies in a stream of objects, with so many
// MB of blanks behind it, and whose table is a stream.
func streamed(blanks int) []byte {
	var packed bytes.Buffer
	z := zlib.NewWriter(&packed)
	tree := onePage + " " + page
	head := fmt.Sprintf("2 0 3 %d ", len(onePage)+1)
	_, _ = z.Write([]byte(head + tree)) // to memory
	for range blanks {
		_, _ = z.Write(bytes.Repeat([]byte{' '}, 1<<20))
	}
	_ = z.Close()
	var b bytes.Buffer
	b.WriteString("%PDF-1.7\n")
	first := b.Len()
	fmt.Fprintf(&b, "1 0 obj\n%s\nendobj\n", catalog)
	second := b.Len()
	fmt.Fprintf(&b, "5 0 obj\n<</Type/ObjStm/N 2/First %d/Filter/FlateDecode/Length %d>>stream\n%s\nendstream\nendobj\n", len(head), packed.Len(), packed.Bytes())
	third := b.Len()
	var lines bytes.Buffer
	for _, l := range []struct {
		kind  byte
		where int
		index byte
	}{{0, 0, 255}, {1, first, 0}, {2, 5, 0}, {2, 5, 1}, {0, 0, 0}, {1, second, 0}, {1, third, 0}} {
		lines.WriteByte(l.kind)
		_ = binary.Write(&lines, binary.BigEndian, uint32(l.where))
		lines.WriteByte(l.index)
	}
	fmt.Fprintf(&b, "6 0 obj\n<</Type/XRef/Size 7/W[1 4 1]/Root 1 0 R/Length %d>>stream\n%s\nendstream\nendobj\nstartxref\n%d\n%%%%EOF\n",
		lines.Len(), lines.Bytes(), third)
	return b.Bytes()
}

// hostilePDFs would keep a reader busy, or fill its memory.
func hostilePDFs(t testing.TB) []Paper {
	small := PDF()
	loop := objects("", catalog, onePage, "<</Type/Pages/Parent 2 0 R/Kids[2 0 R]/Count 1>>")
	table := bytes.LastIndex(small, []byte("xref\n0"))
	prev := bytes.Replace(small, []byte("/Root 1 0 R"), fmt.Appendf(nil, "/Root 1 0 R/Prev %d", table), 1)
	open, closed := strings.Repeat("[", 400_000), strings.Repeat("]", 400_000)
	dicts := strings.Repeat("<</A", 400_000) + " 1" + strings.Repeat(">>", 400_000)
	wide := "<</Type/Pages/Kids[" + strings.Repeat("3 0 R ", 500_000) + "]>>"
	// Each object lies within the text of the one before it.
	var nested strings.Builder
	for i := range 60_000 {
		fmt.Fprintf(&nested, "%d 0 obj<</A(", i+10)
	}
	overlapping := objects("", catalog, nested.String())
	overlapping = bytes.Replace(overlapping, []byte("startxref\n"), []byte("startxref\n9"), 1)
	long := objects("", catalog, onePage, "<</Type/Page>>", "<</Length 9 0 R>>stream\n"+strings.Repeat("x", 1<<20))
	bomb := streamed(64)
	require.Less(t, len(bomb), 3<<20)
	selfish := objects("", catalog, "<</Type/ObjStm/N 1/First 4/Filter/FlateDecode/DecodeParms 2 0 R/Length 2 0 R>>stream\nx\nendstream")
	selfish = bytes.Replace(selfish, []byte("startxref\n"), []byte("startxref\n9"), 1)
	list := []Paper{
		{"PDF whose page tree leads back", "surat.pdf", loop, "", "damaged"},
		{"PDF of arrays in arrays", "surat.pdf", objects("", catalog, open+closed), "", "damaged"},
		{"PDF of dictionaries in dictionaries", "surat.pdf", objects("", catalog, dicts), "", "damaged"},
		{"PDF of the same page half a million times", "surat.pdf", objects("", catalog, wide, page), "", "damaged"},
		{"PDF of objects within objects", "surat.pdf", overlapping, "", "damaged"},
		{"PDF with a bomb in its objects", "surat.pdf", bomb, "", "damaged"},
		{"PDF whose streams need themselves", "surat.pdf", selfish, "", "damaged"},
		{"PDF of a million names", "surat.pdf", objects("", catalog, "<<"+strings.Repeat("/A", 1_000_000)+">>"), "", "damaged"},
		{"PDF of a table without an end", "surat.pdf", []byte("%PDF-1.7\nxref\n0 2000000000\n" + strings.Repeat("0000000009 00000 n \n", 150_000) +
			"trailer<<>>\nstartxref\n9\n%%EOF"), "", "damaged"},
		// A viewer opens these.
		{"PDF whose tables lead back", "surat.pdf", prev, pdfType, ""},
		{"PDF with a stream without an end", "surat.pdf", long, pdfType, ""},
	}
	for _, p := range list {
		require.LessOrEqual(t, len(p.Body), 3<<20, p.Name)
	}
	return list
}
