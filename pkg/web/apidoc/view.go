package apidoc

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// sheet is what the page's template gets.
type sheet struct {
	Title, Version, Summary string
	Intro                   []paragraph
	Servers                 []row
	Entrances               []entrance
	Guide                   []step
	Groups                  []group
	Problems                []problem
	FieldCodes              ordered[string]
	Schemas                 []shape
}

type row struct{ Name, Text string }

type entrance struct{ Key, Name, Text string }

type step struct {
	Title, Text, Code, Operation string
}

type group struct {
	ID, Name, Text string
	Operations     []call
}

// call is an operation.
type call struct {
	ID, Method, Path, Summary string
	Text                      []paragraph
	ServedBy, Entrances       string
	Parameters                []field
	Body                      *payload
	Answers                   []answer
}

// payload is a body by its media types.
type payload struct {
	Text     string
	Required bool
	Forms    []form
}

type form struct {
	MediaType string
	Kind      []word
	Parts     []field // of a multipart body
	Examples  []row
}

type answer struct {
	Status, Word, Text string
	Forms              []form
	Headers            []row
	Problems           []string
}

type problem struct {
	Code            string
	Status          int
	Meaning, Remedy string
}

// shape is a schema under its own name.
type shape struct {
	Name, Text string
	Kind       []word
	Values     []row
	Fields     []field
	Example    string
}

type field struct {
	Name, Place, Text string
	Required          bool
	Kind              []word
	Notes             []string
}

// word is a piece of text; with an Anchor it leads there.
type word struct{ Text, Anchor string }

// paragraph is text with some of it strong.
type paragraph []struct {
	Text   string
	Strong bool
}

// paragraphs splits at blank lines; **strong** is all the markup there is.
func paragraphs(text string) []paragraph {
	var all []paragraph
	for block := range strings.SplitSeq(strings.TrimSpace(text), "\n\n") {
		var p paragraph
		for i, piece := range strings.Split(block, "**") {
			if piece != "" {
				p = append(p, struct {
					Text   string
					Strong bool
				}{piece, i%2 == 1})
			}
		}
		if p != nil {
			all = append(all, p)
		}
	}
	return all
}

var (
	servedBy  = map[string]string{"intake": "Penerimaan", "portal": "Portal", "perso-station": "stasiun", "every": "tiap layanan"}
	entrances = map[string]string{"apiKey": "kunci API", "session": "sesi", "statusToken": "token status"}
	places    = map[string]string{"path": "alamat", "query": "alamat, setelah ?", "header": "kepala", "cookie": "kuki"}
	statuses  = map[string]string{
		"200": "Berhasil", "201": "Dibuat", "202": "Diterima", "204": "Berhasil, tanpa isi", "304": "Tidak berubah",
		"400": "Tidak dapat dibaca", "401": "Belum masuk", "403": "Ditolak", "404": "Tidak ditemukan", "405": "Metode tidak dilayani",
		"409": "Bertentangan dengan keadaan", "412": "Data sudah berubah", "413": "Terlalu besar", "415": "Jenis isi tidak didukung",
		"422": "Belum memenuhi syarat", "428": "Versi wajib disertakan", "429": "Terlalu banyak permintaan", "500": "Gangguan sistem",
		"503": "Tidak tersedia",
	}
)

// view is the page with the addresses of the servers, by their variables; one that
// is empty is shown as the document has it.
func (d *document) view(addresses map[string]string) sheet {
	s := sheet{
		Title: d.Info.Title, Version: d.Info.Version, Summary: d.Info.Summary, Intro: paragraphs(d.Info.Description), FieldCodes: d.FieldCodes,
	}
	known := map[string]string{}
	for _, one := range d.Servers {
		url := one.URL
		for _, v := range one.Variables {
			known["{"+v.Key+"}"] = v.Value.Default
			if address := addresses[v.Key]; address != "" {
				known["{"+v.Key+"}"] = address
			}
			url = strings.ReplaceAll(url, "{"+v.Key+"}", known["{"+v.Key+"}"])
		}
		s.Servers = append(s.Servers, row{url, one.Description})
	}
	for _, one := range d.Components.SecuritySchemes {
		s.Entrances = append(s.Entrances, entrance{one.Key, entrances[one.Key], one.Value.Description})
	}
	for _, g := range d.Guide {
		code := g.Code
		for name, address := range known {
			code = strings.ReplaceAll(code, name, address)
		}
		s.Guide = append(s.Guide, step{g.Title, g.Text, code, g.Operation})
	}
	for _, t := range d.Tags {
		g := group{ID: "bagian-" + strings.ReplaceAll(strings.ToLower(t.Name), " ", "-"), Name: t.Name, Text: t.Description}
		for _, p := range d.Paths {
			for _, o := range p.Value.operations() {
				if slices.Contains(o.Value.Tags, t.Name) {
					g.Operations = append(g.Operations, d.call(p.Key, o.Key, o.Value))
				}
			}
		}
		s.Groups = append(s.Groups, g)
	}
	for _, p := range d.Problems {
		s.Problems = append(s.Problems, problem{p.Key, p.Value.Status, p.Value.Meaning, p.Value.Remedy})
	}
	for _, c := range d.Components.Schemas {
		s.Schemas = append(s.Schemas, d.shape(c.Key, c.Value))
	}
	return s
}

