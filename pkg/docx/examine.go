package docx

import (
	"archive/zip"
	"bytes"
	"fmt"
	"image"
	_ "image/gif" // the pictures that Word keeps
	_ "image/jpeg"
	_ "image/png"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/beevik/etree"
)

// maxMarks bounds the elements and attributes of a file that somebody sends in, each of
// which takes a hundred times its own bytes while it is looked at. A letter has some
// thousands.
const maxMarks = 300_000

// Limits on what the filler makes of a file that somebody sends in: it writes each
// repeated row hundreds of times, and looks at the whole paragraph for each tag.
const (
	maxTags      = 2_000
	maxRowMarks  = 5_000    // elements and attributes in repeated rows
	maxRowBytes  = 64 << 10 // of text and attributes in them
	maxPixels    = 64_000_000
	maxFieldCode = 1 << 10 // what tells a field's kind stands in its first letters
)

// Rules are what a template of one kind of paper must and may ask for. Names are
// written as Tags writes them; Known need not repeat Required.
type Rules struct {
	Required, Known []string
	MaxBytes        int // of the file
}

// Examine judges a template that somebody sends in: everything that is wrong with it at
// once, each with its place; none when it may be used. It is stricter than Fill, which
// takes what was examined before: it also refuses comments, objects, SVG pictures, fields
// that fetch something, and links that are no plain web addresses.
func Examine(file []byte, rules Rules) []Fault {
	var found Error
	if len(file) > rules.MaxBytes {
		found.add(TooLarge, "", "%d", rules.MaxBytes)
		return found.Faults
	}
	doc, err := unpack(file)
	if err != nil {
		return faultsOf(err)
	}
	for _, f := range doc.files {
		doc.examineEntry(f.Name, &found)
	}
	layouts := make([]*layout, 0, len(doc.parts))
	for _, p := range doc.parts {
		layouts = append(layouts, study(p, &found))
		p.examine(doc.outside[p.name], &found)
	}
	bounded(layouts, &found)
	tagsOf(layouts, rules, &found)
	return found.Faults
}

func faultsOf(err error) []Fault {
	if problems, ok := err.(*Error); ok { //nolint:errorlint // made in this package, never wrapped
		return problems.Faults
	}
	return []Fault{{Code: Damaged}}
}

// examined is a file on its way through Examine.
type examined struct {
	document
	types   map[string]string
	outside map[string]map[string]string // by part: ids of relations that lead out of the file, with their kind
}

// unpack reads what has to be read before anything can be told of a template.
func unpack(file []byte) (*examined, error) {
	if kind := otherFile(file); kind == "encrypted" {
		return nil, fault(Encrypted, "", "")
	} else if kind != "" {
		return nil, fault(WrongKind, "", kind)
	}
	archive, err := zip.NewReader(bytes.NewReader(file), int64(len(file)))
	switch {
	case err != nil && bytes.HasPrefix(file, []byte("PK")):
		return nil, fault(Damaged, "", "cannot be unpacked")
	case err != nil:
		return nil, fault(WrongKind, "", "")
	case len(archive.File) > maxEntries:
		return nil, fault(TooLarge, "", fmt.Sprintf("more than %d entries", maxEntries))
	}
	for _, f := range archive.File {
		if f.Flags&1 != 0 { // general purpose bit 0: encrypted
			return nil, fault(Encrypted, "", "")
		}
	}
	d := &examined{document: document{files: archive.File, changed: map[string]bool{}}, outside: map[string]map[string]string{}}
	if d.contents, err = readAll(archive.File); err != nil {
		return nil, err
	}
	marks, tags := 0, 0
	for name, b := range d.contents {
		if lower := strings.ToLower(name); strings.HasSuffix(lower, ".xml") || strings.HasSuffix(lower, ".rels") || bytes.HasPrefix(bytes.TrimLeft(b, "\ufeff \t\r\n"), []byte("<")) {
			marks += bytes.Count(b, []byte("<")) + bytes.Count(b, []byte("="))
			tags += bytes.Count(b, []byte("{{"))
		}
		if config, _, err := image.DecodeConfig(bytes.NewReader(b)); err == nil && config.Width > maxPixels/max(1, config.Height) {
			return nil, fault(TooLarge, name, fmt.Sprintf("a picture of more than %d dots", maxPixels))
		}
	}
	switch {
	case marks > maxMarks:
		return nil, fault(TooLarge, "", fmt.Sprintf("more than %d elements and attributes", maxMarks))
	case tags > maxTags:
		return nil, fault(TooLarge, "", fmt.Sprintf("more than %d tags", maxTags))
	}
	if kind := strings.TrimSpace(string(d.contents["mimetype"])); strings.Contains(kind, "opendocument") {
		return nil, fault(WrongKind, "", "odt")
	}
	if d.types, err = contentTypes(d.contents[contentTypesName]); err != nil {
		return nil, fault(WrongKind, "", "zip")
	}
	main, texts := "", 0
	for _, f := range archive.File {
		if t := d.types[f.Name]; t == wordMain {
			texts++
		} else if strings.HasSuffix(t, ".main+xml") {
			main = t
		}
	}
	switch {
	case texts > 1: // of which Word and LibreOffice show one
		return nil, fault(Damaged, "", "more than one text")
	case texts == 1:
		return d, nil
	case strings.Contains(main, "macroEnabled"):
		return nil, fault(WrongKind, "", "docm")
	case strings.Contains(main, "wordprocessingml.template"):
		return nil, fault(WrongKind, "", "dotx")
	case strings.Contains(main, "spreadsheetml"):
		return nil, fault(WrongKind, "", "xlsx")
	}
	return nil, fault(WrongKind, "", "zip")
}

