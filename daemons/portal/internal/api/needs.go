package api

import (
	"net/http"

	"github.com/go-chi/chi/v5"

	"dukcapil.go.id/sifilma/daemons/portal/internal/needs"
	"dukcapil.go.id/sifilma/daemons/portal/internal/signin"
	"dukcapil.go.id/sifilma/daemons/portal/internal/upload"
	"dukcapil.go.id/sifilma/pkg/idempotency"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/need"
	"dukcapil.go.id/sifilma/pkg/report"
	"dukcapil.go.id/sifilma/pkg/web"
)

func (a *API) needDesk() needs.Desk { return needs.Desk{DB: a.db, Office: a.office, Spool: a.spool} }

// mountNeeds adds the routes of a lembaga's requests.
func (a *API) mountNeeds(r chi.Router) {
	r.Get("/needs", handle(a.listNeeds))
	r.Get("/needs/{number}", handle(a.getNeed))
	r.Get("/needs/{number}/cards", handle(a.needCards))
	r.With(web.Slow(transfer)).Get("/needs/{number}/files/{id}", handle(a.needFile))
	for path, verb := range needs.Verbs {
		r.Post("/needs/{number}/"+path, handle(a.moveNeed(verb)))
	}
	uploads := r.With(web.BodyLimit(upload.MaxParcel), web.Slow(transfer))
	uploads.Post("/needs", handle(a.submitNeed))
	uploads.Put("/needs/{number}", handle(a.correctNeed(need.Edit)))
	uploads.Post("/needs/{number}/resubmission", handle(a.correctNeed(need.Resubmit)))
}

func (a *API) listNeeds(w http.ResponseWriter, r *http.Request) error {
	q, bad := report.ParseNeedQuery(r.URL.Query())
	if len(bad) > 0 {
		return badParameters(bad)
	}
	page, err := report.Needs(r.Context(), a.db, signin.Account(r), q)
	if err != nil {
		return err
	}
	web.SetNext(w, r, page.Next)
	web.WriteJSON(w, r, http.StatusOK, page)
	return nil
}

func (a *API) getNeed(w http.ResponseWriter, r *http.Request) error {
	return a.showNeed(w, r, http.StatusOK, chi.URLParam(r, "number"))
}

func (a *API) showNeed(w http.ResponseWriter, r *http.Request, status int, number string) error {
	v, err := report.LoadNeed(r.Context(), a.db, number, signin.Account(r))
	if err != nil {
		return err
	}
	web.SetVersion(w, v.Version)
	web.WriteJSON(w, r, status, v)
	return nil
}

// needCards answers with rows of the list that came with a need.
func (a *API) needCards(w http.ResponseWriter, r *http.Request) error {
	q, bad := report.ParseCardsQuery(r.URL.Query())
	if len(bad) > 0 {
		return badParameters(bad)
	}
	page, err := report.ListNeedCards(r.Context(), a.db, chi.URLParam(r, "number"), signin.Account(r), q)
	if err != nil {
		return err
	}
	web.SetNext(w, r, page.Next)
	web.WriteJSON(w, r, http.StatusOK, page)
	return nil
}

func (a *API) needFile(w http.ResponseWriter, r *http.Request) error {
	id, err := rowID(r)
	if err != nil {
		return err
	}
	v, err := report.LoadNeed(r.Context(), a.db, chi.URLParam(r, "number"), signin.Account(r))
	if err != nil {
		return err
	}
	for _, f := range v.Files {
		if f.ID == id {
			return a.serve(w, r, id, f.Name)
		}
	}
	return report.ErrNotFound
}

// seen is the version that a verb goes by, after the need was found to be there
// for the asker and the verb to be one of his side.
func (a *API) seen(r *http.Request, verb machine.Verb) (int64, error) {
	who := signin.Account(r)
	if _, err := need.ByNumber(r.Context(), a.db, chi.URLParam(r, "number"), report.Scope(who)); err != nil {
		return 0, err
	}
	if err := needs.May(who, verb); err != nil {
		return 0, err
	}
	return web.MatchVersion(r)
}

func (a *API) moveNeed(verb machine.Verb) func(w http.ResponseWriter, r *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		version, err := a.seen(r, verb)
		if err != nil {
			return err
		}
		reason, err := readReason(r)
		if err != nil {
			return err
		}
		number := chi.URLParam(r, "number")
		if err := a.needDesk().Take(r.Context(), signin.Account(r), number, verb, version, reason); err != nil {
			return err
		}
		return a.showNeed(w, r, http.StatusOK, number)
	}
}

// submitNeed takes a new need in. Whoever asks again under the same
// Idempotency-Key hears the same answer.
func (a *API) submitNeed(w http.ResponseWriter, r *http.Request) error {
	if err := needs.May(signin.Account(r), need.Submit); err != nil {
		return err
	}
	key, err := idempotency.Key(r)
	if err != nil {
		return err
	}
	p, err := a.spool.ReadParcel(r, needs.Fields, need.FileLetter, need.FileList)
	if err != nil {
		p.Close()
		return err
	}
	defer p.Close()
	done, err := a.needDesk().Submit(r.Context(), signin.Account(r), p, key)
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

// correctNeed takes an edit or a resubmission in.
func (a *API) correctNeed(verb machine.Verb) func(w http.ResponseWriter, r *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		version, err := a.seen(r, verb)
		if err != nil {
			return err
		}
		p, err := a.spool.ReadParcel(r, needs.CorrectionFields, need.FileLetter, need.FileList)
		if err != nil {
			p.Close()
			return err
		}
		defer p.Close()
		made, err := a.needDesk().Correct(r.Context(), signin.Account(r), chi.URLParam(r, "number"), verb, version, p)
		if err != nil {
			return err
		}
		return a.showNeed(w, r, http.StatusOK, made.Number)
	}
}
