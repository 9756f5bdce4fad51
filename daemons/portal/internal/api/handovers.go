package api

import (
	"net/http"

	"github.com/go-chi/chi/v5"

	"dukcapil.go.id/sifilma/daemons/portal/internal/counter"
	"dukcapil.go.id/sifilma/daemons/portal/internal/signin"
	"dukcapil.go.id/sifilma/daemons/portal/internal/upload"
	"dukcapil.go.id/sifilma/pkg/form"
	"dukcapil.go.id/sifilma/pkg/handover"
	"dukcapil.go.id/sifilma/pkg/report"
	"dukcapil.go.id/sifilma/pkg/web"
)

// openHandover prepares the handover of what is ready.
func (a *API) openHandover(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Quantity *int `json:"quantity"`
		Ordinal  int  `json:"ordinal"`
	}
	if err := decode(r, &in); err != nil {
		return err
	}
	quantity := 0 // all that is ready
	if in.Quantity != nil {
		if quantity = *in.Quantity; quantity == 0 {
			quantity = -1 // asked for, and none
		}
	}
	opened, err := a.counter().Open(r.Context(), signin.Account(r), chi.URLParam(r, "ticket"), quantity, in.Ordinal)
	if err != nil {
		return err
	}
	w.Header().Set("Location", "/api/v1/handovers/"+opened.ID)
	return a.showHandover(w, r, http.StatusCreated, opened.ID)
}

func (a *API) getHandover(w http.ResponseWriter, r *http.Request) error {
	id, err := rowID(r)
	if err != nil {
		return err
	}
	return a.showHandover(w, r, http.StatusOK, id)
}

func (a *API) showHandover(w http.ResponseWriter, r *http.Request, status int, id string) error {
	v, err := report.LoadHandover(r.Context(), a.db, id, signin.Account(r))
	if err != nil {
		return err
	}
	web.SetVersion(w, v.Version)
	web.WriteJSON(w, r, status, v)
	return nil
}

// onHandover answers with a handover to which something was done, as of the version that
// somebody saw.
func (a *API) onHandover(w http.ResponseWriter, r *http.Request, do func(id string, seen int64) error) error {
	id, err := rowID(r)
	var seen int64
	if err == nil {
		seen, err = seenVersion(r)
	}
	if err == nil {
		err = do(id, seen)
	}
	if err != nil {
		return err
	}
	return a.showHandover(w, r, http.StatusOK, id)
}

// seenVersion is the version in If-Match; 0 for who names none.
func seenVersion(r *http.Request) (int64, error) {
	if r.Header.Get("If-Match") == "" {
		return 0, nil
	}
	return web.MatchVersion(r)
}

// appoint says when the produsen is expected.
func (a *API) appoint(w http.ResponseWriter, r *http.Request) error {
	return a.onHandover(w, r, func(id string, seen int64) error {
		var in struct {
			Day  string `json:"day"`
			Hour string `json:"hour"`
			Note string `json:"note"`
		}
		if err := web.DecodeJSON(r, &in); err != nil {
			return err
		}
		return a.counter().Appoint(r.Context(), signin.Account(r), id, seen, in.Day, in.Hour, in.Note)
	})
}

// scanTray notes pieces in the tray.
func (a *API) scanTray(w http.ResponseWriter, r *http.Request) error {
	return a.onHandover(w, r, func(id string, _ int64) error {
		var in struct {
			Method string   `json:"method"`
			Keys   []string `json:"keys"`
		}
		if err := web.DecodeJSON(r, &in); err != nil {
			return err
		}
		_, err := a.counter().Scan(r.Context(), signin.Account(r), id, in.Method, in.Keys)
		return err
	})
}

// deliver records that cards and signed BAST changed hands; the BAST is issued
// in the same transaction.
func (a *API) deliver(w http.ResponseWriter, r *http.Request) error {
	return a.onHandover(w, r, func(id string, seen int64) error {
		if err := a.counter().MayDeliver(r.Context(), signin.Account(r), id); err != nil { // before a file is taken in
			return err
		}
		parcel, wrong, err := a.spool.ReadScan(r, "representative", "representative_post", "representative_of", "delivered_on")
		if err != nil {
			return err
		}
		defer parcel.Close()
		f := parcel.Fields
		return a.counter().Deliver(r.Context(), signin.Account(r), id, seen, counter.Delivery{
			Representative: f["representative"], Post: f["representative_post"], Of: f["representative_of"], On: f["delivered_on"],
		}, parcel.Files[upload.ScanPart], wrong)
	})
}

// receive records how many cards the produsen counted: of each line, or of the only one,
// or all of them.
func (a *API) receive(w http.ResponseWriter, r *http.Request) error {
	return a.onHandover(w, r, func(id string, seen int64) error {
		who := signin.Account(r)
		if err := a.counter().MayReceive(r.Context(), who, id); err != nil {
			return err
		}
		var in struct {
			Received *int             `json:"received"`
			Lines    []handover.Count `json:"lines"`
		}
		if err := web.DecodeJSON(r, &in); err != nil {
			return err
		}
		switch {
		case in.Received == nil && len(in.Lines) == 0:
			return missing("/received", "Jumlah kartu yang diterima wajib diisi.")
		case in.Received != nil && len(in.Lines) > 0:
			return form.One("/received", "twice", "Isi jumlah per baris, atau jumlah seluruhnya, jangan keduanya.")
		case in.Received != nil:
			return a.counter().ReceiveTotal(r.Context(), who, id, seen, *in.Received)
		}
		return a.counter().Receive(r.Context(), who, id, seen, in.Lines)
	})
}

// settleShortage says what became of cards that were missing.
func (a *API) settleShortage(w http.ResponseWriter, r *http.Request) error {
	return a.onHandover(w, r, func(id string, _ int64) error {
		var in struct {
			Outcome string `json:"outcome"`
			Finding string `json:"finding"`
		}
		if err := web.DecodeJSON(r, &in); err != nil {
			return err
		}
		return a.counter().Settle(r.Context(), signin.Account(r), id, chi.URLParam(r, "shortage"), in.Outcome, in.Finding)
	})
}

// closeHandover ends a handover that was received.
func (a *API) closeHandover(w http.ResponseWriter, r *http.Request) error {
	return a.onHandover(w, r, func(id string, seen int64) error {
		if err := decode(r, &struct{}{}); err != nil {
			return err
		}
		return a.counter().Close(r.Context(), signin.Account(r), id, seen)
	})
}

// cancelHandover takes a handover back before its cards change hands.
func (a *API) cancelHandover(w http.ResponseWriter, r *http.Request) error {
	return a.onHandover(w, r, func(id string, seen int64) error {
		var in struct {
			Reason string `json:"reason"`
		}
		if err := web.DecodeJSON(r, &in); err != nil {
			return err
		}
		return a.counter().Cancel(r.Context(), signin.Account(r), id, seen, in.Reason)
	})
}
