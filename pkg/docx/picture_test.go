package docx_test

import (
	"bytes"
	"image"
	"image/png"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/docx"
)

// square is a black picture.
func square(t testing.TB, side int) []byte {
	var b bytes.Buffer
	require.NoError(t, png.Encode(&b, image.NewGray(image.Rect(0, 0, side, side))))
	return b.Bytes()
}

func TestPictures(t *testing.T) {
	t.Parallel()
	footer := `<w:ftr ` + wordNS + `>` + par(run("Kode {{@qr}} {{text}} {{@qr}}")) + `</w:ftr>`
	template := word(t, par(run("awal {{@q"), `<w:r><w:rPr><w:b/></w:rPr><w:t>r}} akhir</w:t></w:r>`)+par(`<w:r><w:drawing><docPr id="41"/></w:drawing></w:r>`),
		entry{"word/footer1.xml", footer}, entry{"word/media/qr.png", "of the template"},
		entry{"word/_rels/document.xml.rels", `<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="rIdPicture1" Type="x/styles" Target="styles.xml"/></Relationships>`})
	tags, err := docx.Tags(template)
	require.NoError(t, err)
	require.Equal(t, []string{"@qr", "text"}, tags)

	picture := docx.Picture{Name: "qr", PNG: square(t, 50), Alt: `Kode "QR" & <alamat>`, Width: 20, Height: 21}
	values := map[string]string{"text": "a\uFFFCb"}
	filled, err := docx.Fill(template, values, nil, picture)
	require.NoError(t, err)
	text, err := docx.Text(filled)
	require.NoError(t, err)
	require.Equal(t, "awal  akhir\n\nKode  ab \n", text, "a value cannot ask for a picture")

	document, foot := part(t, filled, "word/document.xml"), part(t, filled, "word/footer1.xml")
	require.Equal(t, 2, strings.Count(document, "<w:drawing>"), "the template's own, and this one")
	require.Equal(t, 2, strings.Count(foot, "<w:drawing>"))
	require.Contains(t, document, `<wp:extent cx="720000" cy="756000"/>`)
	require.Contains(t, document, `descr="Kode &quot;QR&quot; &amp; &lt;alamat&gt;"`)
	require.Contains(t, document, `r:embed="rIdPicture2"`, "ids of the template stay its own")
	require.Regexp(t, `Kode .*<w:drawing>.*ab.*<w:drawing>`, foot, "in the order of the text")
	ids := regexp.MustCompile(`docPr id="(\d+)"`).FindAllStringSubmatch(document+foot, -1)
	seen := map[string]bool{}
	for _, id := range ids {
		require.False(t, seen[id[1]], "drawing id %s twice", id[1])
		seen[id[1]] = true
	}
	require.Len(t, seen, 4)
	require.Equal(t, "of the template", part(t, filled, "word/media/qr.png"))
	require.Equal(t, string(picture.PNG), part(t, filled, "word/media/qr-2.png"))
	require.Contains(t, part(t, filled, "word/_rels/document.xml.rels"), `Target="styles.xml"`)
	require.Equal(t, 1, strings.Count(part(t, filled, "word/_rels/footer1.xml.rels"), `Target="media/qr-2.png"`))
	require.Equal(t, 1, strings.Count(part(t, filled, "[Content_Types].xml"), `Extension="png"`))

	again, err := docx.Fill(template, values, nil, picture)
	require.NoError(t, err)
	require.Equal(t, filled, again, "the same bytes")

	// A picture that nobody asks for leaves no trace.
	plain, err := docx.Fill(word(t, par(run("x"))), nil, nil, picture)
	require.NoError(t, err)
	require.NotContains(t, part(t, plain, "[Content_Types].xml"), "png")
}

func TestPictureFaults(t *testing.T) {
	t.Parallel()
	picture := docx.Picture{Name: "qr", PNG: square(t, 8), Width: 20, Height: 20}
	strict := func(file []byte) []byte {
		body := part(t, file, "word/document.xml")
		return pack(t, entry{"[Content_Types].xml", part(t, file, "[Content_Types].xml")},
			entry{"word/document.xml", strings.Replace(body, "http://schemas.openxmlformats.org/wordprocessingml/2006/main", "http://purl.oclc.org/ooxml/wordprocessingml/main", 1)})
	}
	for name, c := range map[string]struct {
		file []byte
		code docx.FaultCode
	}{
		"in a repeated row": {word(t, table(row("{{#a}}{{@qr}}{{/a}}"))), docx.BadPicture},
		"in a strict file":  {strict(word(t, par(run("{{@qr}}")))), docx.BadPicture},
		"with a space":      {word(t, par(run("{{@ qr}}"))), docx.BadTag},
		"in a field":        {word(t, `<w:p><w:r><w:instrText>REF {{@qr}}</w:instrText></w:r></w:p>`), docx.TagOutsideText},
	} {
		_, err := docx.Fill(c.file, nil, map[string][]map[string]string{"a": {}}, picture)
		var problems *docx.Error
		require.ErrorAs(t, err, &problems, name)
		require.True(t, problems.Has(c.code), "%s: %v", name, err)
	}
	for body, tag := range map[string]string{"{{@ticket}}": "@ticket", "{{qr}}": "qr"} {
		_, err := docx.Fill(word(t, par(run(body))), map[string]string{"ticket": "x", "@ticket": "x"}, nil, picture)
		var problems *docx.Error
		require.ErrorAs(t, err, &problems)
		require.Equal(t, []string{tag}, problems.Unknown, "a picture is no text, and text no picture")
	}
}

// TestPicturesPrint has LibreOffice show them, in the text and in a footer.
func TestPicturesPrint(t *testing.T) {
	t.Parallel()
	rel := `<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="rId1" ` +
		`Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/footer" Target="footer1.xml"/></Relationships>`
	package1 := `<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="rId1" ` +
		`Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" Target="word/document.xml"/></Relationships>`
	template := word(t, par(run("isi {{@qr}}"))+`<w:sectPr><w:footerReference w:type="default" r:id="rId1" xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"/></w:sectPr>`,
		entry{"_rels/.rels", package1}, entry{"word/_rels/document.xml.rels", rel},
		entry{"word/footer1.xml", `<w:ftr ` + wordNS + `>` + par(run("kaki {{@qr}}")) + `</w:ftr>`})
	filled, err := docx.Fill(template, nil, nil, docx.Picture{Name: "qr", PNG: square(t, 60), Width: 20, Height: 20})
	require.NoError(t, err)
	converter, err := docx.NewConverter(docx.ConverterConfig{WorkDir: t.TempDir()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, converter.Close()) })
	pdfs, err := converter.Convert(t.Context(), []docx.Source{{Name: "gambar", Bytes: filled}})
	require.NoError(t, err)
	list := exec.Command("pdfimages", "-list", "-")
	list.Stdin = bytes.NewReader(pdfs[0])
	out, err := list.Output()
	require.NoError(t, err)
	require.Equal(t, 2, strings.Count(string(out), " image "), "%s", out)
}
