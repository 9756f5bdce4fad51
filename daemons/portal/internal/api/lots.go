package api

import (
	"net/http"

	"github.com/go-chi/chi/v5"

	"dukcapil.go.id/sifilma/daemons/portal/internal/decisions"
	"dukcapil.go.id/sifilma/daemons/portal/internal/lots"
	"dukcapil.go.id/sifilma/daemons/portal/internal/signin"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/pkg/web"
)

// mountLots adds the routes of lots that wait for people.
func (a *API) mountLots(r chi.Router) {
	r.Get("/lot-holds", lotKeeper(a.listHolds))
	r.Post("/lot-holds/{id}/lift", lotKeeper(a.liftHold))
}

// lotKeeper wants somebody who looks after lots.
func lotKeeper(f func(w http.ResponseWriter, r *http.Request) error) http.HandlerFunc {
	return handle(func(w http.ResponseWriter, r *http.Request) error {
		if role := signin.Account(r).Role; !lots.May(role) {
			return web.Forbidden("Peran " + request.RoleLabels[role] + " tidak berwenang atas lot yang tertahan.")
		}
		return f(w, r)
	})
}

func (a *API) listHolds(w http.ResponseWriter, r *http.Request) error {
	all, err := lots.List(r.Context(), a.db)
	if err != nil {
		return err
	}
	web.WriteJSON(w, r, http.StatusOK, map[string]any{"holds": all})
	return nil
}

func (a *API) liftHold(w http.ResponseWriter, r *http.Request) error {
	id, err := rowID(r)
	if err != nil {
		return err
	}
	var in struct {
		Reason string `json:"reason"`
	}
	if err := decode(r, &in); err != nil {
		return err
	}
	h, err := lots.Lift(r.Context(), a.db, a.office, signin.Account(r), id, decisions.Cut(in.Reason))
	if err != nil {
		return err
	}
	web.WriteJSON(w, r, http.StatusOK, h)
	return nil
}