// bounded refuses repeated rows that would fill a machine's memory once they are
// repeated.
func bounded(layouts []*layout, found *Error) {
	marks, size := 0, 0
	for _, l := range layouts {
		for _, lp := range l.loops {
			for _, row := range lp.rows {
				l.part.walk(row, func(el *etree.Element) {
					marks, size = marks+1+len(el.Attr), size+len(content(el))
					for _, a := range el.Attr {
						size += len(a.Value)
					}
				})
			}
		}
	}
	if marks > maxRowMarks || size > maxRowBytes {
		found.add(TooLarge, "", "repeated rows of more than %d elements and attributes or %d bytes", maxRowMarks, maxRowBytes)
	}
}

// otherFile names the kind of a file that is no zip archive.
func otherFile(b []byte) string {
	switch {
	case bytes.HasPrefix(b, []byte("\xD0\xCF\x11\xE0")): // a compound file: Word of before 2007, or one with a password
		if bytes.Contains(b, utf16LE("EncryptedPackage")) {
			return "encrypted"
		}
		return "doc"
	case bytes.HasPrefix(b, []byte("%PDF")):
		return "pdf"
	case bytes.HasPrefix(b, []byte(`{\rtf`)):
		return "rtf"
	}
	return ""
}

func utf16LE(s string) []byte {
	b := make([]byte, 0, 2*len(s))
	for _, c := range []byte(s) {
		b = append(b, c, 0)
	}
	return b
}

// examineEntry looks at one entry of the archive: its XML must be well-formed, also
// what the filler never reads, for LibreOffice and Word do.
func (d *examined) examineEntry(name string, found *Error) {
	lower, contentType := strings.ToLower(name), d.types[name]
	switch {
	case strings.HasSuffix(lower, "vbaproject.bin") || strings.HasSuffix(lower, "vbadata.xml") || strings.Contains(contentType, "vbaProject") || strings.Contains(contentType, "macroEnabled"):
		found.add(Macro, name, "macros")
		return
	case strings.Contains(lower, "/embeddings/") || strings.Contains(lower, "/activex/"):
		found.add(Embedded, name, "%s", path.Base(name))
		return
	case isSVG(lower, contentType, d.contents[name]):
		found.add(VectorPicture, name, "%s", path.Base(name))
		return
	case !strings.HasSuffix(lower, ".xml") && !strings.HasSuffix(lower, ".rels") && !filledTypes[contentType], strings.HasPrefix(lower, "customxml/item") && !filledTypes[contentType]:
		return // the latter is data of other programs, in any encoding, that nobody shows
	}
	tree, err := parseXML(name, d.contents[name])
	if err != nil {
		found.put(faultsOf(err)[0])
		return
	}
	switch {
	case strings.HasSuffix(lower, ".rels"):
		d.links(name, tree.Root(), found)
	case contentType == wordPrefix+"comments+xml":
		comments(name, tree.Root(), found)
	case filledTypes[contentType]:
		p, err := parsePart(name, contentType, d.contents[name])
		if err != nil {
			found.put(faultsOf(err)[0])
			return
		}
		d.parts = append(d.parts, p)
	}
}

