package xlsx

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// comments is the part with the comments of a sheet. It is changed by cutting
// and pasting in its text, so that what others wrote stays as it is.
type comments struct {
	raw     []byte
	prefix  string // of the names, with its colon
	authors []string
	// authorsEnd and listEnd are where to paste; when the element is an empty tag
	// its whole tag is replaced.
	authorsEnd, listEnd gap
	all                 []comment
}

type gap struct {
	at, to int
	open   bool // the tag was empty
}

// mostRemarks bounds the comments that a sheet has already.
const mostRemarks = 50_000

type comment struct {
	from, to int // of its element
	textEnd  gap // of the element text
	ref      string
	author   int
	text     string
}

// emptyComments is a part without comments.
const emptyComments = xmlHead + `<comments xmlns="` + mainNamespace + `"><authors></authors><commentList></commentList></comments>`

func readComments(raw []byte) (*comments, error) {
	c := &comments{raw: raw, authorsEnd: gap{at: -1}, listEnd: gap{at: -1}}
	d := xml.NewDecoder(bytes.NewReader(raw))
	var path []string
	var text *strings.Builder
	var started int // where the last start tag began
	for {
		from := int(d.InputOffset())
		token, err := d.RawToken()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		to := int(d.InputOffset())
		switch t := token.(type) {
		case xml.StartElement:
			started = from
			if len(path) == 0 && t.Name.Space != "" {
				c.prefix = t.Name.Space + ":"
			}
			path = append(path, t.Name.Local)
			switch {
			case at(path, "comments", "commentList", "comment"):
				if len(c.all) == mostRemarks || len(c.authors) > mostRemarks {
					return nil, refuse(TooLarge, "", "more than %d comments", mostRemarks)
				}
				one := comment{from: from, textEnd: gap{at: -1}}
				for _, a := range t.Attr {
					switch a.Name.Local {
					case "ref":
						one.ref = a.Value
					case "authorId":
						one.author, _ = strconv.Atoi(a.Value) // a foreign number is nobody's
					}
				}
				c.all = append(c.all, one)
				text = &strings.Builder{}
			case at(path, "comments", "authors", "author"):
				text = &strings.Builder{}
			}
		case xml.CharData:
			last := ""
			if len(path) > 0 {
				last = path[len(path)-1]
			}
			if text != nil && (last == "author" || last == "t" && (len(path) < 2 || path[len(path)-2] != "rPh")) {
				text.Write(t)
			}
		case xml.EndElement:
			here := gap{at: from, to: from}
			if from == to { // of an empty tag
				here = gap{at: started, to: to, open: true}
			}
			switch {
			case at(path, "comments", "authors"):
				c.authorsEnd = here
			case at(path, "comments", "authors", "author"):
				c.authors, text = append(c.authors, text.String()), nil
			case at(path, "comments", "commentList"):
				c.listEnd = here
			case at(path, "comments", "commentList", "comment", "text"):
				c.all[len(c.all)-1].textEnd = here
			case at(path, "comments", "commentList", "comment"):
				one := &c.all[len(c.all)-1]
				one.to, one.text, text = to, text.String(), nil
			}
			if len(path) == 0 {
				return nil, errText
			}
			path = path[:len(path)-1]
		}
	}
	if c.authorsEnd.at < 0 || c.listEnd.at < 0 {
		return nil, errors.New("no list of comments")
	}
	return c, nil
}

func at(path []string, names ...string) bool {
	if len(path) != len(names) {
		return false
	}
	for i := len(names) - 1; i >= 0; i-- {
		if path[i] != names[i] {
			return false
		}
	}
	return true
}

// edit is a piece of text to be replaced.
type edit struct {
	at, to int
	text   string
}

// apply makes edits that stand in their order.
func apply(raw []byte, edits []edit) []byte {
	size := len(raw)
	for _, e := range edits {
		size += len(e.text)
	}
	out := make([]byte, 0, size)
	last := 0
	for _, e := range edits {
		out = append(out, raw[last:e.at]...)
		out = append(out, e.text...)
		last = e.to
	}
	return append(out, raw[last:]...)
}

