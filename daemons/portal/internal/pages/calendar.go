package pages

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"

	"dukcapil.go.id/sifilma/daemons/portal/internal/masterdata"
	"dukcapil.go.id/sifilma/daemons/portal/internal/signin"
	"dukcapil.go.id/sifilma/pkg/capacity"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/report"
	"dukcapil.go.id/sifilma/pkg/terbilang"
	"dukcapil.go.id/sifilma/pkg/web"
	"dukcapil.go.id/sifilma/pkg/workday"
)

const calendarPath = "/kalender"

// Years that the pages show.
const (
	calendarFirst = 2000
	calendarLast  = 2999
)

// dayCell is a day of the grid; the zero one is a gap before the first.
type dayCell struct {
	Number int
	Title  string // the whole day in words
	Class  string // off, national, joint, set, today
}

type monthGrid struct {
	Name     string
	Workdays int
	Weeks    [][7]dayCell
	Notes    []dayNote
}

// dayNote names a special day below its month.
type dayNote struct{ Day, Text, Path string }

type calendarBody struct {
	Year, Previous, Next int
	Notice               string
	Months               []monthGrid
	Workdays             int
	Keeper, Setter       bool
	Inside               bool // of the office
	Tables               []rowsTable
}

func (p *Pages) mountCalendar(inside chi.Router) {
	get := func(path string, f func(w http.ResponseWriter, r *http.Request) error) {
		inside.Get(path, p.handle(explained(f)))
	}
	get(calendarPath, p.calendar)
	p.mountCalendarImport(inside)
	p.mountDowntimes(inside)
	p.mountToday(inside)
	for path, e := range map[string]editor{
		calendarPath + "/libur/baru": p.newHoliday(), calendarPath + "/libur/{day}": p.editHoliday(), calendarPath + "/libur/{day}/hapus": p.holidayRemoval(),
		calendarPath + "/kapasitas": p.newCapacity(), calendarPath + "/kapasitas/{day}": p.editCapacity(), calendarPath + "/kapasitas/{day}/biasa": p.usualCapacity(),
	} {
		get(path, p.present(e))
		inside.Post(path, p.handle(explained(p.saveDay(e))))
	}
}

// calendar shows a year: months with their days off named, hari kerja counted, and
// the days whose capacity people set.
func (p *Pages) calendar(w http.ResponseWriter, r *http.Request) error {
	who := signin.Account(r)
	year, err := p.yearIn(r)
	if err != nil {
		return err
	}
	v, err := p.desk.CalendarYear(r.Context(), who, year)
	if err != nil {
		return err
	}
	body := calendarBody{Year: year, Previous: year - 1, Next: year + 1, Keeper: masterdata.May(who.Role), Setter: masterdata.MaySetCapacity(who.Role), Inside: !report.Outside(who)}
	switch {
	case !v.Known:
		body.Notice = "Belum ada penetapan hari libur tahun " + strconv.Itoa(year) + ". Hanya Sabtu dan Minggu yang dihitung libur, sehingga perkiraan jadwal pada tahun itu masih dapat bergeser."
	case !v.Confirmed:
		body.Notice = "Hari libur tahun " + strconv.Itoa(year) + " belum seluruhnya dicocokkan dengan naskah penetapannya."
	}
	if keptNow(r) {
		body.Notice = "Perubahan tersimpan. Rencana disusun ulang dengan sendirinya. " + body.Notice
	}
	if n, err := strconv.Atoi(r.URL.Query().Get("diimpor")); err == nil && n >= 0 {
		body.Notice = imported(n) + " " + body.Notice
	}
	for m := time.January; m <= time.December; m++ {
		grid := p.monthGrid(v, m, body.Keeper, body.Setter)
		body.Months = append(body.Months, grid)
		body.Workdays += grid.Workdays
	}
	if len(v.Changes) > 0 {
		t := rowsTable{Caption: "Perubahan, terbaru lebih dahulu", Heads: []string{"Perubahan", "Alasan", "Oleh", "Waktu"}}
		var who []*string
		for i := range v.Changes {
			who = append(who, &v.Changes[i].ChangedBy)
		}
		if err := p.named(r.Context(), who...); err != nil {
			return err
		}
		for _, c := range v.Changes {
			t.Rows = append(t.Rows, []cell{{Text: sentenceCase(c.Text)}, {Text: c.Reason}, {Text: c.ChangedBy}, {Text: terbilang.FormatDateTime(c.ChangedAt)}})
		}
		body.Tables = []rowsTable{t}
	}
	p.show(w, r, http.StatusOK, "calendar", "Kalender "+strconv.Itoa(year), body)
	return nil
}

