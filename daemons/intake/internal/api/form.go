package api

import (
	"bytes"
	"context"
	"embed"
	"encoding/json"
	"errors"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"github.com/google/uuid"
	"github.com/rs/zerolog"

	"dukcapil.go.id/sifilma/daemons/intake/internal/commit"
	"dukcapil.go.id/sifilma/daemons/intake/internal/drop"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/identity"
	"dukcapil.go.id/sifilma/pkg/institution"
	"dukcapil.go.id/sifilma/pkg/report"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/pkg/terbilang"
	"dukcapil.go.id/sifilma/pkg/trace"
	"dukcapil.go.id/sifilma/pkg/validation"
	"dukcapil.go.id/sifilma/pkg/web"
)

//go:embed form/*.html
var formFiles embed.FS

var formTemplates = template.Must(template.New("").Funcs(fieldFuncs).ParseFS(formFiles, "form/*.html"))

// Rows of lembaga that the form offers when nothing is typed yet; more appear below
// what is typed, or when they are asked for. It has all that there may be of orders.
const (
	lineRows  = 5
	spareRows = 2
	moreRows  = 10
)

// formPage is the page on which a person fills a request in.
type formPage struct {
	Typed    drop.Typed
	Key      string
	Ticket   string // of the request that is corrected
	Version  int64
	Machines []institution.MachineType
	Kinds    []pair
	Lines    int
	Orders   int
	Limits   drop.Limits
	// Result is nil until the form was sent.
	Result *checked
	// Judged says that Result is the judgement of what was submitted before.
	Judged bool
	// Reason is why the request that is corrected was returned.
	Reason string
}

type pair struct{ Value, Label string }

// Fault returns what is wrong with a field, or nothing.
func (p formPage) Fault(name string) string {
	if p.Result != nil {
		for _, e := range p.Result.Errors {
			if e.Pointer == "/"+name {
				return e.Detail
			}
		}
	}
	return ""
}

type page struct {
	Title, Portal string
	Who           string
	Body          any
}

