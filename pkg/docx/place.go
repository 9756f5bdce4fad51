package docx

import (
	"strings"

	"github.com/beevik/etree"
)

// placeNames say what a part is of the paper.
var placeNames = map[string]string{
	wordMain: "body", wordPrefix + "header+xml": "header", wordPrefix + "footer+xml": "footer",
	wordPrefix + "footnotes+xml": "note", wordPrefix + "endnotes+xml": "note",
}

// place is where el stands, for whoever has to find it in Word: a fault without its code.
// What stands in one paragraph is looked for once, however many faults are in it.
func (p *part) place(el *etree.Element) Fault {
	if p.placed.el != el {
		p.placed.el, p.placed.at = el, p.find(el)
	}
	return p.placed.at
}

func (p *part) find(el *etree.Element) Fault {
	f := Fault{Part: p.name, In: placeNames[p.contentType]}
	var paragraph *etree.Element
	for up := el; up != nil; up = up.Parent() {
		if p.is(up, "p") && paragraph == nil {
			paragraph = up
		}
		if p.is(up, "tbl") {
			f.Table = true
		}
	}
	if paragraph == nil && p.is(el, "tr") {
		f.Text = shorten(strings.Join(strings.Fields(p.rowText(el)), " "))
	} else if paragraph != nil {
		f.Text = shorten(p.plainText(paragraph))
	}
	return f
}

// plainText is the text of a paragraph in one line.
func (p *part) plainText(paragraph *etree.Element) string {
	return strings.Join(strings.Fields(strings.ReplaceAll(p.paragraph(paragraph).joined, breakMark, " ")), " ")
}
