package filetype

import (
	"bytes"
)

const (
	// tailWithin is how far before its end a PDF may end: junk of scanners and
	// mail gateways follows it. Zeros and blanks at the very end do not count.
	tailWithin = 4096
	maxPages   = 20_000 // nodes of the page tree that are visited
)

// checkPDF wants the way that a reader takes: the mark at the end, the table of
// objects, the trailer, the catalog, and down the tree to every page. Where the
// table is wrong, as in files that a scanner or gateway has touched, the objects
// are looked for, as viewers do.
func checkPDF(b []byte, work *Work) error {
	end := bytes.TrimRight(b, "\x00 \t\r\n")
	tail := end[max(0, len(end)-tailWithin):]
	last := bytes.LastIndex(tail, []byte("%%EOF"))
	if last < 0 {
		return damaged("no end mark")
	}
	if obj := bytes.Index(tail[last:], []byte("obj")); obj >= 0 {
		if _, _, ok := headerBefore(tail[last:], obj); ok {
			return damaged("a change that ends in the middle")
		}
	}
	start := bytes.LastIndex(end[:len(end)-len(tail)+last], []byte("startxref"))
	if start < 0 || len(end)-len(tail)+last-start > tailWithin {
		return damaged("no start of the table of objects")
	}
	p := newPDFFile(b[:len(end)], work)
	number := pdfReader{b: b, at: start + len("startxref")}
	from, ok := number.count()
	if ok && p.readTables(from) {
		pages, err := p.pages()
		if err == nil || p.encrypted() || isExhausted(err) {
			return p.judge(pages, err)
		}
	}
	p = newPDFFile(b[:len(end)], work)
	if err := p.rebuild(); err != nil {
		return p.judge(0, err)
	}
	return p.judge(p.pages())
}

// judge makes the finding of what the walk found.
func (p *pdfFile) judge(pages int, err error) error {
	switch {
	case p.encrypted():
		return &fault{Encrypted, "encrypted"}
	case err != nil:
		return damaged("%v", err)
	case pages == 0:
		return &fault{NoPages, "a page tree without leaves"}
	}
	return nil
}

// encrypted reports a password or restrictions. A paper that the office is to
// keep for years must open without either.
func (p *pdfFile) encrypted() bool { return p.trailer["Encrypt"] != nil }

// pages counts the pages by walking their tree (ISO 32000-1, section 7.7.3).
func (p *pdfFile) pages() (int, error) {
	catalog, ok, err := p.dict(p.trailer["Root"])
	if err != nil || !ok {
		return 0, because(err, "no catalog")
	}
	root, isRef := catalog["Pages"].(pdfRef)
	if !isRef {
		return 0, because(nil, "a catalog without pages")
	}
	seen := map[pdfRef]bool{root: true}
	waiting := []pdfRef{root}
	pages := 0
	for len(waiting) > 0 {
		ref := waiting[len(waiting)-1]
		waiting = waiting[:len(waiting)-1]
		node, ok, err := p.dict(ref)
		if err != nil || !ok {
			return 0, because(err, "a page that is not there")
		}
		below, err := p.value(node["Kids"])
		if err != nil {
			return 0, err
		}
		kids, inner := below.([]any)
		if !inner {
			switch node["Type"] {
			case pdfName("Pages"):
				continue
			case pdfName("Page"), nil:
			default:
				return 0, because(nil, "a page that is none")
			}
			if err := p.content(node); err != nil {
				return 0, err
			}
			pages++
			continue
		}
		for _, kid := range kids {
			ref, ok := kid.(pdfRef)
			if !ok {
				continue
			}
			if seen[ref] {
				return 0, because(nil, "a page tree that leads back to itself")
			}
			if seen[ref] = true; len(seen) > maxPages {
				return 0, because(nil, "too many pages")
			}
			waiting = append(waiting, ref)
		}
	}
	return pages, nil
}

// content wants what a page shows to be in the file: in one whose table had to
// be rebuilt, a piece may be gone from the middle.
func (p *pdfFile) content(page pdfDict) error {
	if !p.rebuilt {
		return nil
	}
	list, ok := page["Contents"].([]any)
	if !ok {
		list = []any{page["Contents"]}
	}
	for _, item := range list {
		if ref, ok := item.(pdfRef); ok {
			if _, there := p.table[ref.number]; !there {
				return because(nil, "a page whose content is not there")
			}
		}
	}
	return nil
}
