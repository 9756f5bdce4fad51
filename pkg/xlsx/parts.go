package xlsx

import (
	"bytes"
	"errors"
	"fmt"
	"path"
	"regexp"
	"strings"

	"github.com/xuri/excelize/v2"
)

// parts are the parts of a workbook as bytes, before excelize makes anything of
// them. Its own functions for comments assume its own names of parts: in files
// of other programs they would write over another sheet's comments.
type parts struct {
	file *excelize.File
	keys map[string]string // the name in the archive by partKey
}

func partsOf(f *excelize.File) parts {
	p := parts{file: f, keys: map[string]string{}}
	f.Pkg.Range(func(name, _ any) bool {
		if text, ok := name.(string); ok {
			p.keys[partKey(text)] = text
		}
		return true
	})
	return p
}

func (p parts) load(name string) []byte {
	content, _ := p.file.Pkg.Load(p.keys[partKey(name)])
	raw, _ := content.([]byte)
	return raw
}

func (p parts) store(name string, content []byte) {
	key, ok := p.keys[partKey(name)]
	if !ok {
		key = name
		p.keys[partKey(name)] = name
	}
	p.file.Pkg.Store(key, content)
}

func (p parts) remove(name string) {
	p.file.Pkg.Delete(p.keys[partKey(name)])
	delete(p.keys, partKey(name))
}

// free is the first name of a pattern with a number that no part has.
func (p parts) free(pattern string) string {
	for i := 1; ; i++ {
		if name := fmt.Sprintf(pattern, i); p.keys[partKey(name)] == "" {
			return name
		}
	}
}

// Namespaces and types of ECMA-376 part 1 annex A and part 2.
const (
	relationsNamespace = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
	packageRelations   = "http://schemas.openxmlformats.org/package/2006/relationships"
	mainNamespace      = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
	commentsMedia      = "application/vnd.openxmlformats-officedocument.spreadsheetml.comments+xml"
	shapesMedia        = "application/vnd.openxmlformats-officedocument.vmlDrawing"
)

const xmlHead = `<?xml version="1.0" encoding="UTF-8" standalone="yes"?>` + "\n"

func relationsOf(part string) string {
	dir, file := path.Split(part)
	return dir + "_rels/" + file + ".rels"
}

// relate adds a relation from a part to another and returns its id.
func (p parts) relate(part, kind, target string) (id string, err error) {
	name := relationsOf(part)
	raw := p.load(name)
	if raw == nil {
		raw = []byte(xmlHead + `<Relationships xmlns="` + packageRelations + `"></Relationships>`)
	}
	for i := 1; ; i++ {
		if id = fmt.Sprintf("rIdS%d", i); !bytes.Contains(raw, []byte(`"`+id+`"`)) {
			break
		}
	}
	raw, err = inside(raw, "Relationships", fmt.Sprintf(`Relationship Id="%s" Type="%s/%s" Target="/%s"/>`, id, relationsNamespace, kind, target))
	if err == nil {
		p.store(name, raw)
		p.file.Relationships.Delete(p.keys[partKey(name)]) // read anew when excelize needs it
	}
	return id, err
}

const contentTypes = "[Content_Types].xml"

// declare gives a part its content type.
func (p parts) declare(part, mediaType string) error {
	raw, err := inside(p.load(contentTypes), "Types", fmt.Sprintf(`Override PartName="/%s" ContentType="%s"/>`, part, mediaType))
	if err == nil {
		p.store(contentTypes, raw)
	}
	return err
}

// tagPrefix finds the prefix of the namespace that the names of an element have.
func tagPrefix(raw []byte, root string) string {
	found := regexp.MustCompile(`<([A-Za-z_][\w.-]*:)?` + root + `[\s/>]`).FindSubmatch(raw)
	if found == nil {
		return ""
	}
	return string(found[1])
}

