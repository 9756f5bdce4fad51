package api

import (
	"net/http"
	"strconv"

	"github.com/go-chi/chi/v5"

	"dukcapil.go.id/sifilma/daemons/portal/internal/masterdata"
	"dukcapil.go.id/sifilma/daemons/portal/internal/signin"
	"dukcapil.go.id/sifilma/pkg/capacity"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/report"
	"dukcapil.go.id/sifilma/pkg/web"
	"dukcapil.go.id/sifilma/pkg/workday"
)

// mountCalendar adds the routes of the calendar and of the days' capacity.
func (a *API) mountCalendar(r chi.Router) {
	r.Get("/calendar/{year}", handle(a.calendarYear))
	a.mountCalendarSheet(r)
	r.Post("/holidays", handle(a.addHoliday))
	r.Get("/holidays/{day}", handle(a.getHoliday))
	r.Put("/holidays/{day}", handle(a.changeHoliday))
	r.Post("/holidays/{day}/removal", handle(a.removeHoliday))
	r.Get("/days/{day}/capacity", handle(a.getCapacity))
	r.Put("/days/{day}/capacity", handle(a.setCapacity))
	r.Post("/days/{day}/capacity/removal", handle(a.unsetCapacity))
}

// Years that a calendar is shown of.
const (
	firstYear = 2000
	lastYear  = 2999
)

// yearOf is the year in the address.
func yearOf(r *http.Request) (int, error) {
	year, err := strconv.Atoi(chi.URLParam(r, "year"))
	if err != nil || year < firstYear || year > lastYear {
		return 0, web.NotFound("Tidak ada kalender tahun ini.")
	}
	return year, nil
}

func (a *API) calendarYear(w http.ResponseWriter, r *http.Request) error {
	year, err := yearOf(r)
	if err != nil {
		return err
	}
	v, err := a.desk.CalendarYear(r.Context(), signin.Account(r), year)
	if err != nil {
		return err
	}
	shown(w, r, v.Version, v)
	return nil
}

// dayOf is the day in the address.
func dayOf(r *http.Request) (clock.Date, error) {
	day, err := clock.ParseDate(chi.URLParam(r, "day"))
	if err != nil || day.Year < firstYear || day.Year > lastYear {
		return day, web.NotFound("Tanggal pada alamat ditulis seperti 2026-08-17.")
	}
	return day, nil
}

// dayVersion is the day and the version of a change.
func dayVersion(r *http.Request) (day clock.Date, version int64, err error) {
	if day, err = dayOf(r); err != nil {
		return day, 0, err
	}
	version, err = web.MatchVersion(r)
	return day, version, err
}

// holidayForm is what is typed of a day off; the day of one that exists is in the
// address.
type holidayForm struct {
	Date      clock.Date   `json:"date"`
	Kind      workday.Kind `json:"kind"`
	Name      string       `json:"name"`
	Decree    string       `json:"decree"`
	Confirmed bool         `json:"confirmed"`
	Reason    string       `json:"reason"`
}

func (f holidayForm) row() capacity.Holiday {
	return capacity.Holiday{Holiday: workday.Holiday{Date: f.Date, Kind: f.Kind, Name: f.Name, Decree: f.Decree, Confirmed: f.Confirmed}}
}

func (a *API) addHoliday(w http.ResponseWriter, r *http.Request) error {
	if !masterdata.May(signin.Account(r).Role) {
		return masterdata.ErrNotCalendar
	}
	var in holidayForm
	if err := web.DecodeJSON(r, &in); err != nil {
		return err
	}
	made, err := a.desk.AddHoliday(r.Context(), signin.Account(r), in.row(), in.Reason)
	if err != nil {
		return err
	}
	created(w, r, "holidays/"+made.Date.String(), made.Version, made)
	return nil
}

func (a *API) getHoliday(w http.ResponseWriter, r *http.Request) error {
	day, err := dayOf(r)
	if err != nil {
		return err
	}
	h, err := a.desk.Holiday(r.Context(), day)
	if err != nil {
		return err
	}
	shown(w, r, h.Version, h)
	return nil
}

func (a *API) changeHoliday(w http.ResponseWriter, r *http.Request) error {
	if !masterdata.May(signin.Account(r).Role) {
		return masterdata.ErrNotCalendar
	}
	day, version, err := dayVersion(r)
	if err != nil {
		return err
	}
	var in holidayForm
	if err := web.DecodeJSON(r, &in); err != nil {
		return err
	}
	if !in.Date.IsZero() && in.Date != day {
		return invalid("/date", "differs", "Tanggal tidak dapat dipindah. Hapus catatan ini, lalu catat tanggal yang benar.")
	}
	row := in.row()
	row.Date, row.Version = day, version
	made, err := a.desk.ChangeHoliday(r.Context(), signin.Account(r), row, in.Reason)
	if err != nil {
		return err
	}
	shown(w, r, made.Version, made)
	return nil
}

func (a *API) removeHoliday(w http.ResponseWriter, r *http.Request) error {
	if !masterdata.May(signin.Account(r).Role) {
		return masterdata.ErrNotCalendar
	}
	return removal(w, r, dayVersion, func(day clock.Date, version int64, reason string) error {
		return a.desk.RemoveHoliday(r.Context(), signin.Account(r), day, version, reason)
	})
}

// removal answers the removal of what seen finds in the address, as of its version.
func removal[K any](w http.ResponseWriter, r *http.Request, seen func(r *http.Request) (key K, version int64, err error),
	do func(key K, version int64, reason string) error) error {
	key, version, err := seen(r)
	if err != nil {
		return err
	}
	var in struct {
		Reason string `json:"reason"`
	}
	if err := web.DecodeJSON(r, &in); err != nil {
		return err
	}
	if err := do(key, version, in.Reason); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (a *API) getCapacity(w http.ResponseWriter, r *http.Request) error {
	if report.Outside(signin.Account(r)) {
		return masterdata.ErrNotCapacity
	}
	day, err := dayOf(r)
	if err != nil {
		return err
	}
	s, err := a.desk.DayCapacity(r.Context(), signin.Account(r), day)
	if err != nil {
		return err
	}
	shown(w, r, s.Version, s)
	return nil
}

func (a *API) setCapacity(w http.ResponseWriter, r *http.Request) error {
	if !masterdata.MaySetCapacity(signin.Account(r).Role) {
		return masterdata.ErrNotCapacity
	}
	day, version, err := dayVersion(r)
	if err != nil {
		return err
	}
	var in struct {
		Capacity *int   `json:"capacity"`
		Reason   string `json:"reason"`
	}
	if err := web.DecodeJSON(r, &in); err != nil {
		return err
	}
	s := capacity.Setting{Day: day, Capacity: -1, Version: version} // refused, if it is not given
	if in.Capacity != nil {
		s.Capacity = *in.Capacity
	}
	made, err := a.desk.SetCapacity(r.Context(), signin.Account(r), s, in.Reason)
	if err != nil {
		return err
	}
	shown(w, r, made.Version, made)
	return nil
}

func (a *API) unsetCapacity(w http.ResponseWriter, r *http.Request) error {
	if !masterdata.MaySetCapacity(signin.Account(r).Role) {
		return masterdata.ErrNotCapacity
	}
	return removal(w, r, dayVersion, func(day clock.Date, version int64, reason string) error {
		return a.desk.UnsetCapacity(r.Context(), signin.Account(r), day, version, reason)
	})
}