// imported says what an import did to so many days.
func imported(n int) string {
	if n == 0 {
		return "Tidak ada yang berubah; kalender sudah seperti buku kerja itu."
	}
	return number(n) + " hari diubah dari Excel. Rencana disusun ulang dengan sendirinya."
}

func (p *Pages) monthGrid(v masterdata.Year, month time.Month, keeper, setter bool) monthGrid {
	holidays, settings := map[clock.Date]capacity.Holiday{}, map[clock.Date]capacity.Setting{}
	for _, h := range v.Holidays {
		holidays[h.Date] = h
	}
	for _, s := range v.Capacity {
		settings[s.Day] = s
	}
	today := p.desk.Today()
	grid := monthGrid{Name: terbilang.MonthName(month), Workdays: v.Workdays[month-1]}
	var week [7]dayCell
	for d := (clock.Date{Year: v.Year, Month: month, Day: 1}); d.Month == month; d = d.AddDays(1) {
		column := (int(d.Weekday()) + 6) % 7 // weeks begin on Monday
		one := dayCell{Number: d.Day, Title: terbilang.FormatDayDate(d)}
		if column >= 5 {
			one.Class = "off"
		}
		if h, ok := holidays[d]; ok {
			one.Class = map[workday.Kind]string{workday.National: "national", workday.JointLeave: "joint"}[h.Kind]
			text := h.Name
			if h.Kind == workday.JointLeave && !strings.HasPrefix(strings.ToLower(h.Name), "cuti bersama") {
				text += " (cuti bersama)"
			}
			if !h.Confirmed {
				text += ", belum dicocokkan"
			}
			note := dayNote{Day: strconv.Itoa(d.Day), Text: text}
			if keeper && !d.Before(today) {
				note.Path = calendarPath + "/libur/" + d.String()
			}
			one.Title += ": " + text
			grid.Notes = append(grid.Notes, note)
		}
		if s, ok := settings[d]; ok {
			text := "kapasitas " + number(s.Capacity) + " kartu"
			note := dayNote{Day: strconv.Itoa(d.Day), Text: sentenceCase(text)}
			if setter && d.After(today) {
				note.Path = calendarPath + "/kapasitas/" + d.String()
			}
			one.Title += ", " + text
			if one.Class == "" {
				one.Class = "set"
			}
			grid.Notes = append(grid.Notes, note)
		}
		if d == today {
			one.Class += " today"
			one.Title += ", hari ini"
		}
		week[column] = one
		if column == 6 {
			grid.Weeks = append(grid.Weeks, week)
			week = [7]dayCell{}
		}
	}
	if week != [7]dayCell{} {
		grid.Weeks = append(grid.Weeks, week)
	}
	return grid
}

var calendarCrumbs = []crumb{{"Kalender", calendarPath}}

// shownDay is a day of an address, of a year that is shown.
func shownDay(text string) (clock.Date, error) {
	d, err := clock.ParseDate(text)
	if err != nil || d.Year < calendarFirst || d.Year > calendarLast {
		return d, web.NotFound("Tanggal pada alamat ini tidak ada.")
	}
	return d, nil
}

// dayIn is the day in the address.
func dayIn(r *http.Request) (clock.Date, error) {
	return shownDay(chi.URLParam(r, "day"))
}

// kept is where whoever changed a day goes.
func kept(day clock.Date) string {
	return calendarPath + "?tahun=" + strconv.Itoa(day.Year) + "&" + justKept()
}

var dayReason = field{Name: "reason", Label: "Alasan", Kind: "textarea", Hint: "Tercatat bersama perubahan ini dan hanya dibaca pegawai Ditjen Dukcapil."}

func (p *Pages) keepersOnly(r *http.Request) error {
	if !masterdata.May(signin.Account(r).Role) {
		return masterdata.ErrNotCalendar
	}
	return nil
}

func (p *Pages) settersOnly(r *http.Request) error {
	if !masterdata.MaySetCapacity(signin.Account(r).Role) {
		return masterdata.ErrNotCapacity
	}
	return nil
}

