package xlsx

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/xuri/excelize/v2"
)

// Note is what to say of one cell.
type Note struct {
	Row, Col int // both count from 1
	// Fill is the colour of the mark as RRGGBB, one of the marking's.
	Fill string
	// Text is the comment; its lines end with "\n". Empty is none.
	Text string
}

// Marking says what to mark in a workbook that somebody else made.
type Marking struct {
	// Sheet holds the cells of Notes; empty when no cell is to be marked.
	Sheet string
	// Author signs the comments. Comments of this author from earlier are removed;
	// those of others stay.
	Author string
	// Fills are the colours of marks. A cell that has one of them from earlier loses
	// it, so they must be colours that people do not choose.
	Fills []string
	// Notes has a cell once at most.
	Notes []Note
	// Page becomes the first sheet, in place of an earlier one.
	Page Page
}

// Bounds of what is held at once, in bytes; a list of 20 000 cards unpacks to
// some 10 MB.
const (
	// mostPlain bounds the parts together that excelize makes structures of, which
	// are many times larger than the parts.
	mostPlain = 3 << 20
	mostText  = 20 << 20 // a part that is changed as text
	mostWhole = 40 << 20 // all parts together
)

// Mark writes the workbook of size bytes to w with the marks. What it does not
// touch stays as excelize keeps it. A workbook that cannot be read or is beyond
// the limits gives *Error, and nothing is written.
func Mark(w io.Writer, r io.ReaderAt, size int64, limits Limits, m Marking) (err error) {
	book, err := Open(r, size, limits)
	if err != nil {
		return err
	}
	if err := book.markable(); err != nil {
		return err
	}
	// Excelize takes the structure of a file on trust; whoever made this one may
	// have meant to break it.
	defer func() {
		if v := recover(); v != nil {
			err = refuse(Damaged, "", "excelize: %v", v)
		}
	}()
	f, err := excelize.OpenReader(io.NewSectionReader(r, 0, size), excelize.Options{
		UnzipSizeLimit: book.limits.UnzippedBytes, UnzipXMLSizeLimit: book.limits.PartBytes,
	})
	if err != nil {
		return refuse(Damaged, "", "excelize: %v", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	k := &marker{book: book, file: f, parts: partsOf(f), m: m, styles: map[[2]int]int{}, fills: map[string]int{}}
	if err := k.mark(); err != nil {
		return k.refused(err)
	}
	var out bytes.Buffer
	if err := f.Write(&out); err != nil {
		return k.refused(err)
	}
	// What excelize could only half read it has cut short without a word.
	if _, err := Open(bytes.NewReader(out.Bytes()), int64(out.Len()), Limits{FileBytes: 1 << 40, UnzippedBytes: 1 << 40, Entries: 1 << 20}); err != nil {
		return refuse(Damaged, "", "what is written cannot be read: %v", err)
	}
	if _, err := w.Write(out.Bytes()); err != nil {
		return fmt.Errorf("xlsx: write: %w", err)
	}
	return nil
}

// markable refuses a workbook that would take too much memory to be marked.
func (w *Workbook) markable() error {
	plain, whole := uint64(0), uint64(0)
	for key, f := range w.parts {
		if readWhole(key) {
			plain += f.UncompressedSize64
		}
		if whole += f.UncompressedSize64; f.UncompressedSize64 > mostText || plain > mostPlain || whole > mostWhole {
			return refuse(TooLarge, f.Name, "more than %d bytes, or with others more than %d or %d", mostText, mostPlain, mostWhole)
		}
	}
	return nil
}

// readWhole says whether excelize makes structures of a part when it opens the
// workbook.
func readWhole(key string) bool {
	return strings.HasSuffix(key, ".xml") && !strings.HasPrefix(key, "xl/worksheets/") && !strings.HasPrefix(key, "xl/media/") &&
		!strings.Contains(key, "sharedstrings") && !strings.Contains(key, "comment")
}

// marker marks one workbook.
type marker struct {
	book  *Workbook
	file  *excelize.File
	parts parts
	m     Marking

	survey survey
	styles map[[2]int]int // with another fill: by style and fill
	fills  map[string]int // by colour
}

// refused makes errors of excelize what they are: faults of the file.
func (k *marker) refused(err error) error {
	var refused *Error
	if errors.As(err, &refused) {
		return err
	}
	return refuse(Damaged, k.m.Sheet, "%v", err)
}

func (k *marker) mark() error {
	k.parts.unselectTabs()
	if err := k.haveStyles(); err != nil {
		return err
	}
	if k.m.Sheet != "" {
		if err := k.markCells(); err != nil {
			return err
		}
	}
	return k.addPage()
}

// plainStyles are the styles of a workbook that came without any.
const plainStyles = xmlHead + `<styleSheet xmlns="` + mainNamespace + `"><fonts count="1"><font><sz val="11"/><name val="Calibri"/></font></fonts>` +
	`<fills count="2"><fill><patternFill patternType="none"/></fill><fill><patternFill patternType="gray125"/></fill></fills>` +
	`<borders count="1"><border><left/><right/><top/><bottom/><diagonal/></border></borders>` +
	`<cellStyleXfs count="1"><xf numFmtId="0" fontId="0" fillId="0" borderId="0"/></cellStyleXfs>` +
	`<cellXfs count="1"><xf numFmtId="0" fontId="0" fillId="0" borderId="0" xfId="0"/></cellXfs></styleSheet>`

// haveStyles gives styles to a workbook without: programs write such, and
// excelize cannot add to nothing.
func (k *marker) haveStyles() error {
	const part = "xl/styles.xml"
	if k.book.stylesPart != "" || k.parts.load(part) != nil {
		return nil
	}
	main, err := k.book.mainPart()
	if err != nil {
		return err
	}
	k.parts.store(part, []byte(plainStyles))
	k.file.Styles = nil // read anew
	if _, err := k.parts.relate(main, "styles", part); err != nil {
		return err
	}
	if err := k.parts.declare(part, "application/vnd.openxmlformats-officedocument.spreadsheetml.styles+xml"); err != nil {
		return err
	}
	_, err = k.file.NewStyle(&excelize.Style{})
	return err
}

func (k *marker) markCells() error {
	i := slices.IndexFunc(k.book.sheets, func(s Sheet) bool { return s.Name == k.m.Sheet })
	if i < 0 {
		return refuse(NoSheet, k.m.Sheet, "no such sheet")
	}
	part := k.book.sheets[i].part
	var err error
	if k.survey, err = k.book.surveySheet(part); err != nil {
		return err
	}
	notes, err := k.openNotes(part)
	if err != nil {
		return err
	}
	marked := k.markedStyles()
	fill := filler{raw: k.parts.load(part), part: part, notes: k.m.Notes, survey: k.survey, restyle: func(style int, n *Note) (int, error) {
		switch {
		case n != nil:
			id, err := k.fillOf(n.Fill)
			if err != nil {
				return 0, err
			}
			return k.restyled(style, id)
		case marked[style]:
			return k.restyled(style, 0) // fill 0 is none, ECMA-376 part 1 section 18.8.21
		}
		return style, nil
	}}
	filled, err := fill.fillCells()
	if err != nil {
		return err
	}
	k.parts.store(part, filled)
	return notes.write(k)
}

// markedStyles are the cell styles that have the fill of a mark.
func (k *marker) markedStyles() map[int]bool {
	marked := map[int]bool{}
	sheet := k.file.Styles
	if sheet == nil || sheet.CellXfs == nil || sheet.Fills == nil {
		return marked
	}
	for i, xf := range sheet.CellXfs.Xf {
		if xf.FillID == nil || *xf.FillID < 0 || *xf.FillID >= len(sheet.Fills.Fill) {
			continue
		}
		fill := sheet.Fills.Fill[*xf.FillID]
		if fill == nil || fill.PatternFill == nil || fill.PatternFill.FgColor == nil {
			continue
		}
		colour := fill.PatternFill.FgColor.RGB // AARRGGBB
		marked[i] = len(colour) == 8 && slices.ContainsFunc(k.m.Fills, func(m string) bool { return strings.EqualFold(m, colour[2:]) })
	}
	return marked
}

// fillOf is the number of a solid fill in the workbook's styles.
func (k *marker) fillOf(colour string) (int, error) {
	if id, ok := k.fills[colour]; ok {
		return id, nil
	}
	style, err := k.file.NewStyle(&excelize.Style{Fill: excelize.Fill{Type: "pattern", Pattern: 1, Color: []string{colour}}})
	if err != nil {
		return 0, err
	}
	id := *k.file.Styles.CellXfs.Xf[style].FillID
	k.fills[colour] = id
	return id, nil
}

// restyled is a style with another fill and all else as it is.
func (k *marker) restyled(style, fill int) (int, error) {
	next, ok := k.styles[[2]int{style, fill}]
	if ok {
		return next, nil
	}
	// A style read by excelize and made anew would lose some of its font; a copy
	// of its row in the table loses nothing.
	table := k.file.Styles.CellXfs
	if table == nil || style < 0 || style >= len(table.Xf) {
		return 0, fmt.Errorf("style %d is not there", style)
	}
	own, yes := table.Xf[style], true
	own.FillID, own.ApplyFill = &fill, &yes
	table.Xf = append(table.Xf, own)
	table.Count = len(table.Xf)
	next = len(table.Xf) - 1
	k.styles[[2]int{style, fill}] = next
	return next, nil
}
