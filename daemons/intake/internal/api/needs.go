package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"

	"github.com/go-chi/chi/v5"
	"github.com/rs/zerolog"

	"dukcapil.go.id/sifilma/daemons/intake/internal/commit"
	"dukcapil.go.id/sifilma/daemons/intake/internal/drop"
	"dukcapil.go.id/sifilma/pkg/audit"
	"dukcapil.go.id/sifilma/pkg/identity"
	"dukcapil.go.id/sifilma/pkg/institution"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/need"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/report"
	"dukcapil.go.id/sifilma/pkg/trace"
	"dukcapil.go.id/sifilma/pkg/web"
)

// needVerbs are the sub-resources that move a lembaga's request.
var needVerbs = map[string]machine.Verb{
	"approval": need.Approve, "return": need.Return, "rejection": need.Reject, "cancellation": need.Cancel,
}

func noSuchNeed() *web.Problem {
	return web.NotFound("Tidak ada permintaan dengan No. Permintaan ini dari atau kepada lembaga Anda.")
}

// side is the client as one of the two sides of a need, or a problem.
func side(c identity.Client, verb machine.Verb) (machine.Actor, error) {
	role := machine.Role(c.Kind)
	for _, s := range need.Machine.Steps {
		for _, r := range s.Roles {
			if s.Verb == verb && r == role {
				return machine.Actor{Name: c.Institution, Role: role}, nil
			}
		}
	}
	return machine.Actor{}, web.Forbidden("Langkah “" + need.Machine.VerbLabel(verb) + "” bukan untuk lembaga Anda pada permintaan personalisasi.").WithCode("not-your-side")
}

func (a *API) listNeeds(w http.ResponseWriter, r *http.Request) error {
	q, bad := report.ParseNeedQuery(r.URL.Query())
	if len(bad) > 0 {
		return badQuery(bad)
	}
	page, err := report.Needs(r.Context(), a.db, client(r.Context()).Account(), q)
	if err != nil {
		return err
	}
	web.SetNext(w, r, page.Next)
	web.WriteJSON(w, r, http.StatusOK, page)
	return nil
}

// loadNeed reads the need of the address; those that the client is no side of are
// not there.
func (a *API) loadNeed(r *http.Request) (*report.Need, error) {
	v, err := report.LoadNeed(r.Context(), a.db, chi.URLParam(r, "number"), client(r.Context()).Account())
	if errors.Is(err, report.ErrNotFound) {
		return nil, noSuchNeed()
	}
	return v, err
}

func (a *API) showNeed(w http.ResponseWriter, r *http.Request) error {
	v, err := a.loadNeed(r)
	if err != nil {
		return err
	}
	web.SetVersion(w, v.Version)
	web.WriteJSON(w, r, http.StatusOK, v)
	return nil
}

func (a *API) needFile(w http.ResponseWriter, r *http.Request) error {
	v, err := a.loadNeed(r)
	if err != nil {
		return err
	}
	return a.sendFile(w, r, v.Files, noSuchNeedFile())
}

func noSuchNeedFile() *web.Problem {
	return web.NotFound("Berkas ini tidak ada pada pengajuan terakhir permintaan ini.")
}

// submitNeed takes a lembaga's new request: 201 with its No. Permintaan.
func (a *API) submitNeed(w http.ResponseWriter, r *http.Request) error {
	return a.takeNeed(w, r, need.Submit, "POST /api/v1/needs", nil, func(ctx context.Context, e commit.Entry, f need.Form) (commit.Answer, error) {
		return a.writer.Need(ctx, e, f)
	})
}

// resubmitNeed takes the correction of one that the produsen returned, under the
// same No. Permintaan.
func (a *API) resubmitNeed(w http.ResponseWriter, r *http.Request) error {
	v, err := a.loadNeed(r)
	if err != nil {
		return err
	}
	if _, err := side(client(r.Context()), need.Resubmit); err != nil {
		return err
	}
	version, err := web.MatchVersion(r)
	if err != nil {
		return err
	}
	fixed := &need.Form{Reference: v.Reference, Produsen: v.Produsen}
	return a.takeNeed(w, r, need.Resubmit, "resubmission of "+v.ID, fixed, func(ctx context.Context, e commit.Entry, f need.Form) (commit.Answer, error) {
		return a.writer.CorrectNeed(ctx, e, f, v.Number, version)
	})
}

