package pages

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/go-chi/chi/v5"

	"dukcapil.go.id/sifilma/daemons/portal/internal/api"
	"dukcapil.go.id/sifilma/daemons/portal/internal/masterdata"
	"dukcapil.go.id/sifilma/daemons/portal/internal/signin"
	"dukcapil.go.id/sifilma/daemons/portal/internal/upload"
	"dukcapil.go.id/sifilma/pkg/capacity/yearsheet"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/form"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/terbilang"
	"dukcapil.go.id/sifilma/pkg/web"
)

const importPath = calendarPath + "/impor"

// Bounds of the content of a workbook on its way through the preview, in bytes:
// packed in the form, and unpacked. A year in which every day is off with the longest
// texts is within.
const (
	mostImportForm = 2 << 20
	mostUnpacked   = 4 << 20
)

func (p *Pages) mountCalendarImport(inside chi.Router) {
	inside.Get(importPath, p.handle(explained(p.importForm)))
	inside.With(web.BodyLimit(upload.MaxSheetBody)).Post(importPath, p.handle(explained(p.previewImport)))
	inside.With(web.BodyLimit(mostImportForm)).Post(importPath+"/simpan", p.handle(explained(p.saveImport)))
}

// importBody is the preview of an import.
type importBody struct {
	Year                int
	Notice              string // what happened since the last look
	Faults              []fault
	Wrong               []rowsTable // one table of what is wrong in the cells
	Groups              []rowsTable // what would change
	HolidaysGone        []option
	CapacityGone        []option
	Lacks               string // the sheet that there is not
	Same, Past, Changes int
	Ready               bool // something may be done
	Version             int64
	Content             string // packed, for the second step
	Reason              []field
}

// done says that the calendar is as the workbook and the chosen removals want it.
func (b importBody) done() bool {
	chosen := func(o option) bool { return o.Chosen }
	return b.Changes == 0 && len(b.Wrong) == 0 && !slices.ContainsFunc(b.HolidaysGone, chosen) && !slices.ContainsFunc(b.CapacityGone, chosen)
}

// yearAsked is the year of a form or of the address.
func yearAsked(text string) (int, error) {
	year, err := strconv.Atoi(text)
	if err != nil || year < calendarFirst || year > calendarLast {
		return 0, web.NotFound("Tidak ada kalender tahun ini.")
	}
	return year, nil
}

// yearIn is the year that the address asks for, or the present one.
func (p *Pages) yearIn(r *http.Request) (int, error) {
	text := r.URL.Query().Get("tahun")
	if text == "" {
		return p.desk.Today().Year, nil
	}
	return yearAsked(text)
}

func calendarOf(year int) string { return calendarPath + "?tahun=" + strconv.Itoa(year) }

func importTitle(year int) string { return "Impor kalender " + strconv.Itoa(year) }

// askSheet is the form of the first step.
func askSheet(year int) formBody {
	y := strconv.Itoa(year)
	return formBody{
		Crumbs: []crumb{{"Kalender " + y, calendarOf(year)}}, Upload: true, Action: importPath, Submit: "Lihat perubahannya",
		Lead:   "Pilih Excel kalender tahun " + y + " yang sudah diubah. Anda melihat dahulu apa yang akan berubah; kalender belum berubah pada langkah ini.",
		Fields: []field{{Name: "tahun", Kind: "hidden", Value: y}, {Name: "sheet", Label: "Buku kerja Excel", Kind: "file", Value: ".xlsx", Hint: "Paling besar 5 MB, seperti yang diunduh dari kalender ini."}},
		Also:   []crumb{{"Unduh Excel kalender " + y, "/api/v1/calendar/" + y + ".xlsx"}},
	}
}

func (p *Pages) importForm(w http.ResponseWriter, r *http.Request) error {
	if err := p.keepersOnly(r); err != nil {
		return err
	}
	year, err := p.yearIn(r)
	if err != nil {
		return err
	}
	p.show(w, r, http.StatusOK, "form", importTitle(year), askSheet(year))
	return nil
}

