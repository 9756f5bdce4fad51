package api

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/go-chi/chi/v5"
	"github.com/google/uuid"
	"github.com/rs/zerolog"

	"dukcapil.go.id/sifilma/pkg/audit"
	"dukcapil.go.id/sifilma/pkg/blob"
	"dukcapil.go.id/sifilma/pkg/cardlist"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/report"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/pkg/trace"
	"dukcapil.go.id/sifilma/pkg/web"
)

func noSuchTicket() *web.Problem {
	return web.NotFound("Tidak ada permohonan dengan Kode Tiket ini pada lembaga Anda.")
}

// list answers with the client's own requests, newest first.
func (a *API) list(w http.ResponseWriter, r *http.Request) error {
	q, bad := report.ParseQuery(r.URL.Query())
	if len(bad) > 0 {
		return badQuery(bad)
	}
	page, err := report.List(r.Context(), a.db, client(r.Context()).Account(), q)
	if err != nil {
		return err
	}
	web.SetNext(w, r, page.Next)
	web.WriteJSON(w, r, http.StatusOK, page)
	return nil
}

func badQuery(bad []report.BadParameter) error {
	faults := make([]web.FieldError, len(bad))
	for i, p := range bad {
		faults[i] = web.FieldError{Pointer: "/" + p.Name, Code: p.Code, Detail: p.Detail}
	}
	return web.BadRequest("Parameter pada alamat tidak benar.", faults...)
}

// load reads the request of the address; others than the client's own are not
// there.
func (a *API) load(r *http.Request) (*report.Request, error) {
	v, err := report.Load(r.Context(), a.db, chi.URLParam(r, "ticket"), client(r.Context()).Account(), a.office.Now())
	if errors.Is(err, report.ErrNotFound) {
		return nil, noSuchTicket()
	}
	return v, err
}

func (a *API) show(w http.ResponseWriter, r *http.Request) error {
	v, err := a.load(r)
	if err != nil {
		return err
	}
	web.SetVersion(w, v.Version)
	web.WriteJSON(w, r, http.StatusOK, v)
	return nil
}

// history answers with the timeline alone, newest first.
func (a *API) history(w http.ResponseWriter, r *http.Request) error {
	v, err := a.load(r)
	if err != nil {
		return err
	}
	web.SetVersion(w, v.Version)
	web.WriteJSON(w, r, http.StatusOK, map[string]any{"timeline": v.Timeline})
	return nil
}

func (a *API) cards(w http.ResponseWriter, r *http.Request) error {
	sheet, err := report.Cards(r.Context(), a.db, chi.URLParam(r, "ticket"), client(r.Context()).Account())
	if errors.Is(err, report.ErrNotFound) {
		return noSuchTicket()
	}
	if err != nil {
		return err
	}
	web.WriteJSON(w, r, http.StatusOK, sheet)
	return nil
}

// chip answers with the life of the client's own chip that any of its numbers leads to.
func (a *API) chip(w http.ResponseWriter, r *http.Request) error {
	found, err := report.Chips(r.Context(), a.db, web.PathText(r, "key"), client(r.Context()).Account(), clock.DateOf(a.office.Now()))
	if errors.Is(err, report.ErrNotFound) {
		return web.NotFound(report.NoChip)
	}
	if err != nil {
		return err
	}
	web.WriteJSON(w, r, http.StatusOK, found)
	return nil
}

// file sends a file of the newest submission back.
func (a *API) file(w http.ResponseWriter, r *http.Request) error {
	v, err := a.load(r)
	if err != nil {
		return err
	}
	return a.sendFile(w, r, v.Files, noSuchFile())
}

// sendFile sends the file of the address if it is one of these.
func (a *API) sendFile(w http.ResponseWriter, r *http.Request, files []report.File, missing *web.Problem) error {
	id, err := uuid.Parse(chi.URLParam(r, "id"))
	if err != nil {
		return missing
	}
	i := slices.IndexFunc(files, func(f report.File) bool { return f.ID == id.String() })
	if i < 0 {
		return missing
	}
	content, info, err := blob.Open(r.Context(), a.db, id)
	if err != nil {
		return err
	}
	defer func() { _ = content.Close() }()
	web.Send(w, r, web.Download{Name: files[i].Name, MediaType: info.MediaType, Size: info.Size, ETag: info.Hash(), Content: content})
	return nil
}

func noSuchFile() *web.Problem {
	return web.NotFound("Berkas ini tidak ada pada pengajuan terakhir permohonan ini.")
}

const maxReason = 2000 // characters

// cancel takes a request back before the Dirjen has decided.
func (a *API) cancel(w http.ResponseWriter, r *http.Request) error {
	ctx, c := r.Context(), client(r.Context())
	actor, err := applicant(c)
	if err != nil {
		return err
	}
	v, err := a.load(r)
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
		now, err := request.Lock(ctx, tx, v.ID)
		if err != nil {
			return err
		}
		if now.Version != version {
			return stale()
		}
		next, err := request.Take(ctx, tx, now, request.Cancel, request.Change{Actor: actor, Reason: reason, OfficeAt: a.office.Now()})
		if illegal := (*machine.IllegalError)(nil); errors.As(err, &illegal) {
			return web.Conflict("Permohonan " + now.Ticket + " sedang berstatus \"" + request.Machine.Label(now.State) +
				"\" dan tidak dapat lagi dibatalkan.").WithCode("illegal-step")
		}
		if err != nil {
			return err
		}
		if err := cardlist.Free(ctx, tx, now.ID); err != nil {
			return err
		}
		return audit.Record(ctx, tx, audit.Entry{
			Actor: keyName(c), Action: "request.cancel", Subject: now.ID, Request: now.ID,
			Detail: map[string]any{"from": now.State, "version": next.Version, "reason": reason},
		})
	})
	if err != nil {
		return err
	}
	zerolog.Ctx(ctx).Info().Ctx(trace.ContextWith(ctx, trace.From(ctx))).Str("request", v.ID).Str("ticket", v.Ticket).Str("api_key", c.KeyID).Msg("request cancelled")
	return a.show(w, r)
}

// readReason reads the reason of a verb; no body at all is none.
func readReason(r *http.Request) (string, error) {
	var in struct {
		Reason string `json:"reason"`
	}
	if r.ContentLength != 0 || r.Header.Get("Content-Type") != "" {
		if err := web.DecodeJSON(r, &in); err != nil {
			return "", err
		}
	}
	if len([]rune(in.Reason)) > maxReason {
		return "", web.Unprocessable("Alasan terlalu panjang.", web.FieldError{
			Pointer: "/reason", Code: "too_long", Detail: "Alasan paling panjang 2.000 huruf.",
		})
	}
	return strings.TrimSpace(in.Reason), nil
}

func stale() error {
	return web.PreconditionFailed("Permohonan ini sudah berubah sejak Anda membacanya. Baca kembali, periksa, lalu ulangi.")
}
