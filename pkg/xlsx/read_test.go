package xlsx_test

import (
	"archive/zip"
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/xuri/excelize/v2"

	"dukcapil.go.id/sifilma/pkg/xlsx"
)

// excel writes a workbook with excelize: sheet -> cell -> value.
func excel(t testing.TB, sheet string, fill func(f *excelize.File)) []byte {
	f := excelize.NewFile()
	require.NoError(t, f.SetSheetName("Sheet1", sheet))
	fill(f)
	var b bytes.Buffer
	require.NoError(t, f.Write(&b))
	require.NoError(t, f.Close())
	return b.Bytes()
}

func open(t testing.TB, file []byte) *xlsx.Workbook {
	w, err := xlsx.Open(bytes.NewReader(file), int64(len(file)), xlsx.Limits{})
	require.NoError(t, err)
	return w
}

func read(t testing.TB, w *xlsx.Workbook, sheet string) []xlsx.Row {
	var rows []xlsx.Row
	for row, err := range w.Rows(sheet) {
		require.NoError(t, err)
		row.Cells = append([]xlsx.Cell(nil), row.Cells...)
		rows = append(rows, row)
	}
	return rows
}

// code reads everything of a file and returns why it was refused.
func code(t testing.TB, file []byte, limits xlsx.Limits) xlsx.Code {
	w, err := xlsx.Open(bytes.NewReader(file), int64(len(file)), limits)
	if err == nil {
		for _, sheet := range w.Sheets() {
			for _, rowErr := range w.Rows(sheet.Name) {
				err = rowErr
			}
			if err != nil {
				break
			}
		}
	}
	var refused *xlsx.Error
	require.ErrorAs(t, err, &refused)
	require.NotEmpty(t, err.Error())
	return refused.Code
}

// repack changes one entry of an archive; without the body the entry goes.
func repack(t testing.TB, file []byte, name string, change func(body string) (string, bool)) []byte {
	r, err := zip.NewReader(bytes.NewReader(file), int64(len(file)))
	require.NoError(t, err)
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	found := false
	for _, f := range r.File {
		rc, err := f.Open()
		require.NoError(t, err)
		b, err := io.ReadAll(rc)
		require.NoError(t, err)
		body, keep := string(b), true
		if f.Name == name {
			found = true
			body, keep = change(body)
		}
		if keep {
			entry, err := w.Create(f.Name)
			require.NoError(t, err)
			_, err = io.WriteString(entry, body)
			require.NoError(t, err)
		}
	}
	if !found {
		body, _ := change("")
		entry, err := w.Create(name)
		require.NoError(t, err)
		_, err = io.WriteString(entry, body)
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return out.Bytes()
}

func TestKinds(t *testing.T) {
	t.Parallel()
	file := excel(t, "Daftar", func(f *excelize.File) {
		set := func(cell string, value any) { require.NoError(t, f.SetCellValue("Daftar", cell, value)) }
		set("A1", "No. Seri")
		set("B2", "0012345")
		set("C2", 42)
		set("D2", 3.25)
		set("E2", true)
		set("F2", time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC))
		set("G2", time.Date(2026, 11, 21, 14, 30, 5, 0, time.UTC))
		set("H2", 1234567890123456.0)
		set("AB17", "  spasi \u00a0dan\u200b ")
		require.NoError(t, f.SetCellFormula("Daftar", "I2", "1+1"))
		require.NoError(t, f.SetCellRichText("Daftar", "J2", []excelize.RichTextRun{{Text: "8935"}, {Text: "0001", Font: &excelize.Font{Bold: true}}}))
		require.NoError(t, f.SetCellStr("Daftar", "K2", "=HYPERLINK(\"x\")"))
		_, err := f.NewSheet("Tersembunyi")
		require.NoError(t, err)
		require.NoError(t, f.SetSheetVisible("Tersembunyi", false))
	})
	w := open(t, file)
	sheets := w.Sheets()
	require.Len(t, sheets, 2)
	require.Equal(t, "Daftar", sheets[0].Name)
	require.False(t, sheets[0].Hidden)
	require.True(t, sheets[1].Hidden)

	rows := read(t, w, "Daftar")
	require.Len(t, rows, 3)
	require.Equal(t, []int{1, 2, 17}, []int{rows[0].Number, rows[1].Number, rows[2].Number})
	second := rows[1]
	for _, want := range []struct {
		col     int
		ref     string
		kind    xlsx.Kind
		text    string
		formula bool
		lossy   bool
	}{
		{1, "A2", xlsx.Empty, "", false, false},
		{2, "B2", xlsx.Text, "0012345", false, false},
		{3, "C2", xlsx.Number, "42", false, false},
		{4, "D2", xlsx.Number, "3.25", false, false},
		{5, "E2", xlsx.Bool, "TRUE", false, false},
		{6, "F2", xlsx.Date, "2026-11-21", false, false},
		{7, "G2", xlsx.Date, "2026-11-21 14:30:05", false, false},
		{8, "H2", xlsx.Number, "1234567890123456", false, true},
		{9, "I2", xlsx.Empty, "", true, false},
		{10, "J2", xlsx.Text, "89350001", false, false},
		{11, "K2", xlsx.Text, `=HYPERLINK("x")`, false, false},
	} {
		cell := second.Cell(want.col)
		require.Equal(t, want.ref, cell.Ref())
		require.Equal(t, want.kind, cell.Kind, want.ref)
		require.Equal(t, want.text, cell.Text, want.ref)
		require.Equal(t, want.formula, cell.Formula, want.ref)
		require.Equal(t, want.lossy, cell.Lossy, want.ref)
	}
	require.Equal(t, "AB17", rows[2].Cells[0].Ref())
	require.Equal(t, "  spasi \u00a0dan\u200b ", rows[2].Cells[0].Text, "cleaning is the validator's")

	// Twice from the start, and stopping early.
	require.Equal(t, rows, read(t, w, "Daftar"))
	for _, err := range w.Rows("Daftar") {
		require.NoError(t, err)
		break
	}
	for _, err := range w.Rows("Tidak ada") {
		var refused *xlsx.Error
		require.ErrorAs(t, err, &refused)
		require.Equal(t, xlsx.NoSheet, refused.Code)
	}
}

