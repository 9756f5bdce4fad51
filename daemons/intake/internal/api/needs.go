package api

import (
	"context"
	"errors"
	"net/http"
	"strconv"

	"github.com/go-chi/chi/v5"

	"dukcapil.go.id/sifilma/pkg/audit"
	"dukcapil.go.id/sifilma/pkg/identity"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/need"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/report"
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

// needCards answers with rows of the list that came with a need.
func (a *API) needCards(w http.ResponseWriter, r *http.Request) error {
	q, bad := report.ParseCardsQuery(r.URL.Query())
	if len(bad) > 0 {
		return badQuery(bad)
	}
	page, err := report.ListNeedCards(r.Context(), a.db, chi.URLParam(r, "number"), client(r.Context()).Account(), q)
	if errors.Is(err, report.ErrNotFound) {
		return noSuchNeed()
	}
	if err != nil {
		return err
	}
	web.SetNext(w, r, page.Next)
	web.WriteJSON(w, r, http.StatusOK, page)
	return nil
}

func noSuchNeedFile() *web.Problem {
	return web.NotFound("Berkas ini tidak ada pada pengajuan terakhir permintaan ini.")
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
				return noStep(illegal)
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

// noStep is the answer to a verb that the state of a need does not have.
func noStep(e *machine.IllegalError) error {
	return web.Conflict("Permintaan ini sedang berstatus “" + need.Machine.Label(e.From) + "”; langkah “" +
		need.Machine.VerbLabel(e.Verb) + "” tidak dapat dilakukan sekarang.").WithCode("illegal-step")
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
