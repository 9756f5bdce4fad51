package xlsx

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/xuri/excelize/v2"
)

// Page is a sheet of ours in a workbook of somebody else: titles, a table, and
// links to places in the workbook.
type Page struct {
	Name string
	// Title is the first line; an earlier page is known by it.
	Title string
	// Lines follow the title.
	Lines   []string
	Columns []Column
	Rows    [][]PageCell
}

// PageCell is a cell of a page. All are text.
type PageCell struct {
	Text string
	// Link is a place in the workbook, such as "'Daftar'!B7"; empty is none.
	Link string
	// Fill is a colour as RRGGBB; empty is none.
	Fill string
}

// Place is the address of cells on a sheet as links have it.
func Place(sheet, cells string) string {
	return "'" + strings.ReplaceAll(sheet, "'", "''") + "'!" + cells
}

const emptySheet = xmlHead + `<worksheet xmlns="` + mainNamespace + `" xmlns:r="` + relationsNamespace + `"><sheetData/></worksheet>`

// addPage writes the page and makes it the sheet that is seen first.
func (k *marker) addPage() error {
	name, err := k.placePage()
	if err != nil {
		return err
	}
	book := k.file.WorkBook
	sheets := book.Sheets.Sheet
	i := 0
	for i < len(sheets) && sheets[i].Name != name {
		i++
	}
	if i == len(sheets) {
		return errors.New("the new sheet is not there")
	}
	page := sheets[i]
	page.State = "" // somebody may have hidden it
	copy(sheets[1:i+1], sheets[:i])
	sheets[0] = page
	if book.DefinedNames != nil {
		for j := range book.DefinedNames.DefinedName {
			if id := book.DefinedNames.DefinedName[j].LocalSheetID; id != nil && *id <= i {
				moved := *id + 1
				if *id == i {
					moved = 0
				}
				book.DefinedNames.DefinedName[j].LocalSheetID = &moved
			}
		}
	}
	if book.BookViews != nil {
		for j := range book.BookViews.WorkBookView {
			book.BookViews.WorkBookView[j].ActiveTab, book.BookViews.WorkBookView[j].FirstSheet = 0, 0
		}
	}
	return k.writePage(name)
}

// placePage makes room for the page: an earlier one is emptied, and a sheet of
// somebody else that happens to have the name is left alone.
func (k *marker) placePage() (string, error) {
	name := k.m.Page.Name
	for i := 2; ; i++ {
		at := slices.IndexFunc(k.book.sheets, func(s Sheet) bool { return strings.EqualFold(s.Name, name) })
		if at >= 0 {
			if earlier := k.book.sheets[at]; k.isPage(earlier.Name) {
				k.parts.store(earlier.part, []byte(emptySheet))
				k.parts.remove(relationsOf(earlier.part))
				return earlier.Name, nil
			}
		} else if taken, err := k.file.GetSheetIndex(name); err != nil {
			return "", err
		} else if taken < 0 {
			break
		}
		name = fmt.Sprintf("%s %d", k.m.Page.Name, i)
	}
	highest := 0
	for _, s := range k.file.WorkBook.Sheets.Sheet {
		highest = max(highest, s.SheetID)
	}
	// Excelize names the part by the sheet's id, whoever has that part.
	if k.parts.load(fmt.Sprintf("xl/worksheets/sheet%d.xml", highest+1)) != nil {
		return "", errors.New("the ids of the sheets do not fit their parts")
	}
	_, err := k.file.NewSheet(name)
	return name, err
}

// isPage says whether a sheet begins with the page's title.
func (k *marker) isPage(sheet string) bool {
	for row, err := range k.book.Rows(sheet) {
		return err == nil && len(row.Cells) > 0 && row.Cells[0].Text == k.m.Page.Title
	}
	return false
}

type pageStyles struct{ title, line, header int }

