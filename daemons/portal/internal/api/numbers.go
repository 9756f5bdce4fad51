package api

import (
	"net/http"

	"github.com/go-chi/chi/v5"

	"dukcapil.go.id/sifilma/daemons/portal/internal/counter"
	"dukcapil.go.id/sifilma/daemons/portal/internal/signin"
	"dukcapil.go.id/sifilma/pkg/letter"
	"dukcapil.go.id/sifilma/pkg/web"
)

// mountNumbers adds what is done about the numbers of papers, and about papers that are
// to be made anew.
func (a *API) mountNumbers(r chi.Router) {
	r.Get("/numbering/waiting", handle(a.awaitingNumber))
	r.Get("/numberings", handle(a.listNumberings))
	r.Put("/numberings/{kind}", handle(a.changeNumbering))
	r.Post("/documents/{id}/number", handle(a.typeNumber))
	r.Post("/documents/{id}/replacement", handle(a.replacePaper))
	r.Post("/documents/{id}/redraft", handle(a.draftAgain))
}

// awaitingNumber lists the papers that wait until persuratan types their numbers.
func (a *API) awaitingNumber(w http.ResponseWriter, r *http.Request) error {
	list, err := a.counter().AwaitingNumber(r.Context(), signin.Account(r))
	if err != nil {
		return err
	}
	web.WriteJSON(w, r, http.StatusOK, map[string]any{"documents": list})
	return nil
}

// listNumberings tells how each kind of paper gets its number.
func (a *API) listNumberings(w http.ResponseWriter, r *http.Request) error {
	list, err := a.counter().Numberings(r.Context(), signin.Account(r))
	if err != nil {
		return err
	}
	web.WriteJSON(w, r, http.StatusOK, map[string]any{"numberings": list})
	return nil
}

// changeNumbering says from now on how a kind of paper gets its number.
func (a *API) changeNumbering(w http.ResponseWriter, r *http.Request) error {
	who := signin.Account(r)
	if !counter.MayNumber(who.Role) {
		return counter.ErrNotRegistrar
	}
	seen, err := web.MatchVersion(r)
	if err != nil {
		return err
	}
	var in struct {
		Way      string `json:"way"`
		Template string `json:"template"`
		Last     *int   `json:"last"`
		Reason   string `json:"reason"`
	}
	if err := web.DecodeJSON(r, &in); err != nil {
		return err
	}
	n, err := a.counter().ChangeNumbering(r.Context(), who, chi.URLParam(r, "kind"), seen, in.Way, in.Template, in.Last, in.Reason)
	if err != nil {
		return err
	}
	shown(w, r, n.Version, n)
	return nil
}

// onPaper answers with the request of a paper to which something was done, as of the
// version that somebody saw. may says, before the body is read, whether it can be done.
func (a *API) onPaper(w http.ResponseWriter, r *http.Request, may func(p letter.Document) error, do func(id string, seen int64) error) error {
	id, err := rowID(r)
	if err != nil {
		return err
	}
	p, err := a.counter().Paper(r.Context(), signin.Account(r), id)
	if err == nil {
		err = may(p)
	}
	var seen int64
	if err == nil {
		seen, err = seenVersion(r)
	}
	if err == nil {
		err = do(id, seen)
	}
	if err != nil {
		return err
	}
	return a.showPaper(w, r, p)
}

// typeNumber gives a paper the number from persuratan's book.
func (a *API) typeNumber(w http.ResponseWriter, r *http.Request) error {
	who := signin.Account(r)
	return a.onPaper(w, r, func(p letter.Document) error { return letter.MayType(p, who.Role) }, func(id string, seen int64) error {
		var in struct {
			Number  string `json:"number"`
			Dated   string `json:"dated"`
			Unusual bool   `json:"unusual"`
		}
		if err := web.DecodeJSON(r, &in); err != nil {
			return err
		}
		return a.counter().Number(r.Context(), who, id, seen, counter.Typed{Number: in.Number, Dated: in.Dated, Unusual: in.Unusual})
	})
}

// replacePaper has a paper in force made anew.
func (a *API) replacePaper(w http.ResponseWriter, r *http.Request) error {
	who := signin.Account(r)
	return a.onPaper(w, r, func(p letter.Document) error { return counter.MayReplace(p, who) }, func(id string, seen int64) error {
		var in struct {
			Reason string `json:"reason"`
		}
		if err := web.DecodeJSON(r, &in); err != nil {
			return err
		}
		return a.counter().Replace(r.Context(), who, id, seen, in.Reason)
	})
}

// draftAgain lets a paper be drafted in the place of one that was voided for good.
func (a *API) draftAgain(w http.ResponseWriter, r *http.Request) error {
	who := signin.Account(r)
	return a.onPaper(w, r, func(p letter.Document) error { return a.counter().MayDraftAgain(r.Context(), p, who) }, func(id string, _ int64) error {
		if err := decode(r, &struct{}{}); err != nil {
			return err
		}
		return a.counter().DraftAgain(r.Context(), who, id)
	})
}
