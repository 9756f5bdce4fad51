package api

import (
	"errors"
	"net/http"

	"dukcapil.go.id/sifilma/daemons/portal/internal/signin"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/report"
	"dukcapil.go.id/sifilma/pkg/web"
)

// getChip answers with the life of the chip that any of its numbers leads to.
func (a *API) getChip(w http.ResponseWriter, r *http.Request) error {
	found, err := report.Chips(r.Context(), a.db, web.PathText(r, "key"), signin.Account(r), clock.DateOf(a.office.Now()))
	if errors.Is(err, report.ErrNotFound) {
		return web.NotFound(report.NoChip)
	}
	if err != nil {
		return err
	}
	web.WriteJSON(w, r, http.StatusOK, found)
	return nil
}
