package api

import (
	"context"
	"encoding/hex"
	"io"
	"net/http"

	"github.com/go-chi/chi/v5"

	"dukcapil.go.id/sifilma/daemons/portal/internal/masterdata"
	"dukcapil.go.id/sifilma/daemons/portal/internal/signin"
	"dukcapil.go.id/sifilma/pkg/cardsecret"
	"dukcapil.go.id/sifilma/pkg/identity"
	"dukcapil.go.id/sifilma/pkg/report"
	"dukcapil.go.id/sifilma/pkg/web"
)

// mountSecrets adds the routes of the secrets of cards: the keys that they are encrypted
// for, and the files.
func (a *API) mountSecrets(r chi.Router) {
	r.Get("/secret-recipients", handle(a.listRecipients))
	r.Post("/secret-recipients", handle(a.offerRecipient))
	r.Post("/secret-recipients/{id}/confirmation", handle(a.confirmRecipient))
	r.Post("/secret-recipients/{id}/refusal", handle(a.refuseRecipient))
	r.Post("/secret-recipients/{id}/ending", handle(a.endRecipient))
	r.With(web.Slow(transfer)).Get("/handovers/{id}/secrets", handle(a.takeSecrets))
}

// escrowView is the office's own key as it is shown.
type escrowView struct {
	Edition     int    `json:"edition"`
	Recipient   string `json:"recipient"`
	Fingerprint string `json:"fingerprint"`
}

func (a *API) listRecipients(w http.ResponseWriter, r *http.Request) error {
	who := signin.Account(r)
	list, err := a.desk.Recipients(r.Context(), who)
	if err != nil {
		return err
	}
	out := map[string]any{"secret_recipients": list}
	if !report.Outside(who) {
		e, err := a.desk.Escrow(r.Context(), who)
		if err != nil {
			return err
		}
		var shown *escrowView
		if e != nil {
			shown = &escrowView{e.Edition, e.Recipient, cardsecret.Spell(e.Fingerprint)}
		}
		out["escrow"] = shown
	}
	web.WriteJSON(w, r, http.StatusOK, out)
	return nil
}

func (a *API) offerRecipient(w http.ResponseWriter, r *http.Request) error {
	who := signin.Account(r)
	if err := masterdata.MayOffer(who); err != nil {
		return err
	}
	var in struct {
		Recipient string `json:"recipient"`
	}
	if err := web.DecodeJSON(r, &in); err != nil {
		return err
	}
	made, err := a.desk.OfferRecipient(r.Context(), who, in.Recipient)
	if err != nil {
		return err
	}
	web.WriteJSON(w, r, http.StatusCreated, made)
	return nil
}

func (a *API) confirmRecipient(w http.ResponseWriter, r *http.Request) error {
	who := signin.Account(r)
	if !masterdata.May(who.Role) {
		return masterdata.ErrForbidden
	}
	var in struct {
		Fingerprint string `json:"fingerprint"`
	}
	return a.onRecipient(w, r, &in, func(ctx context.Context, id string) (masterdata.Recipient, error) {
		return a.desk.ConfirmRecipient(ctx, who, id, in.Fingerprint)
	})
}

func (a *API) refuseRecipient(w http.ResponseWriter, r *http.Request) error {
	if !masterdata.May(signin.Account(r).Role) {
		return masterdata.ErrForbidden
	}
	return a.recipientFor(w, r, a.desk.RefuseRecipient)
}

func (a *API) endRecipient(w http.ResponseWriter, r *http.Request) error {
	id, err := rowID(r)
	if err == nil { // before what is typed: of another's key nobody learns anything
		_, err = a.desk.Recipient(r.Context(), signin.Account(r), id)
	}
	if err != nil {
		return err
	}
	return a.recipientFor(w, r, a.desk.EndRecipient)
}

// recipientFor answers with a key to which something was done for a reason.
func (a *API) recipientFor(w http.ResponseWriter, r *http.Request, do func(ctx context.Context, who identity.Account, id, reason string) (masterdata.Recipient, error)) error {
	var in struct {
		Reason string `json:"reason"`
	}
	return a.onRecipient(w, r, &in, func(ctx context.Context, id string) (masterdata.Recipient, error) {
		return do(ctx, signin.Account(r), id, in.Reason)
	})
}

func (a *API) onRecipient(w http.ResponseWriter, r *http.Request, in any, do func(ctx context.Context, id string) (masterdata.Recipient, error)) error {
	id, err := rowID(r)
	if err == nil {
		err = web.DecodeJSON(r, in)
	}
	if err != nil {
		return err
	}
	made, err := do(r.Context(), id)
	if err != nil {
		return err
	}
	web.WriteJSON(w, r, http.StatusOK, made)
	return nil
}

// takeSecrets gives the files of a handover's cards to a person of the produsen. That it
// was asked for is on record before the first byte goes out.
func (a *API) takeSecrets(w http.ResponseWriter, r *http.Request) error {
	id, err := rowID(r)
	if err != nil {
		return err
	}
	b, err := a.counter().Secrets(r.Context(), signin.Account(r), id)
	if err != nil {
		return err
	}
	SendBundle(w, r, b)
	return nil
}

// SendBundle sends a bundle as it is packed, a few files at a time.
func SendBundle(w http.ResponseWriter, r *http.Request, b *cardsecret.Bundle) {
	out, in := io.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = in.CloseWithError(b.Write(r.Context(), in))
	}()
	defer func() {
		_ = out.Close() // ends the packing when the client is gone
		<-done
	}()
	w.Header().Set("Cache-Control", "no-store")
	web.Send(w, r, web.Download{Name: b.Name, MediaType: "application/zip", Size: b.Size, ETag: hex.EncodeToString(b.SHA256[:]), Content: out})
}
