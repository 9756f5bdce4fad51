package main

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/xuri/excelize/v2"
)

// TestAddressesOfDaysThatAreNotShown: a year or a day that cannot be shown is said so,
// instead of another one in its place.
func TestAddressesOfDaysThatAreNotShown(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	for _, at := range []string{
		"/kalender?tahun=1999", "/kalender?tahun=abc", "/kalender/impor?tahun=3000", "/papan?dari=2026-02-30", "/papan?dari=x",
		"/papan/1900-01-01", "/papan/9999-12-31", "/papan/2026-13-40",
	} {
		require.Contains(t, o.page(404, "kasubdit", at).text, "Tidak ditemukan", at)
	}
	o.page(200, "kasubdit", "/papan?dari=2999-12-31")
	for _, at := range []string{"/days?from=9999-12-31", "/days?from=1999-12-31", "/days?to=9999-12-31", "/downtimes?from=9999-12-31", "/days.xlsx?from=9999-12-31"} {
		o.problem(400, "kasubdit", http.MethodGet, v1+at, nil)
	}
	o.problem(404, "kasubdit", http.MethodGet, v1+"/days/9999-12-31", nil)
	o.problem(404, "kasubdit", http.MethodGet, v1+"/days/1900-01-01/capacity", nil)
}

// TestASheetThatIsNotThereIsNamed: nothing of it was compared.
func TestASheetThatIsNotThereIsNamed(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.decreed()
	for gone, text := range map[string]string{
		"Libur": "Lembar Libur tidak ada; hanya Kapasitas yang dibandingkan.", "Kapasitas": "Lembar Kapasitas tidak ada; hanya Libur yang dibandingkan.",
	} {
		book, _ := o.sheetOf("kasubdit", "2027", func(f *excelize.File) { require.NoError(t, f.DeleteSheet(gone)) })
		d := o.look(200, "kasubdit", "2027", book)
		require.Contains(t, d.text, text)
		require.NotContains(t, d.text, "sama dengan kalender.")
	}
}

// TestNumbersAndDatesAsPeopleWriteThem: thousands with dots wherever the messages write
// them so, nothing that is no whole number, and a wrong date called wrong.
func TestNumbersAndDatesAsPeopleWriteThem(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	require.Contains(t, o.page(200, "", "/?kartu=1.000").text, "personalisasi 1.000 kartu dimulai")
	require.Contains(t, o.page(200, "", "/?kartu=1.5").text, "Jumlah kartu harus antara 1 dan 20.000.")
	_, next := o.post(303, "kasubdit", "/kalender/kapasitas", "day", "2026-12-08", "capacity", "1.000", "reason", "x")
	d := o.page(200, "kasubdit", next)
	require.Contains(t, d.text, "Kapasitas 1.000 kartu")
	require.Contains(t, d.text, "x Kasubdit KI 23 November 2026", "people have names")
	o.post(422, "kasubdit", "/kalender/kapasitas", "day", "2026-12-09", "capacity", "1.5", "reason", "x")
	for _, day := range []string{"08/12/2026", "2026-13-40"} {
		d, _ = o.post(422, "kasubdit", "/kalender/kapasitas", "day", day, "capacity", "5", "reason", "x")
		require.Contains(t, d.text, "Tanggal tidak dikenal. Tulis seperti 2026-08-17.")
	}
	d, _ = o.post(422, "kasubdit", "/kalender/kapasitas", "day", "", "capacity", "5", "reason", "x")
	require.Contains(t, d.text, "Tanggal wajib diisi.")
	o.post(303, "operator", "/kalender/henti-stasiun/baru", "station", "2", "from", "2026-11-24", "to", "2026-11-24", "cards", "1.000", "reason", "x")

	d = o.page(422, "kasubdit", "/papan/andai?hari_kartu=5&henti_kartu=5")
	require.Contains(t, d.text, "Kapasitas hari, dari tanggal: Tanggal wajib diisi.")
	require.Contains(t, d.text, "Stasiun berhenti, dari tanggal: Tanggal wajib diisi.")
	d = o.page(422, "kasubdit", "/papan/andai?tambah_kartu=5&tambah_tanggal=2026-13-40")
	require.Contains(t, d.text, "Permohonan tambahan, tanggal disposisi: Tanggal tidak dikenal.")
	require.Contains(t, o.page(403, "persuratan", "/kalender/libur/baru").text, "Kalender dijaga oleh Operator KI dan Kasubdit KI.")
}

// TestAWrongValueNamesItsFieldAndWhatIsWanted instead of the type that was sent.
func TestAWrongValueNamesItsFieldAndWhatIsWanted(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	v := o.accept(o.drop(3))
	path := v1 + "/requests/" + v.Ticket + "/placements"
	for _, c := range []struct {
		field, detail string
		value         any
	}{
		{"day", "Tanggal tidak dikenal. Tulis seperti 2026-08-17.", "08/12/2026"}, {"day", "Tanggal tidak dikenal. Tulis seperti 2026-08-17.", 5},
		{"cards", "Isi dengan bilangan bulat, seperti 250.", 5.5}, {"cards", "Isi dengan bilangan bulat, seperti 250.", "lima"}, {"reason", "Isi dengan teks.", 1},
	} {
		p := o.problem(400, "kasubdit", http.MethodPost, path, map[string]any{c.field: c.value}, ifMatch(0)...)
		require.Len(t, p.Errors, 1, c.field)
		require.Equal(t, []string{"/" + c.field, c.detail}, []string{p.Errors[0].Pointer, p.Errors[0].Detail})
	}
	p := o.problem(400, "kasubdit", http.MethodGet, v1+"/days?from=2026-12-02&to=2026-12-01", nil)
	require.Equal(t, "Tanggal akhir lebih awal daripada tanggal awal.", p.Detail)
}