// TestHandWrittenSheet holds what other programs write and excelize does not.
func TestHandWrittenSheet(t *testing.T) {
	t.Parallel()
	const sheet = `<?xml version="1.0" encoding='utf-8'?><!-- x > y --><x:worksheet xmlns:x="ns" a='>'><x:sheetData>` +
		`<x:row><x:c t="inlineStr"><x:is><x:r><x:t>a&amp;</x:t></x:r><x:r><x:t><![CDATA[<b>]]></x:t></x:r><x:rPh><x:t>no</x:t></x:rPh></x:is></x:c>` +
		`<x:c><x:v>1.23456789012346E+15</x:v></x:c><x:c t="e"><x:v>#N/A</x:v></x:c><x:c t="str"><x:f>A1</x:f><x:v>hasil</x:v></x:c>` +
		`<x:c/><x:c t="d"><x:v>2026-11-21T10:00:00</x:v></x:c><x:c t="s"><x:v></x:v></x:c></x:row>` +
		`<x:row r="5" spans="1:2"/><x:row><x:c r="C6" t="inlineStr"><x:is><x:t>_x0041__x005F_x0042_&#x43;&#68;&#13;` + "\r\n" + `</x:t></x:is></x:c></x:row>` +
		`</x:sheetData><x:extLst><x:row r="9"><x:c><x:v>1</x:v></x:c></x:row></x:extLst></x:worksheet>`
	file := repack(t, excel(t, "S", func(*excelize.File) {}), "xl/worksheets/sheet1.xml", func(string) (string, bool) { return sheet, true })
	rows := read(t, open(t, file), "S")
	require.Len(t, rows, 2)
	require.Equal(t, 1, rows[0].Number)
	var got []string
	for _, c := range rows[0].Cells {
		got = append(got, fmt.Sprint(c.Ref(), " ", c.Kind, " ", c.Text, " ", c.Formula, c.Lossy))
	}
	require.Equal(t, []string{
		"A1 text a&<b> false false", "B1 number 1234567890123460 false true", "C1 error #N/A false false",
		"D1 text hasil true false", "F1 date 2026-11-21 10:00:00 false false",
	}, got)
	require.Equal(t, 6, rows[1].Number)
	require.Equal(t, "A_x0042_CD\r\n", rows[1].Cells[0].Text)
}

