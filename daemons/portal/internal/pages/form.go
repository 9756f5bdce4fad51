package pages

import (
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/go-chi/chi/v5"
	"github.com/google/uuid"

	"dukcapil.go.id/sifilma/daemons/portal/internal/api"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/form"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/terbilang"
	"dukcapil.go.id/sifilma/pkg/web"
)

// option is a choice of a field.
type option struct {
	Value, Label string
	Chosen       bool
}

// field is a field of a form. Its name is that of the API, so that a fault finds
// its field.
type field struct {
	Name, Label, Hint string
	Kind              string // text, textarea, password, date, time, email, tel, select, checkbox, checkboxes, file, hidden, rows
	Value             string // of a file: the kinds that are taken; of a checkbox: ticked, if not empty
	Form              string // its form, where a page has several
	Mode              string // inputmode
	Longest           int    // characters; 0 for no bound
	Rows              int    // of a textarea; 0 for the usual few
	Options           []option
	Complete          string // autocomplete
	Optional          bool
	Error             string
	Lines             []fieldRow // of rows
	Full              bool       // there is room for no more of them
}

// fieldRow is one of several that are filled in alike.
type fieldRow struct {
	Legend string
	Fields []field
}

// ID is its own in the page, and an address within it.
func (f field) ID() string {
	id := strings.ReplaceAll(f.Name, "/", "-")
	if f.Form == "" {
		return id
	}
	return f.Form + "-" + id
}

// unknownDate is told where a date was given that is none.
const unknownDate = "Tanggal tidak dikenal. Tulis seperti 2026-08-17."

// unreadable says of a date that something is in it which is none.
func (f field) unreadable() bool {
	text := strings.TrimSpace(f.Value)
	_, err := clock.ParseDate(text)
	return f.Kind == "date" && text != "" && err != nil
}

// crumb is a step of the way here.
type crumb struct{ Label, Path string }

// fact is what is known of a row.
type fact struct{ Label, Text string }

type fault struct{ Anchor, Detail string }

// formBody is a page with one form.
type formBody struct {
	Crumbs  []crumb
	Lead    string
	Notice  string // what was done
	Warning string
	Facts   []fact // what is known and not changed here
	Picture string // address of a photo
	Upload  bool   // the form carries a file
	Action  string
	Submit  string
	Version int64 // of the row that is changed; 0 for none
	Fields  []field
	Faults  []fault
	Also    []crumb // other things to do with the row
}

// Back is where whoever changes their mind goes.
func (b formBody) Back() string {
	if len(b.Crumbs) == 0 {
		return ""
	}
	return b.Crumbs[len(b.Crumbs)-1].Path
}

// Leave is what the way back is called: beside a button that cancels something, "Batal"
// could be taken for it.
func (b formBody) Leave() string {
	if strings.HasPrefix(b.Submit, "Batal") {
		return "Kembali"
	}
	return "Batal"
}

// fill puts what was typed into the fields.
func fill(fields []field, r *http.Request) []field {
	for i := range fields {
		f := &fields[i]
		switch f.Kind {
		case "password", "file", "rows": // rows are made of what was typed
		case "checkboxes", "select":
			for j := range f.Options {
				f.Options[j].Chosen = false
				for _, v := range r.PostForm[f.Name] {
					f.Options[j].Chosen = f.Options[j].Chosen || v == f.Options[j].Value
				}
			}
		default:
			f.Value = r.PostForm.Get(f.Name)
		}
	}
	return fields
}

// again shows a form once more with what is wrong, or passes on an error that is
// not the form's.
func (p *Pages) again(w http.ResponseWriter, r *http.Request, title string, body formBody, err error) error {
	var problem *web.Problem
	if err = api.Explain(err); !errors.As(err, &problem) {
		return err
	}
	switch problem.Status {
	case http.StatusUnprocessableEntity, http.StatusConflict, http.StatusPreconditionFailed, http.StatusTooManyRequests:
	default:
		return err
	}
	fill(body.Fields, r)
	for i := range body.Fields {
		body.Fields[i].Error = "" // that was of what stood there before
	}
	for _, e := range problem.Errors {
		name := strings.TrimPrefix(e.Pointer, "/")
		at := fault{Detail: e.Detail}
		at.blame(body.Fields, name, e.Code)
		for i := range body.Fields {
			for j := range body.Fields[i].Lines {
				if row := &body.Fields[i].Lines[j]; at.blame(row.Fields, name, e.Code) {
					at.Detail = row.Legend + ": " + at.Detail
				}
			}
		}
		body.Faults = append(body.Faults, at)
	}
	if len(problem.Errors) == 0 {
		body.Faults = []fault{{Detail: problem.Detail}}
	}
	p.show(w, r, problem.Status, "form", title, body)
	return nil
}

