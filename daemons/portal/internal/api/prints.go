package api

import (
	"net/http"

	"github.com/go-chi/chi/v5"

	"dukcapil.go.id/sifilma/daemons/portal/internal/prints"
	"dukcapil.go.id/sifilma/daemons/portal/internal/signin"
	"dukcapil.go.id/sifilma/pkg/report"
	"dukcapil.go.id/sifilma/pkg/web"
)

// mountPrints adds what is printed of the handovers of a request.
func (a *API) mountPrints(r chi.Router) {
	r.Get("/requests/{ticket}/handover-prints", handle(a.listPrints))
	r.With(web.Slow(transfer)).Get("/requests/{ticket}/handover-prints/{what}", handle(a.print))
}

func (a *API) prints() prints.Desk { return prints.Desk{DB: a.db, Office: a.office} }

// listPrints gives the lines of all handovers, which can be ticked.
func (a *API) listPrints(w http.ResponseWriter, r *http.Request) error {
	rows, err := a.prints().Rows(r.Context(), signin.Account(r), chi.URLParam(r, "ticket"))
	if err != nil {
		return err
	}
	web.WriteJSON(w, r, http.StatusOK, map[string]any{"rows": rows})
	return nil
}

// print gives the BAST or the lists of the rows that are ticked.
func (a *API) print(w http.ResponseWriter, r *http.Request) error {
	ticket, what := chi.URLParam(r, "ticket"), chi.URLParam(r, "what")
	if what != prints.BAST && what != prints.List {
		return report.ErrNotFound
	}
	files, err := a.prints().Files(r.Context(), signin.Account(r), ticket, what, r.URL.Query()["row"])
	if err != nil {
		return err
	}
	return prints.Send(w, r, prints.ArchiveName(what, ticket), files)
}
