package docx

import (
	"archive/zip"
	"bytes"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/beevik/etree"
)

// entryTime is the time of every entry the filler writes: equal input, equal bytes.
var entryTime = time.Date(1980, time.January, 1, 0, 0, 0, 0, time.UTC)

// Fill writes values into a template. Each {{tag}} takes values[tag]; a block
// of table rows between {{#name}} and {{/name}} is repeated for each row of
// tables[name], and there a row's own value comes before the plain one. A line
// break in a value becomes one in the paper. Values are text: tags and XML in
// them mean nothing. {{@name}} takes the picture of that name.
//
// A tag without a value, or a faulty template, gives *Error and no document.
// Values and pictures without a tag are not used.
func Fill(template []byte, values map[string]string, tables map[string][]map[string]string, pictures ...Picture) ([]byte, error) {
	doc, err := open(template)
	if err != nil {
		return nil, err
	}
	layouts, err := doc.layouts()
	if err != nil {
		return nil, err
	}
	g := doc.gallery(pictures)
	if err := g.unknown(summary(layouts), values, tables); err != nil {
		return nil, err
	}
	for _, l := range layouts {
		for _, paragraph := range l.plain {
			l.part.fillParagraph(paragraph, func(tag string) string { return values[tag] })
		}
		l.repeat(values, tables)
	}
	if g.err != nil {
		return nil, g.err
	}
	return doc.write()
}

// unknown names the tags for which there is no value, table or picture.
func (g *gallery) unknown(t Template, values map[string]string, tables map[string][]map[string]string) error {
	var problems Error
	for _, tag := range t.Tags {
		_, given := values[tag]
		if tag[0] == '@' {
			_, given = g.pictures[tag[1:]]
		}
		if !given {
			problems.Unknown = append(problems.Unknown, tag)
		}
	}
	for table, tags := range t.Tables {
		rows, given := tables[table]
		if !given {
			problems.Unknown = append(problems.Unknown, "#"+table)
			continue
		}
		for _, tag := range tags {
			if _, plain := values[tag]; plain {
				continue
			}
			lacks := func(row map[string]string) bool { _, has := row[tag]; return !has }
			if slices.ContainsFunc(rows, lacks) {
				problems.Unknown = append(problems.Unknown, table+"."+tag)
			}
		}
	}
	slices.Sort(problems.Unknown)
	return problems.orNil()
}

// repeat replaces each loop's rows by its filled copies. The parent is built
// anew in one pass: inserting row by row would be quadratic in etree.
func (l *layout) repeat(values map[string]string, tables map[string][]map[string]string) {
	first := make(map[*etree.Element]*loop)
	drop := make(map[*etree.Element]bool)
	seen := make(map[*etree.Element]bool)
	var parents []*etree.Element
	for _, lp := range l.loops {
		first[lp.rows[0]] = lp
		for _, row := range lp.rows {
			drop[row] = true
		}
		if parent := lp.rows[0].Parent(); !seen[parent] {
			seen[parent] = true
			parents = append(parents, parent)
		}
	}
	for _, parent := range parents {
		children := slices.Clone(parent.Child)
		for len(parent.Child) > 0 {
			parent.RemoveChildAt(len(parent.Child) - 1)
		}
		for _, token := range children {
			row, isElement := token.(*etree.Element)
			if isElement && first[row] != nil {
				l.part.addCopies(parent, first[row], values, tables[first[row].name])
			}
			if !isElement || !drop[row] {
				parent.AddChild(token)
			}
		}
		l.part.dropEmptyTable(parent)
	}
}

func (p *part) addCopies(parent *etree.Element, lp *loop, values map[string]string, rows []map[string]string) {
	for i, row := range rows {
		lookup := func(tag string) string {
			if tag[0] == '#' || tag[0] == '/' {
				return ""
			}
			if value, own := row[tag]; own {
				return value
			}
			return values[tag]
		}
		for _, block := range lp.rows {
			clone := block.Copy()
			var paragraphs []*etree.Element
			p.walk(clone, func(el *etree.Element) {
				if p.is(el, "p") {
					paragraphs = append(paragraphs, el)
				}
			})
			for _, paragraph := range paragraphs {
				p.fillParagraph(paragraph, lookup)
			}
			if i > 0 {
				p.dropIdentity(clone)
			}
			parent.AddChild(clone)
		}
	}
}

// dropIdentity removes from a repeated row what must occur once in a document:
// bookmarks, paragraph ids and the ids of content controls.
func (p *part) dropIdentity(el *etree.Element) {
	el.Attr = slices.DeleteFunc(el.Attr, func(a etree.Attr) bool {
		return a.Space == "w14" && (a.Key == "paraId" || a.Key == "textId")
	})
	for _, child := range el.ChildElements() {
		if p.is(child, "bookmarkStart") || p.is(child, "bookmarkEnd") || (p.is(child, "id") && p.is(el, "sdtPr")) {
			el.RemoveChild(child)
			continue
		}
		p.dropIdentity(child)
	}
}

// dropEmptyTable removes a table left without rows, which Word calls damaged.
func (p *part) dropEmptyTable(table *etree.Element) {
	if !p.is(table, "tbl") || table.Parent() == nil {
		return
	}
	for _, child := range table.ChildElements() {
		if p.is(child, "tr") || p.is(child, "sdt") {
			return
		}
	}
	parent := table.Parent()
	parent.RemoveChild(table)
	// A table cell must end with a paragraph.
	if below := parent.ChildElements(); p.is(parent, "tc") && (len(below) == 0 || !p.is(below[len(below)-1], "p")) {
		parent.CreateElement(p.qualified("p"))
	}
}

