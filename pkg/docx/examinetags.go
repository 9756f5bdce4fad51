package docx

import (
	"slices"
	"strings"

	"github.com/beevik/etree"
)

// tagsOf tells the tags that nobody knows, those that stand where they have no value,
// and those that are missing.
func tagsOf(layouts []*layout, rules Rules, found *Error) {
	known := append(slices.Clone(rules.Required), rules.Known...)
	seen := map[string]bool{}
	for _, l := range layouts {
		within := map[*etree.Element]string{} // the table of each repeated row
		for _, lp := range l.loops {
			for _, row := range lp.rows {
				within[row] = lp.name
			}
		}
		l.part.walk(l.part.tree.Root(), func(el *etree.Element) {
			if !l.part.is(el, "p") {
				return
			}
			table := ""
			for row := l.part.rowOf(el); row != nil && table == ""; row = l.part.rowOf(row) {
				table = within[row]
			}
			for _, match := range tagPattern.FindAllStringSubmatch(l.part.paragraph(el).joined, -1) {
				if name := strings.TrimSpace(match[1]); namePattern.MatchString(name) {
					l.part.judge(el, name, table, known, seen, found)
				}
			}
		})
	}
	for _, name := range rules.Required {
		table, _, column := strings.Cut(name, ".")
		if seen[name] || column && !seen["#"+table] { // the table itself is told then
			continue
		}
		found.put(Fault{Code: MissingTag, Tag: name})
	}
}

// judge looks at one tag in a paragraph; table is that of the repeated row around it.
func (p *part) judge(el *etree.Element, name, table string, known []string, seen map[string]bool, found *Error) {
	full := name
	switch {
	case name[0] == '/':
		return
	case table != "" && name[0] != '#' && name[0] != '@':
		full = table + "." + name
	}
	seen[full] = true
	if slices.Contains(known, full) || table != "" && slices.Contains(known, name) { // a plain value may stand in a repeated row too
		return
	}
	if table != "" && name[0] != '#' && !slices.Contains(known, "#"+table) { // the table is unknown, which is told once
		return
	}
	f := p.place(el)
	f.Tag = full
	for _, k := range known {
		if of, column, ok := strings.Cut(k, "."); ok && table == "" && column == name {
			f.Code, f.Detail = RowTagOutside, of
			found.put(f)
			return
		}
	}
	f.Code, f.Near = UnknownTag, nearest(full, table, known)
	found.put(f)
}

// nearest is the known tag that is most like one that is not, where one is like it: a
// letter wrong in three.
func nearest(name, table string, known []string) string {
	best, least := "", max(2, len(name)/3)+1
	for _, k := range known {
		of, _, column := strings.Cut(k, ".")
		if column && of != table { // of another table's rows
			continue
		}
		if d := distance(name, k); d < least {
			best, least = k, d
		}
	}
	return best
}

// distance is the number of letters to put in, take out or change (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		before := row[0]
		row[0] = i + 1
		for j := range len(b) {
			changed := before
			if a[i] != b[j] {
				changed++
			}
			before = row[j+1]
			row[j+1] = min(changed, row[j+1]+1, row[j]+1)
		}
	}
	return row[len(b)]
}
