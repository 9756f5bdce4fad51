package docx

import (
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/beevik/etree"
)

var (
	tagPattern  = regexp.MustCompile(`\{\{([^{}]*)\}\}`)
	namePattern = regexp.MustCompile(`^[#/@]?[a-z][a-z0-9_]*$`)
)

// trackedChanges are the elements by which Word remembers a change that nobody has
// accepted or rejected yet (ECMA-376 part 1, section 17.13.5).
var trackedChanges = map[string]bool{
	"ins": true, "del": true, "moveFrom": true, "moveTo": true, "cellIns": true, "cellDel": true, "cellMerge": true, "numberingChange": true,
	"rPrChange": true, "pPrChange": true, "sectPrChange": true, "tblPrChange": true, "tblPrExChange": true, "trPrChange": true,
	"tcPrChange": true, "tblGridChange": true,
}

// breakMark stands in a paragraph's joined text for a tab, line break or the
// like, so that no tag can reach over one.
const breakMark = "\uFFFC"

// loop is a block of sibling table rows repeated for each row of a table.
type loop struct {
	name string
	rows []*etree.Element
	tags []string
}

// layout is what a part holds for the filler.
type layout struct {
	part *part
	// plain are the paragraphs with tags outside of loops.
	plain []*etree.Element
	tags  []string
	loops []*loop
}

// Template lists what a template asks for.
type Template struct {
	// Tags are the tags outside of repeated rows, sorted; "@qr" is a picture.
	Tags []string
	// Tables are the tags inside the repeated rows of each table, sorted.
	Tables map[string][]string
}

