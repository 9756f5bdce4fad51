package main

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/xuri/excelize/v2"
)

// look sends a workbook to the first step of an import.
func (o *office) look(status int, who, year string, book []byte) *document {
	o.t.Helper()
	return o.read(o.want(status, nil, who, http.MethodPost, "/kalender/impor", sheetForm(o.t, book, "tahun", year)))
}

// ticks are the boxes of a name that are ticked.
func (d *document) ticks(name string) (days []string) {
	for _, n := range d.all("input") {
		for _, a := range n.Attr {
			if attr(n, "name") == name && a.Key == "checked" {
				days = append(days, attr(n, "value"))
			}
		}
	}
	return days
}

func TestTheCalendarIsImportedOnPages(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.decreed()
	d := o.page(200, "operator", "/kalender?tahun=2027")
	require.Contains(t, d.text, "Unduh Excel · Impor Excel")
	require.NotContains(t, o.page(200, "produsen", "/kalender?tahun=2027").text, "Impor Excel")
	for _, who := range []string{"produsen", "dirjen", "persuratan"} {
		o.page(403, who, "/kalender/impor?tahun=2027")
	}
	require.Equal(t, "2027", o.page(200, "operator", "/kalender/impor?tahun=2027").value("tahun"))

	require.Contains(t, o.look(422, "operator", "2027", nil).text, "Pilih dahulu buku kerja Excelnya.")
	d = o.look(422, "operator", "2027", pdf)
	require.Contains(t, d.text, "Buku kerja ini bukan buku kerja Excel (.xlsx).")
	require.Equal(t, "2027", d.value("tahun"))

	book, _ := o.sheetOf("operator", "2027", nil)
	require.Contains(t, o.look(200, "operator", "2027", book).text, "Tidak ada yang perlu diubah")

	wrong, _ := o.sheetOf("operator", "2027", func(f *excelize.File) { require.NoError(t, f.SetCellValue("Libur", "C3", "Libur <b>")) })
	d = o.look(422, "operator", "2027", wrong)
	require.Contains(t, d.text, "Libur C3 Jenis “Libur <b>” tidak dikenal.")
	require.NotContains(t, d.text, "Simpan perubahan")

	before := o.written()
	changed, _ := o.sheetOf("operator", "2027", func(f *excelize.File) {
		require.NoError(t, f.RemoveRow("Libur", 4))
		require.NoError(t, f.SetCellValue("Libur", "F2", "sudah"))
		typeRow(t, f, "Libur", "A4", "10-03-2027", "Rabu", "Libur nasional", "Idulfitri <b>", "SKB 1205/2026", "")
	})
	d = o.look(200, "operator", "2027", changed)
	for _, text := range []string{"Akan ditambah (1 hari)", "Rabu, 10 Maret 2027 Hari libur Libur nasional “Idulfitri <b>”", "Libur!A4",
		"Akan diubah (1 hari)", "Pencocokan: “belum dicocokkan” menjadi “sudah dicocokkan” Libur!F2", "Hapus Selasa, 17 Agustus 2027"} {
		require.Contains(t, d.text, text)
	}
	require.Empty(t, d.ticks("remove_holidays"), "nothing is removed by itself")
	require.Equal(t, before, o.written())

	save := func(status int, of *document, pairs ...string) (*document, string) {
		return o.post(status, "operator", "/kalender/impor/simpan", append([]string{"versi", of.value("versi"), "isi", of.value("isi")}, pairs...)...)
	}
	again, _ := save(422, d, "remove_holidays", "2027-08-17", "reason", " ")
	require.Contains(t, again.text, "Alasan wajib diisi")
	require.Equal(t, []string{"2027-08-17"}, again.ticks("remove_holidays"))

	o.want(201, nil, "kasubdit", http.MethodPost, v1+"/holidays", map[string]any{"date": "2027-12-24", "kind": "joint_leave", "name": "Cuti Natal", "decree": "y", "reason": "z"})
	between := o.written()
	stale, _ := save(412, again, "remove_holidays", "2027-08-17", "reason", "SKB terbit")
	require.Contains(t, stale.text, "Kalender berubah sejak pratinjau ini dibuat")
	require.Contains(t, stale.text, "Hapus Jumat, 24 Desember 2027: cuti bersama “Cuti Natal”", "what came meanwhile is offered, not taken")
	require.Equal(t, []string{"2027-08-17"}, stale.ticks("remove_holidays"))
	require.Equal(t, "SKB terbit", stale.value("reason"))
	require.Equal(t, between, o.written())

	_, next := save(303, stale, "remove_holidays", "2027-08-17", "reason", "SKB terbit")
	_, twice := save(303, stale, "remove_holidays", "2027-08-17", "reason", "SKB terbit")
	require.Contains(t, o.page(200, "operator", twice).text, "kalender sudah seperti buku kerja itu", "sent twice, done once")
	require.Contains(t, o.page(200, "operator", next).text, "3 hari diubah dari Excel.")
	year := o.calendar("operator", "2027")
	require.Len(t, year.Holidays, 4)
	require.Equal(t, "Idulfitri <b>", year.Holidays[2].Name)

	for _, content := range []string{"", "!", "H4sIAAAAAAAA"} {
		o.post(400, "operator", "/kalender/impor/simpan", "versi", "1", "isi", content, "reason", "x")
	}
	o.post(403, "produsen", "/kalender/impor/simpan", "versi", "1", "isi", "", "reason", "x")
}

// Whoever takes the preview apart may say no more than a workbook can.
func TestAnImportsContentIsCheckedWhenItComesBack(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.decreed()
	changed, _ := o.sheetOf("kasubdit", "2027", func(f *excelize.File) { typeRow(t, f, "Kapasitas", "A2", "02-02-2027", "", 125, "uji") })
	d := o.look(200, "kasubdit", "2027", changed)
	before := o.written()
	page, _ := o.post(422, "operator", "/kalender/impor/simpan", "versi", d.value("versi"), "isi", d.value("isi"), "reason", "x")
	require.Contains(t, page.text, "Kapasitas A2 Kapasitas hari diatur oleh Kasubdit KI.")
	require.Equal(t, before, o.written())
	o.post(303, "kasubdit", "/kalender/impor/simpan", "versi", d.value("versi"), "isi", d.value("isi"), "reason", "x")
}
