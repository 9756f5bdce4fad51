package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/go-chi/chi/v5"

	"dukcapil.go.id/sifilma/daemons/intake/internal/commit"
	"dukcapil.go.id/sifilma/daemons/intake/internal/drop"
	"dukcapil.go.id/sifilma/pkg/activation"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/idempotency"
	"dukcapil.go.id/sifilma/pkg/identity"
	"dukcapil.go.id/sifilma/pkg/institution"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/report"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/pkg/trace"
	"dukcapil.go.id/sifilma/pkg/web"
)

func (a *API) listActivations(w http.ResponseWriter, r *http.Request) error {
	q, bad := report.ParseActivationQuery(r.URL.Query())
	if len(bad) > 0 {
		return badQuery(bad)
	}
	page, err := report.Activations(r.Context(), a.db, client(r.Context()).Account(), q)
	if err != nil {
		return err
	}
	web.SetNext(w, r, page.Next)
	web.WriteJSON(w, r, http.StatusOK, page)
	return nil
}

func (a *API) showActivation(w http.ResponseWriter, r *http.Request) error {
	v, err := report.LoadActivation(r.Context(), a.db, chi.URLParam(r, "ticket"), client(r.Context()).Account())
	if errors.Is(err, report.ErrNotFound) {
		return web.NotFound("Tidak ada permohonan aktivasi dengan Kode Tiket ini dari atau untuk lembaga Anda.")
	}
	if err == nil {
		v.Stages, err = report.ActivationClock(r.Context(), a.db, v, a.office.Now())
	}
	if err != nil {
		return err
	}
	web.SetVersion(w, v.Version)
	web.WriteJSON(w, r, http.StatusOK, v)
	return nil
}

// submitActivation takes a letter of readers in: a lembaga's, or the draft that a produsen
// prepares for one (features.md N8).
func (a *API) submitActivation(w http.ResponseWriter, r *http.Request) (err error) {
	result := "activation_refused"
	defer func() { a.counted.WithLabelValues(result).Inc() }()
	ctx, c := r.Context(), client(r.Context())
	actor := machine.Actor{Name: c.Institution, Role: machine.Role(c.Kind)}
	if err := activation.LetterMachine.MayEver(activation.VerbDraft, actor.Role); err != nil {
		return web.Forbidden("Hanya lembaga pengguna yang mengajukan aktivasi reader; produsen menyiapkan rancangannya.").WithCode("not-your-side")
	}
	key, err := idempotency.Key(r)
	if err != nil {
		return err
	}
	own := ""
	if actor.Role == request.Produsen {
		own = c.Institution
	}
	d, err := a.drops.ReadActivation(ctx, r, own, clock.Today(a.office), func(d *drop.Activation, faults []web.FieldError) ([]web.FieldError, error) {
		_, refusal := a.knownActivation(ctx, c, d)
		return added(faults, refusal)
	})
	if err != nil {
		if p := (*web.Problem)(nil); errors.As(err, &p) && p.Status == http.StatusRequestEntityTooLarge {
			w.Header().Set("Connection", "close") // the rest of the body is not wanted
		}
		return err
	}
	n, refusal := a.knownActivation(ctx, c, d)
	print, err := fingerprint("POST /api/v1/activations", struct {
		activation.Form
		Lembaga string
		Lines   []activation.Line
		Draft   bool
	}{d.Form, d.Lembaga, d.Lines, d.Draft}, d.Files)
	if err != nil {
		d.Close()
		return err
	}
	entry := commit.Entry{Client: c, Actor: actor, Key: key, Print: print, Drop: d.Drop, TraceParent: trace.From(ctx)}
	var done commit.Answer
	if refusal != nil {
		done, err = a.writer.Before(ctx, entry, refusal)
		d.Close()
	} else {
		done, err = a.writer.Activation(ctx, entry, n)
	}
	switch {
	case errors.Is(err, identity.ErrBadKey):
		return badKey()
	case errors.Is(err, activation.ErrNumberUsed):
		return web.Conflict("Surat lembaga dengan nomor ini sudah diajukan. Periksa nomornya, atau lihat surat yang sudah diajukan itu.").WithCode("reference-used")
	case errors.Is(err, activation.ErrUnknownProdusen):
		return web.Unprocessable("Ada isian yang perlu diperbaiki.", unknownProdusen())
	case err != nil:
		return err
	}
	result = "activation_accepted"
	if done.Replayed {
		result = "activation_replayed"
		w.Header().Set("Idempotency-Replayed", "true")
	}
	w.Header().Set("Location", done.Location)
	web.SetVersion(w, 1) // what is new is in its first version
	web.WriteJSON(w, r, done.Status, done.Body)
	return nil
}

// knownActivation checks a letter against the master data, before anything is written.
func (a *API) knownActivation(ctx context.Context, c identity.Client, d *drop.Activation) (activation.New, error) {
	n := activation.New{LembagaID: c.InstitutionID, Form: d.Form, Lines: d.Lines, Draft: d.Draft, By: c.InstitutionID}
	var faults []web.FieldError
	if machine.Role(c.Kind) == request.Produsen {
		of, err := activation.LembagaOf(ctx, a.db, d.Lembaga)
		switch {
		case errors.Is(err, activation.ErrUnknownLembaga):
			faults = append(faults, web.FieldError{Pointer: "/lembaga", Code: "unknown_value", Detail: "Sebutkan lembaga pengguna yang terdaftar."})
		case err != nil:
			return n, err
		}
		n.LembagaID = of.ID
	} else if in, err := institution.ByName(ctx, a.db, d.Form.Produsen); errors.Is(err, institution.ErrNotFound) || err == nil && (in.Kind != institution.Produsen || !in.Active) {
		faults = append(faults, unknownProdusen())
	} else if err != nil {
		return n, err
	}
	types, err := institution.MachineTypes(ctx, a.db)
	if err != nil {
		return n, err
	}
	for i, l := range d.Lines {
		known := l.MachineType == ""
		for _, m := range types {
			known = known || m.Code == l.MachineType && m.UsesReader
		}
		if !known {
			faults = append(faults, web.FieldError{Pointer: fmt.Sprintf("/lines/%d/machine_type", i), Code: "unknown_value", Detail: "Jenis reader ini tidak ada dalam data induk."})
		}
	}
	if len(faults) > 0 {
		return n, web.Unprocessable("Ada isian yang perlu diperbaiki.", faults...)
	}
	return n, nil
}
