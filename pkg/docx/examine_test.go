package docx_test

import (
	"archive/zip"
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/docx"
)

var letterRules = docx.Rules{
	Required: []string{"ticket", "document_number", "@verification_qr", "#cards", "cards.serial"}, Known: []string{"cards.no", "letter_date"}, MaxBytes: 3 << 20,
}

const rightLetter = "{{ticket}} {{document_number}} {{@verification_qr}}"

func rightTable() string {
	return table(row("{{#cards}}{{no}} {{ticket}}", "{{serial}}{{/cards}}"))
}

func relations(of string, list ...string) entry {
	return entry{"word/_rels/" + of + ".rels", `<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">` + strings.Join(list, "") + `</Relationships>`}
}

func outside(id, kind, target string) string {
	return `<Relationship Id="` + id + `" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/` + kind + `" Target="` + target + `" TargetMode="External"/>`
}

// retyped is a document whose main part has another content type.
func retyped(t *testing.T, file []byte, contentType string) []byte {
	return pack(t, entry{"[Content_Types].xml", strings.Replace(part(t, file, "[Content_Types].xml"), wordType+"document.main+xml", contentType, 1)},
		entry{"word/document.xml", part(t, file, "word/document.xml")})
}

func TestExamineTakesARightTemplate(t *testing.T) {
	t.Parallel()
	require.Empty(t, docx.Examine(word(t, par(run(rightLetter))+rightTable()+par(run("{{letter_date}}")),
		entry{"customXml/item1.xml", "\xff\xfe<\x00"}, relations("document.xml", outside("rId9", "hyperlink", "https://dukcapil.kemendagri.go.id"), outside("rId8", "hyperlink", "mailto:a@b.c"))), letterRules))
}

