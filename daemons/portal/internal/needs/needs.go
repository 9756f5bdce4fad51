// Package needs is what people do with a lembaga's request, by API and by page:
// each a transaction of the office's function and its audit row.
package needs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"dukcapil.go.id/sifilma/daemons/portal/internal/upload"
	"dukcapil.go.id/sifilma/pkg/audit"
	"dukcapil.go.id/sifilma/pkg/blob"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/idempotency"
	"dukcapil.go.id/sifilma/pkg/identity"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/need"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/report"
	"dukcapil.go.id/sifilma/pkg/web"
)

// Verbs are those that need no files, by the last part of their address.
var Verbs = map[string]machine.Verb{
	"approval": need.Approve, "return": need.Return, "rejection": need.Reject, "cancellation": need.Cancel,
}

// Fields of the form of a new need, beside its two files.
var Fields = []string{"reference", "produsen", "title", "quantity", "machine_type", "remarks"}

// dropList is a field of corrections: the present list goes.
const dropList = "drop_list"

// CorrectionFields are those of a need's correction.
var CorrectionFields = append([]string{dropList}, Fields...)

// Desk does it.
type Desk struct {
	DB     *postgres.DB
	Office clock.Office
	Spool  *upload.Spool
}

// May says whether an account is of a side that has a verb at all: nil or a
// *machine.RoleError.
func May(a identity.Account, verb machine.Verb) error { return need.Machine.MayEver(verb, a.Role) }

// Take moves the need with this number, as the account saw it in this version.
// Errors: need.ErrNotFound, postgres.ErrStale, and those of need.Take.
func (d Desk) Take(ctx context.Context, a identity.Account, number string, verb machine.Verb, version int64, reason string) error {
	c := d.change(a, reason)
	return d.DB.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		now, err := need.Lock(ctx, tx, number, report.Scope(a))
		if err != nil {
			return err
		}
		if now.Version != version {
			return postgres.ErrStale
		}
		next, err := need.Take(ctx, tx, now, verb, c)
		if err != nil {
			return err
		}
		return audit.Record(ctx, tx, audit.Entry{
			Actor: a.Username, Action: "need." + string(verb), Subject: now.ID,
			Detail: map[string]any{"number": now.Number, "from": now.State, "to": next.State, "version": next.Version, "reason": c.Reason},
		})
	})
}

func (d Desk) change(a identity.Account, reason string) need.Change {
	return need.Change{Actor: a.Actor(), Reason: strings.TrimSpace(reason), OfficeAt: d.Office.Now()}
}

// Submit writes a lembaga's new need, and answers with it as the account sees it:
// again with the same answer when the same comes again under the same key. Errors:
// *machine.RoleError, a *web.Problem that names each fault or tells of the key,
// need.ErrReferenceUsed.
func (d Desk) Submit(ctx context.Context, a identity.Account, p *upload.Parcel, key string) (idempotency.Answer, error) {
	if err := May(a, need.Submit); err != nil {
		return idempotency.Answer{}, err
	}
	f, cards, err := d.read(ctx, p, false)
	if err != nil {
		return idempotency.Answer{}, err
	}
	call := idempotency.Call{Client: a.ID, Key: key}
	if call.Print, err = idempotency.Print("POST /api/v1/needs", f, prints(p)...); err != nil {
		return idempotency.Answer{}, err
	}
	done, err := idempotency.InTx(ctx, d.DB, clock.Real(), call, func(ctx context.Context, tx *postgres.Tx) (idempotency.Answer, error) {
		made, err := d.write(ctx, tx, a, p, cards, need.Submit, func(files []need.File, c need.Change) (need.Need, error) {
			return need.Create(ctx, tx, report.Scope(a), f, files, c)
		})
		if err != nil {
			return idempotency.Answer{}, err
		}
		return answer(ctx, tx, a, made)
	})
	return done, worded(err)
}

// answer is a new need as its maker sees it.
func answer(ctx context.Context, tx *postgres.Tx, a identity.Account, made need.Need) (idempotency.Answer, error) {
	v, err := report.SeeNeed(ctx, tx, made.Number, a)
	if err != nil {
		return idempotency.Answer{}, err
	}
	body, err := json.Marshal(v)
	if err != nil {
		return idempotency.Answer{}, fmt.Errorf("needs: answer: %w", err)
	}
	return idempotency.Answer{Status: http.StatusCreated, Location: "/api/v1/needs/" + made.Number, Body: body}, nil
}

