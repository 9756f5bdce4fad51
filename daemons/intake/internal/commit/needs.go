package commit

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"

	"dukcapil.go.id/sifilma/pkg/audit"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/need"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/web"
)

// Taken is the body of the answer to a lembaga's request.
type Taken struct {
	ID         string `json:"id"`
	Number     string `json:"number"`
	StatusURL  string `json:"status_url"`
	Submission int    `json:"submission"`
}

// references of needs are apart from those of requests.
const needReference = "need "

// Asked is a lembaga's request as it was read: its form, and the rows of its list.
type Asked struct {
	Form     need.Form
	Cards    []need.Card
	DropList bool // a corrected request's present list goes
}

// Need writes a lembaga's new request and closes the drop. Errors: those of Submit,
// need.ErrReferenceUsed, need.ErrUnknownMachineType, need.ErrInactiveMachineType,
// need.ErrUnknownProdusen, need.ErrInactiveProdusen.
func (w *Writer) Need(ctx context.Context, e Entry, a Asked) (Answer, error) {
	return w.need(ctx, e, a, need.Submit, func(ctx context.Context, tx *postgres.Tx, files []need.File, c need.Change) (need.Need, error) {
		return need.Create(ctx, tx, e.Client.InstitutionID, a.Form, files, c)
	})
}

// CorrectNeed writes a correction of a lembaga's request by need.Edit or
// need.Resubmit, as the client saw it in this version, and closes the drop. Errors:
// those of Need, need.ErrListDiffers, *machine.IllegalError, or a *web.Problem when
// it is not returned or has another version.
func (w *Writer) CorrectNeed(ctx context.Context, e Entry, a Asked, verb machine.Verb, number string, version int64) (Answer, error) {
	return w.need(ctx, e, a, verb, func(ctx context.Context, tx *postgres.Tx, files []need.File, c need.Change) (need.Need, error) {
		now, err := need.Lock(ctx, tx, number, e.Client.InstitutionID)
		if err != nil {
			return need.Need{}, err
		}
		if verb == need.Resubmit && now.State != need.Returned {
			return need.Need{}, NeedNotReturned(now)
		}
		if now.Version != version {
			return need.Need{}, web.PreconditionFailed("Permintaan " + now.Number + " sudah berubah sejak Anda membacanya. Baca kembali, lalu kirim ulang.")
		}
		return need.Correct(ctx, tx, now, verb, need.Correction{Form: a.Form, Files: files, DropList: a.DropList}, c)
	})
}

// NeedNotReturned is the answer to a correction of a need that nobody has returned.
func NeedNotReturned(n need.Need) error {
	return web.Conflict("Permintaan " + n.Number + " sedang berstatus \"" + need.Machine.Label(n.State) +
		"\"; pengajuan kembali hanya untuk permintaan yang dikembalikan.").WithCode("not-returned")
}

func (w *Writer) need(ctx context.Context, e Entry, a Asked, verb machine.Verb,
	write func(context.Context, *postgres.Tx, []need.File, need.Change) (need.Need, error)) (Answer, error) {
	defer e.Drop.Close()
	e.Drop.Form.Reference = needReference + a.Form.Reference
	return w.alone(ctx, e, func(ctx context.Context, tx *postgres.Tx) (Answer, error) {
		stored, err := store(ctx, tx, e)
		if err != nil {
			return Answer{}, err
		}
		files := make([]need.File, len(stored))
		hashes := map[string]any{}
		for i, s := range stored {
			files[i] = need.File{Kind: s.Kind, BlobID: s.BlobID, Name: s.Name}
			if s.Kind == need.FileList {
				files[i].Cards = a.Cards
			}
			hashes[s.Kind] = hex.EncodeToString(e.Drop.Files[i].SHA256[:])
		}
		made, err := write(ctx, tx, files, need.Change{Actor: e.Actor, OfficeAt: w.office.Now()})
		if err != nil {
			return Answer{}, err
		}
		if err := audit.Record(ctx, tx, audit.Entry{
			Actor: "api-key:" + e.Client.KeyID, Action: "need." + string(verb), Subject: made.ID, Detail: map[string]any{
				"number": made.Number, "reference": made.Reference, "submission": made.Submission, "files_sha256": hashes,
			},
		}); err != nil {
			return Answer{}, err
		}
		path := "/api/v1/needs/" + made.Number
		body, err := json.Marshal(Taken{ID: made.ID, Number: made.Number, StatusURL: w.publicURL + path, Submission: made.Submission})
		if err != nil {
			return Answer{}, fmt.Errorf("intake: answer: %w", err)
		}
		status := http.StatusOK
		if verb == need.Submit {
			status = http.StatusCreated
		}
		return Answer{Status: status, Location: path, Body: body}, nil
	})
}
