package api

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/go-chi/chi/v5"
	"github.com/rs/zerolog"

	"dukcapil.go.id/sifilma/daemons/intake/internal/drop"
	"dukcapil.go.id/sifilma/pkg/audit"
	"dukcapil.go.id/sifilma/pkg/blob"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/identity"
	"dukcapil.go.id/sifilma/pkg/institution"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/pkg/trace"
	"dukcapil.go.id/sifilma/pkg/web"
)

var fileKinds = []string{request.FileLetter, request.FilePurchaseOrder, request.FilePKS, request.FileCardList}

// accepted is the body of a 202.
type accepted struct {
	ID         string `json:"id"`
	Ticket     string `json:"ticket"`
	StatusURL  string `json:"status_url"`
	Submission int    `json:"submission"`
}

func (a *API) accept(r request.Request) (answer, error) {
	path := "/api/v1/requests/" + r.Ticket
	body, err := json.Marshal(accepted{ID: r.ID, Ticket: r.Ticket, StatusURL: a.cfg.PublicURL + path, Submission: r.Submission})
	if err != nil {
		return answer{}, fmt.Errorf("intake: answer: %w", err)
	}
	return answer{Status: http.StatusAccepted, Location: path, Body: body}, nil
}

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
	return a.take(w, r, "POST /api/v1/requests", "", func(ctx context.Context, tx *postgres.Tx, d *drop.Drop, actor machine.Actor) (request.Request, error) {
		files, err := store(ctx, tx, d)
		if err != nil {
			return request.Request{}, err
		}
		return request.Create(ctx, tx, request.New{
			InstitutionID: client(ctx).InstitutionID, Form: d.Form, Files: files, Actor: actor, OfficeAt: a.office.Now(),
		})
	})
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
	return a.take(w, r, "resubmission of "+is.ID, is.Reference, func(ctx context.Context, tx *postgres.Tx, d *drop.Drop, actor machine.Actor) (request.Request, error) {
		now, err := request.Lock(ctx, tx, is.ID)
		if err != nil {
			return request.Request{}, err
		}
		if now.State != request.Returned {
			return request.Request{}, web.Conflict("Permohonan " + now.Ticket + " sedang berstatus \"" + request.Machine.Label(now.State) +
				"\"; pengajuan kembali hanya untuk permohonan yang dikembalikan.").WithCode("not-returned")
		}
		files, err := store(ctx, tx, d)
		if err != nil {
			return request.Request{}, err
		}
		return request.Correct(ctx, tx, now, d.Form, files, request.Change{Actor: actor, OfficeAt: a.office.Now()})
	})
}

type writing func(ctx context.Context, tx *postgres.Tx, d *drop.Drop, actor machine.Actor) (request.Request, error)

// take reads a drop and writes it: answer, files, request, timeline, audit and
// message in one transaction. Whoever asks again under the same Idempotency-Key
// hears the same answer.
func (a *API) take(w http.ResponseWriter, r *http.Request, target, fixedReference string, write writing) (err error) {
	result := "refused"
	defer func() { a.counted.WithLabelValues(result).Inc() }()
	ctx, c := r.Context(), client(r.Context())
	actor, err := applicant(c)
	if err != nil {
		return err
	}
	key, err := idempotencyKey(r)
	if err != nil {
		return err
	}
	d, err := a.drops.Read(ctx, r, clock.Today(a.office), fixedReference)
	if err != nil {
		if p := (*web.Problem)(nil); errors.As(err, &p) && p.Status == http.StatusRequestEntityTooLarge {
			w.Header().Set("Connection", "close") // the rest of the body is not wanted
		}
		return err
	}
	defer d.Close()
	if err := a.known(ctx, d.Form, actor.Role); err != nil {
		return err
	}
	print, err := fingerprint(target, d)
	if err != nil {
		return err
	}
	var done answer
	err = a.db.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		var err error
		done, err = once(ctx, tx, c.InstitutionID, key, print, func(ctx context.Context, tx *postgres.Tx) (answer, error) {
			is, err := write(ctx, tx, d, actor)
			if err != nil {
				return answer{}, err
			}
			if err := audit.Record(ctx, tx, receipt(c, is, d)); err != nil {
				return answer{}, err
			}
			return a.accept(is)
		})
		return err
	})
	if err != nil {
		return a.refusal(ctx, err, c, d.Form)
	}
	result = "accepted"
	if done.replayed {
		result = "replayed"
	}
	var told accepted
	_ = json.Unmarshal(done.Body, &told) // of our own making
	zerolog.Ctx(ctx).Info().Str("request", told.ID).Str("ticket", told.Ticket).Bool("replayed", done.replayed).
		Str("api_key", c.KeyID).Msg("drop taken")
	done.write(w, r)
	return nil
}

// known checks the form against the master data, before anything is written.
func (a *API) known(ctx context.Context, f request.Form, role machine.Role) error {
	if role == request.Dinas && f.Kind == request.KindReader {
		return web.Unprocessable("Ada isian yang perlu diperbaiki.", web.FieldError{
			Pointer: "/kind", Code: "not_for_dinas", Detail: "Dinas hanya dapat mengajukan SAM Rekam Cetak (rekam_cetak).",
		})
	}
	_, err := institution.MachineTypeByCode(ctx, a.db, f.MachineType)
	if errors.Is(err, institution.ErrNotFound) {
		return unknownMachineType()
	}
	return err
}

func unknownMachineType() error {
	return web.Unprocessable("Ada isian yang perlu diperbaiki.", web.FieldError{
		Pointer: "/machine_type", Code: "unknown_value", Detail: "Jenis Mesin ini tidak ada dalam data induk.",
	})
}

// store puts the files of a drop away, in the caller's transaction.
func store(ctx context.Context, tx *postgres.Tx, d *drop.Drop) ([]request.File, error) {
	var files []request.File
	for _, f := range d.Files {
		ref, err := blob.Put(ctx, tx, f.Name, f.MediaType, f.Content())
		if err != nil {
			return nil, fmt.Errorf("intake: storing %s: %w", f.Kind, err)
		}
		if ref.SHA256 != f.SHA256 {
			return nil, fmt.Errorf("intake: %s changed in the spool", f.Kind)
		}
		files = append(files, request.File{Kind: f.Kind, BlobID: ref.ID.String(), Name: f.Name})
	}
	return files, nil
}

// receipt is the audit row of a drop.
func receipt(c identity.Client, r request.Request, d *drop.Drop) audit.Entry {
	hashes := map[string]any{}
	for i, f := range d.Files {
		hashes[fmt.Sprintf("%02d %s", i+1, f.Kind)] = hex.EncodeToString(f.SHA256[:])
	}
	action := "request.submit"
	if r.Submission > 1 {
		action = "request.resubmit"
	}
	return audit.Entry{
		Actor: "api-key:" + c.KeyID, Action: action, Subject: r.ID, Request: r.ID,
		Detail: map[string]any{"ticket": r.Ticket, "reference": r.Reference, "submission": r.Submission, "files_sha256": hashes},
	}
}

// refusal is the answer to an error of the transaction, which left nothing.
func (a *API) refusal(ctx context.Context, err error, c identity.Client, f request.Form) error {
	switch {
	case errors.Is(err, request.ErrUnknownMachineType):
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

func noSuchTicket() *web.Problem {
	return web.NotFound("Tidak ada permohonan dengan Kode Tiket ini pada lembaga Anda.")
}
