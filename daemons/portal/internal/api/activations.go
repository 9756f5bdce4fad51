package api

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"

	"github.com/go-chi/chi/v5"

	"dukcapil.go.id/sifilma/daemons/portal/internal/readers"
	"dukcapil.go.id/sifilma/daemons/portal/internal/signin"
	"dukcapil.go.id/sifilma/daemons/portal/internal/upload"
	"dukcapil.go.id/sifilma/pkg/activation"
	"dukcapil.go.id/sifilma/pkg/activation/readersheet"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/form"
	"dukcapil.go.id/sifilma/pkg/idempotency"
	"dukcapil.go.id/sifilma/pkg/identity"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/report"
	"dukcapil.go.id/sifilma/pkg/web"
)

func (a *API) readerDesk() readers.Desk {
	return readers.Desk{DB: a.db, Office: a.office, Spool: a.spool}
}

// mountActivations adds the routes of the activation of readers.
func (a *API) mountActivations(r chi.Router) {
	r.Get("/activations", handle(a.listActivations))
	r.Get("/activations/template.xlsx", handle(a.activationTemplate))
	r.Get("/activations/{ticket}", handle(a.getActivation))
	r.With(web.Slow(transfer)).Get("/activations/{ticket}/letter", handle(a.activationLetter))
	r.Post("/activations/{ticket}/discarding", handle(a.discardActivation))
	r.Post("/activations/{ticket}/resubmission", handle(a.correctActivation))
	for path, verb := range readers.Verbs {
		r.Post("/activations/{ticket}/"+path, handle(a.takeActivation(verb)))
	}
	r.Post("/activations/{ticket}/lines/{line}/move", handle(a.placeReader(readers.Desk.Move)))
	r.Post("/activations/{ticket}/lines/{line}/replacement", handle(a.placeReader(readers.Desk.Replace)))
	r.Get("/reader-pairs", handle(a.listPairs))
	r.Get("/reader-pairs/template.xlsx", handle(a.pairsTemplate))
	r.Post("/reader-pairs", handle(a.pairReaders))
	uploads := r.With(web.BodyLimit(upload.MaxListedLetterBody), web.Slow(transfer))
	uploads.Post("/activations", handle(a.submitActivation))
	uploads.Put("/activations/{ticket}", handle(a.writeActivation(activation.VerbEdit)))
	uploads.Post("/activations/{ticket}/submission", handle(a.writeActivation(activation.VerbSubmit)))
}

func (a *API) listActivations(w http.ResponseWriter, r *http.Request) error {
	q, bad := report.ParseActivationQuery(r.URL.Query())
	if len(bad) > 0 {
		return badParameters(bad)
	}
	page, err := report.Activations(r.Context(), a.db, signin.Account(r), q)
	if err != nil {
		return err
	}
	web.SetNext(w, r, page.Next)
	web.WriteJSON(w, r, http.StatusOK, page)
	return nil
}

// activationTemplate gives the empty workbook of readers.
func (a *API) activationTemplate(w http.ResponseWriter, r *http.Request) error {
	book, err := a.readerDesk().Template(r.Context())
	if err != nil {
		return err
	}
	web.Send(w, r, web.Download{Name: readersheet.FileName, MediaType: mediaXLSX, Size: int64(len(book)), Content: bytes.NewReader(book)})
	return nil
}

func (a *API) getActivation(w http.ResponseWriter, r *http.Request) error {
	return a.showActivation(w, r, chi.URLParam(r, "ticket"))
}

func (a *API) showActivation(w http.ResponseWriter, r *http.Request, ticket string) error {
	v, err := report.LoadActivation(r.Context(), a.db, ticket, signin.Account(r))
	if err == nil {
		v.Stages, err = report.ActivationClock(r.Context(), a.db, v, a.office.Now())
	}
	if err != nil {
		return err
	}
	web.SetVersion(w, v.Version)
	web.WriteJSON(w, r, http.StatusOK, v)
	return nil
}