func (a *API) takeNeed(w http.ResponseWriter, r *http.Request, verb machine.Verb, target string, fixed *need.Form,
	write func(context.Context, commit.Entry, need.Form) (commit.Answer, error)) (err error) {
	result := "need_refused"
	defer func() { a.counted.WithLabelValues(result).Inc() }()
	ctx, c := r.Context(), client(r.Context())
	actor, err := side(c, verb)
	if err != nil {
		return err
	}
	key, err := idempotencyKey(r)
	if err != nil {
		return err
	}
	d, err := a.drops.ReadNeed(ctx, r, fixed, func(n *drop.Need, faults []web.FieldError) ([]web.FieldError, error) {
		return added(faults, a.knownNeed(ctx, n.Form, fixed == nil))
	})
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
	entry := commit.Entry{Client: c, Actor: actor, Key: key, Print: print, Drop: d.Drop, TraceParent: trace.From(ctx)}
	var done commit.Answer
	if refusal := a.knownNeed(ctx, d.Form, fixed == nil); refusal != nil {
		done, err = a.writer.Before(ctx, entry, refusal)
		d.Close()
	} else {
		done, err = write(ctx, entry, d.Form)
	}
	if err != nil {
		return needRefusal(err, d.Form)
	}
	result = "need_accepted"
	if done.Replayed {
		result = "need_replayed"
		w.Header().Set("Idempotency-Replayed", "true")
	}
	var told commit.Taken
	_ = json.Unmarshal(done.Body, &told) // of our own making
	zerolog.Ctx(ctx).Info().Str("need", told.ID).Str("number", told.Number).Bool("replayed", done.Replayed).Str("api_key", c.KeyID).Msg("need taken")
	w.Header().Set("Location", done.Location)
	web.WriteJSON(w, r, done.Status, done.Body)
	return nil
}

// knownNeed checks the form against the master data, before anything is written.
// Only what is asked for the first time must still be in use.
func (a *API) knownNeed(ctx context.Context, f need.Form, fresh bool) error {
	var faults []web.FieldError
	in, err := institution.ByName(ctx, a.db, f.Produsen)
	if err != nil && !errors.Is(err, institution.ErrNotFound) {
		return err
	}
	switch {
	case err != nil || in.Kind != institution.Produsen:
		faults = append(faults, unknownProdusen())
	case fresh && !in.Active:
		faults = append(faults, inactiveProdusen())
	}
	m, err := institution.MachineTypeByCode(ctx, a.db, f.MachineType)
	switch {
	case errors.Is(err, institution.ErrNotFound):
		faults = append(faults, web.FieldError{Pointer: "/machine_type", Code: "unknown_value", Detail: "Jenis Mesin ini tidak ada dalam data induk."})
	case err != nil:
		return err
	case fresh && !m.Active:
		faults = append(faults, inactiveMachineType())
	}
	if len(faults) > 0 {
		return web.Unprocessable("Ada isian yang perlu diperbaiki.", faults...)
	}
	return nil
}

func unknownProdusen() web.FieldError {
	return web.FieldError{Pointer: "/produsen", Code: "unknown_value", Detail: "Tidak ada produsen dengan nama ini. Tulis nama lengkapnya sebagaimana terdaftar."}
}

func inactiveProdusen() web.FieldError {
	return web.FieldError{Pointer: "/produsen", Code: "inactive", Detail: "Produsen ini tidak lagi menerima permintaan. Pilih produsen lain."}
}

func inactiveMachineType() web.FieldError {
	return web.FieldError{Pointer: "/machine_type", Code: "inactive", Detail: "Jenis Mesin ini tidak lagi dipakai untuk permintaan baru."}
}

// needRefusal is the answer to an error of the transaction, which left nothing.
func needRefusal(err error, f need.Form) error {
	switch {
	case errors.Is(err, identity.ErrBadKey):
		return badKey()
	case errors.Is(err, need.ErrNotFound):
		return noSuchNeed()
	case errors.Is(err, need.ErrUnknownMachineType):
		return unknownMachineType()
	case errors.Is(err, need.ErrUnknownProdusen):
		return web.Unprocessable("Ada isian yang perlu diperbaiki.", unknownProdusen())
	case errors.Is(err, need.ErrInactiveMachineType):
		return web.Unprocessable("Ada isian yang perlu diperbaiki.", inactiveMachineType())
	case errors.Is(err, need.ErrInactiveProdusen):
		return web.Unprocessable("Ada isian yang perlu diperbaiki.", inactiveProdusen())
	case errors.Is(err, need.ErrReferenceUsed):
		p := web.Conflict("No. Aktivasi \"" + f.Reference + "\" sudah dipakai. Pakai nomor lain, atau ajukan kembali permintaan itu bila dikembalikan.").
			WithCode("reference-used")
		p.Errors = []web.FieldError{{Pointer: "/reference", Code: "used", Detail: "No. Aktivasi harus unik bagi tiap lembaga."}}
		return p
	}
	return err
}

