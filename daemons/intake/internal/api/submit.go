package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/go-chi/chi/v5"
	"github.com/rs/zerolog"

	"dukcapil.go.id/sifilma/daemons/intake/internal/commit"
	"dukcapil.go.id/sifilma/daemons/intake/internal/drop"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/idempotency"
	"dukcapil.go.id/sifilma/pkg/identity"
	"dukcapil.go.id/sifilma/pkg/institution"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/need"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/pkg/trace"
	"dukcapil.go.id/sifilma/pkg/web"
)

var fileKinds = []string{request.FileLetter, request.FilePurchaseOrder, request.FilePKS, request.FileCardList, need.FileList}

// roles says as what an institution's software applies.
var roles = map[string]machine.Role{institution.Produsen: request.Produsen, institution.Dinas: request.Dinas}

// applicant returns the role of the client, or a problem.
func applicant(c identity.Client) (machine.Actor, error) {
	role, ok := roles[c.Kind]
	if !ok {
		return machine.Actor{}, web.Forbidden("Hanya produsen dan dinas yang dapat mengajukan permohonan personalisasi.").WithCode("not-an-applicant")
	}
	return machine.Actor{Name: c.Institution, Role: role}, nil
}

// submit takes a new request: 202 with its Kode Tiket.
func (a *API) submit(w http.ResponseWriter, r *http.Request) error {
	return a.take(w, r, "POST /api/v1/requests", request.Request{}, a.writer.Submit)
}

// resubmit takes the correction of a request that was returned, under the same
// Kode Tiket.
func (a *API) resubmit(w http.ResponseWriter, r *http.Request) error {
	is, err := request.ByTicket(r.Context(), a.db, chi.URLParam(r, "ticket"), client(r.Context()).InstitutionID)
	if errors.Is(err, request.ErrNotFound) {
		return noSuchTicket()
	}
	if err != nil {
		return err
	}
	trace.Join(r.Context(), is.TraceParent)
	version, err := web.MatchVersion(r)
	if err != nil {
		return err
	}
	return a.take(w, r, "resubmission of "+is.ID, is, func(ctx context.Context, e commit.Entry) (commit.Answer, error) {
		return a.writer.Correct(ctx, e, is.ID, version)
	})
}

// take reads a drop and has it written, as a correction of a request unless that is
// empty. Whoever asks again under the same Idempotency-Key hears the same answer.
func (a *API) take(w http.ResponseWriter, r *http.Request, target string, is request.Request,
	write func(context.Context, commit.Entry) (commit.Answer, error)) (err error) {
	result := "refused"
	defer func() { a.counted.WithLabelValues(result).Inc() }()
	ctx, c := r.Context(), client(r.Context())
	actor, err := applicant(c)
	if err != nil {
		return err
	}
	key, err := idempotency.Key(r)
	if err != nil {
		return err
	}
	refuse := func(d *drop.Drop, faults []web.FieldError) ([]web.FieldError, error) {
		return a.refusals(ctx, faults, d.Form, c, actor.Role, is, true)
	}
	d, err := a.drops.Read(ctx, r, clock.Today(a.office), is.Reference, refuse)
	if err != nil {
		if p := (*web.Problem)(nil); errors.As(err, &p) && p.Status == http.StatusRequestEntityTooLarge {
			w.Header().Set("Connection", "close") // the rest of the body is not wanted
		}
		return err
	}
	print, err := fingerprint(target, d.Form, d.Files)
	if err != nil {
		d.Close()
		return err
	}
	form := d.Form
	entry := commit.Entry{Client: c, Actor: actor, By: keyName(c), Key: key, Print: print, Drop: d, TraceParent: trace.From(ctx)}
	var done commit.Answer
	if refusal := a.known(ctx, form, actor.Role, is.MachineType); refusal != nil {
		done, err = a.writer.Before(ctx, entry, inFull(refusal, d, refuse))
		d.Close()
	} else {
		done, err = write(ctx, entry)
	}
	if err != nil {
		return a.refusal(ctx, err, c, form)
	}
	result = "accepted"
	if done.Replayed {
		result = "replayed"
		w.Header().Set("Idempotency-Replayed", "true")
	}
	var told commit.Accepted
	_ = json.Unmarshal(done.Body, &told) // of our own making
	zerolog.Ctx(ctx).Info().Str("request", told.ID).Str("ticket", told.Ticket).Bool("replayed", done.Replayed).
		Str("api_key", c.KeyID).Msg("drop taken")
	w.Header().Set("Location", done.Location)
	web.WriteJSON(w, r, done.Status, done.Body)
	return nil
}

