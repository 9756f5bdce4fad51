package docx_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/docx"
)

const officeRels = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"

// cut is a tag as Word leaves it after somebody has edited it: over runs, with a
// spelling mark between.
func cut(tag string) string {
	half := len(tag) / 2
	return run("{") + `<w:proofErr w:type="spellStart"/><w:r><w:rPr><w:b/></w:rPr><w:t>{` + tag[:half] + `</w:t></w:r><w:proofErr w:type="spellEnd"/>` + run(tag[half:]+"}") + run("}")
}

// spaced is a run whose outer blanks count.
func spaced(text string) string {
	return `<w:r><w:t xml:space="preserve">` + text + `</w:t></w:r>`
}

func control(id int, name, inside string) string {
	return fmt.Sprintf(`<w:sdt><w:sdtPr><w:alias w:val="%s"/><w:tag w:val="%s"/><w:id w:val="%d"/></w:sdtPr><w:sdtContent>%s</w:sdtContent></w:sdt>`, name, name, id, inside)
}

func wide(rowProperties string, cells ...string) string {
	var b strings.Builder
	for _, c := range cells {
		b.WriteString(`<w:tc><w:tcPr><w:tcW w:w="4500" w:type="dxa"/></w:tcPr>` + par(c) + `</w:tc>`)
	}
	return `<w:tr>` + rowProperties + b.String() + `</w:tr>`
}

// textBox is a shape with text, as Word writes it: for itself and, once more, for
// programs that do not know such shapes.
func textBox(inside string) string {
	return `<w:r><mc:AlternateContent><mc:Choice Requires="wps"><w:drawing><wp:anchor distT="0" distB="0" distL="0" distR="0" simplePos="0" relativeHeight="1" behindDoc="0" locked="0" layoutInCell="1" allowOverlap="1">` +
		`<wp:simplePos x="0" y="0"/><wp:positionH relativeFrom="column"><wp:posOffset>0</wp:posOffset></wp:positionH><wp:positionV relativeFrom="paragraph"><wp:posOffset>0</wp:posOffset></wp:positionV>` +
		`<wp:extent cx="3000000" cy="500000"/><wp:wrapTopAndBottom/><wp:docPr id="7" name="Kotak"/><a:graphic><a:graphicData uri="http://schemas.microsoft.com/office/word/2010/wordprocessingShape">` +
		`<wps:wsp><wps:cNvSpPr txBox="1"/><wps:spPr><a:xfrm><a:off x="0" y="0"/><a:ext cx="3000000" cy="500000"/></a:xfrm><a:prstGeom prst="rect"><a:avLst/></a:prstGeom></wps:spPr>` +
		`<wps:txbx><w:txbxContent>` + inside + `</w:txbxContent></wps:txbx><wps:bodyPr/></wps:wsp></a:graphicData></a:graphic></wp:anchor></w:drawing></mc:Choice>` +
		`<mc:Fallback><w:pict><v:shape style="width:236pt;height:40pt"><v:textbox><w:txbxContent>` + inside + `</w:txbxContent></v:textbox></v:shape></w:pict></mc:Fallback></mc:AlternateContent></w:r>`
}