func TestDate1904AndFormats(t *testing.T) {
	t.Parallel()
	file := excel(t, "S", func(f *excelize.File) {
		for i, format := range []string{"dd/mm/yyyy", `[Red]0.00 "hari"`, "[hh]:mm", `0\d`, "General"} {
			style, err := f.NewStyle(&excelize.Style{CustomNumFmt: &format})
			require.NoError(t, err)
			cell, err := excelize.CoordinatesToCellName(1, i+1)
			require.NoError(t, err)
			require.NoError(t, f.SetCellValue("S", cell, 100.5))
			require.NoError(t, f.SetCellStyle("S", cell, cell, style))
		}
	})
	texts := func(file []byte) (list []string) {
		for _, row := range read(t, open(t, file), "S") {
			list = append(list, row.Cells[0].Kind.String()+" "+row.Cells[0].Text)
		}
		return list
	}
	require.Equal(t, []string{"date 1900-04-09 12:00:00", "number 100.5", "date 1900-04-09 12:00:00", "number 100.5", "number 100.5"}, texts(file))
	later := repack(t, file, "xl/workbook.xml", func(body string) (string, bool) {
		return strings.Replace(body, "<sheets>", `<workbookPr date1904="1"/><sheets>`, 1), true
	})
	require.Equal(t, "date 1904-04-10 12:00:00", texts(later)[0])
}

