package api

import (
	"net/http"
	"slices"
	"strings"

	"github.com/google/uuid"

	"dukcapil.go.id/sifilma/daemons/portal/internal/decisions"
	"dukcapil.go.id/sifilma/daemons/portal/internal/shelf"
	"dukcapil.go.id/sifilma/daemons/portal/internal/signin"
	"dukcapil.go.id/sifilma/pkg/rabbit"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/pkg/web"
)

// keeper wants somebody who looks after the shelf.
func keeper(f func(w http.ResponseWriter, r *http.Request) error) http.HandlerFunc {
	return handle(func(w http.ResponseWriter, r *http.Request) error {
		if role := signin.Account(r).Role; !shelf.May(role) {
			return web.Forbidden("Peran " + request.RoleLabels[role] + " tidak berwenang atas antrean gagal.")
		}
		return f(w, r)
	})
}

// listShelf shows the open rows, oldest first, or the newest ones of all.
func (a *API) listShelf(w http.ResponseWriter, r *http.Request) error {
	read := shelf.Latest
	switch r.URL.Query().Get("open") {
	case "1", "true":
		read = shelf.Open
	case "", "0", "false":
	default:
		return web.BadRequest("Saringan open harus 1 atau 0.", web.FieldError{Pointer: "/open", Code: "unknown_value", Detail: "Isi dengan 1 atau 0."})
	}
	list, open, err := read(r.Context(), a.db)
	if err != nil {
		return err
	}
	web.WriteJSON(w, r, http.StatusOK, map[string]any{"entries": list, "open": open})
	return nil
}

func (a *API) showShelved(w http.ResponseWriter, r *http.Request, id string) error {
	e, err := shelf.Get(r.Context(), a.db, id)
	if err != nil {
		return err
	}
	web.WriteJSON(w, r, http.StatusOK, e)
	return nil
}

func (a *API) replayShelved(w http.ResponseWriter, r *http.Request) error {
	id, err := rowID(r)
	if err != nil {
		return err
	}
	if err := decode(r, &struct{}{}); err != nil {
		return err
	}
	if err := shelf.Replay(r.Context(), a.db, signin.Account(r), id); err != nil {
		return err
	}
	return a.showShelved(w, r, id)
}

// replayShelf replays many: those named, or all open ones of a type.
func (a *API) replayShelf(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		IDs  []string `json:"ids"`
		Type string   `json:"type"`
	}
	if err := web.DecodeJSON(r, &in); err != nil {
		return err
	}
	if (len(in.IDs) == 0) == (in.Type == "") {
		return web.Unprocessable("Sebutkan pesan yang diulang: ids atau type, salah satu.",
			web.FieldError{Pointer: "/ids", Code: "missing", Detail: "Isi ids, atau isi type."})
	}
	ids := in.IDs
	switch {
	case len(ids) > shelf.Most:
		return invalid("/ids", "too_many", "Paling banyak 500 pesan sekali jalan.")
	case in.Type != "" && !slices.Contains(rabbit.Types(), in.Type):
		return invalid("/type", "unknown_value", "Jenis pesan ini tidak dikenal.")
	case in.Type != "":
		var err error
		if ids, err = shelf.OfType(r.Context(), a.db, in.Type); err != nil {
			return err
		}
	}
	for i, text := range ids {
		id, err := uuid.Parse(text)
		if err != nil {
			return invalid("/ids", "wrong_form", "Setiap id harus berupa UUID.")
		}
		ids[i] = id.String()
	}
	results, replayed, err := shelf.ReplayAll(r.Context(), a.db, signin.Account(r), ids)
	if err != nil {
		return err
	}
	web.WriteJSON(w, r, http.StatusOK, map[string]any{"replayed": replayed, "results": results})
	return nil
}

func (a *API) closeShelved(w http.ResponseWriter, r *http.Request) error {
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
	if err := shelf.Close(r.Context(), a.db, signin.Account(r), id, decisions.Cut(strings.TrimSpace(in.Reason))); err != nil {
		return err
	}
	return a.showShelved(w, r, id)
}
