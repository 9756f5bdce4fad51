package main

import (
	"bytes"
	"context"
	"mime/multipart"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/xuri/excelize/v2"

	"dukcapil.go.id/sifilma/daemons/portal/internal/masterdata"
	"dukcapil.go.id/sifilma/pkg/capacity"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/workday"
)

// decreed fills the calendar of 2026, of which part is over, and of 2027.
func (o *office) decreed() {
	o.t.Helper()
	day := func(d string, k workday.Kind, name string) workday.Holiday {
		return workday.Holiday{Date: clock.MustParseDate(d), Kind: k, Name: name, Decree: "SKB 1205/2026"}
	}
	o.tx(func(ctx context.Context, tx *postgres.Tx) error {
		return capacity.SeedHolidays(ctx, tx, []workday.Holiday{
			day("2026-08-17", workday.National, "Hari Kemerdekaan"), day("2026-12-25", workday.National, "Natal"),
			day("2027-01-01", workday.National, "Tahun Baru"), day("2027-03-09", workday.JointLeave, "Cuti bersama Idulfitri"), day("2027-08-17", workday.National, "Hari Kemerdekaan"),
		})
	})
}

// sheetOf downloads the calendar of a year, lets edit change it, and returns it with
// the version that it is of.
func (o *office) sheetOf(who, year string, edit func(f *excelize.File)) (book []byte, version int64) {
	o.t.Helper()
	w := o.want(200, nil, who, http.MethodGet, v1+"/calendar/"+year+".xlsx", nil)
	require.Contains(o.t, w.Header().Get("Content-Disposition"), "Kalender-SI-FILMA-"+year+".xlsx")
	version, err := strconv.ParseInt(strings.Trim(w.Header().Get("ETag"), `"`), 10, 64)
	require.NoError(o.t, err)
	f, err := excelize.OpenReader(bytes.NewReader(w.Body.Bytes()))
	require.NoError(o.t, err)
	if edit != nil {
		edit(f)
	}
	var b bytes.Buffer
	require.NoError(o.t, f.Write(&b))
	require.NoError(o.t, f.Close())
	return b.Bytes(), version
}