// shownTypes are the content types of what relations of these kinds show. Word and
// LibreOffice go by the relation, whatever the list of contents says of the part.
var shownTypes = map[string]string{
	"officeDocument": wordMain, "header": wordPrefix + "header+xml", "footer": wordPrefix + "footer+xml", "footnotes": wordPrefix + "footnotes+xml",
	"endnotes": wordPrefix + "endnotes+xml", "comments": wordPrefix + "comments+xml",
}

// within is the entry that a relation of a part leads to.
func within(of, target string) string {
	if strings.HasPrefix(target, "/") {
		return strings.TrimPrefix(path.Clean(target), "/")
	}
	return path.Join(path.Dir(of), target)
}

// isSVG says whether an entry is an SVG picture, by its name, its type, or what it holds:
// LibreOffice goes by the last.
func isSVG(name, contentType string, body []byte) bool {
	if strings.HasSuffix(name, ".svg") || strings.HasSuffix(name, ".svgz") || strings.Contains(strings.ToLower(contentType), "svg") {
		return true
	}
	body = body[:min(len(body), svgHead)]
	if bytes.HasPrefix(body, []byte("\xFF\xFE")) || bytes.HasPrefix(body, []byte("\xFE\xFF")) { // UTF-16: the letters are what matters
		body = bytes.ReplaceAll(body, []byte{0}, nil)
	}
	return !strings.HasSuffix(name, ".xml") && !strings.HasSuffix(name, ".rels") && svgRoot.Match(body)
}

// svgHead is how far into an entry its root element is looked for.
const svgHead = 64 << 10

var svgRoot = regexp.MustCompile(`(?i)<([a-z0-9_]+:)?svg[\s>/]`)

// links notes the relations that lead out of the file. A web or mail address in the
// letterhead is followed only by whoever clicks on it.
func (d *examined) links(name string, root *etree.Element, found *Error) {
	of := path.Join(path.Dir(path.Dir(name)), strings.TrimSuffix(path.Base(name), ".rels"))
	for _, r := range root.ChildElements() {
		if !strings.EqualFold(r.SelectAttrValue("TargetMode", ""), "External") {
			if kind := path.Base(r.SelectAttrValue("Type", "")); shownTypes[kind] != "" && d.types[within(of, r.SelectAttrValue("Target", ""))] != shownTypes[kind] {
				found.add(Damaged, name, "it shows another text than the one that is looked at")
			}
			continue
		}
		kind, target := path.Base(r.SelectAttrValue("Type", "")), strings.ToLower(r.SelectAttrValue("Target", ""))
		if kind == "hyperlink" && (strings.HasPrefix(target, "https://") || strings.HasPrefix(target, "http://") || strings.HasPrefix(target, "mailto:")) {
			continue
		}
		if !filledTypes[d.types[of]] || kind == "attachedTemplate" {
			found.add(ExternalLink, of, "%s", kind)
			continue
		}
		if d.outside[of] == nil {
			d.outside[of] = map[string]string{}
		}
		d.outside[of][r.SelectAttrValue("Id", "")] = kind
	}
}

// comments tells each remark by its own words.
func comments(name string, root *etree.Element, found *Error) {
	for _, c := range root.ChildElements() {
		if c.Tag != "comment" {
			continue
		}
		var text strings.Builder
		for _, t := range c.FindElements(".//t") {
			text.WriteString(content(t))
		}
		found.add(Comment, name, "%s", shorten(text.String()))
	}
}

// objects are the elements by which another program's object, or another file, stands
// in a text.
var objects = map[string]bool{"object": true, "OLEObject": true, "control": true, "altChunk": true, "subDoc": true}