// wholeTemplate has everything in it that staff put tags into, and that has to be there
// still when the tags are filled.
func wholeTemplate(t testing.TB) []byte {
	rel := func(id, kind, target string) string {
		return `<Relationship Id="` + id + `" Type="` + officeRels + `/` + kind + `" Target="` + target + `"/>`
	}
	const namespaces = wordNS + ` xmlns:r="` + officeRels + `" xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006" ` +
		`xmlns:wp="http://schemas.openxmlformats.org/drawingml/2006/wordprocessingDrawing" xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main" ` +
		`xmlns:wps="http://schemas.microsoft.com/office/word/2010/wordprocessingShape" xmlns:v="urn:schemas-microsoft-com:vml"`
	body := control(11, "kontrol_blok", par(spaced("Nomor: "), cut("document_number"))) +
		par(spaced("Tiket "), control(12, "kontrol_sebaris", cut("ticket")), spaced(" akhir")) +
		par(`<w:bookmarkStart w:id="1" w:name="penanda"/>`, cut("produsen_name"), `<w:bookmarkEnd w:id="1"/>`) +
		par(run("Kotak di bawah"), textBox(par(cut("subject")))) +
		`<w:tbl><w:tblPr><w:tblW w:w="9000" w:type="dxa"/></w:tblPr><w:tblGrid><w:gridCol w:w="4500"/><w:gridCol w:w="4500"/></w:tblGrid>` +
		wide(`<w:trPr><w:cantSplit/><w:tblHeader/></w:trPr>`, run("Urutan"), run("NomorAsal")) +
		wide("", run("{{#cards}}")+cut("no"), control(13, "kontrol_baris", cut("serial"))+run("{{/cards}}")) +
		wide("", run("Jumlah"), cut("quantity")) + `</w:tbl>` +
		`<w:sectPr><w:headerReference w:type="default" r:id="rId1"/><w:footerReference w:type="default" r:id="rId2"/><w:pgSz w:w="11906" w:h="16838"/>` +
		`<w:pgMar w:top="1440" w:right="1440" w:bottom="1440" w:left="1440" w:header="708" w:footer="708" w:gutter="0"/></w:sectPr>`
	file := word(t, body,
		entry{"_rels/.rels", `<Relationships xmlns="` + relsNS + `"><Relationship Id="rId1" Type="` + officeRels + `/officeDocument" Target="word/document.xml"/></Relationships>`},
		entry{"word/_rels/document.xml.rels", `<Relationships xmlns="` + relsNS + `">` + rel("rId1", "header", "header1.xml") + rel("rId2", "footer", "footer1.xml") + `</Relationships>`},
		entry{"word/header1.xml", `<w:hdr ` + wordNS + `>` + par(spaced("KOP "), cut("ministry")) + `</w:hdr>`},
		entry{"word/footer1.xml", `<w:ftr ` + wordNS + `>` + par(spaced("Kaki "), cut("ticket")) + `</w:ftr>`})
	return rewritten(t, file, "word/document.xml", func(s string) string { return strings.Replace(s, wordNS, namespaces, 1) })
}

const relsNS = "http://schemas.openxmlformats.org/package/2006/relationships"

// rewritten is a file with one entry changed.
func rewritten(t testing.TB, file []byte, name string, change func(string) string) []byte {
	var entries []entry
	for _, e := range []string{"[Content_Types].xml", "_rels/.rels", "word/document.xml", "word/_rels/document.xml.rels", "word/header1.xml", "word/footer1.xml"} {
		body := part(t, file, e)
		if e == name {
			body = change(body)
		}
		entries = append(entries, entry{e, body})
	}
	return pack(t, entries...)
}

func filledWhole(t *testing.T, template []byte) []byte {
	t.Helper()
	cards := make([]map[string]string, 250)
	for i := range cards {
		cards[i] = map[string]string{"no": fmt.Sprintf("U%03d", i+1), "serial": fmt.Sprintf("SAM%06d", i+1)}
	}
	filled, err := docx.Fill(template, map[string]string{
		"document_number": "400.8/1/Dukcapil", "ticket": "PSAM-1", "produsen_name": "PT Contoh", "subject": "Hal kotak", "ministry": "Kemendagri", "quantity": "250",
	}, map[string][]map[string]string{"cards": cards})
	require.NoError(t, err)
	return filled
}

// structure is what must be in a document whoever saved it.
func structure(t *testing.T, file []byte, header, footer string) map[string]int {
	t.Helper()
	body := part(t, file, "word/document.xml")
	count := func(pattern string) int { return len(regexp.MustCompile(pattern).FindAllString(body, -1)) }
	require.Contains(t, plain(part(t, file, header)), "KOP Kemendagri")
	require.Contains(t, plain(part(t, file, footer)), "Kaki PSAM-1")
	return map[string]int{
		"tables": count(`<w:tbl>`), "rows": count(`<w:tr[ >]`), "header rows": count(`<w:tblHeader(?: w:val="(?:true|1)")?/>`),
		"controls":  count(`<w:sdt>`), // LibreOffice 7.4 keeps those within a line, but not their titles
		"bookmarks": count(`<w:bookmarkStart [^>]*w:name="penanda"`), "text boxes": count(`<wps:txbx>`),
		"header references": count(`<w:headerReference `), "footer references": count(`<w:footerReference `),
	}
}

