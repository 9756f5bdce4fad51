package docx_test

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/docx"
)

// hugePNG is the beginning of a picture that is small as a file and gigabytes unpacked.
func hugePNG() string {
	head := make([]byte, 0, 17)
	head = append(head, "IHDR"...)
	head = binary.BigEndian.AppendUint32(head, 60_000)
	head = binary.BigEndian.AppendUint32(head, 60_000)
	head = append(head, 8, 2, 0, 0, 0)
	var b bytes.Buffer
	b.WriteString("\x89PNG\r\n\x1a\n\x00\x00\x00\x0d")
	b.Write(head)
	b.Write(binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE(head)))
	return b.String()
}

// TestExamineRefusesWhatGrows: each of these is a few kilobytes as a file, and took
// minutes of a processor or gigabytes of memory here, or where its sample is filled and
// printed.
func TestExamineRefusesWhatGrows(t *testing.T) {
	t.Parallel()
	whole := par(run(rightLetter)) + rightTable()
	codes := strings.Repeat(`<w:instrText>`+strings.Repeat("x", 20)+`</w:instrText>`, 50_000) // of one field, in very many pieces
	for name, file := range map[string][]byte{
		"elements in a repeated row": word(t, par(run(rightLetter))+table(row("{{#cards}}{{no}}"+`</w:t>`+strings.Repeat("<w:br/>", 6_000)+`<w:t>`, "{{serial}}{{/cards}}"))),
		"text in a repeated row":     word(t, par(run(rightLetter))+table(row("{{#cards}}{{no}}"+strings.Repeat("x", 1<<20), "{{serial}}{{/cards}}"))),
		"tags":                       word(t, whole+par(run(strings.Repeat("{{ticket}}", 100_000)))),
		"bad tags":                   word(t, whole+par(run(strings.Repeat("{{A}}", 100_000)))),
		"dots of a picture":          word(t, whole, entry{"word/media/image1.png", hugePNG()}),
	} {
		found := docx.Examine(file, letterRules)
		require.NotEmpty(t, found, name)
		require.Equal(t, docx.TooLarge, found[0].Code, name)
	}
	require.Empty(t, docx.Examine(word(t, whole+par(`<w:r><w:fldChar w:fldCharType="begin"/>`+codes+`<w:fldChar w:fldCharType="end"/></w:r>`)), letterRules), "a long field code")
}

// TestExamineLooksWhereWordLooks: at the fields within fields, and at the text that is
// shown.
func TestExamineLooksWhereWordLooks(t *testing.T) {
	t.Parallel()
	whole := par(run(rightLetter)) + rightTable()
	code := func(text string) string { return `<w:r><w:instrText>` + text + `</w:instrText></w:r>` }
	mark := func(kind string) string { return `<w:r><w:fldChar w:fldCharType="` + kind + `"/></w:r>` }
	codes := func(file []byte) (found []docx.FaultCode) {
		for _, f := range docx.Examine(file, letterRules) {
			found = append(found, f.Code)
		}
		return found
	}
	require.Empty(t, codes(word(t, whole+par(mark("begin"), code(" IF "), mark("begin"), code(" PAGE "), mark("end"), code(" = 1 a b "), mark("end")))))
	for name, fields := range map[string]string{
		"after one within": par(mark("begin"), code(" IF "), mark("begin"), code(" PAGE "), mark("end"), mark("end"), mark("begin"), code("DDEAUTO x"), mark("end")),
		"named by another": par(mark("begin"), mark("begin"), code(" QUOTE "), mark("end"), code("DDEAUTO x"), mark("end")),
		"half so":          par(mark("begin"), code("DDE"), mark("begin"), code(" QUOTE AUTO "), mark("end"), code(" x"), mark("end")),
		"within another":   par(mark("begin"), code(" IF 1 "), mark("begin"), code("INCLUDETEXT x"), mark("end"), mark("end")),
	} {
		require.Equal(t, []docx.FaultCode{docx.LinkedField}, codes(word(t, whole+fields)), name)
	}
	file := word(t, whole)
	types, text := part(t, file, "[Content_Types].xml"), part(t, file, "word/document.xml")
	second := strings.Replace(types, "</Types>", `<Override PartName="/word/second.bin" ContentType="`+wordType+`document.main+xml"/></Types>`, 1)
	require.Equal(t, []docx.FaultCode{docx.Damaged}, codes(pack(t, entry{"[Content_Types].xml", second}, entry{"word/document.xml", text}, entry{"word/second.bin", text})))
	shown := entry{"_rels/.rels", `<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="rId1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" Target="word/second.bin"/></Relationships>`}
	require.Equal(t, []docx.FaultCode{docx.Damaged}, codes(pack(t, entry{"[Content_Types].xml", types}, shown, entry{"word/document.xml", text}, entry{"word/second.bin", text})))

	// A relation leads to a text, whatever the list of contents says of it.
	hidden := `<w:hdr ` + wordNS + `>` + par(code(" INCLUDETEXT x ")) + `</w:hdr>`
	for _, target := range []string{"top.xml", "/word/top.xml", "../word/top.xml", "Top.xml", "top%2Exml"} {
		relation := relations("document.xml", `<Relationship Id="rId7" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/header" Target="`+target+`"/>`)
		require.Equal(t, []docx.FaultCode{docx.Damaged}, codes(word(t, whole, relation, entry{"word/top.xml", hidden})), target)
		require.NotEmpty(t, codes(word(t, whole, relation, entry{"word/header1.xml", hidden})), target)
	}
	usual := relations("document.xml", `<Relationship Id="rId7" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/header" Target="header1.xml"/>`)
	require.Empty(t, codes(word(t, whole, usual, entry{"word/header1.xml", `<w:hdr ` + wordNS + `>` + par(run("Kepala")) + `</w:hdr>`})))
	for _, from := range []string{"file:///etc/passwd", "file:/etc/passwd", "FILE:x", "/etc/passwd", `\\host\share`, "../../x.png", `..\x.png`, "http:x"} {
		picture := par(`<w:r><w:pict><v:shape xmlns:v="urn:schemas-microsoft-com:vml"><v:imagedata src="` + from + `"/></v:shape></w:pict></w:r>`)
		require.Equal(t, []docx.FaultCode{docx.ExternalLink}, codes(word(t, whole+picture)), from)
	}
}
