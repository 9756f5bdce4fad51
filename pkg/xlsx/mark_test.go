package xlsx_test

import (
	"archive/zip"
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/xuri/excelize/v2"

	"dukcapil.go.id/sifilma/pkg/xlsx"
)

const relationships = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"

// foreign is a workbook as other programs lay one out: two sheets with comments
// in parts of their own names, the second of which has the numbers that
// excelize would give to the first.
func foreign(sheet string, more map[string]string) map[string]string {
	head := `<?xml version="1.0" encoding="UTF-8"?>`
	main := `xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" xmlns:r="` + relationships + `"`
	rels := func(list ...string) string {
		text := head + `<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">`
		for i := 0; i+1 < len(list); i += 2 {
			text += fmt.Sprintf(`<Relationship Id="rId%d" Type="%s/%s" Target="%s"/>`, i/2+1, relationships, list[i], list[i+1])
		}
		return text + `</Relationships>`
	}
	vml := func(row, col int) string {
		return fmt.Sprintf(`<xml xmlns:v="urn:schemas-microsoft-com:vml" xmlns:o="urn:schemas-microsoft-com:office:office" xmlns:x="urn:schemas-microsoft-com:office:excel">
<v:shapetype id="_x0000_t202" coordsize="21600,21600" o:spt="202" path="m,l,21600r21600,l21600,xe"/>
<v:shape id="_x0000_s2049" type="#_x0000_t202" style="visibility:hidden"><x:ClientData ObjectType="Note"><x:Anchor>1,15,0,2,3,31,4,1</x:Anchor><x:Row>%d</x:Row><x:Column>%d</x:Column></x:ClientData></v:shape></xml>`, row-1, col-1)
	}
	comment := func(ref, text string) string {
		return head + `<x:comments xmlns:x="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><x:authors><x:author>Gudang</x:author></x:authors><x:commentList>` +
			`<x:comment ref="` + ref + `" authorId="0"><x:text><x:t>` + text + `</x:t></x:text></x:comment></x:commentList></x:comments>`
	}
	parts := map[string]string{
		"[Content_Types].xml": head + `<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Default Extension="xml" ContentType="application/xml"/><Default Extension="vml" ContentType="application/vnd.openxmlformats-officedocument.vmlDrawing"/><Override PartName="/xl/workbook.xml" ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"/><Override PartName="/xl/worksheets/sheet1.xml" ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml"/><Override PartName="/xl/worksheets/sheet2.xml" ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml"/></Types>`,
		"_rels/.rels":         rels("officeDocument", "xl/workbook.xml"),
		"xl/workbook.xml": head + `<workbook ` + main + `><bookViews><workbookView activeTab="1"/></bookViews><sheets><sheet name="Daftar" sheetId="4" r:id="rId1"/><sheet name="Lain" sheetId="7" r:id="rId2"/></sheets>` +
			`<definedNames><definedName name="_xlnm.Print_Area" localSheetId="1">Lain!$A$1:$B$2</definedName></definedNames></workbook>`,
		"xl/_rels/workbook.xml.rels":           rels("worksheet", "worksheets/sheet1.xml", "worksheet", "/xl/worksheets/sheet2.xml"),
		"xl/worksheets/sheet1.xml":             head + `<worksheet ` + main + `><sheetViews><sheetView tabSelected="1" workbookViewId="0"/></sheetViews><sheetData>` + sheet + `</sheetData></worksheet>`,
		"xl/worksheets/sheet2.xml":             head + `<worksheet ` + main + `><sheetViews><sheetView tabSelected="1" workbookViewId="0"/></sheetViews><sheetData><row r="1"><c r="A1" t="inlineStr"><is><t>lain</t></is></c></row></sheetData><legacyDrawing r:id="rId1"/></worksheet>`,
		"xl/worksheets/_rels/sheet2.xml.rels":  rels("vmlDrawing", "../drawings/vmlDrawing1.vml", "comments", "../comments1.xml"),
		"xl/drawings/vmlDrawing1.vml":          vml(1, 1),
		"xl/comments1.xml":                     comment("A1", "Milik lembar lain."),
		"xl/drawings/commentsDrawing4.vml":     vml(2, 2),
		"xl/comments/comment4.xml":             comment("B2", "Cek &amp; ricek."),
		"xl/worksheets/_rels/sheet1.xml.rels!": rels("vmlDrawing", "/xl/drawings/commentsDrawing4.vml", "comments", "/xl/comments/comment4.xml"),
	}
	for name, content := range more {
		parts[name] = content
	}
	return parts
}

