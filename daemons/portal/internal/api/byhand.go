package api

import (
	"bytes"
	"context"
	"net/http"

	"github.com/go-chi/chi/v5"

	"dukcapil.go.id/sifilma/daemons/portal/internal/byhand"
	"dukcapil.go.id/sifilma/daemons/portal/internal/signin"
	"dukcapil.go.id/sifilma/daemons/portal/internal/upload"
	"dukcapil.go.id/sifilma/pkg/identity"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/web"
)

// mountByHand adds the routes of cards that are personalised by hand.
func (a *API) mountByHand(r chi.Router) {
	const at = "/requests/{ticket}/"
	r.Get(at+"personalisation", handle(a.personalisation))
	r.Put(at+"personalisation", handle(a.setMode))
	r.Post(at+"numbers", handle(a.generateNumbers))
	r.Delete(at+"numbers", handle(a.wipeNumbers))
	r.Post(at+"results", handle(a.enterResults))
	r.Post(at+"results/confirmation", handle(a.settleResults((*byhand.Desk).Confirm)))
	r.Post(at+"results/withdrawal", handle(a.settleResults((*byhand.Desk).Retract)))
	slow := r.With(web.Slow(transfer))
	slow.Get(at+"results.xlsx", handle(a.handSheet))
	slow.With(web.BodyLimit(upload.MaxSheetBody)).Post(at+"results/import", handle(a.importResults))
}

func (a *API) hands() *byhand.Desk { return byhand.New(a.db, a.office) }

// atDesk answers with a request as it is at the desk.
func atDesk(w http.ResponseWriter, r *http.Request, v byhand.View, err error) error {
	if err != nil {
		return err
	}
	web.SetVersion(w, v.Mode.Version)
	web.WriteJSON(w, r, http.StatusOK, v)
	return nil
}

func (a *API) personalisation(w http.ResponseWriter, r *http.Request) error {
	v, err := a.hands().Look(r.Context(), signin.Account(r), chi.URLParam(r, "ticket"))
	return atDesk(w, r, v, err)
}

func (a *API) setMode(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Mode   string `json:"mode"`
		Reason string `json:"reason"`
	}
	seen, err := web.MatchVersion(r)
	if err != nil {
		return err
	}
	if err := decode(r, &in); err != nil {
		return err
	}
	v, err := a.hands().SetMode(r.Context(), signin.Account(r), chi.URLParam(r, "ticket"), in.Mode, seen, in.Reason)
	return atDesk(w, r, v, err)
}

func (a *API) generateNumbers(w http.ResponseWriter, r *http.Request) error {
	v, err := a.hands().Generate(r.Context(), signin.Account(r), chi.URLParam(r, "ticket"))
	return atDesk(w, r, v, err)
}

func (a *API) wipeNumbers(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Reason string `json:"reason"`
	}
	if err := decode(r, &in); err != nil {
		return err
	}
	v, err := a.hands().Wipe(r.Context(), signin.Account(r), chi.URLParam(r, "ticket"), in.Reason)
	return atDesk(w, r, v, err)
}

func (a *API) enterResults(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Results []struct {
			Card       string        `json:"card"`
			Result     machine.State `json:"result"`
			Reason     string        `json:"reason"`
			PCID       string        `json:"pcid"`
			ManifestNo string        `json:"manifest_no"`
		} `json:"results"`
	}
	if err := decode(r, &in); err != nil {
		return err
	}
	entries := make([]perso.Entry, len(in.Results))
	for i, one := range in.Results {
		entries[i] = perso.Entry{CardID: one.Card, Result: one.Result, Reason: one.Reason, PCID: one.PCID, ManifestNo: one.ManifestNo}
	}
	v, err := a.hands().Enter(r.Context(), signin.Account(r), chi.URLParam(r, "ticket"), entries)
	return atDesk(w, r, v, err)
}

// deskStep is something that is done with results by their ids.
type deskStep func(d *byhand.Desk, ctx context.Context, who identity.Account, ticket string, results []string) (byhand.View, error)

// settleResults confirms or withdraws results that wait, by their ids.
func (a *API) settleResults(step deskStep) func(w http.ResponseWriter, r *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		var in struct {
			Results []string `json:"results"`
		}
		if err := decode(r, &in); err != nil {
			return err
		}
		v, err := step(a.hands(), r.Context(), signin.Account(r), chi.URLParam(r, "ticket"), in.Results)
		return atDesk(w, r, v, err)
	}
}

func (a *API) handSheet(w http.ResponseWriter, r *http.Request) error {
	book, name, err := a.hands().Sheet(r.Context(), signin.Account(r), chi.URLParam(r, "ticket"))
	if err != nil {
		return err
	}
	web.Send(w, r, web.Download{Name: name, MediaType: workbook, Size: int64(len(book)), Content: bytes.NewReader(book)})
	return nil
}

func (a *API) importResults(w http.ResponseWriter, r *http.Request) error {
	who, ticket := signin.Account(r), chi.URLParam(r, "ticket")
	if _, err := a.hands().Look(r.Context(), who, ticket); err != nil { // before a file is taken in
		return err
	}
	p, faults, err := a.spool.ReadSheet(r, nil, nil, "sheet")
	if err != nil {
		return err
	}
	defer p.Close()
	file := p.Files["sheet"]
	if file == nil && len(faults) == 0 {
		faults.Add("/sheet", "missing", "Buku kerja Excel wajib dilampirkan.")
	}
	if err := faults.Err(); err != nil {
		return err
	}
	done, err := a.spool.Turn(r.Context())
	if err != nil {
		return err
	}
	defer done()
	book := file.Content()
	v, _, err := a.hands().Import(r.Context(), who, ticket, book, book.Size())
	return atDesk(w, r, v, err)
}