func (a *API) activationLetter(w http.ResponseWriter, r *http.Request) error {
	v, err := report.LoadActivation(r.Context(), a.db, chi.URLParam(r, "ticket"), signin.Account(r))
	if err != nil {
		return err
	}
	if v.Scan == "" {
		return report.ErrNotFound
	}
	return a.serve(w, r, v.Scan, "")
}

// seenActivation is the version that a verb goes by, after the letter was found to be there
// for the asker and the verb to be one of his role.
func (a *API) seenActivation(r *http.Request, table *machine.Table, verb machine.Verb) (int64, error) {
	who := signin.Account(r)
	if _, err := a.readerDesk().Find(r.Context(), who, chi.URLParam(r, "ticket")); err != nil {
		return 0, err
	}
	if err := table.MayEver(verb, who.Role); err != nil {
		return 0, err
	}
	return web.MatchVersion(r)
}

// activationPart is the part of a form that says all of a letter, as JSON.
const activationPart = "activation"

// readActivation takes in a letter: the part activation, its scan and, instead of lines in
// the JSON, a workbook of readers. Without the part typed is nil.
func (a *API) readActivation(r *http.Request, draft bool) (typed *readers.Typed, l *upload.Letter, wrong form.Faults, err error) {
	l, wrong, err = a.spool.ReadListedLetter(r, nil, nil, "letter", activationPart, "list")
	if err != nil {
		return nil, nil, nil, err
	}
	text, sent := l.Fields[activationPart]
	if !sent {
		return nil, l, wrong, nil
	}
	var in struct {
		Lembaga    string            `json:"lembaga"`
		Produsen   string            `json:"produsen"`
		Number     string            `json:"number"`
		Date       string            `json:"date"`
		Subject    string            `json:"subject"`
		Leader     string            `json:"leader"`
		LeaderPost string            `json:"leader_post"`
		Notes      string            `json:"notes"`
		Draft      bool              `json:"draft"`
		Lines      []activation.Line `json:"lines"`
	}
	d := json.NewDecoder(bytes.NewReader([]byte(text)))
	d.DisallowUnknownFields()
	if err := d.Decode(&in); err != nil || d.More() {
		l.Close()
		return nil, nil, nil, form.One("/"+activationPart, "wrong_type", "Bagian activation bukan JSON dengan isian yang dikenal.")
	}
	typed = &readers.Typed{Lembaga: in.Lembaga, Lines: in.Lines, Draft: in.Draft && draft, Form: activation.Form{
		Produsen: in.Produsen, Number: in.Number, Subject: in.Subject, Leader: in.Leader, LeaderPost: in.LeaderPost, Notes: in.Notes,
	}}
	if list := l.Files["list"]; list != nil && !slices.ContainsFunc(wrong, func(f form.Fault) bool { return f.Pointer == "/list" }) {
		more, err := a.readerDesk().ReadSheet(r.Context(), typed, list)
		if err != nil {
			l.Close()
			return nil, nil, nil, err
		}
		wrong = append(wrong, more...)
	}
	if in.Date != "" {
		if typed.Date, err = clock.ParseDate(in.Date); err != nil {
			wrong.Add("/date", "wrong_type", "Tanggal surat harus berbentuk TTTT-BB-HH, seperti 2026-11-23.")
			typed.Date = clock.Today(a.office) // wrong already
		}
	}
	return typed, l, wrong, nil
}

