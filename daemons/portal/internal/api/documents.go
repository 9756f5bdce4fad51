package api

import (
	"context"
	"net/http"
	"slices"

	"github.com/go-chi/chi/v5"
	"github.com/google/uuid"

	"dukcapil.go.id/sifilma/daemons/portal/internal/decisions"
	"dukcapil.go.id/sifilma/daemons/portal/internal/signin"
	"dukcapil.go.id/sifilma/pkg/blob"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/letter"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/report"
	"dukcapil.go.id/sifilma/pkg/web"
)

const mediaPDF = "application/pdf"

// documentFile gives a file of a paper.
func (a *API) documentFile(w http.ResponseWriter, r *http.Request) error {
	id, err := rowID(r)
	if err != nil {
		return err
	}
	d, err := letter.Get(r.Context(), a.db, id)
	if err != nil {
		return err
	}
	of, err := within(r.Context(), a.db, r, d.RequestID)
	if err != nil {
		return err
	}
	format := chi.URLParam(r, "format")
	blobID, ok := d.File(format)
	if !ok || !slices.Contains(report.DocumentFormats(d, report.Outside(signin.Account(r))), format) {
		return report.ErrNotFound
	}
	name := d.Kind + "-" + of.Ticket
	switch format {
	case "scan":
		name += "-bertanda-tangan.pdf"
	case "xlsx":
		name = "" // its own name says the date (features.md G22)
	default:
		name += "." + format
	}
	return a.serve(w, r, blobID, name)
}

// serve sends a stored file as a download. An empty name is the file's own.
func (a *API) serve(w http.ResponseWriter, r *http.Request, blobID, name string) error {
	id, err := uuid.Parse(blobID)
	if err != nil {
		return err
	}
	content, info, err := blob.Open(r.Context(), a.db, id)
	if err != nil {
		return err
	}
	defer func() { _ = content.Close() }()
	if name == "" {
		name = info.Name
	}
	web.Send(w, r, web.Download{Name: name, MediaType: info.MediaType, Size: info.Size, ETag: info.Hash(), Content: content})
	return nil
}

// sign takes the signed scan of a letter: the letter is in force from then on.
// A BAST is signed where the cards change hands, see deliver.
func (a *API) sign(w http.ResponseWriter, r *http.Request) error {
	id, err := rowID(r)
	if err != nil {
		return err
	}
	d, err := letter.Get(r.Context(), a.db, id)
	if err != nil {
		return err
	}
	if _, err := within(r.Context(), a.db, r, d.RequestID); err != nil {
		return err
	}
	role := signin.Account(r).Role
	if err := letter.Machine.MayEver(letter.VerbIssue, role); err != nil {
		return err
	}
	if d.Kind == letter.BAST {
		return web.Conflict("BAST terbit bersama penyerahan kartu; unggah pindaiannya pada serah terima.").WithCode("bast-at-delivery")
	}
	if err := letter.Machine.May(d.State, letter.VerbIssue, role); err != nil {
		return err
	}
	form, err := a.spool.Read(r, "signed_on")
	if err != nil {
		return err
	}
	defer form.Close()
	signed, err := a.dayField(form.Fields["signed_on"], "/signed_on", "Tanggal tanda tangan", d.Dated)
	if err != nil {
		return err
	}
	c := a.change(r, "")
	err = a.db.InTx(r.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		scan, err := blob.Put(ctx, tx, d.Kind+"-bertanda-tangan.pdf", mediaPDF, form.Scan())
		if err != nil {
			return err
		}
		if _, err := letter.Issue(ctx, tx, d, scan.ID.String(), signed, c); err != nil {
			return err
		}
		return decisions.Note(ctx, tx, c, "document.issue", d.ID, d.RequestID,
			map[string]any{"kind": d.Kind, "scan": scan.ID, "sha256": scan.Hash(), "signed_on": signed})
	})
	if err != nil {
		return err
	}
	return a.showRequest(w, r, d.RequestID)
}

// dayField reads a date that is neither in the future nor before earliest.
func (a *API) dayField(text, pointer, label string, earliest *clock.Date) (clock.Date, error) {
	if text == "" {
		return clock.Date{}, missing(pointer, label+" wajib diisi.")
	}
	d, err := clock.ParseDate(text)
	switch {
	case err != nil:
		return d, invalid(pointer, "wrong_type", label+" harus berbentuk TTTT-BB-HH.")
	case d.After(clock.Today(a.office)):
		return d, invalid(pointer, "in_future", label+" tidak boleh setelah hari ini.")
	case earliest != nil && d.Before(*earliest):
		return d, invalid(pointer, "too_early", label+" tidak boleh sebelum tanggal dokumennya, "+earliest.String()+".")
	}
	return d, nil
}
