package main

import (
	"context"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/daemons/portal/internal/masterdata"
	"dukcapil.go.id/sifilma/pkg/capacity"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/workday"
)

func (o *office) calendar(who, year string) (v masterdata.Year) {
	o.t.Helper()
	o.want(200, &v, who, http.MethodGet, v1+"/calendar/"+year, nil)
	return v
}

func TestTheCalendarIsLookedAfter(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	form := map[string]any{"date": "2027-08-16", "kind": "joint_leave", "name": "Cuti bersama HUT RI", "decree": "SKB 9", "reason": "SKB perubahan"}
	for _, who := range []string{"produsen", "persuratan", "dirjen", "direktur"} {
		o.problem(403, who, http.MethodPost, v1+"/holidays", form)
	}
	require.False(t, o.calendar("produsen", "2027").Known)
	var h capacity.Holiday
	w := o.want(201, &h, "operator", http.MethodPost, v1+"/holidays", form)
	at := v1 + "/holidays/2027-08-16"
	require.Equal(t, []string{`"1"`, at}, []string{w.Header().Get("ETag"), w.Header().Get("Location")})
	require.Equal(t, map[string]string{"/date": "in_use"}, codes(o.problem(422, "operator", http.MethodPost, v1+"/holidays", form)))
	require.Equal(t, map[string]string{"/date": "in_past", "/kind": "unknown_value", "/name": "missing", "/decree": "missing", "/reason": "missing"},
		codes(o.problem(422, "kasubdit", http.MethodPost, v1+"/holidays", map[string]any{"date": "2020-01-01", "kind": "x"})))
	require.Equal(t, []string{"calendar.changed"}, o.rung(o.lastChange()))

	change := map[string]any{"kind": "joint_leave", "name": "Cuti bersama HUT RI", "decree": "SKB 9", "confirmed": true, "reason": "dicocokkan"}
	o.problem(428, "operator", http.MethodPut, at, change)
	o.problem(404, "operator", http.MethodPut, v1+"/holidays/2027-08-15", change, ifMatch(1)...)
	o.problem(404, "operator", http.MethodPut, v1+"/holidays/kemarin", change, ifMatch(1)...)
	change["date"] = "2027-08-17"
	require.Equal(t, map[string]string{"/date": "differs"}, codes(o.problem(422, "operator", http.MethodPut, at, change, ifMatch(1)...)))
	delete(change, "date")
	o.want(200, &h, "kasubdit", http.MethodPut, at, change, ifMatch(1)...)
	require.True(t, h.Confirmed)
	o.problem(412, "operator", http.MethodPut, at, change, ifMatch(1)...)

	v := o.calendar("operator", "2027")
	require.True(t, v.Known && v.Confirmed)
	require.Equal(t, 21, v.Workdays[7], "a Monday less than the 22 weekdays of August")
	require.Len(t, v.Changes, 2)
	require.Equal(t, []string{"16 Agustus 2027 menjadi cuti bersama (Cuti bersama HUT RI)", "dicocokkan", "kasubdit"},
		[]string{v.Changes[0].Text, v.Changes[0].Reason, v.Changes[0].ChangedBy})
	require.Empty(t, o.calendar("produsen", "2027").Changes, "who decided what is the office's own")

	require.Equal(t, map[string]string{"/reason": "missing"}, codes(o.problem(422, "operator", http.MethodPost, at+"/removal", map[string]any{"reason": ""}, ifMatch(2)...)))
	o.want(204, nil, "operator", http.MethodPost, at+"/removal", map[string]any{"reason": "salah catat"}, ifMatch(2)...)
	o.problem(404, "operator", http.MethodGet, at, nil)
	require.Equal(t, []string{"holiday.create", "holiday.change", "holiday.remove"}, o.deeds("2027-08-16"))
	o.problem(404, "operator", http.MethodGet, v1+"/calendar/20xx", nil)
}

// lastChange is the newest change of a day.
func (o *office) lastChange() (id string) {
	o.t.Helper()
	require.NoError(o.t, o.db.Get(o.t.Context(), &id, `SELECT id FROM day_change ORDER BY id DESC LIMIT 1`))
	return id
}

// rung are the types of the bells for a row.
func (o *office) rung(subject string) (types []string) {
	o.t.Helper()
	require.NoError(o.t, o.db.Select(o.t.Context(), &types, `SELECT type FROM outbox WHERE subject = $1`, subject))
	return types
}

func TestTheCapacityOfADayIsSet(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	day := clock.Today(o.clock).AddDays(1).String()
	at := v1 + "/days/" + day + "/capacity"
	form := map[string]any{"capacity": 125, "reason": "satu pembaca rusak"}
	for _, who := range []string{"produsen", "persuratan", "dirjen", "direktur", "operator"} {
		o.problem(403, who, http.MethodPut, at, form, ifMatch(0)...)
	}
	o.problem(404, "operator", http.MethodGet, at, nil)
	o.problem(403, "produsen", http.MethodGet, at, nil)
	o.problem(428, "kasubdit", http.MethodPut, at, form)
	require.Equal(t, map[string]string{"/capacity": "out_of_range", "/reason": "missing"},
		codes(o.problem(422, "kasubdit", http.MethodPut, at, map[string]any{}, ifMatch(0)...)))
	today := v1 + "/days/" + clock.Today(o.clock).String() + "/capacity"
	require.Equal(t, map[string]string{"/day": "frozen"}, codes(o.problem(422, "kasubdit", http.MethodPut, today, form, ifMatch(0)...)))
	var s capacity.Setting
	o.want(200, &s, "kasubdit", http.MethodPut, at, form, ifMatch(0)...)
	o.problem(412, "kasubdit", http.MethodPut, at, form, ifMatch(0)...)
	require.Equal(t, []string{"capacity.changed"}, o.rung(o.lastChange()))
	o.want(200, &s, "operator", http.MethodGet, at, nil)
	require.Equal(t, "satu pembaca rusak", s.Reason)
	require.Empty(t, o.calendar("produsen", day[:4]).Capacity[0].Reason)
	o.want(204, nil, "kasubdit", http.MethodPost, at+"/removal", map[string]any{"reason": "sudah baik"}, ifMatch(1)...)
	require.Equal(t, []string{"capacity.set", "capacity.unset"}, o.deeds(day))
}