// examine looks at what Fill does not mind in a part.
func (p *part) examine(outside map[string]string, found *Error) {
	told := map[string]bool{}
	p.walk(p.tree.Root(), func(el *etree.Element) {
		if objects[el.Tag] && !objects[el.Parent().Tag] {
			found.at(Embedded, p, el, "%s", el.Tag)
		}
		for _, a := range el.Attr {
			if kind := outside[a.Value]; kind != "" && a.Space != "" {
				told[a.Value] = true
				found.at(ExternalLink, p, el, "%s", kind)
			}
			if (a.Key == "src" || a.Key == "href") && leads(a.Value) {
				found.at(ExternalLink, p, el, "image")
			}
		}
		switch {
		case p.is(el, "p"):
			p.fields(el, found)
			p.bound(el, found)
		case p.is(el, "fldSimple"):
			p.field(el, el.SelectAttrValue(p.qualified("instr"), ""), found)
		}
	})
	for id, kind := range outside { // a relation that no element names is still one
		if !told[id] {
			found.put(Fault{Code: ExternalLink, Part: p.name, In: placeNames[p.contentType], Detail: kind})
		}
	}
}

// leads says whether an address is of something outside of the file: of another place, or
// of another folder.
func leads(address string) bool {
	return strings.ContainsAny(address, ":\\") || strings.HasPrefix(address, "/") || strings.HasPrefix(address, "..")
}

// fetching are the fields that bring in something from elsewhere, or do something.
var fetching = []string{
	"INCLUDETEXT", "INCLUDEPICTURE", "INCLUDE", "IMPORT", "DDE", "DDEAUTO", "LINK", "EMBED", "DATABASE", "RD", "MERGEFIELD", "MACROBUTTON", "CONTROL", "HTMLCONTROL", "?",
}

// fields reads the codes of a paragraph's fields, which Word may cut over several runs.
func (p *part) fields(paragraph *etree.Element, found *Error) {
	var all, open []*string
	begin := func() {
		code := new(string)
		all, open = append(all, code), append(open, code)
	}
	var visit func(*etree.Element)
	visit = func(el *etree.Element) {
		for _, child := range el.ChildElements() {
			switch kind := child.SelectAttrValue(p.qualified("fldCharType"), ""); {
			case p.is(child, "p"):
			case p.is(child, "fldChar") && kind == "begin":
				if len(open) > 0 && len(strings.Fields(*open[len(open)-1]+"|")) < 2 {
					*open[len(open)-1] = nameless // made by the field in it
				}
				begin()
			case p.is(child, "fldChar") && kind == "end" && len(open) > 0:
				open = open[:len(open)-1]
			case p.is(child, "instrText"):
				if len(open) == 0 {
					begin()
				}
				if code := open[len(open)-1]; len(*code) < maxFieldCode { // not the square of a long one
					*code += content(child)
				}
			default:
				visit(child)
			}
		}
	}
	visit(paragraph)
	for _, code := range all {
		p.field(paragraph, *code, found)
	}
}

// nameless is the kind of a field that another field within it tells.
const nameless = "? "

func (p *part) field(el *etree.Element, code string, found *Error) {
	if words := strings.Fields(code); len(words) > 0 && slices.Contains(fetching, strings.ToUpper(words[0])) {
		found.at(LinkedField, p, el, "%s", strings.ToUpper(words[0]))
	}
}

// bound finds a tag in a content control that is tied to data of the file: Word shows
// that data in place of what the filler wrote.
func (p *part) bound(paragraph *etree.Element, found *Error) {
	p.walk(paragraph, func(el *etree.Element) {
		if !p.is(el, "t") || !strings.Contains(content(el), "{{") {
			return
		}
		for up := el.Parent(); up != nil; up = up.Parent() {
			if !p.is(up, "sdt") {
				continue
			}
			if about := up.SelectElement(p.qualified("sdtPr")); about != nil && about.SelectElement(p.qualified("dataBinding")) != nil {
				found.at(BoundControl, p, el, "%s", shorten(content(el)))
			}
		}
	})
}
