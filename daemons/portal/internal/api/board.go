package api

import (
	"bytes"
	"net/http"

	"github.com/go-chi/chi/v5"

	"dukcapil.go.id/sifilma/daemons/portal/internal/signin"
	"dukcapil.go.id/sifilma/pkg/capacity"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/report"
	"dukcapil.go.id/sifilma/pkg/web"
)

// mountBoard adds the routes of the day board.
func (a *API) mountBoard(r chi.Router) {
	r.Get("/days", handle(a.days))
	r.Get("/days.xlsx", handle(a.daysSheet))
	r.Get("/days/{day}", handle(a.oneDay))
	r.Post("/what-if", handle(a.whatIf))
}

const (
	daysShown = 30
	daysMost  = 366

	mediaXLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
)

// board reads the days that the address names.
func (a *API) board(r *http.Request) (*report.Board, error) {
	from, err := dateParam(r, "from", clock.Today(a.office))
	if err != nil {
		return nil, err
	}
	to, err := dateParam(r, "to", from.AddDays(daysShown))
	if err != nil {
		return nil, err
	}
	if to.Before(from) || from.DaysUntil(to) > daysMost {
		return nil, web.BadRequest("Rentang tanggal paling panjang satu tahun.",
			web.FieldError{Pointer: "/to", Code: "out_of_range", Detail: "Tanggal akhir harus antara tanggal awal dan setahun sesudahnya."})
	}
	return report.LoadBoard(r.Context(), a.db, signin.Account(r), from, to, clock.Today(a.office))
}

func (a *API) days(w http.ResponseWriter, r *http.Request) error {
	b, err := a.board(r)
	if err != nil {
		return err
	}
	web.WriteJSON(w, r, http.StatusOK, map[string]any{"days": b.Days})
	return nil
}

func (a *API) daysSheet(w http.ResponseWriter, r *http.Request) error {
	b, err := a.board(r)
	if err != nil {
		return err
	}
	var sheet bytes.Buffer
	if err := report.WriteBoard(&sheet, b, clock.Today(a.office)); err != nil {
		return err
	}
	web.Send(w, r, web.Download{
		Name: "papan-" + b.From.String() + "-" + b.To.String() + ".xlsx", MediaType: mediaXLSX, Size: int64(sheet.Len()), Content: &sheet,
	})
	return nil
}

// oneDay is a day with its requests.
func (a *API) oneDay(w http.ResponseWriter, r *http.Request) error {
	day, err := dayOf(r)
	if err != nil {
		return err
	}
	b, err := report.LoadBoard(r.Context(), a.db, signin.Account(r), day, day, clock.Today(a.office))
	if err != nil {
		return err
	}
	requests := b.Requests[day]
	if requests == nil {
		requests = []report.DayRequest{}
	}
	web.WriteJSON(w, r, http.StatusOK, struct {
		report.BoardDay
		Requests []report.DayRequest `json:"requests"`
	}{b.Days[0], requests})
	return nil
}

// whatIf answers what the plan would be; nothing is changed by asking.
func (a *API) whatIf(w http.ResponseWriter, r *http.Request) error {
	if report.Outside(signin.Account(r)) {
		return web.Forbidden("Simulasi rencana hanya untuk pegawai Ditjen Dukcapil.")
	}
	var h capacity.Hypotheses
	if err := web.DecodeJSON(r, &h); err != nil {
		return err
	}
	v, err := a.asker.Ask(r.Context(), h)
	if err != nil {
		return err
	}
	web.WriteJSON(w, r, http.StatusOK, v)
	return nil
}

func dateParam(r *http.Request, name string, fallback clock.Date) (clock.Date, error) {
	text := r.URL.Query().Get(name)
	if text == "" {
		return fallback, nil
	}
	d, err := clock.ParseDate(text)
	if err != nil {
		return d, web.BadRequest("Tanggal pada alamat tidak dapat dibaca.",
			web.FieldError{Pointer: "/" + name, Code: "wrong_type", Detail: "Tulis tanggal sebagai TTTT-BB-HH."})
	}
	return d, nil
}