func holidayFields(h capacity.Holiday) []field {
	var kinds []option
	for _, k := range []workday.Kind{workday.National, workday.JointLeave} {
		kinds = append(kinds, option{string(k), capacity.KindLabels[k], h.Kind == k})
	}
	return []field{
		{Name: "kind", Label: "Jenis", Kind: "select", Options: kinds},
		{Name: "name", Label: "Nama hari libur", Kind: "text", Value: h.Name},
		{Name: "decree", Label: "Dasar", Kind: "text", Value: h.Decree, Hint: "Nomor SKB tiga menteri atau Keppres yang menetapkannya."},
		{Name: "confirmed", Label: "Pencocokan", Kind: "checkboxes", Options: []option{{"ya", "Sudah dicocokkan dengan naskah penetapannya", h.Confirmed}}},
		dayReason,
	}
}

func typedHoliday(r *http.Request, day clock.Date) capacity.Holiday {
	return capacity.Holiday{Version: seenVersion(r), Holiday: workday.Holiday{
		Date: day, Kind: workday.Kind(r.PostForm.Get("kind")), Name: r.PostForm.Get("name"), Decree: r.PostForm.Get("decree"),
		Confirmed: r.PostForm.Get("confirmed") != "",
	}}
}

const replanned = "Rencana disusun ulang dengan sendirinya. Perintah kerja yang sudah dilepas tetap berjalan."

func (p *Pages) newHoliday() editor {
	return editor{"Catat hari libur",
		func(r *http.Request) (formBody, error) {
			return formBody{Crumbs: calendarCrumbs, Action: calendarPath + "/libur/baru", Submit: "Catat", Lead: replanned,
				Fields: append([]field{{Name: "date", Label: "Tanggal", Kind: "date"}}, holidayFields(capacity.Holiday{})...)}, p.keepersOnly(r)
		},
		func(r *http.Request) (string, error) {
			h, err := p.desk.AddHoliday(r.Context(), signin.Account(r), typedHoliday(r, typedDate(r, "date")), r.PostForm.Get("reason"))
			return kept(h.Date), err
		}}
}

// holidayIn is the entry of the day in the address, for those who may change it.
func (p *Pages) holidayIn(r *http.Request) (capacity.Holiday, error) {
	if err := p.keepersOnly(r); err != nil {
		return capacity.Holiday{}, err
	}
	day, err := dayIn(r)
	if err != nil {
		return capacity.Holiday{}, err
	}
	return p.desk.Holiday(r.Context(), day)
}

func (p *Pages) editHoliday() editor {
	return editor{"Ubah hari libur",
		func(r *http.Request) (formBody, error) {
			h, err := p.holidayIn(r)
			at := calendarPath + "/libur/" + h.Date.String()
			return formBody{Crumbs: calendarCrumbs, Action: at, Submit: "Simpan", Version: h.Version, Lead: terbilang.FormatDayDate(h.Date) + ". " + replanned,
				Fields: holidayFields(h), Also: []crumb{{"Hapus hari libur ini", at + "/hapus"}}}, err
		},
		func(r *http.Request) (string, error) {
			h, err := p.holidayIn(r)
			if err == nil {
				_, err = p.desk.ChangeHoliday(r.Context(), signin.Account(r), typedHoliday(r, h.Date), r.PostForm.Get("reason"))
			}
			return kept(h.Date), err
		}}
}

func (p *Pages) holidayRemoval() editor {
	return editor{"Hapus hari libur",
		func(r *http.Request) (formBody, error) {
			h, err := p.holidayIn(r)
			return formBody{Crumbs: calendarCrumbs, Action: calendarPath + "/libur/" + h.Date.String() + "/hapus", Submit: "Hapus", Version: h.Version,
				Lead:    terbilang.FormatDayDate(h.Date) + ", " + h.Name + ".",
				Warning: "Setelah dihapus, tanggal ini dihitung sebagai hari kerja, kecuali Sabtu dan Minggu. " + replanned,
				Fields:  []field{dayReason}}, err
		},
		func(r *http.Request) (string, error) {
			h, err := p.holidayIn(r)
			if err == nil {
				err = p.desk.RemoveHoliday(r.Context(), signin.Account(r), h.Date, seenVersion(r), r.PostForm.Get("reason"))
			}
			return kept(h.Date), err
		}}
}

func capacityField(n string) field {
	return field{Name: "capacity", Label: "Jumlah kartu", Kind: "text", Value: n, Hint: "Nol berarti tidak ada personalisasi pada hari itu."}
}