// inFull adds to a refusal whatever else stands against the drop.
func inFull(refusal error, d *drop.Drop, more drop.More) error {
	p := (*web.Problem)(nil)
	if !errors.As(refusal, &p) {
		return refusal
	}
	faults, err := more(d, p.Errors)
	if err != nil {
		return err
	}
	return web.Unprocessable(p.Detail, faults...)
}

// keyName is how the audit names the software that has a key.
func keyName(c identity.Client) string { return "api-key:" + c.KeyID }

// known checks the form against the master data, before anything is written. The
// machine type has to be in use still, unless it is the one that the request to be
// corrected has had all along; empty for a new request.
func (a *API) known(ctx context.Context, f request.Form, role machine.Role, had string) error {
	if role == request.Dinas && f.Kind == request.KindReader {
		return web.Unprocessable("Ada isian yang perlu diperbaiki.", web.FieldError{
			Pointer: "/kind", Code: "not_for_dinas", Detail: "Dinas hanya dapat mengajukan SAM Rekam Cetak (rekam_cetak).",
		})
	}
	if _, ok := a.machineTypes.get(f.MachineType, a.machine.Now()); ok {
		return nil
	}
	m, err := institution.MachineTypeByCode(ctx, a.db, f.MachineType)
	if errors.Is(err, institution.ErrNotFound) {
		return unknownMachineType()
	}
	if err == nil && !m.Active {
		if f.MachineType == had {
			return nil
		}
		return web.Unprocessable("Ada isian yang perlu diperbaiki.", web.FieldError{
			Pointer: "/machine_type", Code: "inactive", Detail: "Jenis Mesin \"" + m.Name + "\" tidak lagi dipakai untuk permohonan baru.",
		})
	}
	if err == nil {
		a.machineTypes.put(f.MachineType, struct{}{}, a.machine.Now())
	}
	return err
}

func unknownMachineType() error {
	return web.Unprocessable("Ada isian yang perlu diperbaiki.", web.FieldError{
		Pointer: "/machine_type", Code: "unknown_value", Detail: "Jenis Mesin ini tidak ada dalam data induk.",
	})
}

// refusal is the answer to an error of the transaction, which left nothing.
func (a *API) refusal(ctx context.Context, err error, c identity.Client, f request.Form) error {
	var refused *need.RefusedError
	switch {
	case errors.Is(err, identity.ErrBadKey):
		return badKey()
	case errors.As(err, &refused):
		return web.Unprocessable("Ada baris yang permintaan lembaganya tidak dapat dimasukkan.", lineFaults(refused.Faults)...)
	case errors.Is(err, request.ErrUnknownMachineType):
		a.machineTypes.forget(f.MachineType)
		return unknownMachineType()
	case errors.Is(err, request.ErrReferenceUsed):
		detail := "No. Pengajuan \"" + f.Reference + "\" sudah dipakai"
		list, lerr := request.List(ctx, a.db, request.Filter{InstitutionID: c.InstitutionID, Search: f.Reference})
		if lerr == nil { // the ticket is a help, no more
			for _, one := range list {
				if one.Reference == f.Reference {
					detail += " oleh permohonan " + one.Ticket
				}
			}
		}
		p := web.Conflict(detail + ". Pakai nomor lain, atau ajukan kembali permohonan itu bila dikembalikan.").WithCode("reference-used")
		p.Errors = []web.FieldError{{Pointer: "/reference", Code: "used", Detail: "No. Pengajuan harus unik bagi tiap lembaga."}}
		return p
	}
	return err
}