func (a *API) render(w http.ResponseWriter, r *http.Request, status int, title, name string, body any) {
	var b bytes.Buffer
	who := account(r.Context())
	data := page{Title: title, Portal: a.cfg.PortalURL, Body: body}
	if who.Institution != nil {
		data.Who = who.Name + ", " + *who.Institution
	}
	if err := formTemplates.ExecuteTemplate(&b, name, data); err != nil {
		web.WriteError(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes()) // the client may be gone
}

// corrected is the request that the form corrects, from the parameter tiket; the
// zero Request for a new one.
func (a *API) corrected(r *http.Request) (request.Request, error) {
	ticket := r.URL.Query().Get("tiket")
	if ticket == "" {
		c := client(r.Context())
		return request.Request{InstitutionID: c.InstitutionID, Institution: c.Institution}, nil
	}
	is, err := request.ByTicket(r.Context(), a.db, ticket, client(r.Context()).InstitutionID)
	if errors.Is(err, request.ErrNotFound) {
		return is, noSuchTicket()
	}
	trace.Join(r.Context(), is.TraceParent)
	return is, err
}

// returned says that a request cannot be corrected now.
func returned(is request.Request) error {
	if is.ID != "" && is.State != request.Returned {
		return commit.NotReturned(is)
	}
	return nil
}

func (a *API) newForm(r *http.Request, is request.Request, typed drop.Typed) (formPage, error) {
	types, err := institution.MachineTypes(r.Context(), a.db)
	types = slices.DeleteFunc(types, func(m institution.MachineType) bool {
		return !m.Active && (is.ID == "" || m.Code != is.MachineType) // a returned request may keep its own
	})
	p := formPage{
		Typed: typed, Key: uuid.NewString(), Ticket: is.Ticket, Version: is.Version, Machines: types, Limits: a.limits,
		Lines: max(lineRows, typed.Rows("lines")+spareRows), Orders: max(a.limits.Orders, typed.Rows("purchase_orders")),
	}
	if shown, err := strconv.Atoi(typed["_lines"]); err == nil {
		if typed["_do"] == "more" {
			shown = max(shown, 0) + moreRows
		}
		p.Lines = max(p.Lines, min(shown, drop.MaxLines))
	}
	for _, kind := range []string{request.KindReader, request.KindRekamCetak} {
		if kind == request.KindReader && client(r.Context()).Kind == institution.Dinas {
			continue
		}
		p.Kinds = append(p.Kinds, pair{kind, request.KindLabels[kind]})
	}
	return p, err
}

// form shows the empty form, or that of a returned request with what was sent.
func (a *API) form(w http.ResponseWriter, r *http.Request) error {
	if _, err := applicant(client(r.Context())); err != nil {
		return err
	}
	is, err := a.corrected(r)
	if err == nil {
		err = returned(is)
	}
	if err != nil {
		return err
	}
	typed := drop.Typed{}
	if is.ID != "" {
		typed = drop.TypedOf(is.Form)
	}
	p, err := a.newForm(r, is, typed)
	if err != nil {
		return err
	}
	if is.ID != "" {
		found, err := validation.Load(r.Context(), a.db, is.ID, is.Submission)
		if err != nil {
			return err
		}
		p.Result, p.Judged = &checked{Findings: found}, true
		v, err := report.LoadID(r.Context(), a.db, is.ID, client(r.Context()).Account(), a.office.Now())
		if err != nil {
			return err
		}
		p.Reason = v.Reason
	}
	a.render(w, r, http.StatusOK, formTitle(is), "form", p)
	return nil
}

func formTitle(is request.Request) string {
	if is.ID != "" {
		return "Perbaiki permohonan " + is.Ticket
	}
	return "Ajukan permohonan personalisasi"
}

// typed takes in what a person filled in: it is checked, and submitted when that
// was asked for and nothing stands against it.
func (a *API) typed(w http.ResponseWriter, r *http.Request) (err error) {
	result := "page_refused"
	defer func() { a.counted.WithLabelValues(result).Inc() }()
	ctx, c := r.Context(), client(r.Context())
	actor, err := applicant(c)
	if err != nil {
		return err
	}
	actor.Name = account(ctx).Username
	is, err := a.corrected(r)
	if err != nil {
		return err
	}
	d, typed, faults, err := a.drops.ReadTyped(ctx, r, clock.Today(a.office), is.Reference)
	if err != nil {
		return err
	}
	kept := false
	defer func() {
		if !kept {
			d.Close()
		}
	}()
	p, err := a.newForm(r, is, typed)
	if err != nil {
		return err
	}
	if typed["_do"] == "more" {
		result = "page_more"
		a.render(w, r, http.StatusOK, formTitle(is), "form", p)
		return nil
	}
	out := checked{Errors: faults}
	submit := typed["_do"] == "submit"
	if out.Errors, err = a.refusals(ctx, out.Errors, d.Form, c, actor.Role, is, !submit); err != nil {
		return err
	}
	p.Result = &out
	p.Version, _ = strconv.ParseInt(typed["_version"], 10, 64) // as the person saw it
	if _, err := uuid.Parse(typed["_key"]); err == nil {
		p.Key = typed["_key"] // the same page sent again is the same request
	}
	if submit {
		entry := commit.Entry{Client: c, Actor: actor, By: actor.Name, AccountID: account(ctx).ID, Key: p.Key, Drop: d, TraceParent: trace.From(ctx)}
		form := d.Form
		target, write := "POST /api/v1/requests", a.writer.Submit
		if is.ID != "" {
			target, write = "resubmission of "+is.ID, func(ctx context.Context, e commit.Entry) (commit.Answer, error) {
				return a.writer.Correct(ctx, e, is.ID, p.Version)
			}
		}
		if entry.Print, err = fingerprint(target, d.Form, d.Files); err != nil {
			return err
		}
		var done commit.Answer
		if len(out.Errors) == 0 {
			kept = true // whoever writes it closes it
			done, err = write(ctx, entry)
		} else {
			done, err = a.writer.Before(ctx, entry, errFaulty)
		}
		switch {
		case errors.Is(err, errFaulty):
		case err != nil:
			return a.refusedForm(w, r, is, p, a.refusal(ctx, inWords(err), c, form))
		default:
			result = "page_accepted"
			var told commit.Accepted
			_ = json.Unmarshal(done.Body, &told) // of our own making
			zerolog.Ctx(ctx).Info().Str("request", told.ID).Str("ticket", told.Ticket).Bool("replayed", done.Replayed).
				Str("account", actor.Name).Msg("drop taken")
			w.Header().Set("Location", "terkirim?tiket="+url.QueryEscape(told.Ticket)) // relative: a proxy may serve us below a path
			w.WriteHeader(http.StatusSeeOther)
			return nil
		}
	}
	if err := returned(is); err != nil {
		return err
	}
	if err := a.judge(ctx, &out, is, d); err != nil {
		return err
	}
	out.Acceptable = len(out.Errors) == 0 && len(validation.Errors(out.Findings)) == 0
	if typed["_do"] == "marked" {
		if sent, err := a.sendMarked(w, r, is, d, out); sent || err != nil {
			result = "page_checked"
			return err
		}
	}
	status := http.StatusOK
	if !out.Acceptable {
		status = http.StatusUnprocessableEntity
	}
	result = "page_checked"
	a.render(w, r, status, formTitle(is), "form", p)
	return nil
}

// errFaulty says that what a person submitted has faults, which the page shows.
var errFaulty = errors.New("intake: the form has faults")

// refusedForm shows the form again with what was typed and what the writer says
// against it; only whoever is not signed in any more gets another page.
func (a *API) refusedForm(w http.ResponseWriter, r *http.Request, is request.Request, p formPage, err error) error {
	if errors.Is(err, identity.ErrNoSession) || r.Context().Err() != nil {
		return err
	}
	said := personal(web.ProblemOf(r.Context(), err))
	if said.Code() == formUsed {
		p.Key = uuid.NewString() // what is typed now is another request
	}
	p.Result.Errors = said.Errors
	if len(said.Errors) != 1 || said.Errors[0].Pointer != "/reference" {
		p.Result.Errors = append([]web.FieldError{{Code: said.Code(), Detail: said.Detail}}, said.Errors...)
	} else {
		p.Result.Errors[0].Detail = said.Detail // it names the request that has the number
	}
	if said.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(said.RetryAfter.Seconds())))
	}
	a.render(w, r, said.Status, formTitle(is), "form", p)
	return nil
}