// inside puts an element, written without its "<" and prefix, before the end of
// the root element.
func inside(raw []byte, root, element string) ([]byte, error) {
	prefix := tagPrefix(raw, root)
	closing := []byte("</" + prefix + root)
	at := bytes.LastIndex(raw, closing)
	if at >= 0 {
		return splice(raw, at, at, "<"+prefix+element), nil
	}
	// An empty root, <Relationships ... />.
	if end := bytes.LastIndex(raw, []byte("/>")); end >= 0 {
		return splice(raw, end, end+2, "><"+prefix+element+string(closing)+">"), nil
	}
	return nil, fmt.Errorf("no end of %s", root)
}

// splice replaces raw[from:to].
func splice(raw []byte, from, to int, text string) []byte {
	out := make([]byte, 0, len(raw)+len(text))
	out = append(out, raw[:from]...)
	out = append(out, text...)
	return append(out, raw[to:]...)
}

var selected = regexp.MustCompile(`\stabSelected\s*=\s*["'](1|true)["']`)

// unselectTabs leaves the choice of the sheet that is seen first to the
// workbook: two selected sheets would be edited together.
func (p parts) unselectTabs() {
	for key, name := range p.keys {
		if !strings.HasPrefix(key, "xl/worksheets/") && !strings.HasPrefix(key, "xl/chartsheets/") || !strings.HasSuffix(key, ".xml") {
			continue
		}
		raw := p.load(name)
		head := len(raw)
		if i := bytes.Index(raw, []byte("sheetData")); i >= 0 {
			head = i
		}
		if at := selected.FindIndex(raw[:head]); at != nil {
			p.store(name, splice(raw, at[0], at[1], ""))
		}
	}
}

// hangShapes lets a sheet refer to the shapes of its comments.
func (p parts) hangShapes(part, id string) error {
	raw := p.load(part)
	prefix := tagPrefix(raw, "worksheet")
	at, err := shapesPlace(raw)
	if err != nil {
		return damaged(part, err)
	}
	raw = splice(raw, at, at, `<`+prefix+`legacyDrawing xmlns:r="`+relationsNamespace+`" r:id="`+id+`"/>`)
	// Excelize, if it ever writes the sheet, gives the attribute this prefix and
	// declares none.
	root := bytes.Index(raw, []byte("<"+prefix+"worksheet"))
	if root < 0 {
		return refuse(Damaged, part, "no sheet")
	}
	end := bytes.IndexByte(raw[root:], '>')
	if !bytes.Contains(raw[root:root+end], []byte("xmlns:r=")) {
		after := root + len("<"+prefix+"worksheet")
		raw = splice(raw, after, after, ` xmlns:r="`+relationsNamespace+`"`)
	}
	p.store(part, raw)
	return nil
}

// afterShapes are the elements of a sheet that follow the shapes of its comments
// (ECMA-376 part 1 section 18.3.1.99); Excel opens no sheet in another order.
var afterShapes = map[string]bool{
	"legacyDrawingHF": true, "drawingHF": true, "picture": true, "oleObjects": true, "controls": true, "AlternateContent": true,
	"webPublishItems": true, "tableParts": true, "extLst": true,
}

// shapesPlace is where a sheet refers to the shapes of its comments.
func shapesPlace(raw []byte) (int, error) {
	s := newScanner(bytes.NewReader(raw), uint64(len(raw)))
	behind := false // the cells
	for {
		kind, err := s.next()
		switch {
		case err != nil:
			return 0, err
		case kind == atEOF, kind == atEnd && len(s.marks) == 0 && raw[s.from+1] != '/':
			return 0, errors.New("no end of the sheet")
		case kind == atEnd && len(s.marks) == 0, kind == atStart && len(s.marks) == 2 && behind && afterShapes[string(s.name)]:
			return s.from, nil
		case kind == atEnd && len(s.marks) == 1 && string(s.name) == "sheetData":
			behind = true
		}
	}
}