// submitActivation takes a new letter in, as a draft or submitted. Whoever asks again under
// the same Idempotency-Key hears the same answer.
func (a *API) submitActivation(w http.ResponseWriter, r *http.Request) error {
	if err := activation.LetterMachine.May("", activation.VerbDraft, signin.Account(r).Role); err != nil {
		return err
	}
	key, err := idempotency.Key(r)
	if err != nil {
		return err
	}
	typed, l, wrong, err := a.readActivation(r, true)
	if err != nil {
		return err
	}
	defer l.Close()
	if typed == nil {
		return missing("/"+activationPart, "Bagian activation wajib ada.")
	}
	done, err := a.readerDesk().Create(r.Context(), signin.Account(r), *typed, l.Files["letter"], key, wrong)
	if err != nil {
		return err
	}
	if done.Replayed {
		w.Header().Set("Idempotency-Replayed", "true")
	}
	w.Header().Set("Location", done.Location)
	web.SetVersion(w, 1) // what is new is in its first version
	web.WriteJSON(w, r, done.Status, done.Body)
	return nil
}

// writeActivation changes a draft, or submits it.
func (a *API) writeActivation(verb machine.Verb) func(w http.ResponseWriter, r *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		version, err := a.seenActivation(r, activation.LetterMachine, verb)
		if err != nil {
			return err
		}
		typed, l, wrong, err := a.readActivation(r, false)
		if err != nil {
			return err
		}
		defer l.Close()
		if err := a.readerDesk().Write(r.Context(), signin.Account(r), chi.URLParam(r, "ticket"), version, verb, typed, l.Files["letter"], wrong); err != nil {
			return err
		}
		return a.showActivation(w, r, chi.URLParam(r, "ticket"))
	}
}

func (a *API) discardActivation(w http.ResponseWriter, r *http.Request) error {
	version, err := a.seenActivation(r, activation.LetterMachine, activation.VerbDiscard)
	if err != nil {
		return err
	}
	if err := decode(r, &struct{}{}); err != nil {
		return err
	}
	if err := a.readerDesk().Discard(r.Context(), signin.Account(r), chi.URLParam(r, "ticket"), version); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// takeActivation does a verb to lines of a letter.
func (a *API) takeActivation(verb machine.Verb) func(w http.ResponseWriter, r *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		version, err := a.seenActivation(r, activation.Machine, verb)
		if err != nil {
			return err
		}
		var s readers.Step
		if err := decode(r, &s); err != nil {
			return err
		}
		if err := a.readerDesk().Take(r.Context(), signin.Account(r), chi.URLParam(r, "ticket"), version, verb, s); err != nil {
			return err
		}
		return a.showActivation(w, r, chi.URLParam(r, "ticket"))
	}
}

// correctActivation sends returned lines in again.
func (a *API) correctActivation(w http.ResponseWriter, r *http.Request) error {
	version, err := a.seenActivation(r, activation.Machine, activation.VerbResubmit)
	if err != nil {
		return err
	}
	var in struct {
		Lines []readers.Corrected `json:"lines"`
	}
	if err := web.DecodeJSON(r, &in); err != nil {
		return err
	}
	if err := a.readerDesk().Correct(r.Context(), signin.Account(r), chi.URLParam(r, "ticket"), version, in.Lines); err != nil {
		return err
	}
	return a.showActivation(w, r, chi.URLParam(r, "ticket"))
}

// placing is what readers.Desk does with a reader's place.
type placing func(d readers.Desk, ctx context.Context, who identity.Account, ticket string, version int64, line int, to readers.Place) error

// placeReader moves a reader, or puts another one in its place.
func (a *API) placeReader(do placing) func(w http.ResponseWriter, r *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		version, err := a.seenActivation(r, activation.Machine, activation.VerbMove) // both are the keepers'
		if err != nil {
			return err
		}
		line, err := strconv.Atoi(chi.URLParam(r, "line"))
		if err != nil || line < 1 {
			return report.ErrNotFound
		}
		var to readers.Place
		if err := web.DecodeJSON(r, &to); err != nil {
			return err
		}
		if err := do(a.readerDesk(), r.Context(), signin.Account(r), chi.URLParam(r, "ticket"), version, line, to); err != nil {
			return err
		}
		return a.showActivation(w, r, chi.URLParam(r, "ticket"))
	}
}
