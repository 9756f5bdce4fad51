package docx_test

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/docx"
)

const (
	typesHead = `<?xml version="1.0" encoding="UTF-8" standalone="yes"?>` +
		`<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">` +
		`<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>`
	wordType = "application/vnd.openxmlformats-officedocument.wordprocessingml."
	wordNS   = `xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main" ` +
		`xmlns:w14="http://schemas.microsoft.com/office/word/2010/wordml"`
)

type entry struct{ name, body string }

func pack(t testing.TB, entries ...entry) []byte {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, e := range entries {
		f, err := w.Create(e.name)
		require.NoError(t, err)
		_, err = io.WriteString(f, e.body)
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return b.Bytes()
}

// word makes a .docx of a body, a header and further entries.
func word(t testing.TB, body string, more ...entry) []byte {
	types := typesHead + `<Override PartName="/word/document.xml" ContentType="` + wordType + `document.main+xml"/>`
	for _, e := range more {
		for _, kind := range []string{"header", "footer"} {
			if strings.HasPrefix(e.name, "word/"+kind) {
				types += `<Override PartName="/` + e.name + `" ContentType="` + wordType + kind + `+xml"/>`
			}
		}
	}
	entries := []entry{
		{"[Content_Types].xml", types + `</Types>`},
		{"word/document.xml", `<?xml version="1.0" encoding="UTF-8" standalone="yes"?><w:document ` + wordNS + `><w:body>` + body + `</w:body></w:document>`},
	}
	return pack(t, append(entries, more...)...)
}

func run(text string) string { return `<w:r><w:t>` + text + `</w:t></w:r>` }
func par(runs ...string) string {
	return `<w:p>` + strings.Join(runs, "") + `</w:p>`
}
func row(cells ...string) string {
	var b strings.Builder
	for _, c := range cells {
		b.WriteString(`<w:tc>` + par(run(c)) + `</w:tc>`)
	}
	return `<w:tr>` + b.String() + `</w:tr>`
}
func table(rows ...string) string { return `<w:tbl>` + strings.Join(rows, "") + `</w:tbl>` }

func part(t testing.TB, file []byte, name string) string {
	r, err := zip.NewReader(bytes.NewReader(file), int64(len(file)))
	require.NoError(t, err)
	f, err := r.Open(name)
	require.NoError(t, err)
	b, err := io.ReadAll(f)
	require.NoError(t, err)
	require.NoError(t, f.Close())
	return string(b)
}

func TestFillKeepsTheTemplate(t *testing.T) {
	t.Parallel()
	header := `<w:hdr ` + wordNS + `>` + par(run("KOP {{ministry}}")) + `</w:hdr>`
	template := word(t,
		// A tag cut over three runs, with a spelling mark between, inside a content control and a bookmark.
		`<w:sdt><w:sdtPr><w:id w:val="7"/><w:alias w:val="nomor"/></w:sdtPr><w:sdtContent><w:p><w:bookmarkStart w:id="1" w:name="b"/>`+
			`<w:r><w:t>Nomor: {</w:t></w:r><w:proofErr w:type="spellStart"/><w:r><w:rPr><w:b/></w:rPr><w:t>{document_</w:t></w:r>`+
			`<w:r><w:t>number}} akhir</w:t></w:r><w:bookmarkEnd w:id="1"/></w:p></w:sdtContent></w:sdt>`+
			par(run("{{a}}{{b}}"), run(" dan {{ a }}"))+
			`<w:sectPr><w:headerReference w:type="first" r:id="rId1" xmlns:r="x"/></w:sectPr>`,
		entry{"word/header1.xml", header},
		entry{"word/media/garuda.bin", strings.Repeat("raw\x00", 300)},
		entry{"word/settings.xml", `<w:settings ` + wordNS + `/>`})
	values := map[string]string{
		"document_number": `400.8/1/Dukcapil & <"Uji">`, "a": "satu {{b}}", "b": "", "ministry": "Kemendagri", "not_used": "x",
	}
	filled, err := docx.Fill(template, values, nil)
	require.NoError(t, err)

	text, err := docx.Text(filled)
	require.NoError(t, err)
	require.Equal(t, "KOP Kemendagri\nNomor: 400.8/1/Dukcapil & <\"Uji\"> akhir\nsatu {{b}} dan satu {{b}}\n", text,
		"values are text: a tag in a value stays")

	document := part(t, filled, "word/document.xml")
	for _, kept := range []string{`<w:id w:val="7"/>`, `<w:bookmarkStart w:id="1" w:name="b"/>`, `<w:headerReference `, `<w:proofErr `, `<w:b/>`} {
		require.Contains(t, document, kept)
	}
	for _, name := range []string{"word/media/garuda.bin", "word/settings.xml", "[Content_Types].xml"} {
		require.Equal(t, part(t, template, name), part(t, filled, name), name)
	}
	again, err := docx.Fill(template, values, nil)
	require.NoError(t, err)
	require.Equal(t, filled, again, "equal input gives equal bytes")
}

// TestFillWritesIntoTheFirstRun: the value has the format of the run in which its tag starts.
func TestFillWritesIntoTheFirstRun(t *testing.T) {
	t.Parallel()
	template := word(t, par(run("x"), `<w:r><w:rPr><w:b/></w:rPr><w:t>{{na</w:t></w:r>`, run("me"), run("}}y{{name}}")))
	filled, err := docx.Fill(template, map[string]string{"name": "N"}, nil)
	require.NoError(t, err)
	require.Contains(t, part(t, filled, "word/document.xml"),
		`<w:r><w:t>x</w:t></w:r><w:r><w:rPr><w:b/></w:rPr><w:t xml:space="preserve">N</w:t></w:r>`+
			`<w:r><w:t xml:space="preserve"/></w:r><w:r><w:t xml:space="preserve">yN</w:t></w:r>`)
}

func TestFillBreaksLines(t *testing.T) {
	t.Parallel()
	filled, err := docx.Fill(word(t, par(run("a {{v}} z"))), map[string]string{"v": "satu\r\ndua\ttiga\x00\x1b"}, nil)
	require.NoError(t, err)
	text, err := docx.Text(filled)
	require.NoError(t, err)
	require.Equal(t, "a satu\ndua\ttiga z\n", text)
	require.Contains(t, part(t, filled, "word/document.xml"), `<w:br/>`)
}

func TestFillRepeatsRows(t *testing.T) {
	t.Parallel()
	template := word(t,
		table(row("No.", "Seri"),
			`<w:tr w14:paraId="1A" w14:textId="77"><w:tc>`+par(`<w:bookmarkStart w:id="3" w:name="k"/>`, run("{{#cards}}{{no}}"))+`</w:tc><w:tc>`+
				par(run("{{serial}} {{ticket}}{{/cards}}"))+`</w:tc></w:tr>`,
			row("Jumlah", "{{quantity}}"))+
			// A block of two rows, inside a cell of an outer layout table.
			table(`<w:tr><w:tc>`+table(row("{{#copies}}A{{name}}"), row("B{{name}}{{/copies}}"))+`<w:p/></w:tc></w:tr>`))
	values := map[string]string{"ticket": "T-1", "quantity": "250", "name": "outer"}
	cards := make([]map[string]string, 250)
	for i := range cards {
		cards[i] = map[string]string{"no": fmt.Sprint(i + 1), "serial": fmt.Sprintf("S%03d", i+1)}
	}
	cards[1]["ticket"] = "own"
	filled, err := docx.Fill(template, values, map[string][]map[string]string{
		"cards": cards, "copies": {{"name": "x"}, {}},
	})
	require.NoError(t, err)
	text, err := docx.Text(filled)
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(text, "No.\tSeri\n1\tS001 T-1\n2\tS002 own\n3\tS003 T-1\n"), text[:80])
	require.Contains(t, text, "250\tS250 T-1\nJumlah\t250\n")
	require.Contains(t, text, "Ax Bx Aouter Bouter")
	document := part(t, filled, "word/document.xml")
	require.Equal(t, 1, strings.Count(document, "bookmarkStart"), "a bookmark occurs once")
	require.Equal(t, 1, strings.Count(document, `w14:paraId="1A"`), "a paragraph id occurs once")
}