// Names flattens a template's tags: "ticket", "#cards", "cards.serial".
func (t Template) Names() []string {
	names := slices.Clone(t.Tags)
	for table, tags := range t.Tables {
		names = append(names, "#"+table)
		for _, tag := range tags {
			names = append(names, table+"."+tag)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// Inspect reads a template, refuses a faulty one with *Error and lists its tags.
func Inspect(template []byte) (Template, error) {
	doc, err := open(template)
	if err != nil {
		return Template{}, err
	}
	layouts, err := doc.layouts()
	if err != nil {
		return Template{}, err
	}
	return summary(layouts), nil
}

// Tags lists the tags of a template, sorted; a tag in a repeated row is
// "cards.serial" and the row's table "#cards".
func Tags(template []byte) ([]string, error) {
	t, err := Inspect(template)
	if err != nil {
		return nil, err
	}
	return t.Names(), nil
}

// Check judges a template that staff uploaded: its faults, obligatory tags it
// lacks (Error.Missing) and tags nobody will fill (Error.Unknown). Names are
// written as Tags writes them; known need not repeat required.
func Check(template []byte, required, known []string) error {
	names, err := Tags(template)
	if err != nil {
		return err
	}
	var problems Error
	for _, name := range required {
		if !slices.Contains(names, name) {
			problems.Missing = append(problems.Missing, name)
		}
	}
	for _, name := range names {
		if !slices.Contains(required, name) && !slices.Contains(known, name) {
			problems.Unknown = append(problems.Unknown, name)
		}
	}
	return problems.orNil()
}

func summary(layouts []*layout) Template {
	t := Template{Tables: map[string][]string{}}
	plain := map[string]bool{}
	for _, l := range layouts {
		for _, tag := range l.tags {
			plain[tag] = true
		}
		for _, lp := range l.loops {
			tags := append(t.Tables[lp.name], lp.tags...)
			slices.Sort(tags)
			t.Tables[lp.name] = slices.Compact(tags)
		}
	}
	t.Tags = slices.Sorted(maps.Keys(plain))
	return t
}

// layouts studies every part; all faults of the template come in one *Error.
func (d *document) layouts() ([]*layout, error) {
	var problems Error
	layouts := make([]*layout, 0, len(d.parts))
	for _, p := range d.parts {
		layouts = append(layouts, study(p, &problems))
	}
	if err := problems.orNil(); err != nil {
		return nil, err
	}
	return layouts, nil
}

// study finds the tags and loops of a part.
func study(p *part, problems *Error) *layout {
	l := &layout{part: p}
	texts := make(map[*etree.Element]bool)
	marks := make(map[*etree.Element][]string) // loop tags of each row, in order
	rowTags := make(map[*etree.Element][]string)
	tagged := make(map[*etree.Element][]*etree.Element)
	var rows []*etree.Element

	p.walk(p.tree.Root(), func(el *etree.Element) {
		switch {
		case el.Space == p.prefix && trackedChanges[el.Tag]:
			problems.at(TrackedChanges, p, el, "accept or reject the tracked changes")
		case p.is(el, "tr"):
			rows = append(rows, el)
		case p.is(el, "p"):
			text := p.paragraph(el)
			for _, t := range text.owners {
				if t != nil {
					texts[t] = true
				}
			}
			tags := p.tagsOf(el, text.joined, problems)
			if len(tags) == 0 {
				return
			}
			row := p.rowOf(el)
			for _, tag := range tags {
				if tag[0] == '@' && p.strict {
					problems.at(BadPicture, p, el, "{{%s}} in a Strict Open XML file; save it as an ordinary Word document", tag)
				}
				switch {
				case tag[0] != '#' && tag[0] != '/':
					if row == nil {
						l.tags = append(l.tags, tag)
					} else {
						rowTags[row] = append(rowTags[row], tag)
					}
				case row == nil:
					problems.at(LoopOutsideRow, p, el, "{{%s}}", tag)
				default:
					marks[row] = append(marks[row], tag)
				}
			}
			if row == nil {
				l.plain = append(l.plain, el)
			} else {
				tagged[row] = append(tagged[row], el)
			}
		}
	})
	p.strayTags(texts, problems)

	looped := l.findLoops(rows, marks, problems)
	for _, row := range rows {
		// The outermost loop around the row fills it.
		var lp *loop
		for up := row; up != nil; up = p.rowOf(up) {
			if looped[up] == nil || looped[up] == lp {
				continue
			}
			if lp != nil {
				problems.at(NestedLoop, p, row, "{{#%s}}", lp.name)
			}
			lp = looped[up]
		}
		if lp == nil {
			l.plain = append(l.plain, tagged[row]...)
			l.tags = append(l.tags, rowTags[row]...)
			continue
		}
		for _, tag := range rowTags[row] {
			if tag[0] == '@' {
				problems.at(BadPicture, p, row, "{{%s}} in a repeated row", tag)
			}
		}
		lp.tags = append(lp.tags, rowTags[row]...)
	}
	return l
}

// findLoops pairs the loop tags of sibling rows and returns the loop of each row in one.
func (l *layout) findLoops(rows []*etree.Element, marks map[*etree.Element][]string, problems *Error) map[*etree.Element]*loop {
	looped := make(map[*etree.Element]*loop)
	current := make(map[*etree.Element]*loop) // the open loop under each parent
	var parents []*etree.Element
	for _, row := range rows {
		parent := row.Parent()
		lp := current[parent]
		for _, mark := range marks[row] {
			name := mark[1:]
			switch {
			case mark[0] == '#' && lp == nil:
				if looped[row] != nil {
					problems.at(NestedLoop, l.part, row, "{{%s}}", mark)
					continue
				}
				lp = &loop{name: name, rows: []*etree.Element{row}}
				looped[row] = lp
				l.loops = append(l.loops, lp)
			case mark[0] == '#':
				problems.at(NestedLoop, l.part, row, "{{%s}}", mark)
			case lp == nil || lp.name != name:
				problems.at(UnbalancedLoop, l.part, row, "{{%s}}", mark)
			default:
				if looped[row] == nil {
					lp.rows = append(lp.rows, row)
					looped[row] = lp
				}
				lp = nil
			}
		}
		if lp != nil && looped[row] == nil {
			lp.rows = append(lp.rows, row)
			looped[row] = lp
		}
		if _, known := current[parent]; !known {
			parents = append(parents, parent)
		}
		current[parent] = lp
	}
	for _, parent := range parents {
		if lp := current[parent]; lp != nil {
			problems.at(UnbalancedLoop, l.part, lp.rows[0], "{{#%s}}", lp.name)
		}
	}
	return looped
}

// tagsOf lists the tags of a paragraph's text and reports malformed ones.
func (p *part) tagsOf(el *etree.Element, joined string, problems *Error) []string {
	if !strings.Contains(joined, "{{") && !strings.Contains(joined, "}}") {
		return nil
	}
	var tags []string
	for _, match := range tagPattern.FindAllStringSubmatch(joined, -1) {
		name := strings.TrimSpace(match[1])
		if !namePattern.MatchString(name) {
			problems.at(BadTag, p, el, "%s", match[0])
			continue
		}
		tags = append(tags, name)
	}
	rest := tagPattern.ReplaceAllString(joined, breakMark)
	if strings.Contains(rest, "{{") || strings.Contains(rest, "}}") {
		problems.at(UnclosedTag, p, el, "%s", shorten(strings.TrimSpace(joined)))
	}
	return tags
}

// strayTags reports tags that the filler would never see.
func (p *part) strayTags(texts map[*etree.Element]bool, problems *Error) {
	p.walk(p.tree.Root(), func(el *etree.Element) {
		if texts[el] {
			return
		}
		if text := content(el); strings.Contains(text, "{{") {
			problems.at(TagOutsideText, p, el, "%s", shorten(text))
		}
	})
}

// walk visits el and all elements below it in document order.
func (p *part) walk(el *etree.Element, visit func(*etree.Element)) {
	visit(el)
	for _, child := range el.ChildElements() {
		p.walk(child, visit)
	}
}

// rowOf is the nearest table row around el, or nil.
func (p *part) rowOf(el *etree.Element) *etree.Element {
	for up := el.Parent(); up != nil; up = up.Parent() {
		if p.is(up, "tr") {
			return up
		}
	}
	return nil
}

// content is all character data directly inside el.
func content(el *etree.Element) string {
	var b strings.Builder
	for _, token := range el.Child {
		if data, ok := token.(*etree.CharData); ok {
			b.WriteString(data.Data)
		}
	}
	return b.String()
}

func shorten(s string) string {
	const most = 60
	runes := []rune(s)
	if len(runes) <= most {
		return s
	}
	return string(runes[:most]) + "…"
}