func TestRefused(t *testing.T) {
	t.Parallel()
	good := excel(t, "Daftar", func(f *excelize.File) { require.NoError(t, f.SetCellValue("Daftar", "A1", "x")) })
	compound := append([]byte("\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1"), make([]byte, 600)...)
	wide := func(s string) []byte {
		var b []byte
		for _, c := range []byte(s) {
			b = append(b, c, 0)
		}
		return b
	}
	encrypted, err := excelize.Encrypt(good, &excelize.Options{Password: "rahasia"})
	require.NoError(t, err)
	sheet := func(body string) []byte {
		return repack(t, good, "xl/worksheets/sheet1.xml", func(string) (string, bool) { return body, true })
	}
	cells := func(body string) []byte {
		return sheet("<worksheet><sheetData>" + body + "</sheetData></worksheet>")
	}
	types := func(from, to string) []byte {
		return repack(t, good, "[Content_Types].xml", func(b string) (string, bool) { return strings.ReplaceAll(b, from, to), true })
	}
	for name, c := range map[string]struct {
		file []byte
		want xlsx.Code
	}{
		"empty":           {nil, xlsx.NotWorkbook},
		"CSV":             {[]byte("No.,Seri\n1,0001\n"), xlsx.PlainText},
		"CSV in UTF-16":   {[]byte("\xff\xfeN\x00o\x00"), xlsx.PlainText},
		"PDF":             {[]byte("%PDF-1.7\n\x00"), xlsx.NotWorkbook},
		"HTML as .xls":    {[]byte("<html><table></table></html>"), xlsx.NotWorkbook},
		"noise":           {[]byte("\x00\x01\x02\x03"), xlsx.NotWorkbook},
		"old Excel":       {append(compound, wide("Workbook")...), xlsx.OldExcel},
		"encrypted":       {encrypted, xlsx.Encrypted},
		"other compound":  {compound, xlsx.NotWorkbook},
		"cut":             {good[:len(good)/2], xlsx.Damaged},
		"zip":             {repack(t, good, "[Content_Types].xml", func(string) (string, bool) { return "", false }), xlsx.NotWorkbook},
		"ODS":             {repack(t, repack(t, good, "[Content_Types].xml", func(string) (string, bool) { return "", false }), "mimetype", func(string) (string, bool) { return "x", true }), xlsx.OpenDocument},
		"macro type":      {types("spreadsheetml.sheet.main", "sheet.macroEnabled.main"), xlsx.Macro},
		"macro part":      {repack(t, good, "xl/vbaProject.bin", func(string) (string, bool) { return "x", true }), xlsx.Macro},
		"binary":          {types("vnd.openxmlformats-officedocument.spreadsheetml.sheet.main", "vnd.ms-excel.sheet.binary.macroEnabled.main"), xlsx.Binary},
		"Word":            {types("spreadsheetml.sheet.main", "wordprocessingml.document.main"), xlsx.NotWorkbook},
		"no sheet part":   {repack(t, good, "xl/worksheets/sheet1.xml", func(string) (string, bool) { return "", false }), xlsx.Damaged},
		"broken XML":      {cells("<row></c>"), xlsx.Damaged},
		"cut XML":         {sheet("<worksheet><sheetData>"), xlsx.Damaged},
		"two roots":       {sheet("<worksheet/><worksheet/>"), xlsx.Damaged},
		"DOCTYPE":         {sheet(`<!DOCTYPE w [<!ENTITY a "b">]><worksheet/>`), xlsx.Damaged},
		"entity":          {cells(`<row><c t="inlineStr"><is><t>&a;</t></is></c></row>`), xlsx.Damaged},
		"UTF-16":          {sheet("\xff\xfe<\x00w\x00"), xlsx.Damaged},
		"Latin-1":         {cells("<row><c t=\"inlineStr\"><is><t>\xe9</t></is></c></row>"), xlsx.Damaged},
		"other encoding":  {sheet(`<?xml version="1.0" encoding="ISO-8859-1"?><worksheet/>`), xlsx.Damaged},
		"deep":            {cells(strings.Repeat("<a>", 200) + strings.Repeat("</a>", 200)), xlsx.Damaged},
		"long tag":        {cells(`<row a="` + strings.Repeat("x", 3<<20) + `"/>`), xlsx.Damaged},
		"rows backwards":  {cells(`<row r="2"/><row r="1"/>`), xlsx.Damaged},
		"row too far":     {cells(`<row r="1048577"/>`), xlsx.Damaged},
		"cells backwards": {cells(`<row r="1"><c r="B1"><v>1</v></c><c r="A1"><v>1</v></c></row>`), xlsx.Damaged},
		"other row":       {cells(`<row r="1"><c r="A2"><v>1</v></c></row>`), xlsx.Damaged},
		"no text":         {cells(`<row><c t="s"><v>99</v></c></row>`), xlsx.Damaged},
		"negative text":   {cells(`<row><c t="s"><v>-1</v></c></row>`), xlsx.Damaged},
		"no number":       {cells(`<row><c><v>0x10</v></c></row>`), xlsx.Damaged},
		"NaN":             {cells(`<row><c><v>NaN</v></c></row>`), xlsx.Damaged},
		"unknown type":    {cells(`<row><c t="q"><v>1</v></c></row>`), xlsx.Damaged},
		"long cell":       {cells(`<row><c t="inlineStr"><is><t>` + strings.Repeat("x", 40_000) + `</t></is></c></row>`), xlsx.TooLarge},
		"wide row":        {cells(`<row r="1"><c r="IW1"><v>1</v></c></row>`), xlsx.TooLarge},
		"many rows":       {cells(strings.Repeat(`<row><c><v>1</v></c></row>`, 20_001)), xlsx.TooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, c.want, code(t, c.file, xlsx.Limits{}))
		})
	}
	w := open(t, cells(`<row r="7"><c r="D7" t="s"><v>99</v></c></row>`))
	for _, err := range w.Rows("Daftar") {
		require.ErrorContains(t, err, "Daftar!D7", "the cell is named")
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	good := excel(t, "Daftar", func(f *excelize.File) {
		require.NoError(t, f.SetCellValue("Daftar", "A1", "x"))
		_, err := f.NewSheet("Dua")
		require.NoError(t, err)
	})
	bomb := repack(t, good, "xl/media/a", func(string) (string, bool) { return strings.Repeat("0", 70<<20), true })
	require.Less(t, len(bomb), 5<<20)
	require.Equal(t, xlsx.TooLarge, code(t, bomb, xlsx.Limits{}))
	for name, limits := range map[string]xlsx.Limits{
		"file": {FileBytes: 100}, "unzipped": {UnzippedBytes: 1000}, "part": {PartBytes: 100}, "entries": {Entries: 3}, "sheets": {Sheets: 1},
	} {
		require.Equal(t, xlsx.TooLarge, code(t, good, limits), name)
	}
	// Formatted but empty rows and far columns are no content.
	empty := repack(t, good, "xl/worksheets/sheet1.xml", func(string) (string, bool) {
		return `<worksheet><sheetData>` + strings.Repeat(`<row><c s="1"/></row>`, 30_000) +
			`<row r="30001"><c><v>1</v></c><c r="XFD30001" s="1"/></row></sheetData></worksheet>`, true
	})
	require.Len(t, read(t, open(t, empty), "Daftar"), 1)
}