func (k *marker) writePage(name string) error {
	p, f := k.m.Page, k.file
	var look pageStyles
	var err error
	font := excelize.Font{Family: "Arial", Size: 10}
	bold, large := font, font
	bold.Bold, large.Bold, large.Size = true, true, 14
	rules := []excelize.Border{
		{Type: "left", Color: "A6A6A6", Style: 1}, {Type: "right", Color: "A6A6A6", Style: 1},
		{Type: "top", Color: "A6A6A6", Style: 1}, {Type: "bottom", Color: "A6A6A6", Style: 1},
	}
	if look.title, err = f.NewStyle(&excelize.Style{Font: &large}); err != nil {
		return err
	}
	if look.line, err = f.NewStyle(&excelize.Style{Font: &font}); err != nil {
		return err
	}
	if look.header, err = f.NewStyle(&excelize.Style{Font: &bold, Border: rules,
		Fill:      excelize.Fill{Type: "pattern", Pattern: 1, Color: []string{"D9E2F3"}},
		Alignment: &excelize.Alignment{Vertical: "center", WrapText: true}}); err != nil {
		return err
	}
	header := len(p.Lines) + 3
	if err := k.pageSetup(name, header); err != nil {
		return err
	}
	stream, err := f.NewStreamWriter(name)
	if err != nil {
		return err
	}
	for i, column := range slices.Backward(p.Columns) {
		if err := stream.SetColWidth(i+1, i+1, column.Width); err != nil {
			return err
		}
	}
	if err := stream.SetPanes(&excelize.Panes{Freeze: true, YSplit: header, TopLeftCell: fmt.Sprintf("A%d", header+1), ActivePane: "bottomLeft"}); err != nil {
		return err
	}
	for i, line := range append([]string{p.Title}, p.Lines...) {
		style := look.line
		if i == 0 {
			style = look.title
		}
		if err := stream.SetRow(fmt.Sprintf("A%d", i+1), []any{excelize.Cell{StyleID: style, Value: line}}); err != nil {
			return err
		}
	}
	cells := make([]any, len(p.Columns))
	for i, column := range p.Columns {
		cells[i] = excelize.Cell{StyleID: look.header, Value: column.Title}
	}
	if err := stream.SetRow(fmt.Sprintf("A%d", header), cells); err != nil {
		return err
	}
	kinds := map[string]int{}
	for i, row := range p.Rows {
		for j := range p.Columns {
			var c PageCell
			if j < len(row) {
				c = row[j]
			}
			key := fmt.Sprint(c.Fill, c.Link != "", p.Columns[j].Align)
			style, ok := kinds[key]
			if !ok {
				if style, err = f.NewStyle(pageStyle(c, p.Columns[j].Align, font, rules)); err != nil {
					return err
				}
				kinds[key] = style
			}
			cells[j] = excelize.Cell{StyleID: style, Value: c.Text}
			if c.Link != "" {
				ref := Cell{Row: header + 1 + i, Col: j + 1}.Ref()
				if err := f.SetCellHyperLink(name, ref, c.Link, "Location"); err != nil {
					return err
				}
			}
		}
		if err := stream.SetRow(fmt.Sprintf("A%d", header+1+i), cells, excelize.RowOpts{Height: p.height(row)}); err != nil {
			return err
		}
	}
	return stream.Flush()
}

// height is what a row needs for its wrapped texts, in points: not every program
// finds that out by itself.
func (p Page) height(row []PageCell) float64 {
	lines := 1
	for i, c := range row[:min(len(row), len(p.Columns))] {
		if width := int(p.Columns[i].Width); width > 0 {
			lines = max(lines, 1+utf8.RuneCountInString(c.Text)/width)
		}
	}
	return min(float64(lines)*13.5+3, 400) // 409 is the most that Excel takes
}

func pageStyle(c PageCell, align Align, font excelize.Font, rules []excelize.Border) *excelize.Style {
	const textFormat = 49 // "@"
	style := &excelize.Style{Font: &font, Border: rules, NumFmt: textFormat,
		Alignment: &excelize.Alignment{Horizontal: [...]string{"left", "center", "right"}[align], Vertical: "top", WrapText: true}}
	if c.Link != "" {
		link := font
		link.Color, link.Underline = "0563C1", "single"
		style.Font = &link
	}
	if c.Fill != "" {
		style.Fill = excelize.Fill{Type: "pattern", Pattern: 1, Color: []string{c.Fill}}
	}
	return style
}

// pageSetup prints the page across on A4, one page wide, the header on each.
func (k *marker) pageSetup(name string, header int) error {
	last := fmt.Sprintf("A1:%s%d", ColumnName(len(k.m.Page.Columns)), header+len(k.m.Page.Rows))
	if err := k.file.SetSheetDimension(name, last); err != nil {
		return err
	}
	orientation, paper, width, height, fit := "landscape", 9, 1, 0, true
	if err := k.file.SetPageLayout(name, &excelize.PageLayoutOptions{
		Orientation: &orientation, Size: &paper, FitToWidth: &width, FitToHeight: &height,
	}); err != nil {
		return err
	}
	return k.file.SetSheetProps(name, &excelize.SheetPropsOptions{FitToPage: &fit})
}
