package xlsx_test

import (
	"bytes"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/xuri/excelize/v2"

	"dukcapil.go.id/sifilma/pkg/xlsx"
)

var styled = regexp.MustCompile(` s="\d+"`)

// The text of a sheet stays as it is but for the cells with notes; those that are
// not there are put where they belong.
func TestMarkedCellsInTheTextOfASheet(t *testing.T) {
	t.Parallel()
	at := func(col, row int) xlsx.Note { return xlsx.Note{Row: row, Col: col, Fill: "ABCDE1"} }
	for name, c := range map[string]struct {
		sheet string
		notes []xlsx.Note
		want  string // each style of ours is "*"
	}{
		"a cell":                {`<row r="2"><c r="B2" t="n"><v>1</v></c></row>`, []xlsx.Note{at(2, 2)}, `<row r="2"><c * r="B2" t="n"><v>1</v></c></row>`},
		"a cell with a style":   {`<row r="2"><c r='B2' s='0' t = "n"/></row>`, []xlsx.Note{at(2, 2)}, `<row r="2"><c * r='B2' t = "n"/></row>`},
		"an empty row":          {`<row r="2" spans="1:1" ht="9" />`, []xlsx.Note{at(3, 2), at(1, 2)}, `<row r="2" ht="9" ><c r="A2" */><c r="C2" */></row>`},
		"between cells":         {`<row r="2" spans="1:3"><c r="A2"/><c r="C2"/></row>`, []xlsx.Note{at(2, 2), at(4, 2)}, `<row r="2"><c r="A2"/><c r="B2" */><c r="C2"/><c r="D2" */></row>`},
		"cells without a name":  {`<row><c/><c><v>2</v></c></row><row/>`, []xlsx.Note{at(2, 1), at(3, 1), at(1, 2)}, `<row><c/><c *><v>2</v></c><c r="C1" */></row><row><c r="A2" */></row>`},
		"before, between, last": {`<row r="2"/><row r="5"/>`, []xlsx.Note{at(1, 1), at(2, 3), at(1, 3), at(1, 9)}, `<row r="1"><c r="A1" */></row><row r="2"/><row r="3"><c r="A3" */><c r="B3" */></row><row r="5"/><row r="9"><c r="A9" */></row>`},
		"no row":                {``, []xlsx.Note{at(1, 1)}, `<row r="1"><c r="A1" */></row>`},
		"a prefix":              {`<y:row r="2"><y:c r="B2"/></y:row>`, []xlsx.Note{at(1, 2), at(2, 2), at(3, 2)}, `<y:row r="2"><y:c r="A2" */><y:c * r="B2"/><y:c r="C2" */></y:row>`},
		"what looks like cells": {`<row r="2"><c r="A2" t="inlineStr"><is><t>&lt;c&gt;</t></is></c><!-- <c r="B2"/> --></row>`, []xlsx.Note{at(2, 2)}, `<row r="2"><c r="A2" t="inlineStr"><is><t>&lt;c&gt;</t></is></c><!-- <c r="B2"/> --><c r="B2" */></row>`},
		"nothing to do":         {twoRows, nil, twoRows},
	} {
		parts := foreign(c.sheet, nil)
		if name == "a prefix" {
			sheet := strings.NewReplacer("<sheetData>", "<y:sheetData>", "</sheetData>", "</y:sheetData>", "<worksheet ", `<y:worksheet xmlns:y="http://schemas.openxmlformats.org/spreadsheetml/2006/main" `, "</worksheet>", "</y:worksheet>")
			parts["xl/worksheets/sheet1.xml"] = sheet.Replace(parts["xl/worksheets/sheet1.xml"])
		}
		file := marked(t, pack(t, parts), marking(c.notes...))
		sheet := part(t, file, "xl/worksheets/sheet1.xml")
		_, sheet, _ = strings.Cut(sheet, "sheetData>")
		sheet, _, _ = strings.Cut(sheet, "</sheetData>")
		sheet, _, _ = strings.Cut(sheet, "</y:sheetData>")
		require.Equal(t, c.want, styled.ReplaceAllString(sheet, " *"), name)
		book, err := excelize.OpenReader(bytes.NewReader(file))
		require.NoError(t, err)
		for _, n := range c.notes {
			require.Equal(t, "ABCDE1", colour(t, book, xlsx.Cell{Row: n.Row, Col: n.Col}.Ref()), name)
		}
		require.NoError(t, book.Close())
	}
}