// blame puts a fault at its field, and says whether it is one of these.
func (at *fault) blame(fields []field, name, code string) (found bool) {
	for i := range fields {
		f := &fields[i]
		if f.Name != name && (f.Kind == "rows" || !strings.HasPrefix(name, f.Name+"/")) { // or a place within what the field holds
			continue
		}
		if f.unreadable() && code == "missing" {
			at.Detail = unknownDate
		}
		if found, at.Anchor = true, f.ID(); f.Error == "" {
			f.Error = at.Detail
		}
	}
	return found
}

// saveDay is save for what concerns days, which several people look after at once: a
// form that was overtaken is shown with what there is now.
func (p *Pages) saveDay(e editor) func(w http.ResponseWriter, r *http.Request) error {
	return p.saved(e, func(w http.ResponseWriter, r *http.Request, title string, body formBody, err error) error {
		if errors.Is(err, postgres.ErrStale) {
			return p.overtaken(w, r, e, err)
		}
		return p.again(w, r, title, body, err)
	})
}

// overtaken shows a form once more after its row was changed by others, or by the same
// person elsewhere: with what was typed, what is different now, and the version that
// the row has now, so that it can be sent again.
func (p *Pages) overtaken(w http.ResponseWriter, r *http.Request, e editor, err error) error {
	body, lost := e.body(r)
	if lost != nil {
		return lost
	}
	now := shownTexts(body.Fields)
	fill(body.Fields, r)
	body.Faults = []fault{{Detail: "Data ini berubah sejak Anda membuka formulir ini, mungkin oleh kiriman Anda sendiri, sehingga kiriman ini belum disimpan. Yang Anda ketik masih ada; periksa, lalu kirim lagi bila masih sesuai."}}
	for i, text := range shownTexts(body.Fields) {
		f := &body.Fields[i]
		if now[i] != text && now[i] != "" {
			f.Error = "Sekarang tercatat: " + now[i] + "."
			body.Faults = append(body.Faults, fault{f.ID(), f.Label + ", sekarang tercatat: " + now[i] + "."})
		}
	}
	var problem *web.Problem
	if err = api.Explain(err); !errors.As(err, &problem) {
		return err
	}
	p.show(w, r, problem.Status, "form", e.title, body)
	return nil
}

// shownTexts are the values of fields as people read them.
func shownTexts(fields []field) []string {
	texts := make([]string, len(fields))
	for i, f := range fields {
		var chosen []string
		for _, o := range f.Options {
			if o.Chosen {
				chosen = append(chosen, o.Label)
			}
		}
		switch {
		case f.Kind == "password" || f.Kind == "file" || f.Kind == "hidden":
		case f.Kind == "checkboxes" && len(chosen) == 0:
			texts[i] = "tidak dicentang"
		case len(f.Options) > 0:
			texts[i] = strings.Join(chosen, ", ")
		case f.Kind == "date":
			texts[i] = f.Value
			if d, err := clock.ParseDate(strings.TrimSpace(f.Value)); err == nil {
				texts[i] = terbilang.FormatDate(d)
			}
		default:
			texts[i] = strings.TrimSpace(f.Value)
		}
	}
	return texts
}

// typed reads what was sent by a form.
func typed(r *http.Request) error {
	if err := parseForm(r); err != nil {
		return err
	}
	for name, values := range r.PostForm {
		for _, v := range values {
			if strings.ContainsRune(v, 0) {
				return form.One("/"+name, "bad_character", "Isian ini berisi karakter yang tidak dapat dipakai.")
			}
		}
	}
	return nil
}

// seenVersion is the version of the row that the form was made of.
func seenVersion(r *http.Request) int64 {
	v, err := strconv.ParseInt(r.PostForm.Get("versi"), 10, 64)
	if err != nil {
		return 0
	}
	return v
}

// typedDate is a date of a form; one that cannot be read is none, which the office
// then asks for.
func typedDate(r *http.Request, name string) clock.Date {
	d, err := clock.ParseDate(strings.TrimSpace(r.PostForm.Get(name)))
	if err != nil {
		return clock.Date{}
	}
	return d
}

// rowOf is the id in the address.
func rowOf(r *http.Request) (string, error) {
	id, err := uuid.Parse(chi.URLParam(r, "id"))
	if err != nil {
		return "", web.NotFound("Data ini tidak ada, atau bukan milik lembaga Anda.")
	}
	return id.String(), nil
}
