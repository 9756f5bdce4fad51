// Package docx fills Word templates that staff edit in Word and turns the
// result into PDF through LibreOffice.
//
// A template is an ordinary .docx with tags in its text: {{document_number}}
// stands for one value, {{@verification_qr}} for a picture; a table row that
// holds {{#cards}} and {{/cards}} is repeated once per row of the table "cards".
// Tags may be cut over several runs by Word (spelling marks, formatting); they
// keep the format of the run in which they start. Everything the filler does not touch stays as it is:
// header and footer references, content controls, bookmarks, styles, pictures
// (users.md F.1). The same template and values give the same bytes.
package docx

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/beevik/etree"
)

// Limits on what a template may hold. A letter with a coat of arms is far below.
const (
	maxFileBytes     = 16 << 20
	maxEntries       = 512
	maxPartBytes     = 16 << 20
	maxUnzippedBytes = 64 << 20
	maxDepth         = 256
)

const (
	contentTypesName = "[Content_Types].xml"
	wordMain         = "application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"
	wordPrefix       = "application/vnd.openxmlformats-officedocument.wordprocessingml."
)

// filledTypes are the content types of the parts that carry tags.
var filledTypes = map[string]bool{
	wordMain:                     true,
	wordPrefix + "header+xml":    true,
	wordPrefix + "footer+xml":    true,
	wordPrefix + "footnotes+xml": true,
	wordPrefix + "endnotes+xml":  true,
}

// document is an opened .docx.
type document struct {
	files []*zip.File
	parts []*part // those that carry tags, in the order of the archive
	// contents are all entries, unpacked; changed of them are not as they came, and
	// added ones did not come at all.
	contents map[string][]byte
	changed  map[string]bool
	added    []string
}

// part is one parsed XML part.
type part struct {
	name        string
	contentType string
	tree        *etree.Document
	// prefix is the namespace prefix of WordprocessingML in this part, nearly always "w".
	prefix string
	strict bool // of Strict Open XML
	// gallery has the pictures of this part, once it is filled.
	gallery *gallery
	// placed is the place that was asked for last.
	placed struct {
		el *etree.Element
		at Fault
	}
}

// open reads and checks a .docx: limits, checksums of every entry, no macros,
// no links to the outside, well-formed parts.
func open(b []byte) (*document, error) {
	if len(b) > maxFileBytes {
		return nil, fault(TooLarge, "", fmt.Sprintf("file larger than %d bytes", maxFileBytes))
	}
	archive, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		return nil, fault(NotWord, "", "not a zip archive")
	}
	if len(archive.File) > maxEntries {
		return nil, fault(TooLarge, "", fmt.Sprintf("more than %d entries", maxEntries))
	}
	contents, err := readAll(archive.File)
	if err != nil {
		return nil, err
	}
	types, err := contentTypes(contents[contentTypesName])
	if err != nil {
		return nil, err
	}
	doc := &document{files: archive.File, contents: contents, changed: map[string]bool{}}
	hasMain := false
	for _, f := range archive.File {
		contentType := types[f.Name]
		if err := refuse(f.Name, contentType, contents[f.Name]); err != nil {
			return nil, err
		}
		if !filledTypes[contentType] {
			continue
		}
		p, err := parsePart(f.Name, contentType, contents[f.Name])
		if err != nil {
			return nil, err
		}
		doc.parts = append(doc.parts, p)
		hasMain = hasMain || contentType == wordMain
	}
	if !hasMain {
		return nil, fault(NotWord, "", "no Word document inside")
	}
	return doc, nil
}

// readAll unpacks every entry within the limits. Sizes are counted while
// reading: the sizes in the directory are the sender's claim.
func readAll(files []*zip.File) (map[string][]byte, error) {
	contents := make(map[string][]byte, len(files))
	total := int64(0)
	for _, f := range files {
		if _, twice := contents[f.Name]; twice {
			return nil, fault(Damaged, f.Name, "entry given twice")
		}
		if path.IsAbs(f.Name) || strings.Contains(f.Name, "..") || strings.ContainsAny(f.Name, "\\:\x00") {
			return nil, fault(Damaged, "", "entry with an unsafe name")
		}
		limit := min(int64(maxPartBytes), maxUnzippedBytes-total)
		b, err := readEntry(f, limit)
		if err != nil {
			return nil, err
		}
		total += int64(len(b))
		contents[f.Name] = b
	}
	return contents, nil
}