// prints are the files of a parcel as its key remembers them.
func prints(p *upload.Parcel) (all []idempotency.File) {
	for _, kind := range []string{need.FileLetter, need.FileList} {
		if f := p.Files[kind]; f != nil {
			all = append(all, idempotency.File{Kind: kind, SHA256: f.SHA256})
		}
	}
	return all
}

// Correct writes a correction of a need, as the account saw it in this version, by
// need.Edit or need.Resubmit. Errors: those of Submit, need.ErrNotFound,
// *machine.IllegalError, postgres.ErrStale.
func (d Desk) Correct(ctx context.Context, a identity.Account, number string, verb machine.Verb, version int64, p *upload.Parcel) (need.Need, error) {
	if err := May(a, verb); err != nil {
		return need.Need{}, err
	}
	f, cards, err := d.read(ctx, p, true)
	if err != nil {
		return need.Need{}, err
	}
	var made need.Need
	err = d.DB.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) (err error) {
		made, err = d.write(ctx, tx, a, p, cards, verb, func(files []need.File, c need.Change) (need.Need, error) {
			now, err := need.Lock(ctx, tx, number, report.Scope(a))
			if err != nil {
				return need.Need{}, err
			}
			if now.Version != version {
				return need.Need{}, postgres.ErrStale
			}
			return need.Correct(ctx, tx, now, verb, need.Correction{Form: f, Files: files, DropList: p.Fields[dropList] == "true"}, c)
		})
		return err
	})
	return made, worded(err)
}

// write puts the files of a parcel away, has do write what they belong to, and puts
// it on record.
func (d Desk) write(ctx context.Context, tx *postgres.Tx, a identity.Account, p *upload.Parcel, cards []need.Card, verb machine.Verb,
	do func([]need.File, need.Change) (need.Need, error)) (need.Need, error) {
	var files []need.File
	hashes := map[string]any{}
	for _, kind := range []string{need.FileLetter, need.FileList} {
		f := p.Files[kind]
		if f == nil {
			continue
		}
		ref, err := blob.Put(ctx, tx, f.Name, f.MediaType, f.Content())
		if err != nil {
			return need.Need{}, err
		}
		file := need.File{Kind: kind, BlobID: ref.ID.String(), Name: f.Name}
		if kind == need.FileList {
			file.Cards = cards
		}
		files = append(files, file)
		hashes[kind] = ref.Hash()
	}
	made, err := do(files, d.change(a, ""))
	if err != nil {
		return need.Need{}, err
	}
	return made, audit.Record(ctx, tx, audit.Entry{
		Actor: a.Username, Action: "need." + string(verb), Subject: made.ID, Detail: map[string]any{
			"number": made.Number, "reference": made.Reference, "submission": made.Submission, "files_sha256": hashes,
		},
	})
}

// worded names the field of an error of need's.
func worded(err error) error {
	switch {
	case errors.Is(err, need.ErrUnknownProdusen):
		return faults(web.FieldError{Pointer: "/produsen", Code: "unknown_value", Detail: "Tidak ada produsen dengan nama ini."})
	case errors.Is(err, need.ErrUnknownMachineType):
		return faults(web.FieldError{Pointer: "/machine_type", Code: "unknown_value", Detail: "Jenis Mesin ini tidak ada dalam data induk."})
	case errors.Is(err, need.ErrListDiffers):
		return faults(web.FieldError{Pointer: "/list", Code: "differs",
			Detail: "Daftar alat yang sekarang berbeda jumlah kartu atau Jenis Mesinnya. Lampirkan daftar yang baru, atau hapus yang sekarang."})
	case errors.Is(err, need.ErrInactiveProdusen):
		return faults(web.FieldError{Pointer: "/produsen", Code: "inactive", Detail: "Produsen ini tidak lagi menerima permintaan. Pilih produsen lain."})
	case errors.Is(err, need.ErrInactiveMachineType):
		return faults(web.FieldError{Pointer: "/machine_type", Code: "inactive", Detail: "Jenis Mesin ini tidak lagi dipakai untuk permintaan baru."})
	}
	return err
}

func faults(list ...web.FieldError) error {
	return web.Unprocessable("Ada isian yang perlu diperbaiki.", list...)
}