// typedCapacity is the number of a form; one that cannot be read is refused by the
// office.
func typedCapacity(r *http.Request, day clock.Date) capacity.Setting {
	n, ok := terbilang.ParseInt(r.PostForm.Get("capacity"))
	if !ok {
		n = -1
	}
	return capacity.Setting{Day: day, Capacity: n, Version: seenVersion(r)}
}

func (p *Pages) newCapacity() editor {
	return editor{"Atur kapasitas hari",
		func(r *http.Request) (formBody, error) {
			if err := p.settersOnly(r); err != nil {
				return formBody{}, err
			}
			text := r.URL.Query().Get("tanggal")
			if sent := strings.TrimSpace(r.PostForm.Get("day")); sent != "" {
				text = sent
			}
			body := formBody{Crumbs: calendarCrumbs, Action: calendarPath + "/kapasitas", Submit: "Atur",
				Lead:   "Paling cepat untuk besok, karena rencana hari ini sudah tetap. Rencana disusun ulang dengan sendirinya.",
				Fields: []field{{Name: "day", Label: "Tanggal", Kind: "date", Value: text}, capacityField(""), dayReason}}
			day, err := clock.ParseDate(text)
			if err != nil {
				return body, nil
			}
			now, err := p.desk.DayCapacity(r.Context(), signin.Account(r), day)
			if errors.Is(err, capacity.ErrNoEntry) {
				return body, nil
			}
			body.Version, body.Fields[1].Value = now.Version, strconv.Itoa(now.Capacity)
			body.Facts = []fact{{"Sudah diatur", terbilang.FormatDayDate(day) + ": " + number(now.Capacity) + " kartu"}, {"Alasan terakhir", now.Reason}}
			return body, err
		},
		func(r *http.Request) (string, error) {
			s, err := p.desk.SetCapacity(r.Context(), signin.Account(r), typedCapacity(r, typedDate(r, "day")), r.PostForm.Get("reason"))
			return kept(s.Day), err
		}}
}

// capacityIn is what people set for the day in the address, for those who may
// change it.
func (p *Pages) capacityIn(r *http.Request) (capacity.Setting, error) {
	if err := p.settersOnly(r); err != nil {
		return capacity.Setting{}, err
	}
	day, err := dayIn(r)
	if err != nil {
		return capacity.Setting{}, err
	}
	return p.desk.DayCapacity(r.Context(), signin.Account(r), day)
}

func (p *Pages) editCapacity() editor {
	return editor{"Ubah kapasitas hari",
		func(r *http.Request) (formBody, error) {
			s, err := p.capacityIn(r)
			at := calendarPath + "/kapasitas/" + s.Day.String()
			return formBody{Crumbs: calendarCrumbs, Action: at, Submit: "Simpan", Version: s.Version, Lead: terbilang.FormatDayDate(s.Day) + ".",
				Facts:  []fact{{"Alasan terakhir", s.Reason}},
				Fields: []field{capacityField(strconv.Itoa(s.Capacity)), dayReason}, Also: []crumb{{"Kembalikan ke kapasitas biasa", at + "/biasa"}}}, err
		},
		func(r *http.Request) (string, error) {
			s, err := p.capacityIn(r)
			if err == nil {
				_, err = p.desk.SetCapacity(r.Context(), signin.Account(r), typedCapacity(r, s.Day), r.PostForm.Get("reason"))
			}
			return kept(s.Day), err
		}}
}

func (p *Pages) usualCapacity() editor {
	return editor{"Kembalikan ke kapasitas biasa",
		func(r *http.Request) (formBody, error) {
			s, err := p.capacityIn(r)
			return formBody{Crumbs: calendarCrumbs, Action: calendarPath + "/kapasitas/" + s.Day.String() + "/biasa", Submit: "Kembalikan", Version: s.Version,
				Lead:   terbilang.FormatDayDate(s.Day) + ", sekarang " + number(s.Capacity) + " kartu.",
				Fields: []field{dayReason}}, err
		},
		func(r *http.Request) (string, error) {
			s, err := p.capacityIn(r)
			if err == nil {
				err = p.desk.UnsetCapacity(r.Context(), signin.Account(r), s.Day, seenVersion(r), r.PostForm.Get("reason"))
			}
			return kept(s.Day), err
		}}
}
