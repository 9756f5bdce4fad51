package api

import (
	"encoding/hex"
	"net/http"

	"github.com/go-chi/chi/v5"

	"dukcapil.go.id/sifilma/daemons/portal/internal/signin"
	"dukcapil.go.id/sifilma/daemons/portal/internal/upload"
	"dukcapil.go.id/sifilma/daemons/portal/internal/wording"
	"dukcapil.go.id/sifilma/pkg/letter"
	"dukcapil.go.id/sifilma/pkg/letter/template"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/pkg/web"
)

// mountTemplates adds the routes of the Word templates of papers.
func (a *API) mountTemplates(r chi.Router) {
	slow := r.With(web.Slow(transfer))
	r.Get("/templates", handle(a.listTemplates))
	slow.With(web.BodyLimit(upload.MaxTemplateBody)).Post("/templates", handle(a.offerTemplate))
	r.Get("/templates/{id}", handle(a.getTemplate))
	slow.Get("/templates/{id}/file", handle(a.templateFile))
	slow.Get("/templates/{id}/sample", handle(a.templateSample))
	for path, verb := range map[string]machine.Verb{"approval": template.ApproveVerb, "refusal": template.RefuseVerb, "offer": template.OfferVerb} {
		r.Post("/templates/{id}/"+path, handle(a.moveTemplate(verb)))
	}
}

func (a *API) wording() wording.Desk { return wording.Desk{DB: a.db, Office: a.office} }

// templateRow is an edition in a list.
type templateRow struct {
	template.Edition
	KindLabel  string `json:"kind_label"`
	StateLabel string `json:"state_label"`
	SHA256     string `json:"sha256"`
}

func templateRowOf(e template.Edition) templateRow {
	return templateRow{e, letter.KindLabels[e.Kind], template.Machine.Label(e.State), hex.EncodeToString(e.SHA256)}
}

// templateKind is a kind of paper with the tags of its templates.
type templateKind struct {
	Kind  string         `json:"kind"`
	Label string         `json:"label"`
	Tags  []template.Tag `json:"tags"`
}

// templateView is one edition.
type templateView struct {
	templateRow
	Timeline []recipeEvent `json:"timeline"`
}

func (a *API) listTemplates(w http.ResponseWriter, r *http.Request) error {
	all, err := a.wording().List(r.Context(), signin.Account(r))
	if err != nil {
		return err
	}
	rows := make([]templateRow, len(all))
	for i, e := range all {
		rows[i] = templateRowOf(e)
	}
	var kinds []templateKind
	for _, kind := range template.Kinds() {
		kinds = append(kinds, templateKind{kind, letter.KindLabels[kind], template.Tags(kind)})
	}
	web.WriteJSON(w, r, http.StatusOK, map[string]any{"kinds": kinds, "templates": rows})
	return nil
}

// templateOf is the edition in the address, for those who look after templates.
func (a *API) templateOf(r *http.Request) (v wording.Template, err error) {
	if !wording.May(signin.Account(r).Role) {
		return v, wording.ErrForbidden
	}
	id, err := rowID(r)
	if err != nil {
		return v, err
	}
	return a.wording().Get(r.Context(), signin.Account(r), id)
}

func viewTemplate(v wording.Template) templateView {
	out := templateView{templateRowOf(v.Edition), make([]recipeEvent, len(v.Timeline))}
	for i, s := range v.Timeline {
		role := request.RoleLabels[s.Role]
		if role == "" {
			role = "Sistem"
		}
		out.Timeline[i] = recipeEvent{s.Verb, template.Machine.VerbLabel(s.Verb), s.To, s.Actor, role, s.Reason, s.OfficeAt}
	}
	return out
}

func (a *API) getTemplate(w http.ResponseWriter, r *http.Request) error {
	v, err := a.templateOf(r)
	if err != nil {
		return err
	}
	shown(w, r, v.Version, viewTemplate(v))
	return nil
}

func (a *API) templateFile(w http.ResponseWriter, r *http.Request) error {
	v, err := a.templateOf(r)
	if err != nil {
		return err
	}
	return a.serve(w, r, v.FileBlob, template.FileName(v.Kind, v.Edition.Edition))
}

func (a *API) templateSample(w http.ResponseWriter, r *http.Request) error {
	v, err := a.templateOf(r)
	if err != nil {
		return err
	}
	if v.SampleBlob == nil {
		return template.ErrNotFound
	}
	return a.serve(w, r, *v.SampleBlob, "")
}

func (a *API) offerTemplate(w http.ResponseWriter, r *http.Request) error {
	who := signin.Account(r)
	if !wording.May(who.Role) { // before a file is taken in
		return wording.ErrForbidden
	}
	p, faults, err := a.spool.ReadTemplate(r, []string{"kind"}, "note")
	if err != nil {
		return err
	}
	defer p.Close()
	if err := faults.Err(); err != nil {
		return err
	}
	file, err := p.Files[upload.TemplatePart].Bytes()
	if err != nil {
		return err
	}
	done, err := a.spool.Turn(r.Context())
	if err != nil {
		return err
	}
	defer done()
	made, err := a.wording().Offer(r.Context(), who, p.Fields["kind"], file, p.Fields["note"])
	if err != nil {
		return TemplateProblem(err)
	}
	v, err := a.wording().Get(r.Context(), who, made.ID)
	if err != nil {
		return err
	}
	created(w, r, "templates/"+v.ID, v.Version, viewTemplate(v))
	return nil
}

func (a *API) moveTemplate(verb machine.Verb) func(w http.ResponseWriter, r *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		who := signin.Account(r)
		if !wording.May(who.Role) {
			return wording.ErrForbidden
		}
		id, version, err := versioned(r)
		if err != nil {
			return err
		}
		var in struct {
			Reason string `json:"reason"`
		}
		if err := decode(r, &in); err != nil {
			return err
		}
		if _, err := a.wording().Move(r.Context(), who, verb, template.Seen{ID: id, Version: version}, in.Reason); err != nil {
			return err
		}
		v, err := a.wording().Get(r.Context(), who, id)
		if err != nil {
			return err
		}
		shown(w, r, v.Version, viewTemplate(v))
		return nil
	}
}
