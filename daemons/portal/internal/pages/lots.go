package pages

import (
	"errors"
	"net/http"
	"net/url"

	"github.com/go-chi/chi/v5"
	"github.com/google/uuid"

	"dukcapil.go.id/sifilma/daemons/portal/internal/lots"
	"dukcapil.go.id/sifilma/daemons/portal/internal/signin"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/pkg/web"
)

const lotsPath = "/lot"

type lotLine struct {
	lots.Hold
	Tag tag
}

// First tells whether it waits for its first card to be looked at.
func (l lotLine) First() bool { return l.Kind == perso.FirstCardHold }

type lotsBody struct {
	Open    []lotLine
	Lifted  []lotLine
	Notice  string
	Problem string
}

func (p *Pages) mountLots(inside chi.Router) {
	inside.Get(lotsPath, p.lotKeeper(p.lots))
	inside.Post(lotsPath+"/{id}/lanjut", p.lotKeeper(p.liftHold))
}

// lotKeeper wants somebody who looks after lots.
func (p *Pages) lotKeeper(f func(w http.ResponseWriter, r *http.Request) error) http.HandlerFunc {
	return p.handle(func(w http.ResponseWriter, r *http.Request) error {
		if role := signin.Account(r).Role; !lots.May(role) {
			return web.Forbidden("Peran " + request.RoleLabels[role] + " tidak berwenang atas lot yang tertahan.")
		}
		return f(w, r)
	})
}

// lots shows the lots that wait for people.
func (p *Pages) lots(w http.ResponseWriter, r *http.Request) error {
	all, err := lots.List(r.Context(), p.db)
	if err != nil {
		return err
	}
	body := lotsBody{Problem: lotProblems[r.URL.Query().Get("masalah")]}
	for _, h := range all {
		switch {
		case h.LiftedBy != nil:
			body.Lifted = append(body.Lifted, lotLine{h, tag{good, "Dilanjutkan"}})
		case h.Kind == perso.FirstCardHold:
			body.Open = append(body.Open, lotLine{h, tag{busy, h.KindLabel}})
		default:
			body.Open = append(body.Open, lotLine{h, tag{bad, h.KindLabel}})
		}
	}
	if r.URL.Query().Get("lanjut") != "" {
		body.Notice = "Lot dilanjutkan. Stasiun mengambil kartunya dalam beberapa detik."
	}
	p.show(w, r, http.StatusOK, "lots", "Lot tertahan", body)
	return nil
}

// lotProblems are what may be in the way, by the code in the address.
var lotProblems = map[string]string{
	"lanjut": "Lot ini sudah dilanjutkan orang lain.",
	"belum":  "Kartu pertama lot ini belum selesai, jadi belum ada yang dapat diperiksa.",
	"alasan": "Tuliskan apa yang diperiksa dan hasilnya, paling panjang 2.000 karakter.",
}

func (p *Pages) liftHold(w http.ResponseWriter, r *http.Request) error {
	id, err := uuid.Parse(chi.URLParam(r, "id"))
	if err != nil {
		return web.NotFound("Penahanan lot ini tidak ada.")
	}
	if err := parseForm(r); err != nil {
		return err
	}
	key, value := "lanjut", "1"
	reason := r.PostForm.Get("alasan")
	if len([]rune(reason)) > maxReason {
		err = perso.ErrLiftReason
	} else {
		_, err = lots.Lift(r.Context(), p.db, p.office, signin.Account(r), id.String(), reason)
	}
	switch {
	case errors.Is(err, perso.ErrNoHold):
		return web.NotFound("Penahanan lot ini tidak ada.")
	case errors.Is(err, perso.ErrLifted):
		key, value = "masalah", "lanjut"
	case errors.Is(err, perso.ErrFirstNotClear):
		key, value = "masalah", "belum"
	case errors.Is(err, perso.ErrLiftReason):
		key, value = "masalah", "alasan"
	case err != nil:
		return err
	}
	http.Redirect(w, r, lotsPath+"?"+url.Values{key: {value}}.Encode(), http.StatusSeeOther)
	return nil
}
