package pages

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/go-chi/chi/v5"

	"dukcapil.go.id/sifilma/daemons/portal/internal/api"
	"dukcapil.go.id/sifilma/daemons/portal/internal/signin"
	"dukcapil.go.id/sifilma/pkg/cardsecret"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/report"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/pkg/web"
)

// actForm is an act as a page shows it.
type actForm struct {
	act     act
	Heading string
	Says    []string
	Files   []crumb // to be looked at for it
	Action  string
	Version int64
	Fields  []field
	Submit  string
	Grave   bool
	Open    bool   // unfolded
	Barred  string // why it cannot be done yet
}

// mountActs adds the forms of a request's page. Whoever comes by the address of one
// in another way, such as after signing in again, is led to the page.
func (p *Pages) mountActs(inside chi.Router) {
	for _, a := range acts {
		inside.Post(home+"/{ticket}/"+a.path, p.handle(explained(p.take(a))))
		inside.Get(home+"/{ticket}/"+a.path, p.handle(p.toRequest))
	}
}

func (p *Pages) toRequest(w http.ResponseWriter, r *http.Request) error {
	v, err := report.Load(r.Context(), p.db, chi.URLParam(r, "ticket"), signin.Account(r), p.office.Now())
	if err == nil {
		http.Redirect(w, r, home+"/"+v.Ticket, http.StatusSeeOther) //nolint:gosec // the ticket is the row's, not the address's
	}
	return err
}

// actForms are those that whoever asks can use on a request now.
func (p *Pages) actForms(v *report.Request) []actForm {
	var forms []actForm
	missing := request.MissingFacts(v.State, stated(v))
	for _, a := range acts {
		if !slices.Contains(v.Offers, a.offer()) {
			continue
		}
		f := actForm{
			act: a, Heading: a.heading, Says: a.says(v, clock.Today(p.office)), Action: home + "/" + v.Ticket + "/" + a.path, Version: v.Version,
			Fields: fieldsOf(a, v), Submit: a.submit, Grave: a.grave != "",
		}
		switch {
		case a.fact != "":
			f.Open = slices.Contains(missing, a.fact)
			if !f.Open {
				f.Heading = "Betulkan pencatatan: " + lowerFirst(request.FactLabels[a.fact])
				f.Says = append([]string{"Ini sudah tercatat; pencatatan yang baru menggantikannya."}, f.Says...)
			}
			if a.fact == request.FactCompared {
				for _, file := range v.Files {
					f.Files = append(f.Files, crumb{file.Label, "/api/v1/requests/" + v.Ticket + "/files/" + file.ID})
				}
			}
		case a.verb == request.Accept && len(missing) > 0:
			f.Open, f.Barred = true, "Belum dapat diterima: disposisi Direktur FPDDK belum tercatat."
		case a.verb == request.Accept && v.SecretKey.State != cardsecret.Confirmed:
			f.Open, f.Barred = true, "Belum dapat diterima: "+v.Institution+" belum punya kunci penerima rahasia kartu yang dipastikan."
		default:
			f.Open = !f.Grave && !request.WantsReason(a.verb)
		}
		forms = append(forms, f)
	}
	return forms
}

// fieldsOf are the fields of an act, named apart from those of the page's others.
func fieldsOf(a act, v *report.Request) []field {
	var fields []field
	if a.fields != nil {
		fields = a.fields(v)
	}
	if a.grave != "" {
		fields = append(fields, field{Name: confirmed, Label: a.grave, Kind: "checkbox"})
	}
	for i := range fields {
		fields[i].Form = a.path
		if fields[i].Name == "reason" {
			fields[i].Optional = !request.WantsReason(a.verb)
		}
	}
	return fields
}

// actNotice says what was done, by the code in the address.
func actNotice(code string) string {
	for _, a := range acts {
		if a.path == code {
			return a.done
		}
	}
	return cardNotices[code]
}

// take answers a form: back to the page, which says what was done, or the page once
// more with what was typed.
func (p *Pages) take(a act) func(w http.ResponseWriter, r *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		who := signin.Account(r)
		v, err := report.Load(r.Context(), p.db, chi.URLParam(r, "ticket"), who, p.office.Now())
		if err != nil {
			return err
		}
		if err := a.may(who.Role); err != nil {
			return err
		}
		if err = typed(r); err == nil {
			err = p.do(r, a, v)
		}
		if err != nil {
			return p.takeAgain(w, r, a, v.Ticket, err)
		}
		http.Redirect(w, r, home+"/"+v.Ticket+"?sudah="+a.path, http.StatusSeeOther) //nolint:gosec // the ticket is the row's, not the address's
		return nil
	}
}

