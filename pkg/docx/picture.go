package docx

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/beevik/etree"
)

// Picture takes the place of the tag {{@name}}. It stands in the line of the tag,
// which may be in the text, a header or a footer, but not in a repeated row.
type Picture struct {
	Name string // of the tag, without the @
	PNG  []byte
	// Alt says what the picture shows to those who cannot see it.
	Alt           string
	Width, Height int // on paper, millimetres
}

// pictureMark stands in a filled text for a picture that is put beside it. It is
// dropped from values, so that none of them can ask for one.
const pictureMark = '\uFFFC'

// emu are the English Metric Units of a millimetre (ECMA-376 part 1, section 20.1.10.16).
const emu = 36000

const (
	relationsNS = "http://schemas.openxmlformats.org/package/2006/relationships"
	officeNS    = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
	drawingNS   = "http://schemas.openxmlformats.org/drawingml/2006/main"
	pictureNS   = "http://schemas.openxmlformats.org/drawingml/2006/picture"
	inlineNS    = "http://schemas.openxmlformats.org/drawingml/2006/wordprocessingDrawing"
	// strictNS is that of Strict Open XML, whose drawings have other names.
	strictNS = "purl.oclc.org/ooxml"
)

// gallery puts pictures into a document.
type gallery struct {
	doc      *document
	pictures map[string]Picture
	lastID   int             // of a drawing; an id is used once in a document
	stored   map[string]bool // entries with a picture
	err      error           // the first that a picture met
}

func (d *document) gallery(pictures []Picture) *gallery {
	g := &gallery{doc: d, pictures: map[string]Picture{}, stored: map[string]bool{}}
	for _, p := range pictures {
		g.pictures[p.Name] = p
	}
	for _, p := range d.parts {
		p.gallery = g
		p.walk(p.tree.Root(), func(el *etree.Element) {
			if el.Tag == "docPr" {
				if id, err := strconv.Atoi(el.SelectAttrValue("id", "")); err == nil {
					g.lastID = max(g.lastID, id)
				}
			}
		})
	}
	return g
}

// drawing is a picture as an element of a run of p. The first time that a part shows
// it, its file and the part's relation to it are written.
func (g *gallery) drawing(p *part, name string) *etree.Element {
	picture := g.pictures[name]
	relation, err := g.relation(p, picture)
	g.err = cmp.Or(g.err, err)
	g.lastID++
	width, height := strconv.Itoa(picture.Width*emu), strconv.Itoa(picture.Height*emu)

	el := etree.NewElement(p.qualified("drawing"))
	inline := child(el, "wp:inline", "xmlns:wp", inlineNS, "distT", "0", "distB", "0", "distL", "0", "distR", "0")
	child(inline, "wp:extent", "cx", width, "cy", height)
	child(inline, "wp:docPr", "id", strconv.Itoa(g.lastID), "name", name, "descr", clean(picture.Alt))
	graphic := child(inline, "a:graphic", "xmlns:a", drawingNS)
	pic := child(child(graphic, "a:graphicData", "uri", pictureNS), "pic:pic", "xmlns:pic", pictureNS)
	about := child(pic, "pic:nvPicPr")
	child(about, "pic:cNvPr", "id", strconv.Itoa(g.lastID), "name", name)
	child(about, "pic:cNvPicPr")
	fill := child(pic, "pic:blipFill")
	child(fill, "a:blip", "xmlns:r", officeNS, "r:embed", relation)
	child(child(fill, "a:stretch"), "a:fillRect")
	shape := child(pic, "pic:spPr")
	place := child(shape, "a:xfrm")
	child(place, "a:off", "x", "0", "y", "0")
	child(place, "a:ext", "cx", width, "cy", height)
	child(child(shape, "a:prstGeom", "prst", "rect"), "a:avLst")
	return el
}

// child adds an element with attributes.
func child(parent *etree.Element, tag string, attributes ...string) *etree.Element {
	el := parent.CreateElement(tag)
	for pair := range slices.Chunk(attributes, 2) {
		el.CreateAttr(pair[0], pair[1])
	}
	return el
}

// relation is the id by which a part refers to a picture.
func (g *gallery) relation(p *part, picture Picture) (string, error) {
	d := g.doc
	dir, base := path.Split(p.name)
	target := "media/" + picture.Name + ".png"
	for n := 2; d.contents[dir+target] != nil && !g.stored[dir+target]; n++ { // the template's own
		target = fmt.Sprintf("media/%s-%d.png", picture.Name, n)
	}
	if !g.stored[dir+target] {
		if err := d.allowPNG(); err != nil {
			return "", err
		}
		d.put(dir+target, picture.PNG)
		g.stored[dir+target] = true
	}

	name := dir + "_rels/" + base + ".rels"
	tree, err := d.relations(name)
	if err != nil {
		return "", err
	}
	taken := map[string]bool{}
	for _, r := range tree.Root().ChildElements() {
		id := r.SelectAttrValue("Id", "")
		if r.SelectAttrValue("Target", "") == target && strings.HasSuffix(r.SelectAttrValue("Type", ""), "/image") {
			return id, nil
		}
		taken[id] = true
	}
	id := "rIdPicture1"
	for n := 2; taken[id]; n++ {
		id = "rIdPicture" + strconv.Itoa(n)
	}
	child(tree.Root(), named(tree.Root(), "Relationship"), "Id", id, "Type", officeNS+"/image", "Target", target)
	return id, d.putXML(name, tree)
}

// relations are those of a part; a new list where it has none.
func (d *document) relations(name string) (*etree.Document, error) {
	if b := d.contents[name]; b != nil {
		return parseXML(name, b)
	}
	tree := etree.NewDocument()
	tree.CreateProcInst("xml", `version="1.0" encoding="UTF-8" standalone="yes"`)
	tree.CreateElement("Relationships").CreateAttr("xmlns", relationsNS)
	return tree, nil
}

// allowPNG declares the media type of pictures, where the template has none.
func (d *document) allowPNG() error {
	tree, err := parseXML(contentTypesName, d.contents[contentTypesName])
	if err != nil {
		return err
	}
	root := tree.Root()
	for _, el := range root.ChildElements() {
		if el.Tag == "Default" && strings.EqualFold(el.SelectAttrValue("Extension", ""), "png") {
			return nil
		}
	}
	el := etree.NewElement(named(root, "Default"))
	el.CreateAttr("Extension", "png")
	el.CreateAttr("ContentType", "image/png")
	root.InsertChildAt(0, el)
	return d.putXML(contentTypesName, tree)
}

// named is the name of a child with the namespace prefix of its parent.
func named(parent *etree.Element, tag string) string {
	if parent.Space == "" {
		return tag
	}
	return parent.Space + ":" + tag
}

func (d *document) putXML(name string, tree *etree.Document) error {
	tree.WriteSettings = etree.WriteSettings{CanonicalText: true}
	b, err := tree.WriteToBytes()
	if err != nil {
		return fmt.Errorf("docx: write %s: %w", name, err)
	}
	d.put(name, b)
	return nil
}

// put replaces an entry of the archive, or adds one at its end.
func (d *document) put(name string, b []byte) {
	if d.contents[name] == nil {
		d.added = append(d.added, name)
	}
	d.contents[name] = b
	d.changed[name] = true
}