// moveNeed answers a verb of one of the two sides: If-Match, one transaction, and
// the need as it then stands.
func (a *API) moveNeed(verb machine.Verb) func(w http.ResponseWriter, r *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		ctx, c := r.Context(), client(r.Context())
		v, err := a.loadNeed(r)
		if err != nil {
			return err
		}
		actor, err := side(c, verb)
		if err != nil {
			return err
		}
		version, err := web.MatchVersion(r)
		if err != nil {
			return err
		}
		reason, err := readReason(r)
		if err != nil {
			return err
		}
		err = a.db.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
			now, err := need.Lock(ctx, tx, v.Number, c.InstitutionID)
			if err != nil {
				return err
			}
			if now.Version != version {
				return web.PreconditionFailed("Permintaan ini sudah berubah sejak Anda membacanya. Baca kembali, periksa, lalu ulangi.")
			}
			next, err := need.Take(ctx, tx, now, verb, need.Change{Actor: actor, Reason: reason, OfficeAt: a.office.Now()})
			if illegal := (*machine.IllegalError)(nil); errors.As(err, &illegal) {
				return web.Conflict("Permintaan " + now.Number + " sedang berstatus “" + need.Machine.Label(now.State) + "”; langkah “" +
					need.Machine.VerbLabel(verb) + "” tidak dapat dilakukan sekarang.").WithCode("illegal-step")
			}
			if errors.Is(err, need.ErrReasonMissing) {
				return web.Unprocessable("Alasan wajib diisi.", web.FieldError{Pointer: "/reason", Code: "missing", Detail: "Alasan wajib diisi."})
			}
			if err != nil {
				return err
			}
			return audit.Record(ctx, tx, audit.Entry{
				Actor: "api-key:" + c.KeyID, Action: "need." + string(verb), Subject: now.ID,
				Detail: map[string]any{"number": now.Number, "from": now.State, "to": next.State, "version": next.Version, "reason": reason},
			})
		})
		if err != nil {
			return err
		}
		return a.showNeed(w, r)
	}
}

// lineFaults words why lines cannot have the needs that they name.
func lineFaults(faults []need.Fault) []web.FieldError {
	var errs []web.FieldError
	for _, f := range faults {
		what := lineFault[f.Code]
		errs = append(errs, web.FieldError{Pointer: "/lines/" + strconv.Itoa(f.Line) + "/" + what.field, Code: f.Code, Detail: what.detail})
	}
	return errs
}

var lineFault = map[string]struct{ field, detail string }{
	need.FaultUnknown: {"need", "Tidak ada permintaan lembaga dengan No. Permintaan ini yang ditujukan kepada Anda."},
	need.FaultRepeat:  {"need", "Permintaan ini sudah disebut pada baris lain. Sebut tiap permintaan satu kali."},
	need.FaultState:   {"need", "Permintaan ini tidak berstatus disetujui. Setujui lebih dahulu, atau hapus barisnya bila lembaga membatalkannya."},
	need.FaultBundled: {"need", "Permintaan ini sudah masuk permohonan lain. Hapus barisnya, atau batalkan permohonan itu lebih dahulu."},
	need.FaultMachine: {"need", "Jenis Mesin permintaan ini berbeda dari Jenis Mesin permohonan. Ajukan dalam permohonan lain."},
	need.FaultLembaga: {"lembaga", "Nama lembaga berbeda dari lembaga yang membuat permintaan ini. Tulis nama yang sama."},
	need.FaultTooMany: {"quantity", "Jumlah kartu melebihi yang diminta lembaga. Isi paling banyak sejumlah permintaannya."},
	need.FaultBusy:    {"need", "Permintaan ini sedang diubah. Kirim ulang beberapa saat lagi."},
}