// trouble is why a step was not taken.
type trouble struct {
	Heading string
	Faults  []fault
	Typed   []pair // in a form that the page no longer has
}

// ofForm is the problem of a form that is shown again, or the error as it is
// explained, where it is none of the form's.
func ofForm(err error) (problem *web.Problem, explained error) {
	if explained = api.Explain(err); !errors.As(explained, &problem) {
		return nil, explained
	}
	switch problem.Status {
	case http.StatusUnprocessableEntity, http.StatusConflict, http.StatusPreconditionFailed:
		return problem, nil
	}
	return nil, explained
}

// takeAgain shows the request as it is now with why a step was not taken, or passes
// on an error that is not the form's.
func (p *Pages) takeAgain(w http.ResponseWriter, r *http.Request, a act, ticket string, err error) error {
	stale := errors.Is(err, postgres.ErrStale)
	problem, err := ofForm(err)
	if err != nil {
		return err
	}
	body, err := p.requestBody(r, ticket)
	if err != nil {
		return err
	}
	body.Notice, body.Trouble = "", &trouble{Heading: "Belum dilakukan: " + lowerFirst(a.heading)}
	var fields []field
	at := slices.IndexFunc(body.Acts, func(f actForm) bool { return f.act.path == a.path && f.Barred == "" })
	if at >= 0 {
		fields = fill(body.Acts[at].Fields, r)
		body.Acts[at].Open = true
		if !stale {
			body.Acts[at].Version = seenVersion(r) // what was typed is about what was seen
		}
	} else {
		fields = fill(fieldsOf(a, body.Request), r)
	}
	if stale {
		body.Trouble.Heading = "Permohonan ini sudah berubah"
		body.Trouble.Faults = []fault{{Detail: fmt.Sprintf("Permohonan berubah sejak Anda membuka halaman ini; keadaannya sekarang “%s”. “%s” tidak dilakukan.",
			body.Request.StateLabel, a.heading)}}
		kept := "Yang Anda ketik masih ada."
		if retract(fields, body.Request) {
			kept = "Yang Anda ketik masih ada; centang perlu diulang."
		}
		if at >= 0 {
			body.Trouble.Faults = append(body.Trouble.Faults, fault{body.Acts[at].anchor(), "Periksa keadaan sekarang, lalu kirim lagi bila masih perlu. " + kept})
		}
	} else {
		body.Trouble.Faults = blame(fields, problem)
	}
	if at < 0 {
		body.Trouble.Typed = typedPairs(fields)
	}
	p.showRequest(w, r, problem.Status, body)
	return nil
}

// anchor is where the form stands in its page.
func (f actForm) anchor() string { return "tindakan-" + f.act.path }

// Anchor is anchor for the template.
func (f actForm) Anchor() string { return f.anchor() }

// retract takes back what was said of something else than what the page shows now,
// and says whether there were ticks among it.
func retract(fields []field, now *report.Request) (unticked bool) {
	fresh := map[string]string{"submission": fmt.Sprint(now.Submission)}
	for i := range fields {
		if fields[i].Kind == "checkbox" || fields[i].Kind == "hidden" {
			unticked = unticked || fields[i].Kind == "checkbox" && fields[i].Value != ""
			fields[i].Value = fresh[fields[i].Name]
		}
	}
	return unticked
}

// blame puts what is wrong at its field, and lists it.
func blame(fields []field, problem *web.Problem) []fault {
	var faults []fault
	for _, e := range problem.Errors {
		one := fault{Detail: e.Detail}
		for i := range fields {
			if "/"+fields[i].Name == e.Pointer && fields[i].Kind != "hidden" {
				if fields[i].unreadable() && e.Code == "missing" {
					one.Detail = unknownDate
				}
				fields[i].Error, one.Anchor = one.Detail, fields[i].ID()
			}
		}
		faults = append(faults, one)
	}
	if len(faults) == 0 {
		return []fault{{Detail: problem.Detail}}
	}
	return faults
}

// typedPairs are the texts of a form.
func typedPairs(fields []field) []pair {
	var texts []pair
	for _, f := range fields {
		if text := strings.TrimSpace(f.Value); text != "" && f.Kind != "checkbox" && f.Kind != "hidden" {
			texts = append(texts, pair{f.Label, text})
		}
	}
	return texts
}
