package spoiled

import (
	"archive/zip"
	"bytes"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/xuri/excelize/v2"
)

// Sheet is a card list as it may be uploaded.
type Sheet struct {
	Name string
	Body []byte
	// Refused is the code at "/card_list" by which the intake refuses it.
	Refused string
	// Found are the findings of its reading, "code pointer".
	Found  []string
	Warned []string // the same for what is only said
	// Cards are the rows read, "serial/reader".
	Cards []string
}

// Good reports whether nothing is wrong with it.
func (s Sheet) Good() bool { return s.Refused == "" && len(s.Found) == 0 }

var sheets struct {
	once sync.Once
	list []Sheet
}

// Sheets are card lists, good, odd and spoiled, made by excelize and by hand.
// They are made once.
func Sheets(t testing.TB) []Sheet {
	sheets.once.Do(func() {
		list := written(t)
		list = append(list, cells(t)...)
		list = append(list, headers(t)...)
		list = append(list, markup(t)...)
		list = append(list, packages(t)...)
		list = append(list, archives(t)...)
		sheets.list = append(list, otherFormats(t)...)
	})
	require.NotEmpty(t, sheets.list)
	return sheets.list
}

// three are the cards of most lists.
var three = []string{"SAM-000001/R-000001", "SAM-000002/R-000002", "SAM-000003/R-000003"}

const listName = "Daftar"

// at points at cells of the list.
func at(cells string) string { return "daftar!" + listName + "!" + cells }

// book writes a list of three cards with excelize; change spoils it.
func book(t testing.TB, change func(f *excelize.File)) []byte {
	f := excelize.NewFile()
	require.NoError(t, f.SetSheetName("Sheet1", listName))
	rows := [][]any{{"No.", "No. Seri Kartu SAM", "No. Seri Reader", "Jenis", "Keterangan"}}
	for i := 1; i <= 3; i++ {
		rows = append(rows, []any{i, fmt.Sprintf("SAM-%06d", i), fmt.Sprintf("R-%06d", i), "GSX-01", ""})
	}
	for i, row := range rows {
		require.NoError(t, f.SetSheetRow(listName, fmt.Sprintf("A%d", i+1), &row))
	}
	change(f)
	var b bytes.Buffer
	require.NoError(t, f.Write(&b))
	require.NoError(t, f.Close())
	return b.Bytes()
}

func plain(t testing.TB) []byte { return book(t, func(*excelize.File) {}) }

// set is a change of cells.
func set(t testing.TB, pairs ...any) func(*excelize.File) {
	return func(f *excelize.File) {
		for i := 0; i < len(pairs); i += 2 {
			require.NoError(t, f.SetCellValue(listName, pairs[i].(string), pairs[i+1]))
		}
	}
}

// changed rewrites entries of an archive: by name, what becomes of each; "" takes
// it out, and one that was not there is added.
func changed(t testing.TB, file []byte, by map[string]func(string) string) []byte {
	r, err := zip.NewReader(bytes.NewReader(file), int64(len(file)))
	require.NoError(t, err)
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	put := func(name, body string) {
		e, err := w.Create(name)
		require.NoError(t, err)
		_, err = io.WriteString(e, body)
		require.NoError(t, err)
	}
	done := map[string]bool{}
	for _, f := range r.File {
		rc, err := f.Open()
		require.NoError(t, err)
		b, err := io.ReadAll(rc)
		require.NoError(t, err)
		body := string(b)
		if change := by[f.Name]; change != nil {
			done[f.Name] = true
			if body = change(body); body == "" {
				continue
			}
		}
		put(f.Name, body)
	}
	for name, change := range by {
		if !done[name] {
			put(name, change(""))
		}
	}
	require.NoError(t, w.Close())
	return out.Bytes()
}

func to(body string) func(string) string { return func(string) string { return body } }

func swap(pairs ...string) func(string) string { return strings.NewReplacer(pairs...).Replace }

const (
	sheetPart   = "xl/worksheets/sheet1.xml"
	bookPart    = "xl/workbook.xml"
	bookRels    = "xl/_rels/workbook.xml.rels"
	typesPart   = "[Content_Types].xml"
	rootRels    = "_rels/.rels"
	stringsPart = "xl/sharedStrings.xml"
	stylesPart  = "xl/styles.xml"
)

// hand is a workbook whose sheet is written by hand.
func hand(t testing.TB, sheet string) []byte {
	return changed(t, plain(t), map[string]func(string) string{sheetPart: to(sheet)})
}

