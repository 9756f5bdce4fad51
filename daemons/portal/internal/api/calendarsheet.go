package api

import (
	"bytes"
	"net/http"
	"strconv"
	"strings"

	"github.com/go-chi/chi/v5"

	"dukcapil.go.id/sifilma/daemons/portal/internal/masterdata"
	"dukcapil.go.id/sifilma/daemons/portal/internal/signin"
	"dukcapil.go.id/sifilma/daemons/portal/internal/upload"
	"dukcapil.go.id/sifilma/pkg/capacity/yearsheet"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/form"
	"dukcapil.go.id/sifilma/pkg/web"
)

// workbook is the media type of .xlsx.
const workbook = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"

// mountCalendarSheet adds the routes of the calendar as an Excel workbook.
func (a *API) mountCalendarSheet(r chi.Router) {
	slow := r.With(web.Slow(transfer))
	slow.Get("/calendar/{year}.xlsx", handle(a.calendarSheet))
	slow.With(web.BodyLimit(upload.MaxSheetBody)).Post("/calendar/{year}/import", handle(a.importCalendar))
}

func (a *API) calendarSheet(w http.ResponseWriter, r *http.Request) error {
	year, err := yearOf(r)
	if err != nil {
		return err
	}
	book, version, err := a.desk.CalendarSheet(r.Context(), signin.Account(r), year)
	if err != nil {
		return err
	}
	web.Send(w, r, web.Download{
		Name: yearsheet.FileName(year), MediaType: workbook, Size: int64(len(book)), ETag: strconv.FormatInt(version, 10), Content: bytes.NewReader(book),
	})
	return nil
}

// importCalendar compares a workbook with the calendar; with dry_run=false it also
// changes the calendar, as of the version in If-Match.
func (a *API) importCalendar(w http.ResponseWriter, r *http.Request) error {
	who := signin.Account(r)
	if !masterdata.May(who.Role) {
		return masterdata.ErrNotCalendar
	}
	year, err := yearOf(r)
	if err != nil {
		return err
	}
	look, err := strconv.ParseBool(r.URL.Query().Get("dry_run"))
	if err != nil {
		return web.BadRequest("Isi dry_run dengan true untuk melihat saja, atau false untuk mengubah kalender.")
	}
	var version int64
	if !look {
		if version, err = web.MatchVersion(r); err != nil {
			return err
		}
	}
	p, faults, err := a.spool.ReadSheet(r, []string{"remove_holidays", "remove_capacity"}, []string{"reason"}, "sheet")
	if err != nil {
		return err
	}
	defer p.Close()
	gone := yearsheet.Removal{Holidays: days(&faults, p, "remove_holidays"), Capacity: days(&faults, p, "remove_capacity")}
	file := p.Files["sheet"]
	if file == nil && len(faults) == 0 {
		faults.Add("/sheet", "missing", "Buku kerja Excel wajib dilampirkan.")
	}
	if err := faults.Err(); err != nil {
		return err
	}
	content, err := a.readCalendar(r, file, year)
	if err != nil {
		return err
	}
	if look {
		v, err := a.desk.CompareSheet(r.Context(), who, content, gone)
		if err == nil {
			err = masterdata.SheetFaults(v.Faults)
		}
		if err != nil {
			return err
		}
		shown(w, r, v.Version, v)
		return nil
	}
	v, err := a.desk.ImportSheet(r.Context(), who, content, version, gone, p.Fields["reason"])
	if err != nil {
		return err
	}
	shown(w, r, v.Version, v)
	return nil
}

// readCalendar reads a workbook in its turn.
func (a *API) readCalendar(r *http.Request, file *upload.File, year int) (yearsheet.Content, error) {
	done, err := a.spool.Turn(r.Context())
	if err != nil {
		return yearsheet.Content{}, err
	}
	defer done()
	book := file.Content()
	content, faults, err := yearsheet.Read(book, book.Size(), year)
	if err != nil {
		return content, err
	}
	return content, masterdata.SheetFaults(faults)
}

// days reads dates with commas between them.
func days(faults *form.Faults, p *upload.Parcel, name string) (list []clock.Date) {
	for text := range strings.SplitSeq(p.Fields[name], ",") {
		if text = strings.TrimSpace(text); text == "" {
			continue
		}
		day, err := clock.ParseDate(text)
		if err != nil {
			faults.Add("/"+name, "wrong_form", "Tulis tanggal seperti 2026-08-17, dipisahkan koma.")
			return nil
		}
		list = append(list, day)
	}
	return list
}