// TestLyingSizes: an entry that unpacks to more than the directory declares is refused.
func TestLyingSizes(t *testing.T) {
	t.Parallel()
	good := excel(t, "Daftar", func(f *excelize.File) {
		for i := 1; i < 500; i++ {
			require.NoError(t, f.SetCellValue("Daftar", fmt.Sprintf("A%d", i), "x"))
		}
	})
	at := bytes.LastIndex(good, []byte("xl/worksheets/sheet1.xml")) - 46
	require.Equal(t, "PK\x01\x02", string(good[at:at+4]))
	lying := bytes.Clone(good)
	copy(lying[at+24:at+28], []byte{100, 0, 0, 0})
	require.Equal(t, xlsx.Damaged, code(t, lying, xlsx.Limits{}))
}

func TestOpenFile(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "daftar.xlsx")
	_, err := xlsx.OpenFile(name, xlsx.Limits{})
	require.ErrorIs(t, err, os.ErrNotExist)
	require.NoError(t, os.WriteFile(name, []byte("No.;Seri"), 0o600))
	_, err = xlsx.OpenFile(name, xlsx.Limits{})
	var refused *xlsx.Error
	require.ErrorAs(t, err, &refused)
	require.Equal(t, xlsx.PlainText, refused.Code)
	require.NoError(t, os.WriteFile(name, excel(t, "S", func(f *excelize.File) { require.NoError(t, f.SetCellValue("S", "A1", 1)) }), 0o600))
	w, err := xlsx.OpenFile(name, xlsx.Limits{})
	require.NoError(t, err)
	require.Len(t, read(t, w, "S"), 1)
	require.NoError(t, w.Close())
}

func TestFindHeader(t *testing.T) {
	t.Parallel()
	w := open(t, excel(t, "Daftar", func(f *excelize.File) {
		for cell, value := range map[string]string{
			"A1": "DAFTAR KARTU SAM", "B5": "no", "D5": "NO SERI\u00a0 KARTU SAM:", "E5": "No. Seri  Reader", "F5": "Jenis", "G5": "jenis",
			"D6": "8935", "E6": "GSX",
		} {
			require.NoError(t, f.SetCellValue("Daftar", cell, value))
		}
	}))
	header, err := w.FindHeader("Daftar", 10, "No. Seri Kartu SAM", "No. Seri Reader")
	require.NoError(t, err)
	require.Equal(t, 5, header.Row)
	require.Equal(t, 4, header.Column("No. Seri Kartu SAM"))
	require.Equal(t, 0, header.Column("Keterangan"))
	rows := read(t, w, "Daftar")
	require.Equal(t, "8935", header.Cell(rows[2], "No. Seri Kartu SAM").Text)
	require.Equal(t, xlsx.Empty, header.Cell(rows[2], "Keterangan").Kind)

	var problem *xlsx.HeaderError
	_, err = w.FindHeader("Daftar", 10, "No. Seri Kartu SAM", "Jenis", "Keterangan")
	require.ErrorAs(t, err, &problem)
	require.Equal(t, []string{"Keterangan"}, problem.Missing)
	require.Equal(t, []string{"Jenis"}, problem.Twice)
	_, err = w.FindHeader("Daftar", 1, "No. Seri Kartu SAM")
	require.ErrorAs(t, err, &problem)
	require.Equal(t, []string{"No. Seri Kartu SAM"}, problem.Missing)
}

func TestColumnName(t *testing.T) {
	t.Parallel()
	for col := 1; col <= 16_384; col++ {
		want, err := excelize.ColumnNumberToName(col)
		require.NoError(t, err)
		require.Equal(t, want, xlsx.ColumnName(col))
	}
}
