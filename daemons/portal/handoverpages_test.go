package main

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/letter"
	"dukcapil.go.id/sifilma/pkg/report"
)

// Papers come back signed and cards change hands on the pages alone, from the button of
// the next handover to its end, with a shortage on the way.
func TestPapersAndHandoverByPages(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	v := o.accept(o.drop(3))
	o.produce(v, 0)
	home := "/permohonan/" + v.Ticket
	send := func(status int, who, path string, file []byte, pairs ...string) *document {
		w := o.want(status, nil, who, http.MethodPost, path, newForm(t, file, pairs...))
		if status == http.StatusSeeOther {
			return nil
		}
		return o.read(w)
	}

	reply := o.makeLetter(v.ID)
	paper := home + "/naskah/" + reply.ID
	require.Contains(t, o.page(200, "persuratan", home).hrefs(), paper)
	require.NotContains(t, o.page(200, "kasubdit", paper).hrefs(), paper+"/pindaian", "whose turn it is not, is not led there")
	o.page(403, "kasubdit", paper+"/pindaian")
	o.page(404, "produsen", paper) // not in force yet
	require.Contains(t, send(422, "persuratan", paper+"/pindaian", []byte("bukan PDF"), "versi", "3", "signed_on", "2026-11-24").text, "tidak boleh setelah hari ini")
	require.Contains(t, send(412, "persuratan", paper+"/pindaian", pdf, "versi", "1", "signed_on", "2026-11-23").text, "berubah sejak Anda membuka")
	own := send(422, "persuratan", paper+"/pindaian", pdf, "versi", "3", "signed_on", "2026-11-23")
	require.Contains(t, own.text, "Berkas ini PDF Surat balasan permohonan nomor "+*reply.Number+" sendiri, yang belum ditandatangani.")
	send(303, "persuratan", paper+"/pindaian", signedScan(paper), "versi", "3", "signed_on", "2026-11-23")
	require.Contains(t, o.page(200, "produsen", paper).text, "Terbit")

	require.NotContains(t, o.page(200, "kasubdit", home).hrefs(), home+"/serah-terima/baru")
	require.Contains(t, o.page(200, "operator", home).hrefs(), home+"/serah-terima/baru")
	d, _ := o.post(422, "operator", home+"/serah-terima/baru", "quantity", "9")
	require.Contains(t, d.text, "tidak sebanyak itu")
	_, at := o.post(303, "operator", home+"/serah-terima/baru", "quantity", "3")
	at, _, _ = strings.Cut(at, "?")
	id := at[strings.LastIndex(at, "/")+1:]
	var h report.Handover
	o.want(200, &h, "operator", http.MethodGet, "/api/v1/handovers/"+id, nil)

	_, _ = o.post(303, "operator", at+"/janji", "versi", "1", "day", "2026-11-24", "hour", "09:30", "note", "Loket 2")
	require.Contains(t, o.page(200, "produsen", at).text, "24 November 2026")
	d, _ = o.post(422, "operator", at+"/janji", "versi", "2", "day", "2026-11-20", "hour", "09:30")
	require.Contains(t, d.text, "tidak boleh sudah lewat")
	d, _ = o.post(422, "operator", at+"/janji", "versi", "2", "day", "2026-11-28", "hour", "09:30")
	require.Contains(t, d.text, "Sabtu, 28 November 2026 bukan hari kerja.")
	o.post(403, "produsen", at+"/janji", "versi", "2", "day", "2026-11-25", "hour", "09:30")

	labels := o.page(200, "operator", at+"/label").text
	for _, want := range []string{"3 (tiga) keping", v.Ticket, "Serah terima ke-1", "1 dari 1", "24 November 2026"} {
		require.Contains(t, labels, want)
	}
	o.page(404, "produsen", at+"/label") // trays are the office's

	bast := o.draftBAST(h, v.ID)
	o.post(303, "operator", home+"/naskah/"+bast.ID+"/batal", "versi", "3", "reason", "salah nama wakil", "again", "ya")
	voided, err := letter.Get(t.Context(), o.db, bast.ID)
	require.NoError(t, err)
	require.Equal(t, letter.Void, voided.State)
	o.page(409, "operator", home+"/naskah/"+bast.ID+"/batal")
	second := o.make(letter.BAST, h.ID, v.ID)
	require.NotEqual(t, *bast.Number, *second.Number)

	serials := o.trayOf(at)
	require.Len(t, serials, 3)
	d, _ = o.post(422, "operator", at+"/pindai", "method", "barcode", "keys", serials[0]+"\nKARTU-LAIN")
	require.Contains(t, d.text, "KARTU-LAIN bukan kartu serah terima ini")
	_, next := o.post(303, "operator", at+"/pindai", "method", "barcode", "keys", serials[0])
	require.True(t, strings.HasPrefix(next, at+"/pindai?"), "the next one")
	require.Contains(t, o.page(200, "operator", next).text, "Kartu "+serials[0]+" terpindai, 1 dari 3.")
	require.Contains(t, o.page(200, "operator", strings.Replace(next, serials[0], serials[1], 1)).text, "Kartu terpindai, 1 dari 3.", "that one was not")
	require.NotContains(t, o.page(200, "operator", at+"/pindai").text, "terpindai")
	require.Contains(t, o.page(200, "produsen", at).text, "Berikutnya Operator KI mencetak BAST, memintakan tanda tangan kedua pihak, lalu mencatat penyerahan kartu")
	fields := []string{"versi", o.page(200, "operator", at+"/penyerahan").value("versi"), "representative", "PIC Produsen Contoh", "representative_post", "Manajer", "delivered_on", "2026-11-23"}
	d = send(422, "operator", at+"/penyerahan", pdf, append(fields, "representative_of", "reseller")...)
	require.Contains(t, d.text, "reseller, distributor, dan lembaga pengguna tidak dapat mewakilinya")
	require.Equal(t, "PIC Produsen Contoh", d.value("representative"), "what was typed is still there")
	d = send(422, "operator", at+"/penyerahan", pdf, append(fields, "representative_of", "produsen")...)
	require.Contains(t, d.text, "2 kartu belum dipindai")
	_, next = o.post(303, "operator", at+"/pindai", "method", "barcode", "keys", strings.Join(serials, "\r\n"))
	require.True(t, strings.HasPrefix(next, at+"?"))
	require.Contains(t, o.page(200, "operator", next).text, "Tersimpan.")
	d = send(422, "operator", at+"/penyerahan", signedScan(paper), append(fields, "representative_of", "produsen")...)
	require.Contains(t, d.text, "Berkas ini sudah menjadi pindaian bertanda tangan Surat balasan permohonan nomor "+*reply.Number+".")
	require.Equal(t, "PIC Produsen Contoh", d.value("representative"), "only the file is chosen once more")
	send(303, "operator", at+"/penyerahan", signedScan(at), append(fields, "representative_of", "produsen")...)
	for _, who := range []string{"produsen", "operator", "kasubdit"} {
		require.Contains(t, o.page(200, who, at).text, "Berikutnya pemohon menghitung kartu yang diterimanya dan mencatat jumlahnya")
	}

	o.page(403, "operator", at+"/penerimaan")
	count := o.page(200, "produsen", at+"/penerimaan")
	require.Equal(t, "0", count.value("received_1"), "as the manual has it")
	d, _ = o.post(422, "produsen", at+"/penerimaan", "versi", count.value("versi"), "received_1", "4")
	require.Contains(t, d.text, "antara 0 dan jumlah yang diserahkan, 3")
	o.post(303, "produsen", at+"/penerimaan", "versi", count.value("versi"), "received_1", "2")
	require.Contains(t, o.page(200, "operator", at).text, "Berikutnya Operator KI atau Kasubdit KI mencatat tindak lanjut kekurangan; sesudah itu Kasubdit KI menutup serah terima ini.")
	closing := o.page(200, "kasubdit", at+"/tutup").value("versi")
	d, _ = o.post(409, "kasubdit", at+"/tutup", "versi", closing)
	require.Contains(t, d.text, "Masih ada kekurangan")
	var follow string
	for _, link := range o.page(200, "operator", at).hrefs() {
		if strings.Contains(link, "/selisih/") {
			follow = link
		}
	}
	require.NotEmpty(t, follow)
	o.page(403, "produsen", follow)
	d, _ = o.post(422, "operator", follow, "outcome", "found")
	require.Contains(t, d.text, "Tuliskan apa yang ditemukan.")
	o.post(303, "operator", follow, "outcome", "found", "finding", "di baki kedua, diserahkan sore itu")
	require.Contains(t, o.page(200, "produsen", at).text, "di baki kedua")
	require.Contains(t, o.page(200, "produsen", at).text, "Berikutnya Kasubdit KI menutup serah terima ini.")
	o.post(303, "kasubdit", at+"/tutup", "versi", closing)
	require.Contains(t, o.page(200, "produsen", at).text, "Selesai")
	for _, deed := range []string{"handover.prepare", "handover.appoint", "handover.scan", "handover.deliver", "handover.receive", "handover.settle", "handover.close"} {
		require.Contains(t, o.deeds(h.ID), deed)
	}
}

// trayOf are the serials that the page of a handover lists.
func (o *office) trayOf(at string) (serials []string) {
	o.t.Helper()
	for _, word := range strings.Fields(o.page(200, "operator", at).text) {
		if strings.HasPrefix(word, "SAM") && len(word) == len("SAM00001") {
			serials = append(serials, word)
		}
	}
	return serials
}

// hrefs are the addresses that a page leads to.
func (d *document) hrefs() (list []string) {
	for _, a := range d.all("a") {
		if u, err := url.Parse(attr(a, "href")); err == nil {
			list = append(list, u.Path)
		}
	}
	return list
}