func TestFillWithoutRows(t *testing.T) {
	t.Parallel()
	template := word(t, table(row("No."), row("{{#cards}}{{no}}{{/cards}}"))+
		`<w:tbl><w:tr><w:tc>`+table(row("{{#copies}}{{no}}{{/copies}}"))+`</w:tc></w:tr></w:tbl>`)
	filled, err := docx.Fill(template, nil, map[string][]map[string]string{"cards": {}, "copies": nil})
	require.NoError(t, err)
	document := part(t, filled, "word/document.xml")
	require.Contains(t, document, `<w:t>No.</w:t>`)
	require.Contains(t, document, `<w:tc><w:p/></w:tc>`, "a table without rows is gone and its cell still ends with a paragraph")
	require.Equal(t, 2, strings.Count(document, "<w:tbl>"))
}

func TestFillNamesUnknownTags(t *testing.T) {
	t.Parallel()
	template := word(t, par(run("{{b}} {{a}} {{c}}"))+table(row("{{#cards}}{{no}}{{/cards}}"))+table(row("{{#copies}}x{{/copies}}")))
	_, err := docx.Fill(template, map[string]string{"c": ""}, map[string][]map[string]string{"cards": {{"no": "1"}, {"number": "2"}}})
	var problems *docx.Error
	require.ErrorAs(t, err, &problems)
	require.Equal(t, []string{"#copies", "a", "b", "cards.no"}, problems.Unknown)
	require.Contains(t, err.Error(), "unknown tags #copies, a, b, cards.no")
}