const twoRows = `<row r="2"><c r="B2" t="inlineStr"><is><t>X</t></is></c></row><row r="5" ht="90" customHeight="1"><c r="C5"><v>1.50</v></c></row>`

func pack(t testing.TB, parts map[string]string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for name, content := range parts {
		if strings.HasSuffix(name, "!") {
			continue
		}
		e, err := w.Create(name)
		require.NoError(t, err)
		_, err = e.Write([]byte(content))
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return b.Bytes()
}

func marking(notes ...xlsx.Note) xlsx.Marking {
	return xlsx.Marking{Sheet: "Daftar", Author: "KAMI", Fills: []string{"ABCDE1"}, Notes: notes, Page: xlsx.Page{
		Name: "Halaman", Title: "Judul kami", Lines: []string{"Baris."}, Columns: []xlsx.Column{{Title: "Tempat", Width: 20}},
		Rows: [][]xlsx.PageCell{{{Text: "B2", Link: xlsx.Place("Daftar", "B2")}}},
	}}
}

func marked(t testing.TB, file []byte, m xlsx.Marking) []byte {
	t.Helper()
	var out bytes.Buffer
	require.NoError(t, xlsx.Mark(&out, bytes.NewReader(file), int64(len(file)), xlsx.Limits{}, m))
	return out.Bytes()
}

func remarks(t testing.TB, book *excelize.File, sheet string) map[string]string {
	t.Helper()
	list, err := book.GetComments(sheet)
	require.NoError(t, err)
	texts := map[string]string{}
	for _, c := range list {
		texts[c.Cell] = c.Author + "|" + c.Text
		for _, run := range c.Paragraph {
			texts[c.Cell] += run.Text
		}
	}
	return texts
}

func TestMarkLeavesTheCommentsOfOtherSheets(t *testing.T) {
	t.Parallel()
	file := marked(t, pack(t, foreign(twoRows, nil)), marking(
		xlsx.Note{Row: 2, Col: 2, Fill: "ABCDE1", Text: "Satu."}, xlsx.Note{Row: 3, Col: 1, Fill: "ABCDE1", Text: "Sel <kosong>."}))
	book, err := excelize.OpenReader(bytes.NewReader(file))
	require.NoError(t, err)
	defer func() { require.NoError(t, book.Close()) }()
	require.Equal(t, []string{"Halaman", "Daftar", "Lain"}, book.GetSheetList())
	require.Zero(t, book.GetActiveSheetIndex())
	require.Equal(t, map[string]string{"A1": "Gudang|Milik lembar lain."}, remarks(t, book, "Lain"))
	require.Equal(t, map[string]string{"B2": "KAMI|KAMI:\nSatu.", "A3": "KAMI|KAMI:\nSel <kosong>."}, remarks(t, book, "Daftar"))
	require.Equal(t, "Lain", book.GetDefinedName()[0].Scope)
	value, err := book.GetCellValue("Daftar", "C5", excelize.Options{RawCellValue: true})
	require.NoError(t, err)
	require.Equal(t, "1.50", value, "as it was written")
	for _, name := range []string{"/xl/comments2.xml", "/xl/drawings/vmlDrawing2.vml", "/xl/styles.xml", "/xl/worksheets/sheet8.xml"} {
		require.Contains(t, part(t, file, "[Content_Types].xml"), `PartName="`+name+`"`)
	}
	require.Contains(t, part(t, file, "xl/_rels/workbook.xml.rels"), "styles.xml")
	for _, sheet := range []string{"xl/worksheets/sheet1.xml", "xl/worksheets/sheet2.xml"} {
		require.NotContains(t, part(t, file, sheet), "tabSelected", "one sheet only is seen first")
	}
	require.Contains(t, part(t, file, "xl/drawings/vmlDrawing2.vml"), "<x:Row>1</x:Row><x:Column>1</x:Column>")
	_, err = xlsx.Open(bytes.NewReader(file), int64(len(file)), xlsx.Limits{})
	require.NoError(t, err)
}

func TestMarkGoesAfterTheCommentsOfOthers(t *testing.T) {
	t.Parallel()
	parts := foreign(twoRows, nil)
	parts["xl/worksheets/_rels/sheet1.xml.rels"] = parts["xl/worksheets/_rels/sheet1.xml.rels!"]
	parts["xl/worksheets/sheet1.xml"] = strings.Replace(parts["xl/worksheets/sheet1.xml"], "</worksheet>", `<legacyDrawing r:id="rId1"/></worksheet>`, 1)
	file := pack(t, parts)
	texts := func(file []byte) (comments, shapes string) {
		return part(t, file, "xl/comments/comment4.xml"), part(t, file, "xl/drawings/commentsDrawing4.vml")
	}
	once := marked(t, file, marking(xlsx.Note{Row: 2, Col: 2, Fill: "ABCDE1", Text: "Satu."}, xlsx.Note{Row: 5, Col: 3, Fill: "ABCDE1", Text: "Dua."}))
	comments, shapes := texts(once)
	require.Contains(t, comments, "Cek &amp; ricek.")
	require.Contains(t, comments, "\n\nKAMI:\nSatu.")
	require.Equal(t, 2, strings.Count(comments, "<x:comment "))
	require.Equal(t, 2, strings.Count(shapes, "<v:shape "), "their shape stays, one is added")

	twice := marked(t, once, marking(xlsx.Note{Row: 2, Col: 2, Fill: "ABCDE1", Text: "Tiga."}))
	comments, shapes = texts(twice)
	require.NotContains(t, comments, "Satu.")
	require.NotContains(t, comments, "Dua.")
	require.Contains(t, comments, "\n\nKAMI:\nTiga.")
	require.Equal(t, 1, strings.Count(shapes, "<v:shape "))

	thrice := marked(t, twice, marking())
	comments, shapes = texts(thrice)
	require.NotContains(t, comments, "KAMI:")
	require.Contains(t, comments, "Cek &amp; ricek.")
	require.Equal(t, 1, strings.Count(shapes, "<v:shape "))
	require.Equal(t, 1, strings.Count(comments, "<x:author>KAMI</x:author>"))
	book, err := excelize.OpenReader(bytes.NewReader(thrice))
	require.NoError(t, err)
	defer func() { require.NoError(t, book.Close()) }()
	require.Equal(t, []string{"Halaman", "Daftar", "Lain"}, book.GetSheetList(), "an earlier page is replaced")
}

func TestMarkRefuses(t *testing.T) {
	t.Parallel()
	wide := strings.Repeat(`<row><c/></row>`, 100)
	for name, c := range map[string]struct {
		sheet string
		more  map[string]string
		code  xlsx.Code
	}{
		"cells in the last column": {func() string {
			var b strings.Builder
			for row := 1; row <= 20_000; row++ {
				fmt.Fprintf(&b, `<row r="%d"><c r="XFD%d"/></row>`, row, row)
			}
			return b.String()
		}(), nil, ""},
		"the last row":              {`<row r="1048576"><c r="A1048576"/></row>`, nil, ""},
		"beyond the last row":       {`<row r="99999999"/>`, nil, xlsx.Damaged},
		"rows in disorder":          {`<row r="3"/><row r="2"/>`, nil, xlsx.Damaged},
		"cells in disorder":         {`<row r="3"><c r="B3"/><c r="A3"/></row>`, nil, xlsx.Damaged},
		"a cell of another row":     {`<row r="3"><c r="B4"/></row>`, nil, xlsx.Damaged},
		"a style that is not there": {`<row r="1"><c r="A1" s="7"/></row>`, nil, xlsx.Damaged},
		"a sheet of 25 MB":          {strings.Repeat(" ", 25<<20), nil, xlsx.TooLarge},
		"no such column":            {`<row r="1"><c r="ZZZZ1"/></row>`, nil, xlsx.Damaged},
		"a large table of styles":   {twoRows, map[string]string{"xl/styles.xml": strings.Repeat(" ", 9<<20)}, xlsx.TooLarge},
		"broken XML":                {`<row r="1"><c r="A1">`, nil, xlsx.Damaged},
		"styles that are no styles": {twoRows, map[string]string{"xl/styles.xml": "<styleSheet><cellXfs"}, xlsx.Damaged},
		"not refused":               {wide, nil, ""},
	} {
		file := pack(t, foreign(c.sheet, c.more))
		var out bytes.Buffer
		err := xlsx.Mark(&out, bytes.NewReader(file), int64(len(file)), xlsx.Limits{}, marking(xlsx.Note{Row: 1, Col: 1, Fill: "ABCDE1", Text: "x"}))
		if c.code == "" {
			require.NoError(t, err, name)
			continue
		}
		var refused *xlsx.Error
		require.ErrorAs(t, err, &refused, name)
		require.Equal(t, c.code, refused.Code, name)
		require.Zero(t, out.Len(), name)
	}
}

// content is what a list holds; false when it cannot be read.
func content(t testing.TB, file []byte) (cells []xlsx.Cell, readable bool) {
	t.Helper()
	book, err := xlsx.Open(bytes.NewReader(file), int64(len(file)), xlsx.Limits{})
	require.NoError(t, err)
	for row, err := range book.Rows("Daftar") {
		if err != nil {
			return nil, false
		}
		cells = append(cells, row.Cells...)
	}
	return cells, true
}

// FuzzMark: whatever the file, marking it ends, with a workbook that holds the
// same or with a refusal.
func FuzzMark(f *testing.F) {
	f.Add(twoRows, `<x:comments xmlns:x="y"><x:authors/><x:commentList/></x:comments>`, `<xml></xml>`)
	f.Add(`<row r="1" ht="0"><c s="9"/></row>`, `<comments><authors><author>KAMI</author></authors><commentList><comment ref="A1" authorId="0"><text/></comment></commentList></comments>`,
		`<xml><v:shape ><x:ClientData ObjectType="Note"><x:Row>0</x:Row><x:Column>0</x:Column></v:shape></xml>`)
	f.Fuzz(func(t *testing.T, sheet, comments, shapes string) {
		parts := foreign(sheet, map[string]string{"xl/comments/comment4.xml": comments, "xl/drawings/commentsDrawing4.vml": shapes})
		parts["xl/worksheets/_rels/sheet1.xml.rels"] = parts["xl/worksheets/_rels/sheet1.xml.rels!"]
		parts["xl/worksheets/sheet1.xml"] = strings.Replace(parts["xl/worksheets/sheet1.xml"], "</worksheet>", `<legacyDrawing r:id="rId1"/></worksheet>`, 1)
		file := pack(t, parts)
		before, readable := content(t, file)
		var out bytes.Buffer
		err := xlsx.Mark(&out, bytes.NewReader(file), int64(len(file)), xlsx.Limits{}, marking(
			xlsx.Note{Row: 1, Col: 1, Fill: "ABCDE1", Text: "x"}, xlsx.Note{Row: 3, Col: 2, Fill: "ABCDE1"}))
		if err != nil {
			var refused *xlsx.Error
			require.ErrorAs(t, err, &refused)
			return
		}
		if after, again := content(t, out.Bytes()); readable {
			require.True(t, again)
			require.Equal(t, before, after, "a mark changes no content")
		}
	})
}
