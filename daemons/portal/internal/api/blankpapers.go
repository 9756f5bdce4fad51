package api

import (
	"net/http"

	"github.com/go-chi/chi/v5"

	"dukcapil.go.id/sifilma/daemons/portal/internal/blanks"
	"dukcapil.go.id/sifilma/daemons/portal/internal/signin"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/letter"
	"dukcapil.go.id/sifilma/pkg/web"
)

// attestBlanks asks for the receipt for blanks that came in.
func (a *API) attestBlanks(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Movement  string `json:"movement"`
		BroughtBy string `json:"brought_by"`
		Post      string `json:"post"`
	}
	if err := web.DecodeJSON(r, &in); err != nil {
		return err
	}
	if err := a.vault().Attest(r.Context(), signin.Account(r), chi.URLParam(r, "ticket"), blanks.Brought{
		MovementID: in.Movement, By: letter.Signature{Name: in.BroughtBy, Post: in.Post},
	}); err != nil {
		return err
	}
	return a.showBlanks(w, r)
}

// printSheet asks for the paper of a day sheet.
func (a *API) printSheet(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Day clock.Date `json:"day"`
	}
	if err := web.DecodeJSON(r, &in); err != nil {
		return err
	}
	if err := a.vault().Print(r.Context(), signin.Account(r), in.Day); err != nil {
		return err
	}
	s, err := a.vault().Day(r.Context(), signin.Account(r), in.Day)
	if err != nil {
		return err
	}
	web.WriteJSON(w, r, http.StatusOK, s)
	return nil
}

// listSheets answers with the day sheets that were asked for.
func (a *API) listSheets(w http.ResponseWriter, r *http.Request) error {
	list, err := a.vault().Sheets(r.Context(), signin.Account(r))
	if err != nil {
		return err
	}
	web.WriteJSON(w, r, http.StatusOK, map[string]any{"sheets": list})
	return nil
}