func TestTheCalendarsPages(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.tx(func(ctx context.Context, tx *postgres.Tx) error {
		return capacity.SeedHolidays(ctx, tx, []workday.Holiday{{Date: clock.MustParseDate("2027-08-17"), Kind: workday.National, Name: "Hari Kemerdekaan", Decree: "SKB", Confirmed: true}})
	})
	d := o.page(200, "produsen", "/kalender?tahun=2027")
	require.Contains(t, d.text, "Hari Kemerdekaan")
	require.NotContains(t, d.text, "Catat hari libur")
	require.Contains(t, o.page(200, "produsen", "/kalender?tahun=2031").text, "Belum ada penetapan hari libur tahun 2031.")
	for _, path := range []string{"/kalender/libur/baru", "/kalender/libur/2027-08-17", "/kalender/libur/2027-08-17/hapus"} {
		o.page(403, "produsen", path)
		o.page(200, "operator", path)
	}
	o.page(403, "operator", "/kalender/kapasitas")
	o.page(404, "operator", "/kalender/libur/2027-08-18")
	o.page(404, "operator", "/kalender/libur/x")

	d, _ = o.post(422, "operator", "/kalender/libur/baru", "date", "2027-08-16", "kind", "joint_leave", "name", "Libur <b>", "decree", "")
	require.Contains(t, d.text, "Dasar (nomor SKB atau Keppres) wajib diisi.")
	require.Equal(t, "Libur <b>", d.value("name"))
	_, next := o.post(303, "operator", "/kalender/libur/baru", "date", "2027-08-16", "kind", "joint_leave", "name", "Libur <b>", "decree", "SKB 9", "reason", "baru")
	d = o.page(200, "operator", next)
	require.Contains(t, d.text, "Perubahan tersimpan.")
	require.Contains(t, d.text, "Libur <b> (cuti bersama), belum dicocokkan")
	require.Contains(t, d.text, "16 Agustus 2027 menjadi cuti bersama (Libur <b>)")
	o.post(303, "operator", "/kalender/libur/2027-08-16", "versi", "1", "kind", "joint_leave", "name", "Cuti", "decree", "SKB 9", "confirmed", "ya", "reason", "dicocokkan")
	d, _ = o.post(412, "kasubdit", "/kalender/libur/2027-08-16", "versi", "1", "kind", "national", "name", "Lain", "decree", "SKB 9", "reason", "x")
	require.Equal(t, "Lain", d.value("name"))
	require.Equal(t, "2", d.value("versi"), "so that it can be sent again")
	require.Contains(t, d.text, "Nama hari libur, sekarang tercatat: Cuti.")
	require.Contains(t, d.text, "Pencocokan, sekarang tercatat: Sudah dicocokkan")
	o.post(303, "operator", "/kalender/libur/2027-08-16/hapus", "versi", "2", "reason", "salah")

	d, _ = o.post(422, "kasubdit", "/kalender/kapasitas", "day", "2027-08-18", "capacity", "banyak", "reason", "x")
	require.Contains(t, d.text, "Isi jumlah kartu per hari")
	_, next = o.post(303, "kasubdit", "/kalender/kapasitas", "day", "2027-08-18", "capacity", "100", "reason", "listrik padam")
	require.Contains(t, o.page(200, "kasubdit", next).text, "Kapasitas 100 kartu")
	o.post(303, "kasubdit", "/kalender/kapasitas/2027-08-18", "versi", "1", "capacity", "120", "reason", "sebagian")
	d = o.page(200, "kasubdit", "/kalender/kapasitas?tanggal=2027-08-18")
	require.Contains(t, d.text, "Rabu, 18 Agustus 2027: 120 kartu")
	require.Equal(t, "120", d.value("capacity"))
	require.Equal(t, "2", d.value("versi"))
	d, _ = o.post(412, "kasubdit", "/kalender/kapasitas", "day", "2027-08-18", "capacity", "130", "reason", "lagi")
	require.Contains(t, d.text, "Jumlah kartu, sekarang tercatat: 120.")
	require.Equal(t, []string{"2", "130", "lagi"}, []string{d.value("versi"), d.value("capacity"), d.value("reason")})
	o.post(412, "kasubdit", "/kalender/kapasitas", "versi", "2", "day", "2027-08-19", "capacity", "130", "reason", "lagi")
	d, _ = o.post(412, "kasubdit", "/kalender/kapasitas/2027-08-18", "versi", "1", "capacity", "130", "reason", "lagi")
	require.Equal(t, []string{"2", "130"}, []string{d.value("versi"), d.value("capacity")})
	_, next = o.post(303, "kasubdit", "/kalender/kapasitas/2027-08-18/biasa", "versi", "2", "reason", "sudah baik")
	require.NotContains(t, o.page(200, "kasubdit", next).text, "Kapasitas 120 kartu\n")
}
