package spoiled

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
)

// markup are lists whose XML is odd or broken. What stands in a part is the
// validator's to find; the intake opens a workbook and no sheet.
func markup(t testing.TB) []Sheet {
	good := inline(sheetHead, sheetTail)
	sheet := func(change func(string) string) []byte { return hand(t, change(good)) }
	edit := func(pairs ...string) []byte { return sheet(swap(pairs...)) }
	const firstSerial = `<c r="B2" t="inlineStr"><is><t>SAM-000001</t></is></c>`
	cell := func(text string) []byte { return edit(firstSerial, text) }
	shared := func(items string) []byte {
		return changed(t, plain(t), map[string]func(string) string{
			sheetPart:   to(strings.Replace(good, firstSerial, `<c r="B2" t="s"><v>0</v></c>`, 1)),
			stringsPart: to(`<sst xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">` + items + `</sst>`),
			bookRels: swap(`</Relationships>`, `<Relationship Id="rId90" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/sharedStrings" `+
				`Target="sharedStrings.xml"></Relationship></Relationships>`),
		})
	}
	prefixed := regexp.MustCompile(`<(/?)([a-zA-Z])`).ReplaceAllString(strings.Replace(sheetHead, "xmlns=", "xmlns:x=", 1)+
		strings.TrimPrefix(good, sheetHead), "<${1}x:${2}")
	bare := regexp.MustCompile(` r="[A-Z]*[0-9]+"`).ReplaceAllString(good, "")
	strict := changed(t, plain(t), map[string]func(string) string{
		sheetPart: to(strings.ReplaceAll(good, "http://schemas.openxmlformats.org/spreadsheetml/2006/main", "http://purl.oclc.org/ooxml/spreadsheetml/main")),
		bookPart: swap("http://schemas.openxmlformats.org/spreadsheetml/2006/main", "http://purl.oclc.org/ooxml/spreadsheetml/main",
			"http://schemas.openxmlformats.org/officeDocument/2006/relationships", "http://purl.oclc.org/ooxml/officeDocument/relationships"),
		bookRels: swap("http://schemas.openxmlformats.org/officeDocument/2006/relationships", "http://purl.oclc.org/ooxml/officeDocument/relationships"),
		rootRels: swap("http://schemas.openxmlformats.org/officeDocument/2006/relationships", "http://purl.oclc.org/ooxml/officeDocument/relationships"),
	})
	laughs := `<!DOCTYPE w [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;">]>`
	var wide strings.Builder
	for _, c := range good {
		wide.WriteRune(c)
		wide.WriteByte(0)
	}
	blanks := strings.Repeat(`<row><c s="0"/></row>`, 60_000)
	broken := []string{"list_damaged /card_list"}
	date := []string{"serial_date " + at("B2")}
	return []Sheet{
		{Name: "inline strings by hand", Body: hand(t, good), Cards: three},
		{Name: "prefixed names", Body: hand(t, prefixed), Cards: three},
		{Name: "strict names", Body: strict, Cards: three},
		{Name: "cells without references", Body: hand(t, strings.ReplaceAll(strings.ReplaceAll(bare, "<row>", "<row><c/>"), sheetHead+"<row><c/>", sheetHead+"<row><c/>")), Cards: three},
		{Name: "references in small letters", Body: edit(`r="B2"`, `r="b2"`), Cards: three},
		{Name: "dimension of a million rows", Body: edit("<sheetData>", `<dimension ref="A1:XFD1048576"/><sheetData>`), Cards: three},
		{Name: "60 000 blank rows", Body: edit("</sheetData>", blanks+"</sheetData>"), Cards: three},
		{Name: "last row of all", Body: edit("</sheetData>", `<row r="1048576"><c r="B1048576" s="0"/></row></sheetData>`), Cards: three},
		{Name: "comments, CDATA and instructions", Body: edit("SAM-000001", "<!-- a > b -->SAM-<![CDATA[000001]]><?x y?>"), Cards: three},
		{Name: "rich text in a cell of its own", Body: cell(`<c r="B2" t="inlineStr"><is><r><t>SAM-</t></r><r><rPr><b/></rPr><t>000001</t></r></is></c>`), Cards: three},
		{Name: "reading aids", Body: cell(`<c r="B2" t="inlineStr"><is><t>SAM-000001</t><rPh sb="0" eb="3"><t>sam</t></rPh><phoneticPr fontId="1"/></is></c>`), Cards: three},
		{Name: "shared string", Body: shared(`<si><t>SAM-000001</t></si>`), Cards: three},
		{Name: "shared rich text with reading aids", Body: shared(`<si><r><t>SAM-</t></r><r><t xml:space="preserve">000001</t></r><rPh sb="0" eb="1"><t>x</t></rPh></si>`), Cards: three},
		{Name: "shared string with escapes", Body: shared(`<si><t>_x0053_AM-000001_x000D_&#10;</t></si>`), Cards: three, Warned: []string{"invisible_characters " + at("B2")}},
		{Name: "shared string that is not there", Body: shared(``), Found: broken},
		{Name: "shared strings that break off", Body: shared(`<si><t>SAM-000001</si>`), Found: broken},
		{Name: "result of a formula that was taken out", Body: cell(`<c r="B2" t="str"><v>SAM-000001</v></c>`), Cards: three},
		{Name: "formula with a text for result", Body: cell(`<c r="B2" t="str"><f>A1</f><v>SAM-000001</v></c>`), Found: []string{"formula " + at("B2")}},
		{Name: "error in a cell", Body: cell(`<c r="B2" t="e"><v>#N/A</v></c>`), Found: []string{"cell_error " + at("B2")}},
		{Name: "error in the remarks", Body: edit("No. Seri Reader</t></is></c>", `No. Seri Reader</t></is></c><c r="D1" t="inlineStr"><is><t>Keterangan</t></is></c>`,
			"R-000002</t></is></c>", `R-000002</t></is></c><c r="D3" t="e"><v>#REF!</v></c>`), Found: []string{"cell_error " + at("D3")}},
		{Name: "date as text of the strict form", Body: cell(`<c r="B2" t="d"><v>2026-11-21</v></c>`), Found: date},
		{Name: "cell of an unknown type", Body: cell(`<c r="B2" t="q"><v>1</v></c>`), Found: broken},
		{Name: "number that is none", Body: cell(`<c r="B2"><v>SAM</v></c>`), Found: broken},
		{Name: "long number with an exponent", Body: cell(`<c r="B2"><v>1.23456789012346E+15</v></c>`), Found: []string{"serial_numeric " + at("B2")}},
		{Name: "text beyond what a cell holds", Body: cell(`<c r="B2" t="inlineStr"><is><t>` + strings.Repeat("x", 40_000) + `</t></is></c>`), Found: []string{"list_too_large /card_list"}},
		{Name: "rows backwards", Body: edit(`<row r="3">`, `<row r="1">`), Found: broken},
		{Name: "cells backwards", Body: edit(`r="C3"`, `r="A3"`), Found: broken},
		{Name: "XML that breaks off", Body: hand(t, good[:len(good)*2/3]), Found: broken},
		{Name: "XML with a wrong end", Body: edit("</row><row r=\"3\">", "</rows><row r=\"3\">"), Found: broken},
		{Name: "no XML", Body: hand(t, "bukan XML"), Found: broken},
		{Name: "document type", Body: edit("<worksheet", "<!DOCTYPE worksheet><worksheet"), Found: broken},
		{Name: "entities of entities", Body: edit("<worksheet", laughs+"<worksheet", "SAM-000001", "&c;"), Found: broken},
		{Name: "entity from outside", Body: edit("<worksheet", `<!DOCTYPE w [<!ENTITY a SYSTEM "file:///etc/passwd">]><worksheet`, "SAM-000001", "&a;"), Found: broken},
		{Name: "entity that nobody declared", Body: edit("SAM-000001", "&nbsp;"), Found: broken},
		{Name: "UTF-16", Body: hand(t, "\xff\xfe"+wide.String()), Found: broken},
		{Name: "Latin-1", Body: edit(`encoding="UTF-8"`, `encoding="ISO-8859-1"`), Found: broken},
		{Name: "bytes that are no UTF-8", Body: edit("SAM-000001", "SAM-\xff\xfe"), Found: broken},
		{Name: "elements nested too deep", Body: edit("<sheetData>", strings.Repeat("<a>", 5000)+strings.Repeat("</a>", 5000)+"<sheetData>"), Found: broken},
		{Name: "attribute of two megabytes", Body: edit("<sheetData>", `<a b="`+strings.Repeat("x", 2<<20)+`"/><sheetData>`), Found: broken},
		{Name: "sheet of nothing", Body: hand(t, `<worksheet/>`), Found: []string{"header_missing /card_list"}},
		{Name: "rows outside of the data", Body: edit("</sheetData>", `</sheetData><extLst><row r="9"><c r="B9"><v>1</v></c></row></extLst>`), Cards: three},
		{Name: "array formula over cells", Body: edit(firstSerial, `<c r="B2" t="str"><f t="array" ref="B2:B3">X1:X2</f><v>SAM-000001</v></c>`), Found: []string{"formula " + at("B2")}},
		{Name: "shared formula by hand", Body: edit(firstSerial, `<c r="B2" t="str"><f t="shared" ref="B2:B3" si="0">A1</f><v>a</v></c>`,
			`<c r="B3" t="inlineStr"><is><t>SAM-000002</t></is></c>`, `<c r="B3" t="str"><f t="shared" si="0"/><v>b</v></c>`), Found: []string{"formula " + at("B2:B3")}},
	}
}

// Long is a list of n cards.
func Long(t testing.TB, n int) []byte {
	var b strings.Builder
	b.WriteString(sheetHead)
	b.WriteString(`<row><c/><c t="inlineStr"><is><t>No. Seri Kartu SAM</t></is></c><c t="inlineStr"><is><t>No. Seri Reader</t></is></c></row>`)
	for i := range n {
		fmt.Fprintf(&b, `<row><c/><c t="inlineStr"><is><t>SAM-%06d</t></is></c><c t="inlineStr"><is><t>R-%06d</t></is></c></row>`, i, i)
	}
	b.WriteString(sheetTail)
	return hand(t, b.String())
}
