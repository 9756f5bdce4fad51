package docx

import (
	"strings"

	"github.com/beevik/etree"
)

// Text is the text of a .docx as a reader sees it, for tests and previews:
// headers, body, footers; one line per paragraph, table cells parted by tabs.
func Text(file []byte) (string, error) {
	doc, err := open(file)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for _, kind := range []string{"header+xml", "document.main+xml", "footer+xml", "footnotes+xml", "endnotes+xml"} {
		for _, p := range doc.parts {
			if p.contentType == wordPrefix+kind {
				p.writeText(&b, p.tree.Root())
			}
		}
	}
	return b.String(), nil
}

func (p *part) writeText(b *strings.Builder, el *etree.Element) {
	for _, child := range el.ChildElements() {
		switch {
		case p.is(child, "p"):
			p.writeRuns(b, child)
			b.WriteByte('\n')
		case p.is(child, "tr"):
			b.WriteString(p.rowText(child))
			b.WriteByte('\n')
		default:
			p.writeText(b, child)
		}
	}
}

func (p *part) rowText(row *etree.Element) string {
	var cells []string
	p.walk(row, func(el *etree.Element) {
		if p.is(el, "tc") && p.rowOf(el) == row {
			var cell strings.Builder
			p.writeText(&cell, el)
			cells = append(cells, strings.ReplaceAll(strings.TrimSuffix(cell.String(), "\n"), "\n", " "))
		}
	})
	return strings.Join(cells, "\t")
}

func (p *part) writeRuns(b *strings.Builder, el *etree.Element) {
	for _, child := range el.ChildElements() {
		switch {
		case p.is(child, "t"):
			b.WriteString(content(child))
		case p.is(child, "tab"):
			b.WriteByte('\t')
		case p.is(child, "br") || p.is(child, "cr"):
			b.WriteByte('\n')
		case p.is(child, "pPr") || p.is(child, "rPr"):
		default:
			p.writeRuns(b, child)
		}
	}
}