// previewImport reads a workbook and shows what it would change.
func (p *Pages) previewImport(w http.ResponseWriter, r *http.Request) error {
	if err := p.keepersOnly(r); err != nil {
		return err
	}
	parcel, faults, err := p.spool.ReadSheet(r, []string{"tahun"}, nil, "sheet")
	if err != nil {
		return err
	}
	defer parcel.Close()
	year, err := yearAsked(parcel.Fields["tahun"])
	if err != nil {
		return err
	}
	r.PostForm = url.Values{"tahun": {strconv.Itoa(year)}} // for the form, should it be shown again
	file := parcel.Files["sheet"]
	if file == nil && len(faults) == 0 {
		faults.Add("/sheet", "missing", "Pilih dahulu buku kerja Excelnya.")
	}
	if err := faults.Err(); err != nil {
		return p.again(w, r, importTitle(year), askSheet(year), err)
	}
	done, err := p.spool.Turn(r.Context())
	if err != nil {
		return err
	}
	book := file.Content()
	content, wrong, err := yearsheet.Read(book, book.Size(), year)
	done()
	if err != nil {
		return err
	}
	if len(wrong) == 1 && wrong[0].Sheet == "" { // no workbook of ours at all
		return p.again(w, r, importTitle(year), askSheet(year), masterdata.SheetFaults(wrong))
	}
	if len(wrong) > 0 {
		return p.showImport(w, r, http.StatusUnprocessableEntity, importBody{Year: year, Wrong: wrongCells(wrong)})
	}
	body, err := p.importBody(r, content, yearsheet.Removal{})
	if err != nil {
		return err
	}
	status := http.StatusOK
	if len(body.Wrong) > 0 {
		status = http.StatusUnprocessableEntity
	}
	return p.showImport(w, r, status, body)
}

func (p *Pages) showImport(w http.ResponseWriter, r *http.Request, status int, body importBody) error {
	p.show(w, r, status, "calendar-import", importTitle(body.Year), body)
	return nil
}

// importBody compares a workbook with the calendar as it is now. Removals that
// were chosen stay chosen where they still can be.
func (p *Pages) importBody(r *http.Request, content yearsheet.Content, gone yearsheet.Removal) (importBody, error) {
	v, err := p.desk.CompareSheet(r.Context(), signin.Account(r), content, yearsheet.Removal{})
	if err != nil {
		return importBody{}, err
	}
	body := importBody{
		Year: content.Year, Version: v.Version, Same: v.Same, Past: v.Past, Changes: len(v.Changes), Wrong: wrongCells(v.Faults),
		Lacks:  lacks(content),
		Ready:  len(v.Faults) == 0 && len(v.Changes)+len(v.Missing) > 0,
		Reason: []field{{Name: "reason", Label: "Alasan", Kind: "textarea", Value: r.PostForm.Get("reason"), Hint: "Satu alasan untuk seluruh perubahan ini; tercatat bersama tiap hari dan hanya dibaca pegawai Ditjen Dukcapil."}},
	}
	for _, g := range []struct {
		caption string
		action  yearsheet.Action
	}{{"Akan ditambah", yearsheet.Add}, {"Akan diubah", yearsheet.Alter}} {
		t := rowsTable{Caption: g.caption, Heads: []string{"Hari", "Yang berubah", "Isi", "Sel"}}
		for _, c := range v.Changes {
			if c.Action == g.action {
				t.Rows = append(t.Rows, []cell{{Text: terbilang.FormatDayDate(c.Day)}, {Text: entryNames[c.Kind]}, {Text: sentenceCase(c.Text)}, {Text: c.Place}})
			}
		}
		if len(t.Rows) > 0 {
			t.Caption += " (" + number(len(t.Rows)) + " hari)"
			body.Groups = append(body.Groups, t)
		}
	}
	for _, m := range v.Missing {
		o := option{Value: m.Day.String(), Label: terbilang.FormatDayDate(m.Day) + ": " + m.Text}
		if m.Kind == yearsheet.Holiday {
			o.Chosen = slices.Contains(gone.Holidays, m.Day)
			body.HolidaysGone = append(body.HolidaysGone, o)
		} else {
			o.Chosen = slices.Contains(gone.Capacity, m.Day)
			body.CapacityGone = append(body.CapacityGone, o)
		}
	}
	if body.Ready {
		body.Content, err = packed(content)
	}
	return body, err
}

