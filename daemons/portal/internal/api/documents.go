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
	ticket, err := a.paperTicket(r, d)
	if err != nil {
		return err
	}
	format := chi.URLParam(r, "format")
	blobID, ok := d.File(format)
	if !ok || !slices.Contains(report.DocumentFormats(d, report.Outside(signin.Account(r))), format) {
		return report.ErrNotFound
	}
	name := d.Kind + "-" + ticket
	switch {
	case d.Kind == letter.DaySheet:
		name = "" // its own name says the day
	case format == "scan":
		name += "-bertanda-tangan.pdf"
	case format == "xlsx":
		name = "" // its own name says the date (features.md G22)
	default:
		name += "." + format
	}
	return a.serve(w, r, blobID, name)
}

// paperTicket is the Kode Tiket that a paper belongs to, empty for one of a day, as far as the asker may know of it.
func (a *API) paperTicket(r *http.Request, d letter.Document) (string, error) {
	if d.Kind == letter.ActivationReply {
		of, err := report.ActivationOfReply(r.Context(), a.db, d.SubjectID, signin.Account(r))
		return of.Ticket, err
	}
	if d.RequestID == "" { // a day sheet is the office's own
		if report.Outside(signin.Account(r)) {
			return "", report.ErrNotFound
		}
		return "", nil
	}
	of, err := within(r.Context(), a.db, r, d.RequestID)
	return of.Ticket, err
}

// showPaper answers with what a paper belongs to as it stands now.
func (a *API) showPaper(w http.ResponseWriter, r *http.Request, d letter.Document) error {
	if d.Kind != letter.ActivationReply {
		return a.showRequest(w, r, d.RequestID)
	}
	ticket, err := a.paperTicket(r, d)
	if err != nil {
		return err
	}
	return a.showActivation(w, r, ticket)
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
	return a.showPaper(w, r, d)
}

// void cancels a paper that is not issued. Another is drafted in its place unless the
// body says otherwise.
func (a *API) void(w http.ResponseWriter, r *http.Request) error {
	who := signin.Account(r)
	return a.onPaper(w, r, func(p letter.Document) error { return counter.MayVoid(p, who) }, func(id string, seen int64) error {
		var in struct {
			Reason string `json:"reason"`
			Again  *bool  `json:"again"`
		}
		if err := web.DecodeJSON(r, &in); err != nil {
			return err
		}
		return a.counter().Void(r.Context(), who, id, seen, in.Reason, in.Again == nil || *in.Again)
	})
}

func (a *API) counter() counter.Desk {
	return counter.Desk{DB: a.db, Office: a.office, Signer: a.signer}
}