func readEntry(f *zip.File, limit int64) ([]byte, error) {
	r, err := f.Open()
	if err != nil {
		return nil, fault(Damaged, f.Name, "cannot be unpacked")
	}
	b, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err = errors.Join(err, r.Close()); err != nil {
		return nil, fault(Damaged, f.Name, "cannot be unpacked")
	}
	if int64(len(b)) > limit {
		return nil, fault(TooLarge, f.Name, "unpacks to more than the limit")
	}
	return b, nil
}

// contentTypes maps the name of each overridden part to its content type.
func contentTypes(b []byte) (map[string]string, error) {
	if b == nil {
		return nil, fault(NotWord, "", "no content types inside")
	}
	tree, err := parseXML(contentTypesName, b)
	if err != nil {
		return nil, err
	}
	types := make(map[string]string)
	for _, o := range tree.Root().ChildElements() {
		if o.Tag == "Override" {
			types[strings.TrimPrefix(o.SelectAttrValue("PartName", ""), "/")] = o.SelectAttrValue("ContentType", "")
		}
	}
	return types, nil
}

// refuse keeps out what a letter has no need of and LibreOffice should never be given.
func refuse(name, contentType string, b []byte) error {
	lower := strings.ToLower(name)
	if strings.Contains(contentType, "macroEnabled") || strings.Contains(contentType, "vbaProject") ||
		strings.HasSuffix(lower, "vbaproject.bin") {
		return fault(Macro, name, "macros")
	}
	if !strings.HasSuffix(lower, ".rels") {
		return nil
	}
	tree, err := parseXML(name, b)
	if err != nil {
		return err
	}
	for _, r := range tree.Root().ChildElements() {
		external := strings.EqualFold(r.SelectAttrValue("TargetMode", ""), "External")
		// A link in the letterhead (a web address) is only followed when a reader clicks it.
		if external && !strings.HasSuffix(r.SelectAttrValue("Type", ""), "/hyperlink") {
			return fault(ExternalLink, name, "a link to something outside the file")
		}
	}
	return nil
}

func parsePart(name, contentType string, b []byte) (*part, error) {
	tree, err := parseXML(name, b)
	if err != nil {
		return nil, err
	}
	p := &part{name: name, contentType: contentType, tree: tree}
	for _, attr := range tree.Root().Attr {
		switch {
		case !strings.HasSuffix(attr.Value, "/wordprocessingml/2006/main") &&
			!strings.HasSuffix(attr.Value, "/ooxml/wordprocessingml/main"):
		case attr.Space == "xmlns":
			p.prefix, p.strict = attr.Key, strings.Contains(attr.Value, strictNS)
			return p, nil
		case attr.Space == "" && attr.Key == "xmlns":
			p.strict = strings.Contains(attr.Value, strictNS)
			return p, nil
		}
	}
	return nil, fault(Damaged, name, "not a part of a Word document")
}

func parseXML(name string, b []byte) (*etree.Document, error) {
	tree := etree.NewDocument()
	tree.ReadSettings.MaxDepth = maxDepth
	tree.ReadSettings.PreserveDuplicateAttrs = true
	if err := tree.ReadFromBytes(b); err != nil {
		return nil, fault(Damaged, name, "not well-formed XML")
	}
	if tree.Root() == nil {
		return nil, fault(Damaged, name, "empty")
	}
	for _, token := range tree.Child {
		if _, directive := token.(*etree.Directive); directive {
			return nil, fault(Damaged, name, "a document type declaration")
		}
	}
	return tree, nil
}

// is reports whether el is the WordprocessingML element of the given name.
func (p *part) is(el *etree.Element, tag string) bool {
	return el.Tag == tag && el.Space == p.prefix
}

// qualified is the element's name with this part's prefix.
func (p *part) qualified(tag string) string {
	if p.prefix == "" {
		return tag
	}
	return p.prefix + ":" + tag
}