func TestExamineTellsEachFaultWithItsPlace(t *testing.T) {
	t.Parallel()
	body := par(run(rightLetter)) + rightTable()
	drawing := `<w:drawing><a:blip r:link="rId5" xmlns:a="a" xmlns:r="r"/></w:drawing>`
	field := func(code ...string) string {
		runs := `<w:r><w:fldChar w:fldCharType="begin"/></w:r>`
		for _, c := range code {
			runs += `<w:r><w:instrText>` + c + `</w:instrText></w:r>`
		}
		return par(run("Lihat "), runs, `<w:r><w:fldChar w:fldCharType="end"/></w:r>`)
	}
	for name, c := range map[string]struct {
		file []byte
		want docx.Fault
	}{
		"unknown":              {word(t, body+par(run("Tanggal {{leter_date}} itu"))), docx.Fault{Code: docx.UnknownTag, In: "body", Text: "Tanggal {{leter_date}} itu", Tag: "leter_date", Near: "letter_date"}},
		"unknown and unlike":   {word(t, body+par(run("{{keterangan_lain}}"))), docx.Fault{Code: docx.UnknownTag, In: "body", Text: "{{keterangan_lain}}", Tag: "keterangan_lain"}},
		"unknown in a row":     {word(t, par(run(rightLetter))+table(row("{{#cards}}{{seriall}}{{serial}}{{/cards}}"))), docx.Fault{Code: docx.UnknownTag, In: "body", Table: true, Text: "{{#cards}}{{seriall}}{{serial}}{{/cards}}", Tag: "cards.seriall", Near: "cards.serial"}},
		"unknown table":        {word(t, body+table(row("{{#card}}{{x}}{{/card}}"))), docx.Fault{Code: docx.UnknownTag, In: "body", Table: true, Text: "{{#card}}{{x}}{{/card}}", Tag: "#card", Near: "#cards"}},
		"missing":              {word(t, par(run("{{ticket}} {{@verification_qr}}"))+rightTable()), docx.Fault{Code: docx.MissingTag, Tag: "document_number"}},
		"missing picture":      {word(t, par(run("{{ticket}} {{document_number}}"))+rightTable()), docx.Fault{Code: docx.MissingTag, Tag: "@verification_qr"}},
		"missing table":        {word(t, par(run(rightLetter))), docx.Fault{Code: docx.MissingTag, Tag: "#cards"}},
		"missing column":       {word(t, par(run(rightLetter))+table(row("{{#cards}}{{no}}{{/cards}}"))), docx.Fault{Code: docx.MissingTag, Tag: "cards.serial"}},
		"row's tag outside":    {word(t, body+par(run("Nomor {{no}}"))), docx.Fault{Code: docx.RowTagOutside, In: "body", Text: "Nomor {{no}}", Tag: "no", Detail: "cards"}},
		"in a header":          {word(t, body, entry{"word/header1.xml", `<w:hdr ` + wordNS + `>` + par(run("{{x_y_z_w}}")) + `</w:hdr>`}), docx.Fault{Code: docx.UnknownTag, In: "header", Text: "{{x_y_z_w}}", Tag: "x_y_z_w"}},
		"tracked":              {word(t, body+par(run("lama "), `<w:ins>`+run("baru")+`</w:ins>`)), docx.Fault{Code: docx.TrackedChanges, In: "body", Text: "lama baru", Detail: "accept or reject the tracked changes"}},
		"tracked formatting":   {word(t, body+par(`<w:r><w:rPr><w:rPrChange/></w:rPr><w:t>tebal</w:t></w:r>`)), docx.Fault{Code: docx.TrackedChanges, In: "body", Text: "tebal", Detail: "accept or reject the tracked changes"}},
		"linked picture":       {word(t, body+par(run("Logo "), `<w:r>`+drawing+`</w:r>`), relations("document.xml", outside("rId5", "image", "http://x/l.png"))), docx.Fault{Code: docx.ExternalLink, In: "body", Text: "Logo", Detail: "image"}},
		"attached template":    {word(t, body, relations("settings.xml", outside("rId1", "attachedTemplate", "file:///x.dotx"))), docx.Fault{Code: docx.ExternalLink, Detail: "attachedTemplate"}},
		"link to a file":       {word(t, body, relations("document.xml", outside("rId1", "hyperlink", "file:///C:/rahasia.doc"))), docx.Fault{Code: docx.ExternalLink, In: "body", Detail: "hyperlink"}},
		"a VML picture":        {word(t, body+par(`<w:r><w:pict><imagedata src="http://x/y.png"/></w:pict></w:r>`)), docx.Fault{Code: docx.ExternalLink, In: "body", Detail: "image"}},
		"INCLUDETEXT":          {word(t, body+field("INCLUDE", `TEXT "C:\x.doc"`)), docx.Fault{Code: docx.LinkedField, In: "body", Text: "Lihat", Detail: "INCLUDETEXT"}},
		"DDE, simple":          {word(t, body+par(run("Nilai "), `<w:fldSimple w:instr=" DDEAUTO excel x ">`+run("1")+`</w:fldSimple>`)), docx.Fault{Code: docx.LinkedField, In: "body", Text: "Nilai 1", Detail: "DDEAUTO"}},
		"object":               {word(t, body+par(run("Tabel "), `<w:r><w:object><OLEObject/></w:object></w:r>`)), docx.Fault{Code: docx.Embedded, In: "body", Text: "Tabel", Detail: "object"}},
		"embedded file":        {word(t, body, entry{"word/embeddings/oleObject1.bin", "x"}), docx.Fault{Code: docx.Embedded, Detail: "oleObject1.bin"}},
		"an SVG picture":       {word(t, body, entry{"word/media/image1.svg", `<svg xmlns="http://www.w3.org/2000/svg"><script>x</script></svg>`}), docx.Fault{Code: docx.VectorPicture, Detail: "image1.svg"}},
		"a quiet SVG":          {word(t, body, entry{"word/media/image1.SVG", "x"}), docx.Fault{Code: docx.VectorPicture, Detail: "image1.SVG"}},
		"an SVG by its words":  {word(t, body, entry{"word/media/image1.png", "\ufeff<?xml version=\"1.0\"?><!-- x --><s:svg xmlns:s=\"http://www.w3.org/2000/svg\"><s:image href=\"http://x/\"/></s:svg>"}), docx.Fault{Code: docx.VectorPicture, Detail: "image1.png"}},
		"an SVG in UTF-16":     {word(t, body, entry{"word/media/image1.bin", "\xff\xfe<\x00s\x00v\x00g\x00>\x00"}), docx.Fault{Code: docx.VectorPicture, Detail: "image1.bin"}},
		"another file's text":  {word(t, body+`<w:altChunk/>`), docx.Fault{Code: docx.Embedded, In: "body", Detail: "altChunk"}},
		"bound control":        {word(t, body+par(`<w:sdt><w:sdtPr><w:dataBinding w:xpath="/x"/></w:sdtPr><w:sdtContent>`+run("{{ticket}}")+`</w:sdtContent></w:sdt>`)), docx.Fault{Code: docx.BoundControl, In: "body", Text: "{{ticket}}", Detail: "{{ticket}}"}},
		"macros in a docx":     {word(t, body, entry{"word/vbaProject.bin", "x"}), docx.Fault{Code: docx.Macro, Detail: "macros"}},
		"broken XML elsewhere": {word(t, body, entry{"word/styles.xml", "<w:styles>"}), docx.Fault{Code: docx.Damaged, Detail: "not well-formed XML"}},
		"loop outside":         {word(t, body+par(run("{{#cards}}"))), docx.Fault{Code: docx.LoopOutsideRow, In: "body", Text: "{{#cards}}", Detail: "{{#cards}}"}},
		"not closed":           {word(t, body+table(row("a {{ticket"))), docx.Fault{Code: docx.UnclosedTag, In: "body", Table: true, Text: "a {{ticket", Detail: "a {{ticket"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			found := docx.Examine(c.file, letterRules)
			for i := range found {
				found[i].Part = ""
			}
			require.Equal(t, []docx.Fault{c.want}, found)
		})
	}
}