func sheetForm(t *testing.T, book []byte, fields ...string) *form {
	t.Helper()
	f := &form{}
	w := multipart.NewWriter(&f.body)
	for i := 0; i+1 < len(fields); i += 2 {
		require.NoError(t, w.WriteField(fields[i], fields[i+1]))
	}
	if book != nil {
		part, err := w.CreateFormFile("sheet", "kalender.xlsx")
		require.NoError(t, err)
		_, err = part.Write(book)
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	f.mediaType = w.FormDataContentType()
	return f
}

func typeRow(t *testing.T, f *excelize.File, sheet, at string, values ...any) {
	t.Helper()
	require.NoError(t, f.SetSheetRow(sheet, at, &values))
}

// written counts what an import writes.
func (o *office) written() (n [3]int) {
	o.t.Helper()
	for i, table := range []string{"day_change", "audit", "outbox"} {
		require.NoError(o.t, o.db.Get(o.t.Context(), &n[i], `SELECT count(*) FROM `+table))
	}
	return n
}

func TestTheCalendarGoesThroughExcelUnchanged(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.decreed()
	o.want(200, nil, "kasubdit", http.MethodPut, v1+"/days/2027-02-02/capacity", map[string]any{"capacity": 125, "reason": "satu pembaca\nrusak"}, ifMatch(0)...)
	before := o.written()
	for _, year := range []string{"2026", "2027", "2029"} {
		book, version := o.sheetOf("kasubdit", year, nil)
		require.Equal(t, version, o.calendar("kasubdit", year).Version)
		for _, who := range []string{"kasubdit", "operator"} {
			for _, look := range []string{"true", "false"} {
				var v masterdata.Import
				o.want(200, &v, who, http.MethodPost, v1+"/calendar/"+year+"/import?dry_run="+look, sheetForm(t, book), ifMatch(version)...)
				require.Empty(t, v.Changes)
				require.Empty(t, v.Missing)
				require.Equal(t, version, v.Version)
				require.Equal(t, look == "false", v.Applied)
			}
		}
	}
	require.Equal(t, before, o.written(), "nothing changed, and nothing is written")
	book, _ := o.sheetOf("produsen", "2027", nil)
	require.NotContains(t, capacityText(t, book), "satu pembaca", "the office's reasons stay in the office")
	o.problem(404, "produsen", http.MethodGet, v1+"/calendar/1999.xlsx", nil)
}

// capacityText is what stands on the sheet of capacities.
func capacityText(t *testing.T, book []byte) string {
	t.Helper()
	f, err := excelize.OpenReader(bytes.NewReader(book))
	require.NoError(t, err)
	defer f.Close() //nolint:errcheck // in memory
	rows, err := f.GetRows("Kapasitas")
	require.NoError(t, err)
	var b strings.Builder
	for _, row := range rows {
		b.WriteString(strings.Join(row, "\t") + "\n")
	}
	return b.String()
}

func TestTheCalendarIsImportedAtOnce(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.decreed()
	at := v1 + "/calendar/2027/import?dry_run="
	book, version := o.sheetOf("kasubdit", "2027", func(f *excelize.File) {
		require.NoError(t, f.RemoveRow("Libur", 4)) // 17 August
		require.NoError(t, f.SetCellValue("Libur", "F2", "sudah"))
		typeRow(t, f, "Libur", "A4", "Rabu, 10 Maret 2027", "", "libur nasional", "Idulfitri", "SKB 1205/2026", "ya")
		typeRow(t, f, "Kapasitas", "A2", "02-02-2027", "", 125, "satu pembaca rusak")
	})
	for _, who := range []string{"produsen", "persuratan", "dirjen", "direktur"} {
		o.problem(403, who, http.MethodPost, at+"true", sheetForm(t, book))
	}
	before := o.written()
	var v masterdata.Import
	o.want(200, &v, "kasubdit", http.MethodPost, at+"true", sheetForm(t, book))
	require.Len(t, v.Changes, 3)
	require.Len(t, v.Missing, 1)
	require.Equal(t, before, o.written(), "a look changes nothing")
	require.Equal(t, map[string]string{"sheet!Kapasitas!A2": "role"}, codes(o.problem(422, "operator", http.MethodPost, at+"true", sheetForm(t, book))))

	o.problem(428, "kasubdit", http.MethodPost, at+"false", sheetForm(t, book, "reason", "SKB 2027"))
	require.Equal(t, map[string]string{"/reason": "missing"}, codes(o.problem(422, "kasubdit", http.MethodPost, at+"false", sheetForm(t, book), ifMatch(version)...)))
	require.Equal(t, map[string]string{"/remove_holidays": "unknown_value"},
		codes(o.problem(422, "kasubdit", http.MethodPost, at+"true", sheetForm(t, book, "remove_holidays", "2027-01-01"))))
	require.Equal(t, map[string]string{"/remove_capacity": "wrong_form"},
		codes(o.problem(422, "kasubdit", http.MethodPost, at+"true", sheetForm(t, book, "remove_capacity", "besok"))))
	require.Equal(t, before, o.written())

	o.want(200, &v, "kasubdit", http.MethodPost, at+"false", sheetForm(t, book, "reason", "SKB 2027", "remove_holidays", "2027-08-17"), ifMatch(version)...)
	require.True(t, v.Applied)
	require.Len(t, v.Changes, 4)
	require.Greater(t, v.Version, version)
	after := o.written()
	require.Equal(t, [3]int{4, 4, 4}, [3]int{after[0] - before[0], after[1] - before[1], after[2] - before[2]}, "one row, one audit row and one bell for each day")
	for day, deed := range map[string]string{"2027-01-01": "holiday.change", "2027-03-10": "holiday.create", "2027-08-17": "holiday.remove", "2027-02-02": "capacity.set"} {
		require.Equal(t, []string{deed}, o.deeds(day))
	}
	year := o.calendar("kasubdit", "2027")
	require.Equal(t, v.Version, year.Version)
	require.Len(t, year.Holidays, 3)
	require.True(t, year.Holidays[0].Confirmed)
	require.EqualValues(t, 2, year.Holidays[0].Version)
	require.Equal(t, "satu pembaca rusak", year.Capacity[0].Reason)
	for _, c := range year.Changes {
		require.Equal(t, []string{"SKB 2027", "kasubdit"}, []string{c.Reason, c.ChangedBy})
	}
	o.problem(412, "kasubdit", http.MethodPost, at+"false", sheetForm(t, book, "reason", "SKB 2027"), ifMatch(version)...)
	var again masterdata.Import
	o.want(200, &again, "kasubdit", http.MethodPost, at+"false", sheetForm(t, book, "reason", "SKB 2027"), ifMatch(v.Version)...)
	require.Empty(t, again.Changes, "what was done is not done again")
	require.Equal(t, after, o.written())
}

// A calendar that changes between the look and the import refuses it, whoever and
// whatever changed it.
func TestAnImportOfAnOlderCalendarIsRefused(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.decreed()
	at := v1 + "/calendar/2027/import?dry_run=false"
	removed := func(f *excelize.File) { require.NoError(t, f.SetCellValue("Libur", "D2", "Tahun Baru Masehi")) }
	for _, change := range []func(){
		func() {
			o.want(201, nil, "operator", http.MethodPost, v1+"/holidays", map[string]any{"date": "2027-12-24", "kind": "joint_leave", "name": "x", "decree": "y", "reason": "z"})
		},
		func() {
			o.want(204, nil, "operator", http.MethodPost, v1+"/holidays/2027-12-24/removal", map[string]any{"reason": "z"}, ifMatch(1)...)
		},
		func() {
			o.want(200, nil, "kasubdit", http.MethodPut, v1+"/days/2027-02-02/capacity", map[string]any{"capacity": 1, "reason": "z"}, ifMatch(0)...)
		},
		func() {
			o.want(204, nil, "kasubdit", http.MethodPost, v1+"/days/2027-02-02/capacity/removal", map[string]any{"reason": "z"}, ifMatch(1)...)
		},
		func() {
			o.tx(func(ctx context.Context, tx *postgres.Tx) error {
				return capacity.SeedHolidays(ctx, tx, []workday.Holiday{{Date: clock.MustParseDate("2027-05-17"), Kind: workday.National, Name: "Iduladha", Decree: "SKB"}})
			})
		},
	} {
		book, version := o.sheetOf("kasubdit", "2027", removed)
		change()
		o.problem(412, "kasubdit", http.MethodPost, at, sheetForm(t, book, "reason", "r"), ifMatch(version)...)
	}
	require.Equal(t, "Tahun Baru", o.calendar("kasubdit", "2027").Holidays[0].Name)
}

func TestAWrongCalendarSheetIsRefused(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.decreed()
	at := v1 + "/calendar/2027/import?dry_run="
	book, version := o.sheetOf("kasubdit", "2027", func(f *excelize.File) {
		require.NoError(t, f.SetCellValue("Libur", "C2", "Libur"))
		require.NoError(t, f.SetCellFormula("Libur", "E3", "E2"))
	})
	before := o.written()
	for _, look := range []string{"true", "false"} {
		require.Equal(t, map[string]string{"sheet!Libur!C2": "unknown_value", "sheet!Libur!E3": "formula"},
			codes(o.problem(422, "operator", http.MethodPost, at+look, sheetForm(t, book, "reason", "r"), ifMatch(version)...)))
	}
	old, v2026 := o.sheetOf("kasubdit", "2026", func(f *excelize.File) { require.NoError(t, f.SetCellValue("Libur", "D2", "HUT RI")) })
	require.Equal(t, map[string]string{"sheet!Libur!D2": "in_past"},
		codes(o.problem(422, "operator", http.MethodPost, v1+"/calendar/2026/import?dry_run=false", sheetForm(t, old, "reason", "r"), ifMatch(v2026)...)))
	require.Equal(t, map[string]string{"sheet!Libur!A2": "wrong_year", "sheet!Libur!A3": "wrong_year"},
		codes(o.problem(422, "operator", http.MethodPost, at+"true", sheetForm(t, old))))
	require.Equal(t, map[string]string{"/sheet": "missing"}, codes(o.problem(422, "operator", http.MethodPost, at+"true", sheetForm(t, nil, "reason", "r"))))
	require.Equal(t, map[string]string{"/sheet": "not_workbook"}, codes(o.problem(422, "operator", http.MethodPost, at+"true", sheetForm(t, pdf))))
	require.Equal(t, map[string]string{"/sheet": "too_large"}, codes(o.problem(422, "operator", http.MethodPost, at+"true", sheetForm(t, make([]byte, 6<<20)))))
	o.problem(413, "operator", http.MethodPost, at+"true", sheetForm(t, make([]byte, 11<<20)))
	o.problem(404, "operator", http.MethodPost, v1+"/calendar/20xx/import?dry_run=true", sheetForm(t, book))
	require.Equal(t, before, o.written())
}
