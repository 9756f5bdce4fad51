package api

import (
	"net/http"

	"github.com/go-chi/chi/v5"

	"dukcapil.go.id/sifilma/daemons/portal/internal/decisions"
	"dukcapil.go.id/sifilma/daemons/portal/internal/signin"
	"dukcapil.go.id/sifilma/pkg/report"
	"dukcapil.go.id/sifilma/pkg/web"
)

// mountDoubts adds the routes of the desk of cards whose result is not known. What is
// decided on them is a matter of each card; see proposeResolution.
func (a *API) mountDoubts(r chi.Router) {
	r.Get("/doubts", handle(a.listDoubts))
	r.Get("/doubts/{id}", handle(a.getDoubt))
	r.Post("/contradictions/{id}/answer", handle(a.answerContradiction))
}

const (
	mostDoubts   = 200 // of a list
	mostReadings = 100 // of a card
)

// office refuses accounts of institutions.
func office(r *http.Request) error {
	if report.Outside(signin.Account(r)) {
		return web.Forbidden("Hanya pegawai Ditjen Dukcapil yang melihat kartu meragukan.")
	}
	return nil
}

func (a *API) listDoubts(w http.ResponseWriter, r *http.Request) error {
	if err := office(r); err != nil {
		return err
	}
	list, err := report.Doubts(r.Context(), a.db, mostDoubts)
	if err != nil {
		return err
	}
	web.WriteJSON(w, r, http.StatusOK, list)
	return nil
}

func (a *API) getDoubt(w http.ResponseWriter, r *http.Request) error {
	if err := office(r); err != nil {
		return err
	}
	id, err := rowID(r)
	if err != nil {
		return err
	}
	c, err := report.Doubt(r.Context(), a.db, id, mostReadings)
	if err != nil {
		return err
	}
	web.SetVersion(w, c.Version)
	web.WriteJSON(w, r, http.StatusOK, c)
	return nil
}

func (a *API) answerContradiction(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Reason string `json:"reason"`
	}
	if err := decode(r, &in); err != nil {
		return err
	}
	id, err := rowID(r)
	if err != nil {
		return err
	}
	if err := a.decide.Answer(r.Context(), signin.Account(r), id, decisions.Cut(in.Reason)); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
