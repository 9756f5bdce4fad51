package api

import (
	"net/http"

	"github.com/go-chi/chi/v5"

	"dukcapil.go.id/sifilma/daemons/portal/internal/decisions"
	"dukcapil.go.id/sifilma/daemons/portal/internal/signin"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/report"
	"dukcapil.go.id/sifilma/pkg/web"
)

func (a *API) listReductions(w http.ResponseWriter, r *http.Request) error {
	all, err := report.Reductions(r.Context(), a.db, chi.URLParam(r, "ticket"), signin.Account(r))
	if err != nil {
		return err
	}
	web.WriteJSON(w, r, http.StatusOK, map[string]any{"reductions": all})
	return nil
}

// reduce takes a signed letter in, with the cards that it takes off the request.
func (a *API) reduce(w http.ResponseWriter, r *http.Request) error {
	of, err := scoped(r.Context(), a.db, r)
	if err != nil {
		return err
	}
	who := signin.Account(r)
	if err := perso.Machine.MayEver(perso.ReduceVerb, who.Role); err != nil {
		return err
	}
	letter, faults, err := a.spool.ReadLetter(r, decisions.ReductionFields, decisions.ReductionLines, "scan", "card")
	if err != nil {
		return err
	}
	defer letter.Close()
	n, wrong := decisions.TypedReduction(letter)
	requestID, err := a.decide.Reduce(r.Context(), who, of.Ticket, n, append(faults, wrong...))
	if err != nil {
		return err
	}
	return a.showRequest(w, r, requestID)
}

// reductionLetter gives the scan of a letter by which cards were taken off.
func (a *API) reductionLetter(w http.ResponseWriter, r *http.Request) error {
	id, err := rowID(r)
	if err != nil {
		return err
	}
	all, err := report.Reductions(r.Context(), a.db, chi.URLParam(r, "ticket"), signin.Account(r))
	if err != nil {
		return err
	}
	for _, d := range all {
		if d.ID == id {
			return a.serve(w, r, d.ScanBlob, "")
		}
	}
	return report.ErrNotFound
}
