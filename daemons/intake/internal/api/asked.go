package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"

	"github.com/rs/zerolog"

	"dukcapil.go.id/sifilma/daemons/intake/internal/commit"
	"dukcapil.go.id/sifilma/daemons/intake/internal/drop"
	"dukcapil.go.id/sifilma/pkg/form"
	"dukcapil.go.id/sifilma/pkg/idempotency"
	"dukcapil.go.id/sifilma/pkg/identity"
	"dukcapil.go.id/sifilma/pkg/institution"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/need"
	"dukcapil.go.id/sifilma/pkg/trace"
	"dukcapil.go.id/sifilma/pkg/validation"
	"dukcapil.go.id/sifilma/pkg/web"
)

// submitNeed takes a lembaga's new request: 201 with its No. Permintaan.
func (a *API) submitNeed(w http.ResponseWriter, r *http.Request) error {
	return a.takeNeed(w, r, need.Submit, "POST /api/v1/needs", nil, a.writer.Need)
}

// correctNeed takes a correction under the same No. Permintaan: an edit while the
// produsen has not decided, or the resubmission of what it returned. target tells
// corrections of different kinds apart under one Idempotency-Key.
func (a *API) correctNeed(verb machine.Verb, target string) func(w http.ResponseWriter, r *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		v, err := a.loadNeed(r)
		if err != nil {
			return err
		}
		if _, err := side(client(r.Context()), verb); err != nil {
			return err
		}
		version, err := web.MatchVersion(r)
		if err != nil {
			return err
		}
		fixed := &need.Form{Reference: v.Reference, Produsen: v.Produsen}
		return a.takeNeed(w, r, verb, target+v.ID, fixed, func(ctx context.Context, e commit.Entry, asked commit.Asked) (commit.Answer, error) {
			return a.writer.CorrectNeed(ctx, e, asked, verb, v.Number, version)
		})
	}
}

func (a *API) takeNeed(w http.ResponseWriter, r *http.Request, verb machine.Verb, target string, fixed *need.Form,
	write func(context.Context, commit.Entry, commit.Asked) (commit.Answer, error)) (err error) {
	result := "need_refused"
	defer func() { a.counted.WithLabelValues(result).Inc() }()
	ctx, c := r.Context(), client(r.Context())
	actor, err := side(c, verb)
	if err != nil {
		return err
	}
	key, err := idempotency.Key(r)
	if err != nil {
		return err
	}
	d, err := a.drops.ReadNeed(ctx, r, fixed, func(n *drop.Need, faults []web.FieldError) ([]web.FieldError, error) {
		if slices.ContainsFunc([]string{"/list", "/quantity", "/machine_type"}, func(p string) bool { return has(faults, p) }) {
			n = &drop.Need{Form: n.Form, Drop: &drop.Drop{}} // there is nothing to hold the list against
		}
		_, refusal := a.knownNeed(ctx, n, fixed)
		return added(faults, refusal)
	})
	if err != nil {
		if p := (*web.Problem)(nil); errors.As(err, &p) && p.Status == http.StatusRequestEntityTooLarge {
			w.Header().Set("Connection", "close") // the rest of the body is not wanted
		}
		return err
	}
	asked := commit.Asked{Form: d.Form, DropList: d.DropList}
	print, err := printOfNeed(target, d, fixed)
	if err != nil {
		d.Close()
		return err
	}
	entry := commit.Entry{Client: c, Actor: actor, Key: key, Print: print, Drop: d.Drop, TraceParent: trace.From(ctx)}
	var done commit.Answer
	var refusal error
	if asked.Cards, refusal = a.knownNeed(ctx, d, fixed); refusal != nil {
		done, err = a.writer.Before(ctx, entry, refusal)
		d.Close()
	} else {
		done, err = write(ctx, entry, asked)
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

// printOfNeed is the hash of what a lembaga's request says. In a correction the
// produsen says nothing: it stays, however it is called by then.
func printOfNeed(target string, d *drop.Need, fixed *need.Form) ([]byte, error) {
	says := d.Form
	if fixed != nil {
		says.Produsen = ""
	}
	if d.DropList {
		target += " without its list"
	}
	return fingerprint(target, says, d.Files)
}

// knownNeed checks form and list against the master data, before anything is
// written, and returns the rows of the list. Only what is asked for the first time
// must still be in use; fixed is what a correction leaves as it is.
func (a *API) knownNeed(ctx context.Context, d *drop.Need, fixed *need.Form) (cards []need.Card, err error) {
	fresh := fixed == nil
	var faults []web.FieldError
	in, err := institution.ByName(ctx, a.db, d.Form.Produsen)
	if err != nil && !errors.Is(err, institution.ErrNotFound) {
		return nil, err
	}
	switch {
	case err != nil || in.Kind != institution.Produsen:
		faults = append(faults, unknownProdusen())
	case fresh && !in.Active:
		faults = append(faults, inactiveProdusen())
	case !fresh && in.Name != fixed.Produsen:
		faults = append(faults, web.FieldError{Pointer: "/produsen", Code: "fixed", Detail: "Produsen Dituju tidak dapat diubah. Ajukan permintaan baru bila perlu."})
	}
	m, err := institution.MachineTypeByCode(ctx, a.db, d.Form.MachineType)
	switch {
	case errors.Is(err, institution.ErrNotFound):
		faults = append(faults, web.FieldError{Pointer: "/machine_type", Code: "unknown_value", Detail: "Jenis Mesin ini tidak ada dalam data induk."})
	case err != nil:
		return nil, err
	case fresh && !m.Active:
		faults = append(faults, inactiveMachineType())
	}
	if list := d.List(); list != nil {
		var wrong form.Faults
		if cards, wrong, err = a.readNeedList(ctx, list, d.Form); err != nil {
			return nil, err
		}
		for _, f := range wrong {
			faults = append(faults, web.FieldError(f))
		}
	}
	if len(faults) > 0 {
		return nil, web.Unprocessable("Ada isian yang perlu diperbaiki.", faults...)
	}
	return cards, nil
}

func (a *API) readNeedList(ctx context.Context, list *drop.File, f need.Form) ([]need.Card, form.Faults, error) {
	select {
	case a.judging <- struct{}{}:
		defer func() { <-a.judging }()
	case <-ctx.Done():
		return nil, nil, ctx.Err()
	}
	return validation.NeedList(ctx, a.db, list.Content(), list.Size, f)
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
	var illegal *machine.IllegalError
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
	case errors.Is(err, need.ErrListDiffers):
		return web.Unprocessable("Ada isian yang perlu diperbaiki.", web.FieldError{Pointer: "/list", Code: "differs",
			Detail: "Daftar alat yang sekarang berbeda jumlah kartu atau Jenis Mesinnya. Lampirkan daftar yang baru, atau hapus yang sekarang dengan drop_list."})
	case errors.As(err, &illegal):
		return noStep(illegal)
	case errors.Is(err, need.ErrReferenceUsed):
		p := web.Conflict("No. Aktivasi \"" + f.Reference + "\" sudah dipakai. Pakai nomor lain, atau ajukan kembali permintaan itu bila dikembalikan.").
			WithCode("reference-used")
		p.Errors = []web.FieldError{{Pointer: "/reference", Code: "used", Detail: "No. Aktivasi harus unik bagi tiap lembaga."}}
		return p
	}
	return err
}