func TestTagsAndCheck(t *testing.T) {
	t.Parallel()
	template := word(t, par(run("{{ticket}} {{ticket}}"))+table(row("{{#cards}}{{no}}", "{{serial}}{{/cards}}")),
		entry{"word/footer2.xml", `<w:ftr ` + wordNS + `>` + par(run("{{draft_note}}")) + `</w:ftr>`})
	tags, err := docx.Tags(template)
	require.NoError(t, err)
	require.Equal(t, []string{"#cards", "cards.no", "cards.serial", "draft_note", "ticket"}, tags)

	require.NoError(t, docx.Check(template, []string{"ticket", "#cards"}, tags))
	var problems *docx.Error
	require.ErrorAs(t, docx.Check(template, []string{"ticket", "document_number"}, []string{"#cards", "cards.no"}), &problems)
	require.Equal(t, []string{"document_number"}, problems.Missing)
	require.Equal(t, []string{"cards.serial", "draft_note"}, problems.Unknown)
}

func TestFaults(t *testing.T) {
	t.Parallel()
	good := par(run("x"))
	rels := func(target string) entry {
		return entry{"word/_rels/document.xml.rels", `<Relationships xmlns="r"><Relationship Id="1" ` + target + `/></Relationships>`}
	}
	for name, c := range map[string]struct {
		file []byte
		code docx.FaultCode
	}{
		"no zip":           {[]byte("%PDF-1.7"), docx.NotWord},
		"empty":            {nil, docx.NotWord},
		"zip, not Word":    {pack(t, entry{"a.txt", "a"}), docx.NotWord},
		"no document":      {pack(t, entry{"[Content_Types].xml", typesHead + `</Types>`}), docx.NotWord},
		"broken XML":       {word(t, `<w:p>`), docx.Damaged},
		"DOCTYPE":          {word(t, good, entry{"word/header1.xml", `<!DOCTYPE x><w:hdr ` + wordNS + `/>`}), docx.Damaged},
		"deep":             {word(t, strings.Repeat("<w:p>", 300)+strings.Repeat("</w:p>", 300)), docx.Damaged},
		"twice":            {word(t, good, entry{"word/document.xml", "x"}), docx.Damaged},
		"climbing name":    {word(t, good, entry{"../evil", "x"}), docx.Damaged},
		"bomb":             {word(t, good, entry{"word/media/a", strings.Repeat("0", 17<<20)}), docx.TooLarge},
		"many entries":     {word(t, good, make([]entry, 600)...), docx.TooLarge},
		"macros":           {word(t, good, entry{"word/vbaProject.bin", "x"}), docx.Macro},
		"outside link":     {word(t, good, rels(`Type="http://x/attachedTemplate" Target="file:///n" TargetMode="External"`)), docx.ExternalLink},
		"tracked":          {word(t, `<w:p><w:ins>`+run("x")+`</w:ins></w:p>`), docx.TrackedChanges},
		"upper case tag":   {word(t, par(run("{{Nomor Surat}}"))), docx.BadTag},
		"unclosed":         {word(t, par(run("{{a}"))), docx.UnclosedTag},
		"over a break":     {word(t, par(run("{{a"), `<w:r><w:br/></w:r>`, run("b}}"))), docx.BadTag},
		"in a field":       {word(t, `<w:p><w:r><w:instrText>REF {{a}}</w:instrText></w:r></w:p>`), docx.TagOutsideText},
		"loop in text":     {word(t, par(run("{{#a}}{{/a}}"))), docx.LoopOutsideRow},
		"open loop":        {word(t, table(row("{{#a}}"))), docx.UnbalancedLoop},
		"closed only":      {word(t, table(row("{{/a}}"))), docx.UnbalancedLoop},
		"wrong close":      {word(t, table(row("{{#a}}{{/b}}"))), docx.UnbalancedLoop},
		"loop over tables": {word(t, table(row("{{#a}}"))+table(row("{{/a}}"))), docx.UnbalancedLoop},
		"nested":           {word(t, table(row("{{#a}}{{#b}}{{/b}}{{/a}}"))), docx.NestedLoop},
		"nested table": {word(t, table(`<w:tr><w:tc>`+par(run("{{#a}}"))+table(row("{{#b}}{{/b}}"))+par(run("{{/a}}"))+`</w:tc></w:tr>`)),
			docx.NestedLoop},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := docx.Fill(c.file, nil, nil)
			var problems *docx.Error
			require.ErrorAs(t, err, &problems)
			require.True(t, problems.Has(c.code), "%v", err)
		})
	}
	_, err := docx.Fill(word(t, good, rels(`Type="http://x/hyperlink" Target="https://dukcapil.kemendagri.go.id" TargetMode="External"`)), nil, nil)
	require.NoError(t, err, "a web address in the letterhead is no danger")
}

