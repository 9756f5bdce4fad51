package main

import (
	"net/http"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/xuri/excelize/v2"

	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/perso/handsheet"
	"dukcapil.go.id/sifilma/pkg/perso/persotest"
)

// The whole way on the pages, with two people.
func TestTheManualPages(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	persotest.Recipes(t, o.db)
	v := o.accept(o.drop(60))
	o.scheduled("diterima")
	page := "/permohonan/" + v.Ticket + "/manual"
	require.NotContains(t, o.page(200, "dirjen", "/permohonan/"+v.Ticket).text, "Pengerjaan manual")
	for _, who := range []string{"produsen", "dirjen", "persuratan"} {
		o.page(403, who, page)
	}
	o.page(404, foreigner, page)
	require.Contains(t, o.page(200, "operator", "/permohonan/"+v.Ticket).text, "Cara pengerjaan: di stasiun. Pengerjaan manual")
	require.NotContains(t, o.page(200, "operator", page).text, "Generate")
	did := func(who, path, says string, pairs ...string) *document {
		_, to := o.post(303, who, page+path, pairs...)
		d := o.page(200, who, to)
		require.Contains(t, d.text, says)
		return d
	}

	d, _ := o.post(422, "kasubdit", page+"/cara", "versi", "0", "mode", "manual", "reason", " ")
	require.Contains(t, d.text, "Alasan wajib diisi.")
	d = did("kasubdit", "/cara", "Cara pengerjaan: manual, ditetapkan", "versi", "0", "mode", "manual", "reason", "alat lama")
	require.Contains(t, d.text, "Belum bernomor 60 kartu")
	d, _ = o.post(412, "kasubdit", page+"/cara", "versi", "0", "mode", "station", "reason", "x")
	require.Contains(t, d.text, "Data berubah sejak Anda membuka halaman ini.")
	d = did("operator", "/nomor", "Bernomor, belum ada hasil 60 kartu")
	require.Len(t, d.all("select"), 50, "a page of them")
	require.Len(t, o.page(200, "operator", page+"?halaman=2").all("select"), 10)
	d, _ = o.post(422, "operator", page+"/hapus", "reason", "")
	require.Contains(t, d.text, "Alasan wajib diisi.")
	did("operator", "/hapus", "nomor itu tidak pernah diberikan lagi", "reason", "salah urut")
	did("operator", "/nomor", "Semua kartu sudah bernomor.")

	o.morningOf(v.ID)
	var desk atHand
	o.want(200, &desk, "operator", http.MethodGet, v1+"/requests/"+v.Ticket+"/personalisation", nil)
	first, second := desk.Cards[0], desk.Cards[1]
	d, _ = o.post(422, "operator", page+"/hasil", "result_"+first.ID, "clear", "reason_"+first.ID, "", "result_"+second.ID, "failed", "reason_"+second.ID, "")
	require.Contains(t, d.text, "Alasan wajib diisi untuk kartu yang gagal.")
	require.Contains(t, d.text, "Menunggu konfirmasi 0 kartu")
	d = did("operator", "/hasil?halaman=1", "Hasil tercatat; berlaku setelah dikonfirmasi orang lain.",
		"result_"+first.ID, "clear", "reason_"+first.ID, "", "result_"+second.ID, "failed", "reason_"+second.ID, "Chip mati")
	require.Contains(t, d.text, "Chip mati Operator")
	require.NotContains(t, d.text, "Hapus semua nomor")
	d, _ = o.post(403, "operator", page+"/konfirmasi", "results", d.value("tampil"))
	require.Contains(t, d.text, "Keputusan harus dikonfirmasi oleh orang lain.")
	d, _ = o.post(422, "kasubdit", page+"/konfirmasi")
	require.Contains(t, d.text, "Pilih sekurangnya satu hasil.")
	did("kasubdit", "/tarik", "Hasil ditarik; kartunya tetap bernomor.", "results", d.value("tampil"))
	d = o.page(200, "kasubdit", page)
	did("kasubdit", "/konfirmasi", "Selesai 1 kartu", "semua", "1", "tampil", d.value("tampil"))
	require.Equal(t, perso.Failed, o.cards("operator", v.Ticket)[1].State)

	at := v1 + "/requests/" + v.Ticket
	book := func(status string) []byte {
		return o.handBook(at, func(f *excelize.File) {
			for row := 6; row < 20; row++ {
				require.NoError(t, f.SetCellStr(handsheet.Sheet, "E"+strconv.Itoa(row), status))
			}
		})
	}
	w := o.want(422, nil, "operator", http.MethodPost, page+"/impor", sheetForm(t, book("entah")))
	d = o.read(w)
	require.Contains(t, d.text, "Lembar Data Personalisasi, sel E6")
	require.Contains(t, d.text, "Tidak ada yang diambil dari Excel itu.")
	w = o.want(303, nil, "operator", http.MethodPost, page+"/impor", sheetForm(t, book("Berhasil")))
	require.Contains(t, o.page(200, "operator", w.Header().Get("Location")).text, "Menunggu konfirmasi 14 kartu")
	w = o.want(303, nil, "operator", http.MethodPost, page+"/impor", sheetForm(t, o.handBook(at, nil)))
	require.Contains(t, o.page(200, "operator", w.Header().Get("Location")).text, "Tidak ada yang baru dalam Excel itu")
	w = o.want(422, nil, "operator", http.MethodPost, page+"/impor", sheetForm(t, nil))
	require.Contains(t, o.read(w).text, "Pilih dahulu buku kerja Excelnya.")
}
