package api

import (
	"context"
	"errors"
	"net/http"

	"dukcapil.go.id/sifilma/daemons/portal/internal/decisions"
	"dukcapil.go.id/sifilma/daemons/portal/internal/signin"
	"dukcapil.go.id/sifilma/pkg/blob"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/handover"
	"dukcapil.go.id/sifilma/pkg/letter"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/report"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/pkg/web"
)

// openHandover prepares the handover of what is ready.
func (a *API) openHandover(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Quantity *int `json:"quantity"`
	}
	if err := decode(r, &in); err != nil {
		return err
	}
	quantity := 0 // all that is ready
	if in.Quantity != nil {
		if quantity = *in.Quantity; quantity < 1 {
			return invalid("/quantity", "out_of_range", "Jumlah kartu paling sedikit 1.")
		}
	}
	of, err := scoped(r.Context(), a.db, r)
	if err != nil {
		return err
	}
	c := a.change(r, "")
	var opened handover.Handover
	err = a.db.InTx(r.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		if opened, err = handover.Open(ctx, tx, of.ID, quantity, c); err != nil {
			return err
		}
		return decisions.Note(ctx, tx, c, "handover.prepare", opened.ID, of.ID, map[string]any{"quantity": opened.Quantity})
	})
	if errors.Is(err, handover.ErrTooMany) {
		return invalid("/quantity", "too_many", "Kartu yang siap diserahkan tidak sebanyak itu.")
	}
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

// onHandover finds the handover of the address for a verb.
func (a *API) onHandover(r *http.Request, verb machine.Verb) (handover.Handover, error) {
	id, err := rowID(r)
	if err != nil {
		return handover.Handover{}, err
	}
	h, err := handover.Get(r.Context(), a.db, id)
	if err != nil {
		return h, err
	}
	if _, err := within(r.Context(), a.db, r, h.RequestID); err != nil {
		return h, err
	}
	if err := handover.Machine.MayEver(verb, signin.Account(r).Role); err != nil {
		return h, err
	}
	return h, handover.Machine.May(h.State, verb, signin.Account(r).Role)
}

// moved finishes a verb on a handover: its transaction with the audit row, and
// the answer.
func (a *API) moved(w http.ResponseWriter, r *http.Request, h handover.Handover, verb machine.Verb, c request.Change,
	do func(ctx context.Context, tx *postgres.Tx) (detail map[string]any, err error)) error {
	err := a.db.InTx(r.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		detail, err := do(ctx, tx)
		if err != nil {
			return err
		}
		return decisions.Note(ctx, tx, c, "handover."+string(verb), h.ID, h.RequestID, detail)
	})
	if err != nil {
		return err
	}
	return a.showHandover(w, r, http.StatusOK, h.ID)
}

// deliver records that cards and signed BAST changed hands; the BAST is issued
// in the same transaction.
func (a *API) deliver(w http.ResponseWriter, r *http.Request) error {
	h, err := a.onHandover(r, handover.VerbDeliver)
	if err != nil {
		return err
	}
	bast, err := letter.Living(r.Context(), a.db, letter.BAST, h.ID)
	if err != nil {
		return err
	}
	form, err := a.spool.Read(r, "representative", "representative_post", "delivered_on")
	if err != nil {
		return err
	}
	defer form.Close()
	d := handover.Delivery{Representative: form.Fields["representative"], Post: form.Fields["representative_post"]}
	if d.On, err = a.dayField(form.Fields["delivered_on"], "/delivered_on", "Tanggal penyerahan", bast.Dated); err != nil {
		return err
	}
	c := a.change(r, "")
	return a.moved(w, r, h, handover.VerbDeliver, c, func(ctx context.Context, tx *postgres.Tx) (map[string]any, error) {
		scan, err := blob.Put(ctx, tx, letter.BAST+"-bertanda-tangan.pdf", mediaPDF, form.Scan())
		if err != nil {
			return nil, err
		}
		delivery := d
		delivery.ScanBlob = scan.ID.String()
		_, err = handover.Deliver(ctx, tx, h, delivery, c)
		return map[string]any{"representative": d.Representative, "scan": scan.ID, "sha256": scan.Hash(), "delivered_on": d.On}, err
	})
}

// receive records how many cards the produsen counted.
func (a *API) receive(w http.ResponseWriter, r *http.Request) error {
	h, err := a.onHandover(r, handover.VerbReceive)
	if err != nil {
		return err
	}
	var in struct {
		Received *int `json:"received"`
	}
	if err := web.DecodeJSON(r, &in); err != nil {
		return err
	}
	if in.Received == nil {
		return missing("/received", "Jumlah kartu yang diterima wajib diisi.")
	}
	c := a.change(r, "")
	err = a.moved(w, r, h, handover.VerbReceive, c, func(ctx context.Context, tx *postgres.Tx) (map[string]any, error) {
		_, err := handover.Receive(ctx, tx, h, *in.Received, clock.DateOf(c.OfficeAt), c)
		return map[string]any{"received": *in.Received, "quantity": h.Quantity}, err
	})
	if errors.Is(err, handover.ErrTooMany) {
		return invalid("/received", "out_of_range", "Jumlah diterima harus antara 0 dan jumlah yang diserahkan.")
	}
	return err
}

// closeHandover ends a handover that was received.
func (a *API) closeHandover(w http.ResponseWriter, r *http.Request) error {
	h, err := a.onHandover(r, handover.VerbClose)
	if err != nil {
		return err
	}
	if err := decode(r, &struct{}{}); err != nil {
		return err
	}
	c := a.change(r, "")
	return a.moved(w, r, h, handover.VerbClose, c, func(ctx context.Context, tx *postgres.Tx) (map[string]any, error) {
		_, err := handover.Close(ctx, tx, h, c)
		return nil, err
	})
}