// paste is an edit that puts text at the end of an element.
func (g gap) paste(name, text string) edit {
	if g.open {
		return edit{g.at, g.to, "<" + name + ">" + text + "</" + name + ">"}
	}
	return edit{g.at, g.to, text}
}

// changed is what became of the comments.
type changed struct {
	raw            []byte
	removed, added []place
}

// sign is the line by which a comment of the author is known even if a program
// does not keep authors.
func sign(author string) string { return author + ":" }

// parting stands between somebody's comment and ours on the same cell.
const parting = "\n\n"

// renew removes the author's earlier comments and writes those of the notes. On
// a cell where somebody else has a comment ours follows it.
func (c *comments) renew(author string, notes []Note) changed {
	out := changed{}
	texts := make(map[place]string, len(notes))
	for _, n := range notes {
		texts[place{n.Col, n.Row}] = n.Text
	}
	id := -1
	for i, name := range c.authors {
		if name == author {
			id = i
		}
	}
	var edits []edit
	if id < 0 {
		id = len(c.authors)
		edits = append(edits, c.authorsEnd.paste(c.prefix+"authors", "<"+c.prefix+"author>"+escape(author)+"</"+c.prefix+"author>"))
	}
	tail := parting + sign(author) + "\n"
	for _, one := range c.all {
		col, row, err := ParseRef(one.ref)
		here := place{col, row}
		own := one.author >= 0 && one.author < len(c.authors) && c.authors[one.author] == author
		text := strings.ReplaceAll(one.text, "\r\n", "\n")
		if own || strings.HasPrefix(text, sign(author)+"\n") {
			edits = append(edits, edit{one.from, one.to, ""})
			out.removed = append(out.removed, here)
			continue
		}
		note, noted := texts[here]
		theirs, _, followed := strings.Cut(text, tail)
		if err != nil || !noted && !followed || one.textEnd.at < 0 {
			continue
		}
		delete(texts, here)
		ours := ""
		if noted {
			ours = c.run(tail+note, false)
		}
		if followed { // their words without ours of the last time
			body := c.run(theirs, false) + ours
			edits = append(edits, edit{one.from, one.to, fmt.Sprintf(`<%[1]scomment ref="%[2]s" authorId="%[3]d"><%[1]stext>%[4]s</%[1]stext></%[1]scomment>`,
				c.prefix, escape(one.ref), one.author, body)})
			continue
		}
		edits = append(edits, one.textEnd.paste(c.prefix+"text", ours))
	}
	var fresh strings.Builder
	for _, n := range notes {
		here := place{n.Col, n.Row}
		text, left := texts[here]
		if !left {
			continue
		}
		out.added = append(out.added, here)
		fmt.Fprintf(&fresh, `<%[1]scomment ref="%[2]s" authorId="%[3]d"><%[1]stext>%[4]s%[5]s</%[1]stext></%[1]scomment>`,
			c.prefix, Cell{Row: n.Row, Col: n.Col}.Ref(), id, c.run(sign(author), true), c.run("\n"+text, false))
	}
	edits = append(edits, c.listEnd.paste(c.prefix+"commentList", fresh.String()))
	out.raw = apply(c.raw, edits)
	return out
}

// run is a piece of a comment's text as Excel itself writes it.
func (c *comments) run(text string, bold bool) string {
	p := c.prefix
	weight := ""
	if bold {
		weight = "<" + p + "b/>"
	}
	return "<" + p + "r><" + p + "rPr>" + weight + "<" + p + `sz val="9"/><` + p + `color indexed="81"/><` + p + `rFont val="Tahoma"/><` + p +
		`family val="2"/></` + p + "rPr><" + p + `t xml:space="preserve">` + escape(text) + "</" + p + "t></" + p + "r>"
}

// escape writes text for XML; line ends stay.
func escape(text string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(text)) // a builder takes everything
	return strings.ReplaceAll(b.String(), "&#xA;", "\n")
}
