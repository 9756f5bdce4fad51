package api

import (
	"bytes"
	"io"
	"net/http"

	"github.com/go-chi/chi/v5"

	"dukcapil.go.id/sifilma/daemons/portal/internal/blanks"
	"dukcapil.go.id/sifilma/daemons/portal/internal/signin"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/stock"
	"dukcapil.go.id/sifilma/pkg/web"
)

// mountBlanks adds the routes of the book of blanks.
func (a *API) mountBlanks(r chi.Router) {
	r.Get("/blanks", handle(a.daySheet))
	r.Get("/blanks.xlsx", handle(a.daySheetBook))
	const at = "/requests/{ticket}"
	r.Get(at+"/blanks", handle(a.getBlanks))
	r.Get(at+"/blanks.xlsx", handle(a.blanksBook))
	for path, kind := range map[string]stock.Kind{"receipts": stock.Receipt, "tests": stock.Test, "returns": stock.Return} {
		r.Post(at+"/blanks/"+path, handle(a.bookBlanks(kind)))
	}
	r.Post(at+"/blanks/{id}/reversal", handle(a.reverseBlanks))
	r.Post(at+"/blanks/attestations", handle(a.attestBlanks))
	r.Get("/blanks/sheets", handle(a.listSheets))
	r.Post("/blanks/sheets", handle(a.printSheet))
	r.Post(at+"/destructions", handle(a.destroyCards))
	r.Post(at+"/destructions/{id}/voiding", handle(a.voidDestruction))
}

func (a *API) vault() blanks.Desk { return blanks.Desk{DB: a.db, Office: a.office} }

// showBlanks answers with the blanks of a request as they are now.
func (a *API) showBlanks(w http.ResponseWriter, r *http.Request) error {
	v, err := a.vault().Of(r.Context(), signin.Account(r), chi.URLParam(r, "ticket"))
	if err != nil {
		return err
	}
	shown(w, r, v.Version, v)
	return nil
}

func (a *API) getBlanks(w http.ResponseWriter, r *http.Request) error { return a.showBlanks(w, r) }

func (a *API) bookBlanks(kind stock.Kind) func(w http.ResponseWriter, r *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		version, err := web.MatchVersion(r)
		if err != nil {
			return err
		}
		l := blanks.Line{Kind: kind}
		switch kind {
		case stock.Test:
			var in struct {
				Quantity int        `json:"quantity"`
				Happened clock.Date `json:"happened_on"`
				Reason   string     `json:"reason"`
			}
			err = web.DecodeJSON(r, &in)
			l.Quantity, l.Happened, l.Reason = in.Quantity, in.Happened, in.Reason
		case stock.Receipt:
			var in struct {
				Quantity int        `json:"quantity"`
				Happened clock.Date `json:"happened_on"`
				Party    string     `json:"party"`
				Reason   string     `json:"reason"`
			}
			err = web.DecodeJSON(r, &in)
			l.Quantity, l.Happened, l.Party, l.Reason = in.Quantity, in.Happened, in.Party, in.Reason
		default:
			var in struct {
				Source   stock.Source `json:"source"`
				Quantity int          `json:"quantity"`
				Happened clock.Date   `json:"happened_on"`
				Party    string       `json:"party"`
				Reason   string       `json:"reason"`
			}
			err = web.DecodeJSON(r, &in)
			l.Source, l.Quantity, l.Happened, l.Party, l.Reason = in.Source, in.Quantity, in.Happened, in.Party, in.Reason
		}
		if err != nil {
			return err
		}
		if err := a.vault().Book(r.Context(), signin.Account(r), chi.URLParam(r, "ticket"), version, l); err != nil {
			return err
		}
		return a.showBlanks(w, r)
	}
}

func (a *API) reverseBlanks(w http.ResponseWriter, r *http.Request) error {
	id, version, err := versioned(r)
	if err != nil {
		return err
	}
	var in struct {
		Reason string `json:"reason"`
	}
	if err := web.DecodeJSON(r, &in); err != nil {
		return err
	}
	if err := a.vault().Reverse(r.Context(), signin.Account(r), chi.URLParam(r, "ticket"), id, version, in.Reason); err != nil {
		return err
	}
	return a.showBlanks(w, r)
}

func (a *API) destroyCards(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Cards      []string   `json:"cards"`
		Destroyed  clock.Date `json:"destroyed_on"`
		Method     string     `json:"method"`
		FirstName  string     `json:"first_name"`
		FirstPost  string     `json:"first_post"`
		SecondName string     `json:"second_name"`
		SecondPost string     `json:"second_post"`
		Reason     string     `json:"reason"`
	}
	if err := web.DecodeJSON(r, &in); err != nil {
		return err
	}
	if _, err := a.vault().Destroy(r.Context(), signin.Account(r), chi.URLParam(r, "ticket"), blanks.Draft{
		Cards: in.Cards, Destroyed: in.Destroyed, Method: in.Method, Reason: in.Reason,
		First: stock.Signer{Name: in.FirstName, Post: in.FirstPost}, Second: stock.Signer{Name: in.SecondName, Post: in.SecondPost},
	}); err != nil {
		return err
	}
	return a.showBlanks(w, r)
}

func (a *API) voidDestruction(w http.ResponseWriter, r *http.Request) error {
	id, err := rowID(r)
	if err != nil {
		return err
	}
	var in struct {
		Reason string `json:"reason"`
	}
	if err := web.DecodeJSON(r, &in); err != nil {
		return err
	}
	if err := a.vault().Void(r.Context(), signin.Account(r), chi.URLParam(r, "ticket"), id, in.Reason); err != nil {
		return err
	}
	return a.showBlanks(w, r)
}

func (a *API) blanksBook(w http.ResponseWriter, r *http.Request) error {
	v, err := a.vault().Of(r.Context(), signin.Account(r), chi.URLParam(r, "ticket"))
	if err != nil {
		return err
	}
	return sendBook(w, r, "blangko-"+v.Ticket, func(out io.Writer) error { return blanks.WriteRequest(out, v) })
}

// sheetOf reads the day sheet that the address names.
func (a *API) sheetOf(r *http.Request) (s blanks.Sheet, err error) {
	day, err := dateParam(r, "day", clock.Today(a.office))
	if err != nil {
		return s, err
	}
	return a.vault().Day(r.Context(), signin.Account(r), day)
}

func (a *API) daySheet(w http.ResponseWriter, r *http.Request) error {
	s, err := a.sheetOf(r)
	if err != nil {
		return err
	}
	web.WriteJSON(w, r, http.StatusOK, s)
	return nil
}

func (a *API) daySheetBook(w http.ResponseWriter, r *http.Request) error {
	s, err := a.sheetOf(r)
	if err != nil {
		return err
	}
	return sendBook(w, r, "blangko-"+s.Day.String(), func(out io.Writer) error { return blanks.WriteDay(out, s) })
}

func sendBook(w http.ResponseWriter, r *http.Request, name string, write func(io.Writer) error) error {
	var book bytes.Buffer
	if err := write(&book); err != nil {
		return err
	}
	web.Send(w, r, web.Download{Name: name + ".xlsx", MediaType: mediaXLSX, Size: int64(book.Len()), Content: &book})
	return nil
}
