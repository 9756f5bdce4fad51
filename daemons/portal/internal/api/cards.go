package api

import (
	"context"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/go-chi/chi/v5"

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

// onCard runs a verb on the card of the address in one transaction and answers
// with its request.
func (a *API) onCard(w http.ResponseWriter, r *http.Request, do func(ctx context.Context, tx *postgres.Tx, cardID string) error) error {
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
	if err := a.db.InTx(r.Context(), func(ctx context.Context, tx *postgres.Tx) error { return do(ctx, tx, id) }); err != nil {
		return err
	}
	return a.showRequest(w, r, requestID)
}

func (a *API) replaceCard(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Serial string `json:"serial"`
		Reason string `json:"reason"`
	}
	return a.onCardWith(w, r, &in, func(ctx context.Context, tx *postgres.Tx, cardID string) error {
		c := a.change(r, decisions.Cut(in.Reason))
		if err := perso.Machine.May("", perso.EnlistVerb, c.Actor.Role); err != nil {
			return err
		}
		if strings.TrimSpace(in.Serial) == "" {
			return missing("/serial", "Nomor seri kartu pengganti wajib diisi.")
		}
		_, err := perso.RegisterReplacement(ctx, tx, cardID, in.Serial, c) // it writes its own audit row
		return err
	})
}

func (a *API) proposeResolution(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Decision perso.Decision `json:"decision"`
		Reason   string         `json:"reason"`
	}
	return a.onCardWith(w, r, &in, func(ctx context.Context, tx *postgres.Tx, cardID string) error {
		_, err := perso.ProposeResolution(ctx, tx, cardID, in.Decision, a.change(r, decisions.Cut(in.Reason)))
		return err
	})
}

// withdrawResolution takes back a decision that nobody has confirmed yet.
func (a *API) withdrawResolution(w http.ResponseWriter, r *http.Request) error {
	return a.onCard(w, r, func(ctx context.Context, tx *postgres.Tx, cardID string) error {
		return perso.WithdrawResolution(ctx, tx, cardID, a.change(r, ""))
	})
}

func (a *API) confirmResolution(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Reason string `json:"reason"`
	}
	return a.onCardWith(w, r, &in, func(ctx context.Context, tx *postgres.Tx, cardID string) error {
		_, err := perso.ConfirmResolution(ctx, tx, cardID, a.change(r, decisions.Cut(in.Reason)))
		return err
	})
}

// onCardWith is onCard with a body.
func (a *API) onCardWith(w http.ResponseWriter, r *http.Request, in any, do func(ctx context.Context, tx *postgres.Tx, cardID string) error) error {
	if err := decode(r, in); err != nil {
		return err
	}
	return a.onCard(w, r, do)
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
