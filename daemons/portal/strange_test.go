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