func TestExamineTellsAllAtOnce(t *testing.T) {
	t.Parallel()
	file := word(t, par(run("{{tiket}} {{Nomor}}"))+par(`<w:del><w:r><w:delText>x</w:delText></w:r></w:del>`)+`<w:altChunk/>`,
		entry{"word/vbaProject.bin", "x"}, entry{"word/footer1.xml", `<w:ftr ` + wordNS + `>` + par(run("{{a}")) + `</w:ftr>`})
	var codes []docx.FaultCode
	for _, f := range docx.Examine(file, letterRules) {
		codes = append(codes, f.Code)
	}
	require.ElementsMatch(t, []docx.FaultCode{docx.BadTag, docx.TrackedChanges, docx.Embedded, docx.Macro, docx.UnclosedTag, docx.UnknownTag,
		docx.MissingTag, docx.MissingTag, docx.MissingTag, docx.MissingTag}, codes)
}

func TestExamineTellsTheWordsOfComments(t *testing.T) {
	t.Parallel()
	file := word(t, par(run(rightLetter))+rightTable(), entry{"word/comments.xml", `<w:comments ` + wordNS + `><w:comment w:id="1">` + par(run("Tolong "), run("cek")) + `</w:comment></w:comments>`})
	file = pack(t, entry{"[Content_Types].xml", strings.Replace(part(t, file, "[Content_Types].xml"), "</Types>", `<Override PartName="/word/comments.xml" ContentType="`+wordType+`comments+xml"/></Types>`, 1)},
		entry{"word/document.xml", part(t, file, "word/document.xml")}, entry{"word/comments.xml", part(t, file, "word/comments.xml")})
	require.Equal(t, []docx.Fault{{Code: docx.Comment, Part: "word/comments.xml", Detail: "Tolong cek"}}, docx.Examine(file, letterRules))
}

func TestExamineNamesOtherFiles(t *testing.T) {
	t.Parallel()
	right := word(t, par(run(rightLetter))+rightTable())
	compound := "\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1"
	var locked bytes.Buffer
	z := zip.NewWriter(&locked)
	f, err := z.CreateRaw(&zip.FileHeader{Name: "a", Flags: 1})
	require.NoError(t, err)
	_, err = io.WriteString(f, "")
	require.NoError(t, err)
	require.NoError(t, z.Close())
	for name, c := range map[string]struct {
		file   []byte
		code   docx.FaultCode
		detail string
	}{
		"empty": {nil, docx.WrongKind, ""}, "text": {[]byte("halo"), docx.WrongKind, ""}, "pdf": {minimalPDF(), docx.WrongKind, "pdf"}, "rtf": {[]byte(`{\rtf1}`), docx.WrongKind, "rtf"},
		"doc": {[]byte(compound + "WordDocument"), docx.WrongKind, "doc"}, "password": {[]byte(compound + "E\x00n\x00c\x00r\x00y\x00p\x00t\x00e\x00d\x00P\x00a\x00c\x00k\x00a\x00g\x00e\x00"), docx.Encrypted, ""},
		"locked zip": {locked.Bytes(), docx.Encrypted, ""},
		"odt":        {pack(t, entry{"mimetype", "application/vnd.oasis.opendocument.text"}), docx.WrongKind, "odt"}, "zip": {pack(t, entry{"a.txt", "a"}), docx.WrongKind, "zip"},
		"docm": {retyped(t, right, "application/vnd.ms-word.document.macroEnabled.main+xml"), docx.WrongKind, "docm"}, "dotx": {retyped(t, right, wordType+"template.main+xml"), docx.WrongKind, "dotx"},
		"xlsx": {retyped(t, right, "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"), docx.WrongKind, "xlsx"},
		"cut":  {right[:len(right)/2], docx.Damaged, "cannot be unpacked"}, "bomb": {word(t, par(run("x")), entry{"word/media/a", strings.Repeat("0", 17<<20)}), docx.TooLarge, "unpacks to more than the limit"},
		"too much in it": {word(t, strings.Repeat("<w:p/>", 310_000)), docx.TooLarge, "more than 300000 elements and attributes"},
		"large":          {make([]byte, letterRules.MaxBytes+1), docx.TooLarge, "3145728"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			found := docx.Examine(c.file, letterRules)
			require.Len(t, found, 1)
			require.Equal(t, c.code, found[0].Code)
			require.Equal(t, c.detail, found[0].Detail)
		})
	}
}

func FuzzExamine(f *testing.F) {
	f.Add(word(f, par(run(rightLetter))+rightTable()), par(run("{{a}}")))
	f.Fuzz(func(t *testing.T, file []byte, body string) {
		docx.Examine(file, letterRules)
		template := word(t, body)
		if len(docx.Examine(template, docx.Rules{Known: []string{"a"}, MaxBytes: 1 << 20})) > 0 {
			return
		}
		_, err := docx.Fill(template, map[string]string{"a": "x"}, nil)
		require.NoError(t, err, "what was found right can be filled")
	})
}