// lacks names the sheet that a workbook has not; there is one at least.
func lacks(c yearsheet.Content) string {
	switch {
	case !c.HasHolidays:
		return "Lembar " + yearsheet.HolidaySheet + " tidak ada; hanya " + yearsheet.CapacitySheet + " yang dibandingkan."
	case !c.HasCapacity:
		return "Lembar " + yearsheet.CapacitySheet + " tidak ada; hanya " + yearsheet.HolidaySheet + " yang dibandingkan."
	}
	return ""
}

var entryNames = map[string]string{yearsheet.Holiday: "Hari libur", yearsheet.Capacity: "Kapasitas"}

func wrongCells(faults []yearsheet.Fault) []rowsTable {
	if len(faults) == 0 {
		return nil
	}
	t := rowsTable{Caption: "Yang perlu diperbaiki", Heads: []string{"Lembar", "Sel", "Penjelasan"}}
	for _, f := range faults {
		one := f.Cell
		if one == "" {
			one = "–"
		}
		t.Rows = append(t.Rows, []cell{{Text: f.Sheet}, {Text: one}, {Text: f.Detail}})
	}
	return []rowsTable{t}
}

// saveImport does what a preview showed, or shows it again as it is now.
func (p *Pages) saveImport(w http.ResponseWriter, r *http.Request) error {
	if err := p.keepersOnly(r); err != nil {
		return err
	}
	if err := typed(r); err != nil {
		return err
	}
	content, err := unpacked(r.PostForm.Get("isi"))
	if err != nil {
		return err
	}
	gone := yearsheet.Removal{Holidays: chosenDays(r, "remove_holidays"), Capacity: chosenDays(r, "remove_capacity")}
	made, err := p.desk.ImportSheet(r.Context(), signin.Account(r), content, seenVersion(r), gone, r.PostForm.Get("reason"))
	if err == nil {
		http.Redirect(w, r, calendarOf(content.Year)+"&diimpor="+strconv.Itoa(len(made.Changes)), http.StatusSeeOther)
		return nil
	}
	var faults form.Faults
	stale := errors.Is(err, postgres.ErrStale)
	if !stale && !errors.As(err, &faults) {
		return err
	}
	body, lost := p.importBody(r, content, gone)
	if lost != nil {
		return lost
	}
	if stale && body.done() { // sent twice
		http.Redirect(w, r, calendarOf(content.Year)+"&diimpor=0", http.StatusSeeOther)
		return nil
	}
	if stale {
		body.Notice = "Kalender berubah sejak pratinjau ini dibuat, mungkin oleh kiriman Anda sendiri, sehingga belum ada yang disimpan. Berikut perbandingan dengan kalender yang sekarang; alasan dan centang Anda masih ada. Periksa, lalu simpan lagi bila masih sesuai."
		return p.showImport(w, r, http.StatusPreconditionFailed, body)
	}
	var problem *web.Problem
	if !errors.As(api.Explain(err), &problem) {
		return err
	}
	for _, e := range problem.Errors {
		if !strings.HasPrefix(e.Pointer, "/") {
			continue // a cell, which the table names
		}
		at := fault{Detail: e.Detail}
		if e.Pointer == "/reason" {
			body.Reason[0].Error, at.Anchor = e.Detail, "reason"
		}
		body.Faults = append(body.Faults, at)
	}
	return p.showImport(w, r, problem.Status, body)
}

// chosenDays are the days that were ticked.
func chosenDays(r *http.Request, name string) (days []clock.Date) {
	for _, text := range r.PostForm[name] {
		if day, err := clock.ParseDate(text); err == nil {
			days = append(days, day)
		}
	}
	return days
}

// packed makes the content of a workbook a value of a form, so that the second step
// needs no file. It is checked again when it comes back.
func packed(c yearsheet.Content) (string, error) {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if err := json.NewEncoder(z).Encode(c); err != nil {
		return "", err
	}
	if err := z.Close(); err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(b.Bytes()), nil
}

func unpacked(text string) (c yearsheet.Content, err error) {
	lost := web.BadRequest("Pratinjau impor ini tidak utuh. Pilih kembali buku kerjanya.")
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return c, lost
	}
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		return c, lost
	}
	if err := json.NewDecoder(io.LimitReader(z, mostUnpacked)).Decode(&c); err != nil {
		return c, lost
	}
	if _, err := yearAsked(strconv.Itoa(c.Year)); err != nil {
		return c, lost
	}
	return c, nil
}