func (d *document) call(path, method string, o *operation) call {
	c := call{
		ID: o.ID, Method: method, Path: path, Summary: o.Summary, Text: paragraphs(o.Description), ServedBy: join(o.ServedBy, servedBy, " dan "),
		Entrances: entrancesOf(o.Security),
	}
	for _, p := range o.Parameters {
		f := d.field(p.Name, p.Schema, p.Required)
		f.Place, f.Text = places[p.In], p.Description
		c.Parameters = append(c.Parameters, f)
	}
	if o.Body != nil {
		c.Body = &payload{Text: o.Body.Description, Required: o.Body.Required, Forms: d.forms(o.Body.Content)}
	}
	for _, r := range o.Responses {
		a := answer{Status: r.Key, Word: statuses[r.Key], Text: r.Value.Description, Problems: slices.Clone(r.Value.Problems)}
		for _, code := range o.Problems {
			if p, _ := d.Problems.get(code); strconv.Itoa(p.Status) == r.Key && !slices.Contains(a.Problems, code) {
				a.Problems = append(a.Problems, code)
			}
		}
		for _, h := range r.Value.Headers {
			a.Headers = append(a.Headers, row{h.Key, h.Value.Description})
		}
		if len(a.Problems) == 0 { // the form of a problem is said once
			a.Forms = d.forms(r.Value.Content)
		}
		c.Answers = append(c.Answers, a)
	}
	return c
}

func entrancesOf(ways []ordered[[]string]) string {
	var all []string
	for _, way := range ways {
		if len(way) == 0 {
			all = append(all, "tanpa masuk")
		}
		for _, e := range way {
			text := entrances[e.Key]
			if len(e.Value) > 0 {
				text += " dengan cakupan " + strings.Join(e.Value, ", ")
			}
			all = append(all, text)
		}
	}
	if all == nil {
		return "tanpa masuk"
	}
	return strings.Join(all, " atau ")
}

func join(keys []string, labels map[string]string, between string) string {
	var all []string
	for _, k := range keys {
		all = append(all, labels[k])
	}
	return strings.Join(all, between)
}

func (d *document) forms(content ordered[mediaType]) []form {
	var all []form
	for _, m := range content {
		f := form{MediaType: m.Key}
		if m.Value.Schema != nil {
			f.Kind = kindOf(m.Value.Schema)
		}
		if strings.HasPrefix(m.Key, "multipart/") {
			f.Kind = nil
			whole := m.Value.Schema
			if whole != nil && whole.Ref != "" {
				whole, _ = d.Components.Schemas.get(nameOf(whole.Ref))
			}
			if whole != nil {
				f.Parts = d.fields(whole)
			}
			for i := range f.Parts {
				if e, ok := m.Value.Encoding.get(f.Parts[i].Name); ok {
					f.Parts[i].Place = e.ContentType
				}
			}
		}
		if !m.Value.Example.IsZero() {
			f.Examples = append(f.Examples, row{"Contoh", example(m.Value.Example)})
		}
		for _, e := range m.Value.Examples {
			f.Examples = append(f.Examples, row{"Contoh: " + e.Value.Summary, example(e.Value.Value)})
		}
		all = append(all, f)
	}
	return all
}

func (d *document) shape(name string, s *schema) shape {
	out := shape{Name: name, Text: s.Description, Fields: d.fields(s)}
	if out.Fields == nil {
		out.Kind = kindOf(&schema{Type: s.Type, Format: s.Format, Items: s.Items, Media: s.Media})
	}
	for _, v := range s.Enum {
		out.Values = append(out.Values, row{fmt.Sprint(v), s.Labels[fmt.Sprint(v)]})
	}
	if !s.Example.IsZero() {
		out.Example = example(s.Example)
	}
	return out
}

func (d *document) fields(s *schema) []field {
	var all []field
	for _, p := range s.Properties {
		all = append(all, d.field(p.Key, p.Value, slices.Contains(s.Required, p.Key)))
	}
	return all
}

func (d *document) field(name string, s *schema, required bool) field {
	f := field{Name: name, Required: required}
	if s == nil {
		return f
	}
	f.Text, f.Kind, f.Notes = s.Description, kindOf(s), notesOf(s)
	if named, ok := d.Components.Schemas.get(nameOf(s.Ref)); ok && f.Text == "" {
		f.Text = named.Description
	}
	return f
}