var markup = regexp.MustCompile(`<[^>]*>`)

func plain(xml string) string { return markup.ReplaceAllString(xml, "") }

func soffice(t *testing.T, to string, file []byte) []byte {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "naskah.docx"), file, 0o600))
	cmd := exec.CommandContext(t.Context(), "soffice", "-env:UserInstallation=file://"+filepath.Join(dir, "profile"), "--headless", "--norestore", "--nolockcheck",
		"--convert-to", to, "--outdir", filepath.Join(dir, "out"), filepath.Join(dir, "naskah.docx"))
	cmd.Env = append(os.Environ(), "HOME="+dir)
	said, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", said)
	ending, _, _ := strings.Cut(to, ":")
	out, err := os.ReadFile(filepath.Join(dir, "out", "naskah."+ending))
	require.NoError(t, err, "%s", said)
	return out
}

// TestTheTemplateStaysWhole: split runs, content controls, a bookmark, a text box,
// header, footer and the repeated heading of a table are all there after filling, and
// after LibreOffice has opened the result and saved it again.
func TestTheTemplateStaysWhole(t *testing.T) {
	t.Parallel()
	template := wholeTemplate(t)
	require.Empty(t, docx.Examine(template, docx.Rules{MaxBytes: 1 << 20, Required: []string{
		"document_number", "ticket", "produsen_name", "subject", "ministry", "quantity", "#cards", "cards.no", "cards.serial"}}))
	filled := filledWhole(t, template)
	want := map[string]int{
		"tables": 1, "rows": 252, "header rows": 1, "controls": 252, "bookmarks": 1, "text boxes": 1,
		"header references": 1, "footer references": 1,
	}
	require.Equal(t, want, structure(t, filled, "word/header1.xml", "word/footer1.xml"))
	for title, n := range map[string]int{"kontrol_blok": 1, "kontrol_sebaris": 1, "kontrol_baris": 250} {
		require.Equal(t, n, strings.Count(part(t, filled, "word/document.xml"), `<w:alias w:val="`+title+`"/>`), title)
	}
	require.Equal(t, 1, strings.Count(part(t, filled, "word/document.xml"), `<w:id w:val="13"/>`), "the id of a control occurs once")
	text, err := docx.Text(filled)
	require.NoError(t, err)
	require.NotContains(t, text, "{{")
	require.Equal(t, 2, strings.Count(part(t, filled, "word/document.xml"), "Hal kotak"), "in the text box, and for programs that do not know it")

	again := soffice(t, "docx:MS Word 2007 XML", filled)
	saved, err := docx.Text(again)
	require.NoError(t, err, "LibreOffice's own file opens")
	for _, words := range []string{"Nomor: 400.8/1/Dukcapil", "Tiket PSAM-1 akhir", "PT Contoh", "Hal kotak", "KOP Kemendagri", "Kaki PSAM-1", "U001\tSAM000001", "U250\tSAM000250", "Jumlah\t250"} {
		require.Contains(t, saved, words)
	}
	require.Equal(t, want, structure(t, again, "word/header1.xml", "word/footer1.xml"))
}

// TestTheHeadingOfATableIsOnEachPage of the PDF, with header and footer.
func TestTheHeadingOfATableIsOnEachPage(t *testing.T) {
	t.Parallel()
	pdf := soffice(t, "pdf:writer_pdf_Export", filledWhole(t, wholeTemplate(t)))
	pages, err := docx.PageCount(pdf)
	require.NoError(t, err)
	require.GreaterOrEqual(t, pages, 4)
	cmd := exec.Command("pdftotext", "-layout", "-", "-")
	cmd.Stdin = bytes.NewReader(pdf)
	out, err := cmd.Output()
	require.NoError(t, err)
	texts := strings.Split(strings.TrimSuffix(string(out), "\f"), "\f")
	require.Len(t, texts, pages)
	for i, page := range texts {
		require.Equal(t, 1, strings.Count(page, "NomorAsal"), "page %d", i+1)
		require.Contains(t, page, "KOP Kemendagri")
		require.Contains(t, page, "Kaki PSAM-1")
	}
	require.Equal(t, 1, strings.Count(string(out), "SAM000250"))
	require.Equal(t, 1, strings.Count(string(out), "Hal kotak"))
}