// TestTruncated: a file cut anywhere is refused, never a panic.
func TestTruncated(t *testing.T) {
	t.Parallel()
	file := word(t, par(run("{{a}}")))
	for n := range file {
		_, err := docx.Fill(file[:n], map[string]string{"a": "x"}, nil)
		require.Error(t, err)
	}
}

func FuzzFillFile(f *testing.F) {
	f.Add(word(f, par(run("{{a}}"))))
	f.Fuzz(func(t *testing.T, file []byte) {
		filled, err := docx.Fill(file, map[string]string{"a": "x"}, nil)
		if err == nil {
			_, err = docx.Text(filled)
			require.NoError(t, err)
		}
	})
}

func FuzzFillBody(f *testing.F) {
	f.Add(par(run("{{a"), run("}} {{b}}")), "x\ny", "{{a}}")
	f.Add(table(row("{{#rows}}{{a}}", "{{/rows}}")), "<&>", "\x00")
	f.Add(par(run("{{@qr"), run("}}\uFFFC{{a}}{{@qr}}")), "\uFFFC", "{{@qr}}")
	picture := docx.Picture{Name: "qr", PNG: square(f, 4), Width: 20, Height: 20}
	f.Fuzz(func(t *testing.T, body, a, b string) {
		template := word(t, body)
		filled, err := docx.Fill(template, map[string]string{"a": a, "b": b},
			map[string][]map[string]string{"rows": {{}, {"a": b}}}, picture)
		if err != nil {
			var problems *docx.Error
			require.True(t, errors.As(err, &problems), "%v", err)
			return
		}
		_, err = docx.Text(filled)
		require.NoError(t, err, "what was filled must open")
		// Filled with values that hold no tags, no tag may be left.
		plain, err := docx.Fill(template, map[string]string{"a": "x", "b": "y"}, map[string][]map[string]string{"rows": {{}}}, picture)
		require.NoError(t, err)
		left, err := docx.Tags(plain)
		require.NoError(t, err)
		require.Empty(t, left)
	})
}

func BenchmarkFill250Rows(b *testing.B) {
	template := word(b, table(row("{{#cards}}{{no}}", "{{serial}}", "{{pcid}}", "{{manifest}}{{/cards}}")))
	cards := make([]map[string]string, 250)
	for i := range cards {
		cards[i] = map[string]string{"no": fmt.Sprint(i), "serial": "S", "pcid": "P", "manifest": "M"}
	}
	for b.Loop() {
		if _, err := docx.Fill(template, nil, map[string][]map[string]string{"cards": cards}); err != nil {
			b.Fatal(err)
		}
	}
}
