package api

import (
	"context"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/go-chi/chi/v5"
	"github.com/google/uuid"

	"dukcapil.go.id/sifilma/daemons/portal/internal/decisions"
	"dukcapil.go.id/sifilma/daemons/portal/internal/signin"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/report"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/pkg/web"
)

func (a *API) listCards(w http.ResponseWriter, r *http.Request) error {
	cards, err := report.Cards(r.Context(), a.db, chi.URLParam(r, "ticket"), signin.Account(r))
	if err != nil {
		return err
	}
	web.WriteJSON(w, r, http.StatusOK, cards)
	return nil
}

func (a *API) replaceCard(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Serial string `json:"serial"`
		Reason string `json:"reason"`
	}
	if err := decode(r, &in); err != nil {
		return err
	}
	id, err := rowID(r)
	if err != nil {
		return err
	}
	requestID, err := perso.CardRequest(r.Context(), a.db, id)
	if err != nil {
		return err
	}
	if _, err := within(r.Context(), a.db, r, requestID); err != nil {
		return err
	}
	c := a.change(r, decisions.Cut(in.Reason))
	if err := perso.Machine.May("", perso.EnlistVerb, c.Actor.Role); err != nil {
		return err
	}
	if strings.TrimSpace(in.Serial) == "" {
		return missing("/serial", "Nomor seri kartu pengganti wajib diisi.")
	}
	if err := a.db.InTx(r.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		_, err := perso.RegisterReplacement(ctx, tx, id, in.Serial, c) // it writes its own audit row
		return err
	}); err != nil {
		return err
	}
	return a.showRequest(w, r, requestID)
}

// replaceCards registers several replacements: all of them or none.
func (a *API) replaceCards(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Replacements []struct {
			Card   string `json:"card"`
			Serial string `json:"serial"`
			Reason string `json:"reason"`
		} `json:"replacements"`
	}
	if err := decode(r, &in); err != nil {
		return err
	}
	all := make([]perso.Replacement, len(in.Replacements))
	for i, one := range in.Replacements {
		id, err := uuid.Parse(one.Card)
		if err != nil {
			return perso.ErrNotFound
		}
		all[i] = perso.Replacement{CardID: id.String(), Serial: one.Serial, Reason: one.Reason}
	}
	requestID, err := a.decide.Replace(r.Context(), signin.Account(r), chi.URLParam(r, "ticket"), all)
	if err != nil {
		return err
	}
	return a.showRequest(w, r, requestID)
}

// seenCard is the card of the address in the version of If-Match; who names none
// decides on the card as it is now.
func (a *API) seenCard(r *http.Request) (perso.Seen, error) {
	id, err := rowID(r)
	if err != nil {
		return perso.Seen{}, err
	}
	c, err := perso.Get(r.Context(), a.db, id)
	if err != nil {
		return perso.Seen{}, err
	}
	seen := perso.Seen{ID: c.ID, Version: c.Version}
	if r.Header.Get("If-Match") != "" {
		seen.Version, err = web.MatchVersion(r)
	}
	return seen, err
}

// seenDecision is the decision on the card of the address that waits: the one of this
// id, or the present one when none is named.
func (a *API) seenDecision(r *http.Request, id string) (perso.SeenDecision, error) {
	card, err := a.seenCard(r)
	if err != nil {
		return perso.SeenDecision{}, err
	}
	if _, err := a.withinCard(r, card.ID); err != nil { // before anything is said of it
		return perso.SeenDecision{}, err
	}
	if err := perso.Machine.MayEver(perso.SpoilVerb, signin.Account(r).Role); err != nil {
		return perso.SeenDecision{}, err
	}
	if id == "" {
		now, err := perso.OpenDecision(r.Context(), a.db, card.ID)
		if err != nil {
			return perso.SeenDecision{}, err
		}
		id = now.ID
	}
	return perso.SeenDecision{Card: card, ID: id}, nil
}

func (a *API) withinCard(r *http.Request, cardID string) (request.Request, error) {
	requestID, err := perso.CardRequest(r.Context(), a.db, cardID)
	if err != nil {
		return request.Request{}, err
	}
	return within(r.Context(), a.db, r, requestID)
}

func (a *API) proposeResolution(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Decision perso.Decision `json:"decision"`
		Reason   string         `json:"reason"`
		Reading  *string        `json:"reading"`
	}
	if err := decode(r, &in); err != nil {
		return err
	}
	card, err := a.seenCard(r)
	if err != nil {
		return err
	}
	card.Reading = in.Reading
	requestID, err := a.decide.Propose(r.Context(), signin.Account(r), card, in.Decision, decisions.Cut(in.Reason))
	if err != nil {
		return err
	}
	return a.showRequest(w, r, requestID)
}

// withdrawResolution takes back a decision that nobody has confirmed yet.
func (a *API) withdrawResolution(w http.ResponseWriter, r *http.Request) error {
	seen, err := a.seenDecision(r, "")
	if err != nil {
		return err
	}
	requestID, err := a.decide.Withdraw(r.Context(), signin.Account(r), seen)
	if err != nil {
		return err
	}
	return a.showRequest(w, r, requestID)
}

func (a *API) confirmResolution(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Resolution string `json:"resolution"`
		Reason     string `json:"reason"`
	}
	if err := decode(r, &in); err != nil {
		return err
	}
	seen, err := a.seenDecision(r, in.Resolution)
	if err != nil {
		return err
	}
	requestID, err := a.decide.Confirm(r.Context(), signin.Account(r), seen, decisions.Cut(in.Reason))
	if err != nil {
		return err
	}
	return a.showRequest(w, r, requestID)
}

// requestFile gives a file that the applicant sent.
func (a *API) requestFile(w http.ResponseWriter, r *http.Request) error {
	id, err := rowID(r)
	if err != nil {
		return err
	}
	of, err := scoped(r.Context(), a.db, r)
	if err != nil {
		return err
	}
	files, err := request.Files(r.Context(), a.db, of)
	if err != nil {
		return err
	}
	for _, f := range files {
		if f.BlobID == id && utf8.ValidString(f.Name) {
			return a.serve(w, r, id, f.Name)
		}
	}
	return report.ErrNotFound
}
