package xlsx

import (
	"bytes"
	"fmt"
	"iter"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// notes are the two parts that make the comments of a sheet: their texts, and
// the shapes that show them.
type notes struct {
	texts, shapes string // names of the parts
}

// openNotes finds the parts of a sheet's comments, or makes them. It runs before
// excelize reads the sheet.
func (k *marker) openNotes(sheet string) (notes, error) {
	relations, err := k.book.relations(sheet)
	if err != nil {
		return notes{}, err
	}
	var n notes
	for _, r := range relations {
		switch {
		case strings.HasSuffix(r.kind, "/comments"):
			n.texts = r.target
		case strings.HasSuffix(r.kind, "/vmlDrawing") && r.id == k.survey.drawing:
			n.shapes = r.target
		}
	}
	if n.texts == "" || k.parts.load(n.texts) == nil {
		n.texts = k.parts.free("xl/comments%d.xml")
		k.parts.store(n.texts, []byte(emptyComments))
		if _, err := k.parts.relate(sheet, "comments", n.texts); err != nil {
			return n, err
		}
		if err := k.parts.declare(n.texts, commentsMedia); err != nil {
			return n, err
		}
	}
	if n.shapes != "" && k.parts.load(n.shapes) != nil {
		return n, nil
	}
	n.shapes = k.parts.free("xl/drawings/vmlDrawing%d.vml")
	k.parts.store(n.shapes, []byte(emptyShapes))
	id, err := k.parts.relate(sheet, "vmlDrawing", n.shapes)
	if err != nil {
		return n, err
	}
	if err := k.parts.declare(n.shapes, shapesMedia); err != nil {
		return n, err
	}
	return n, k.parts.hangShapes(sheet, id)
}

// write renews both parts.
func (n notes) write(k *marker) error {
	texts, err := readComments(k.parts.load(n.texts))
	if err != nil {
		return fmt.Errorf("%s: %w", n.texts, err)
	}
	wanted := slices.DeleteFunc(slices.Clone(k.m.Notes), func(n Note) bool { return n.Text == "" })
	done := texts.renew(k.m.Author, wanted)
	k.parts.store(n.texts, done.raw)
	shapes, err := k.renewShapes(k.parts.load(n.shapes), done, wanted)
	if err != nil {
		return fmt.Errorf("%s: %w", n.shapes, err)
	}
	k.parts.store(n.shapes, shapes)
	return nil
}

// noteShape is the kind of shape that comments have; Excel wants it declared.
const noteShape = `<v:shapetype id="_x0000_t202" coordsize="21600,21600" o:spt="202" path="m,l,21600r21600,l21600,xe">` +
	`<v:stroke joinstyle="miter"/><v:path gradientshapeok="t" o:connecttype="rect"/></v:shapetype>`

const emptyShapes = `<xml xmlns:v="urn:schemas-microsoft-com:vml" xmlns:o="urn:schemas-microsoft-com:office:office" ` +
	`xmlns:x="urn:schemas-microsoft-com:office:excel"><o:shapelayout v:ext="edit"><o:idmap v:ext="edit" data="1"/></o:shapelayout>` +
	noteShape + `</xml>`

var (
	oneShape  = regexp.MustCompile(`(?s)<v:shape\s.*?</v:shape>`)
	shapeRow  = regexp.MustCompile(`<x:Row>\s*(\d+)\s*</x:Row>`)
	shapeCol  = regexp.MustCompile(`<x:Column>\s*(\d+)\s*</x:Column>`)
	shapeName = regexp.MustCompile(`"_x0000_s\d{1,9}"`)
)

// renewShapes removes the shapes of removed comments and adds those of new ones.
// The part is older than XML and seldom well-formed, so that it is treated as
// text.
func (k *marker) renewShapes(raw []byte, done changed, wanted []Note) ([]byte, error) {
	gone := make(map[place]bool, len(done.removed))
	for _, p := range done.removed {
		gone[p] = true
	}
	var edits []edit
	for shape, from := range matches(oneShape, raw) {
		row, col := shapeRow.FindSubmatch(shape), shapeCol.FindSubmatch(shape)
		if row == nil || col == nil || !bytes.Contains(shape, []byte(`ObjectType="Note"`)) {
			continue
		}
		r, _ := strconv.Atoi(string(row[1])) // digits
		c, _ := strconv.Atoi(string(col[1]))
		if gone[place{c + 1, r + 1}] {
			edits = append(edits, edit{from, from + len(shape), ""})
		}
	}
	end := bytes.LastIndex(raw, []byte("</xml>"))
	if end < 0 {
		return nil, fmt.Errorf("no end of the shapes")
	}
	next := 1025 // Excel's own first
	for name := range matches(shapeName, raw) {
		if n, err := strconv.Atoi(string(name[len(`"_x0000_s`) : len(name)-1])); err == nil {
			next = max(next, n+1)
		}
	}
	lengths := make(map[place]string, len(wanted))
	for _, n := range wanted {
		lengths[place{n.Col, n.Row}] = n.Text
	}
	var fresh strings.Builder
	if !bytes.Contains(raw, []byte(`"_x0000_t202"`)) {
		fresh.WriteString(noteShape)
	}
	widths := k.widths()
	for _, p := range done.added {
		k.shape(&fresh, next, p, lengths[p], widths)
		next++
	}
	return apply(raw, append(edits, edit{end, end, fresh.String()})), nil
}

// matches are the pieces of a text that an expression fits, and where they begin,
// one at a time: there may be hundreds of thousands.
func matches(expression *regexp.Regexp, raw []byte) iter.Seq2[[]byte, int] {
	return func(yield func([]byte, int) bool) {
		for at := 0; ; {
			found := expression.FindIndex(raw[at:])
			if found == nil || !yield(raw[at+found[0]:at+found[1]], at+found[0]) {
				return
			}
			at += found[1]
		}
	}
}

const (
	noteWidth    = 320 // pixels
	noteLetters  = 48  // of 9 point type that fit a line of noteWidth
	noteLine     = 15  // pixels
	noteMargin   = 14
	mostHeight   = 420
	usualHeight  = 20 // of a row, in pixels
	usualWidth   = 64 // of a column, in pixels
	widthsWanted = 300
)

// widths are those of the first columns, in pixels, from 1.
func (k *marker) widths() []int {
	list := make([]int, widthsWanted+1)
	for col := range list {
		list[col] = usualWidth
		if col == 0 {
			continue
		}
		width := k.survey.width
		if c, told := k.survey.column(col); told && c.width > 0 {
			width = c.width
		}
		if width > 0 {
			list[col] = int(width*7) + 5 // of a digit of the usual type and the margins, ECMA-376 part 1 section 18.3.1.13
		}
	}
	return list
}

// shape writes the shape of a comment, to the right of its cell and large enough
// for its text.
func (k *marker) shape(b *strings.Builder, id int, p place, text string, widths []int) {
	lines := 1 // the sign
	for line := range strings.SplitSeq(text, "\n") {
		lines += max(1, (utf8.RuneCountInString(line)+noteLetters-1)/noteLetters)
	}
	height := min(lines*noteLine+noteMargin, mostHeight)
	top, topOffset := max(p.row-1, 1), 10
	if p.row == 1 {
		topOffset = 2
	}
	left, leftOffset := p.col+1, 15
	right, rightOffset := walk(left, leftOffset+noteWidth, func(col int) int {
		if col < len(widths) {
			return widths[col]
		}
		return usualWidth
	})
	bottom, bottomOffset := walk(top, topOffset+height, func(row int) int {
		if h, ok := k.survey.heights[row]; ok {
			return h
		}
		return usualHeight
	})
	fmt.Fprintf(b, `<v:shape id="_x0000_s%d" type="#_x0000_t202" style="position:absolute;margin-left:60pt;margin-top:5pt;width:%dpt;height:%dpt;z-index:1;visibility:hidden" `+
		`fillcolor="#fff8dc" o:insetmode="auto"><v:fill color2="#fff8dc"/><v:shadow on="t" color="black" obscured="t"/><v:path o:connecttype="none"/>`+
		`<v:textbox style="mso-direction-alt:auto"><div style="text-align:left"></div></v:textbox><x:ClientData ObjectType="Note"><x:MoveWithCells/><x:SizeWithCells/>`+
		`<x:Anchor>%d, %d, %d, %d, %d, %d, %d, %d</x:Anchor><x:AutoFill>False</x:AutoFill><x:Row>%d</x:Row><x:Column>%d</x:Column></x:ClientData></v:shape>`,
		id, noteWidth*3/4, height*3/4, left-1, leftOffset, top-1, topOffset, right-1, rightOffset, bottom-1, bottomOffset, p.row-1, p.col-1)
}

// mostSteps keeps hidden rows and columns from being walked over for ever.
const mostSteps = 2000

// walk goes a distance in pixels from the beginning of a row or column and
// returns where it arrives, and how far inside.
func walk(from, distance int, size func(int) int) (at, offset int) {
	at = from
	for range mostSteps {
		if s := size(at); distance > s {
			distance -= s
			at++
			continue
		}
		return at, distance
	}
	return at, 0
}