// paragraphText is the text of a paragraph joined over its runs.
type paragraphText struct {
	joined string
	// owners and ends tell which w:t holds which bytes of joined; a nil owner is a break.
	owners []*etree.Element
	ends   []int
}

// paragraph joins the text of a paragraph's runs. Paragraphs inside it (text
// boxes) are their own.
func (p *part) paragraph(el *etree.Element) paragraphText {
	var text paragraphText
	var joined strings.Builder
	var visit func(*etree.Element)
	visit = func(el *etree.Element) {
		for _, child := range el.ChildElements() {
			switch {
			case p.is(child, "p") || p.is(child, "pPr") || p.is(child, "rPr"):
			case p.is(child, "t"):
				joined.WriteString(content(child))
				text.owners = append(text.owners, child)
				text.ends = append(text.ends, joined.Len())
			case p.is(child, "tab") || p.is(child, "br") || p.is(child, "cr") || p.is(child, "instrText"):
				joined.WriteString(breakMark)
				text.owners = append(text.owners, nil)
				text.ends = append(text.ends, joined.Len())
			default:
				visit(child)
			}
		}
	}
	visit(el)
	text.joined = joined.String()
	return text
}

// fillParagraph writes the value of each tag into the run in which the tag
// starts and takes the tag's text out of all runs it covers.
func (p *part) fillParagraph(el *etree.Element, lookup func(tag string) string) {
	text := p.paragraph(el)
	matches := tagPattern.FindAllStringSubmatchIndex(text.joined, -1)
	if len(matches) == 0 {
		return
	}
	begin := 0
	for i, owner := range text.owners {
		end := text.ends[i]
		if owner != nil {
			p.rewrite(owner, text.joined, begin, end, matches, lookup)
		}
		begin = end
	}
}

// rewrite gives one w:t the text joined[begin:end] with the tags replaced.
func (p *part) rewrite(owner *etree.Element, joined string, begin, end int, matches [][]int, lookup func(string) string) {
	var b strings.Builder
	var pictures []string
	changed := false
	at := begin
	for _, m := range matches {
		if m[1] <= begin || m[0] >= end {
			continue
		}
		changed = true
		b.WriteString(joined[at:max(at, m[0])])
		if m[0] >= begin {
			tag := strings.TrimSpace(joined[m[2]:m[3]])
			if tag[0] == '@' {
				pictures = append(pictures, tag[1:])
				b.WriteRune(pictureMark)
			} else {
				b.WriteString(clean(lookup(tag)))
			}
		}
		at = min(m[1], end)
	}
	if !changed {
		return
	}
	b.WriteString(joined[at:end])
	p.setText(owner, b.String(), pictures)
}

// beside are what stands beside a w:t and not in it.
const beside = "\n\t" + string(pictureMark)

// setText replaces a w:t's text; line breaks, tabs and pictures, in their order,
// become elements beside it.
func (p *part) setText(owner *etree.Element, text string, pictures []string) {
	for len(owner.Child) > 0 {
		owner.RemoveChildAt(len(owner.Child) - 1)
	}
	owner.CreateAttr("xml:space", "preserve")
	cut := strings.IndexAny(text, beside)
	if cut < 0 {
		owner.SetText(text)
		return
	}
	owner.SetText(text[:cut])
	parent, at := owner.Parent(), owner.Index()
	for cut >= 0 {
		mark, size := utf8.DecodeRuneInString(text[cut:])
		var el *etree.Element
		switch {
		case mark == '\n':
			el = etree.NewElement(p.qualified("br"))
		case mark == '\t':
			el = etree.NewElement(p.qualified("tab"))
		case len(pictures) > 0:
			el, pictures = p.gallery.drawing(p, pictures[0]), pictures[1:]
		}
		text = text[cut+size:]
		if el != nil {
			at++
			parent.InsertChildAt(at, el)
		}
		piece := text
		if cut = strings.IndexAny(text, beside); cut >= 0 {
			piece = text[:cut]
		}
		next := etree.NewElement(p.qualified("t"))
		next.CreateAttr("xml:space", "preserve")
		next.SetText(piece)
		at++
		parent.InsertChildAt(at, next)
	}
}

// clean makes a value fit for XML 1.0: one form of line break, no control
// characters, valid UTF-8; and without a mark for a picture.
func clean(s string) string {
	s = strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\r", "\n")
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return r
		case r < 0x20 || r == 0xFFFE || r == 0xFFFF || r == pictureMark:
			return -1
		case r == utf8.RuneError:
			return '\uFFFD'
		}
		return r
	}, s)
}

// write packs the document: filled parts anew, all other entries as they came, and
// what a picture needs.
func (d *document) write() ([]byte, error) {
	for _, p := range d.parts {
		// Canonical text leaves quotes alone, so that untouched text keeps its bytes.
		if err := d.putXML(p.name, p.tree); err != nil {
			return nil, err
		}
	}
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for _, f := range d.files {
		var err error
		if d.changed[f.Name] {
			err = d.pack(w, f.Name)
		} else {
			err = w.Copy(f)
		}
		if err != nil {
			return nil, fmt.Errorf("docx: write %s: %w", f.Name, err)
		}
	}
	for _, name := range d.added {
		if err := d.pack(w, name); err != nil {
			return nil, fmt.Errorf("docx: write %s: %w", name, err)
		}
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("docx: write: %w", err)
	}
	return out.Bytes(), nil
}

func (d *document) pack(w *zip.Writer, name string) error {
	entry, err := w.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Deflate, Modified: entryTime})
	if err != nil {
		return err
	}
	_, err = entry.Write(d.contents[name])
	return err
}