// inline is a sheet of three cards in text of their own; head and tail stand
// around the rows.
func inline(head, tail string) string {
	var b strings.Builder
	b.WriteString(head)
	row := func(n int, texts ...string) {
		fmt.Fprintf(&b, `<row r="%d">`, n)
		for i, text := range texts {
			fmt.Fprintf(&b, `<c r="%c%d" t="inlineStr"><is><t>%s</t></is></c>`, 'B'+i, n, text)
		}
		b.WriteString("</row>")
	}
	row(1, "No. Seri Kartu SAM", "No. Seri Reader")
	for i := 1; i <= 3; i++ {
		row(i+1, fmt.Sprintf("SAM-%06d", i), fmt.Sprintf("R-%06d", i))
	}
	b.WriteString(tail)
	return b.String()
}

const (
	sheetHead = `<?xml version="1.0" encoding="UTF-8" standalone="yes"?>` + "\n" +
		`<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>`
	sheetTail = `</sheetData></worksheet>`
)

// written are lists as excelize writes them.
func written(t testing.TB) []Sheet {
	stream := func(f *excelize.File) {
		rows, err := f.GetRows(listName)
		require.NoError(t, err)
		w, err := f.NewStreamWriter(listName)
		require.NoError(t, err)
		for i, row := range rows {
			values := make([]any, len(row))
			for j := range row {
				values[j] = row[j]
			}
			require.NoError(t, w.SetRow(fmt.Sprintf("A%d", i+1), values))
		}
		require.NoError(t, w.Flush())
	}
	dressed := func(f *excelize.File) {
		require.NoError(t, f.AddTable(listName, &excelize.Table{Range: "A1:E4", Name: "Kartu"}))
		require.NoError(t, f.AddComment(listName, excelize.Comment{Cell: "B2", Author: "Gudang", Text: "sudah dicek"}))
		require.NoError(t, f.AutoFilter(listName, "A1:E4", nil))
		require.NoError(t, f.AddPictureFromBytes(listName, "H2", &excelize.Picture{Extension: ".png", File: picture(t, "interlaced.png"), Format: &excelize.GraphicOptions{}}))
		require.NoError(t, f.SetRowVisible(listName, 3, false))
	}
	second := func(f *excelize.File) {
		_, err := f.NewSheet("Sampul")
		require.NoError(t, err)
		require.NoError(t, f.MoveSheet("Sampul", listName))
		f.SetActiveSheet(0)
	}
	hidden := func(f *excelize.File) {
		cover, err := f.NewSheet("Sampul")
		require.NoError(t, err)
		f.SetActiveSheet(cover) // the active one cannot be hidden
		require.NoError(t, f.SetSheetVisible(listName, false))
	}
	reference := func(f *excelize.File) {
		_, err := f.NewSheet("Referensi")
		require.NoError(t, err)
		require.NoError(t, f.SetSheetVisible("Referensi", false))
	}
	named := func(name string) func(*excelize.File) {
		return func(f *excelize.File) { require.NoError(t, f.SetSheetName(listName, name)) }
	}
	locked := func(f *excelize.File) {
		require.NoError(t, f.ProtectSheet(listName, &excelize.SheetProtectionOptions{Password: "rahasia"}))
	}
	chart := func(f *excelize.File) {
		require.NoError(t, f.SetSheetName(listName, "Data"))
		require.NoError(t, f.AddChartSheet(listName, &excelize.Chart{Type: excelize.Col, Series: []excelize.ChartSeries{{Values: "Data!$A$2:$A$4"}}}))
	}
	encrypted, err := excelize.Encrypt(plain(t), &excelize.Options{Password: "rahasia"})
	require.NoError(t, err)
	return []Sheet{
		{Name: "plain list", Body: plain(t), Cards: three},
		{Name: "written as a stream, inline strings", Body: book(t, stream), Cards: three},
		{Name: "table, comment, filter, picture, hidden row", Body: book(t, dressed), Cards: three},
		{Name: "list on the second sheet", Body: book(t, second), Cards: three},
		{Name: "list on a hidden sheet", Body: book(t, hidden), Found: []string{"list_sheet_hidden /card_list"}},
		{Name: "another sheet hidden", Body: book(t, reference), Cards: three},
		{Name: "name of the sheet in capitals and blanks", Body: book(t, named(" DAFTAR ")), Cards: three},
		{Name: "another name of the sheet", Body: book(t, named("Lembar1")), Found: []string{"list_no_sheet /card_list"}},
		{Name: "sheet protected against changes", Body: book(t, locked), Cards: three},
		{Name: "chart in the list's place", Body: book(t, chart), Found: []string{"list_no_sheet /card_list"}},
		{Name: "under a password", Body: encrypted, Refused: "encrypted"},
	}
}
