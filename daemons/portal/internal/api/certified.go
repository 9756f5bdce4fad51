package api

import (
	"net/http"
	"time"

	"github.com/go-chi/chi/v5"

	"dukcapil.go.id/sifilma/daemons/portal/internal/counter"
	"dukcapil.go.id/sifilma/daemons/portal/internal/signin"
	"dukcapil.go.id/sifilma/pkg/esign"
	"dukcapil.go.id/sifilma/pkg/letter"
	"dukcapil.go.id/sifilma/pkg/web"
)

// signingTime is longer than the service is waited for.
const signingTime = 6 * time.Minute

// mountCertified adds what is done about signatures with certificates.
func (a *API) mountCertified(r chi.Router) {
	const at = "/documents/{id}/electronic-signature"
	r.Get(at, handle(a.lastSigning))
	slow := r.With(web.Slow(signingTime))
	slow.Post(at, handle(a.certify))
	slow.Post(at+"/inquiry", handle(a.askSigner))
	r.Post(at+"/not-signed", handle(a.unsign))
}

// signing is the newest time that a paper was to be signed, as it is shown.
type signing struct {
	Driver  string     `json:"driver"`
	State   string     `json:"state"`
	Reason  string     `json:"reason"`
	Text    string     `json:"text"` // the reason in words
	AskedBy string     `json:"asked_by"`
	AskedAt time.Time  `json:"asked_at"`
	EndedAt *time.Time `json:"ended_at"`
	InDoubt bool       `json:"in_doubt"` // nothing comes of it by itself
}

// lastSigning tells what became of the newest signing of a paper.
func (a *API) lastSigning(w http.ResponseWriter, r *http.Request) error {
	id, err := rowID(r)
	if err != nil {
		return err
	}
	s, err := a.counter().LastSigning(r.Context(), signin.Account(r), id)
	if err != nil {
		return err
	}
	v := signing{Driver: s.Driver, State: s.State, Reason: s.Reason, AskedBy: s.AskedBy, AskedAt: s.AskedAt, EndedAt: s.EndedAt,
		InDoubt: s.State == letter.SigningDoubt || s.State == letter.SigningSent && s.Overdue}
	if s.State == letter.SigningRefused {
		v.Text = counter.RefusalText(s.Reason, s.Code)
	}
	web.WriteJSON(w, r, http.StatusOK, v)
	return nil
}

// certify has a paper signed with the certificate of whoever asks.
func (a *API) certify(w http.ResponseWriter, r *http.Request) error {
	who := signin.Account(r)
	return a.onPaper(w, r, func(p letter.Document) error { return a.counter().MayCertify(p, who) }, func(id string, seen int64) error {
		var in struct {
			NIK        string `json:"nik"`
			Passphrase string `json:"passphrase"`
		}
		if err := web.DecodeJSON(r, &in); err != nil {
			return err
		}
		return a.counter().Certify(r.Context(), who, id, seen, in.NIK, esign.Passphrase(in.Passphrase))
	})
}

// askSigner asks the service what became of a signature in doubt.
func (a *API) askSigner(w http.ResponseWriter, r *http.Request) error {
	who := signin.Account(r)
	return a.onPaper(w, r, func(p letter.Document) error { return a.counter().MayAsk(r.Context(), p, who) }, func(id string, _ int64) error {
		if err := decode(r, &struct{}{}); err != nil {
			return err
		}
		return a.counter().AskAgain(r.Context(), who, id)
	})
}

// unsign ends a doubt: the service has not signed.
func (a *API) unsign(w http.ResponseWriter, r *http.Request) error {
	who := signin.Account(r)
	return a.onPaper(w, r, func(letter.Document) error { return letter.Machine.MayEver(letter.VerbIssue, who.Role) }, func(id string, _ int64) error {
		var in struct {
			Reason string `json:"reason"`
		}
		if err := web.DecodeJSON(r, &in); err != nil {
			return err
		}
		return a.counter().Unsign(r.Context(), who, id, in.Reason)
	})
}
