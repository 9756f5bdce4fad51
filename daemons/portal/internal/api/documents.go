package api

import (
	"net/http"
	"slices"

	"github.com/go-chi/chi/v5"
	"github.com/google/uuid"

	"dukcapil.go.id/sifilma/daemons/portal/internal/counter"
	"dukcapil.go.id/sifilma/daemons/portal/internal/signin"
	"dukcapil.go.id/sifilma/daemons/portal/internal/upload"
	"dukcapil.go.id/sifilma/pkg/blob"
	"dukcapil.go.id/sifilma/pkg/letter"
	"dukcapil.go.id/sifilma/pkg/report"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/pkg/web"
)

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
	var of request.Request
	if d.RequestID != "" {
		if of, err = within(r.Context(), a.db, r, d.RequestID); err != nil {
			return err
		}
	} else if report.Outside(signin.Account(r)) { // of no request: the office's own
		return report.ErrNotFound
	}
	format := chi.URLParam(r, "format")
	blobID, ok := d.File(format)
	if !ok || !slices.Contains(report.DocumentFormats(d, report.Outside(signin.Account(r))), format) {
		return report.ErrNotFound
	}
	name := d.Kind + "-" + of.Ticket
	switch {
	case of.ID == "":
		name = "" // its own says the day
	case format == "scan":
		name += "-bertanda-tangan.pdf"
	case format == "xlsx":
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
	who := signin.Account(r)
	d, err := a.counter().Paper(r.Context(), who, id)
	if err == nil {
		err = counter.MaySign(d, who) // before a file is taken in
	}
	if err != nil {
		return err
	}
	seen, err := seenVersion(r)
	if err != nil {
		return err
	}
	parcel, wrong, err := a.spool.ReadScan(r, "signed_on")
	if err != nil {
		return err
	}
	defer parcel.Close()
	if err := a.counter().Sign(r.Context(), who, id, seen, parcel.Fields["signed_on"], parcel.Files[upload.ScanPart], wrong); err != nil {
		return err
	}
	return a.showRequest(w, r, d.RequestID)
}

// void cancels a paper that is not issued.
func (a *API) void(w http.ResponseWriter, r *http.Request) error {
	id, err := rowID(r)
	if err != nil {
		return err
	}
	who := signin.Account(r)
	d, err := a.counter().Paper(r.Context(), who, id)
	if err == nil {
		err = counter.MayVoid(d, who)
	}
	if err != nil {
		return err
	}
	seen, err := seenVersion(r)
	if err != nil {
		return err
	}
	var in struct {
		Reason string `json:"reason"`
	}
	if err := web.DecodeJSON(r, &in); err != nil {
		return err
	}
	if err := a.counter().Void(r.Context(), who, id, seen, in.Reason); err != nil {
		return err
	}
	return a.showRequest(w, r, d.RequestID)
}

func (a *API) counter() counter.Desk { return counter.Desk{DB: a.db, Office: a.office} }