func colour(t *testing.T, book *excelize.File, cell string) string {
	t.Helper()
	id, err := book.GetCellStyle("Daftar", cell)
	require.NoError(t, err)
	_, err = book.GetStyle(id) // reads the styles; the colours only of workbooks with a theme
	require.NoError(t, err)
	fill := book.Styles.Fills.Fill[*book.Styles.CellXfs.Xf[id].FillID].PatternFill
	if fill.FgColor == nil {
		return ""
	}
	return strings.TrimPrefix(fill.FgColor.RGB, "FF")
}

// A cell that was not there looks as its row or column does, and one that an
// earlier marking filled and this one does not is as before.
func TestFillsComeAndGo(t *testing.T) {
	t.Parallel()
	file := excel(t, "Daftar", func(f *excelize.File) {
		text, err := f.NewStyle(&excelize.Style{NumFmt: 49, Font: &excelize.Font{Italic: true}})
		require.NoError(t, err)
		require.NoError(t, f.SetColStyle("Daftar", "B", text))
		require.NoError(t, f.SetCellStr("Daftar", "A2", "x"))
	})
	once := marked(t, file, marking(xlsx.Note{Row: 7, Col: 2, Fill: "ABCDE1"}, xlsx.Note{Row: 2, Col: 1, Fill: "ABCDE1"}))
	twice := marked(t, once, marking(xlsx.Note{Row: 2, Col: 1, Fill: "ABCDE1"}))
	for i, c := range []struct {
		file  []byte
		fills [2]string
	}{{once, [2]string{"ABCDE1", "ABCDE1"}}, {twice, [2]string{"ABCDE1", ""}}} {
		book, err := excelize.OpenReader(bytes.NewReader(c.file))
		require.NoError(t, err)
		require.Equal(t, c.fills, [2]string{colour(t, book, "A2"), colour(t, book, "B7")}, i)
		id, err := book.GetCellStyle("Daftar", "B7")
		require.NoError(t, err)
		style, err := book.GetStyle(id)
		require.NoError(t, err)
		require.Equal(t, 49, style.NumFmt)
		require.True(t, style.Font.Italic)
		require.NoError(t, book.Close())
	}
}

// Excel opens no sheet whose parts stand in another order.
func TestShapesStandWhereTheyBelong(t *testing.T) {
	t.Parallel()
	for behind, want := range map[string]string{
		"":                                 `/sheetData><legacyDrawing></worksheet>`,
		`<pageSetup/><extLst></extLst>`:    `/sheetData><pageSetup/><legacyDrawing><extLst></extLst></worksheet>`,
		`<drawing/><tableParts/><extLst/>`: `/sheetData><drawing/><legacyDrawing><tableParts/><extLst/></worksheet>`,
	} {
		parts := foreign(twoRows, nil)
		parts["xl/worksheets/sheet1.xml"] = strings.Replace(parts["xl/worksheets/sheet1.xml"], "</sheetData>", "</sheetData>"+behind, 1)
		sheet := part(t, marked(t, pack(t, parts), marking(xlsx.Note{Row: 2, Col: 2, Fill: "ABCDE1", Text: "Satu."})), "xl/worksheets/sheet1.xml")
		_, sheet, _ = strings.Cut(sheet, "<")
		_, sheet, _ = strings.Cut(sheet, "</row><")
		_, sheet, _ = strings.Cut(sheet, "</row><")
		require.Equal(t, want, regexp.MustCompile(`<legacyDrawing [^>]*>`).ReplaceAllString(sheet, "<legacyDrawing>"))
	}
}