// formUsed is the code of a form that was submitted with other content before.
const formUsed = "idempotency-key-reused"

// personal words for people what software is told of the key of its drop.
func personal(p *web.Problem) *web.Problem {
	said := *p
	switch p.Code() {
	case formUsed:
		said.Status = http.StatusConflict
		said.Detail = "Formulir ini sudah pernah diajukan dengan isian lain; permohonan itu ada di portal. Bila ini permohonan lain, " +
			"ganti No. Pengajuan lalu ajukan sekali lagi."
	case "idempotency-key-in-use":
		said.Detail = "Kiriman yang sama masih diproses. Tunggu sebentar, lalu pilih Ajukan sekali lagi; tidak akan ada dua permohonan."
	case "storage-low":
		said.Detail = "Ruang penyimpanan penerimaan hampir penuh, sehingga kiriman ini belum diterima. Coba lagi beberapa saat lagi."
	}
	return &said
}

// inWords says what errors of the writer mean on a page.
func inWords(err error) error {
	if errors.Is(err, identity.ErrBadKey) {
		return identity.ErrNoSession
	}
	return err
}

// sent confirms a request that was submitted, and says what comes next.
func (a *API) sent(w http.ResponseWriter, r *http.Request) error {
	is, err := request.ByTicket(r.Context(), a.db, r.URL.Query().Get("tiket"), client(r.Context()).InstitutionID)
	if errors.Is(err, request.ErrNotFound) {
		return noSuchTicket()
	}
	if err != nil {
		return err
	}
	a.render(w, r, http.StatusOK, "Permohonan sudah diterima", "sent", map[string]any{
		"Ticket": is.Ticket, "Title": is.Title, "Cards": terbilang.FormatInt(int64(is.CardCount)), "At": terbilang.FormatDateTime(is.CreatedAt),
		"Again": is.Submission > 1,
	})
	return nil
}

// asPage answers errors with a page instead of JSON.
func (a *API) asPage(f func(w http.ResponseWriter, r *http.Request) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if err := f(w, r); err != nil {
			a.refusePerson(w, r, err)
		}
	}
}
