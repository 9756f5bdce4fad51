package main

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/daemons/portal/internal/planning"
)

// planVersion is what the forms of a request's plan are made of.
func (o *office) planVersion(ticket string) string {
	o.t.Helper()
	var v planning.Plan
	o.want(200, &v, "operator", http.MethodGet, "/api/v1/requests/"+ticket+"/plan", nil)
	return fmt.Sprint(v.Version)
}

func TestThePlanIsDecidedOnARequestsPage(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	fresh := o.drop(3)
	require.NotContains(t, o.page(200, "kasubdit", "/permohonan/"+fresh.Ticket).text, "Rencana personalisasi")
	v := o.accept(o.drop(30))
	o.scheduled("permohonan ini diterima")
	at := "/permohonan/" + v.Ticket
	d := o.page(200, "kasubdit", at)
	for _, text := range []string{"Rencana personalisasi", "Selasa, 24 November 2026 30 30", "Ruang pada hari kerja berikutnya", "Senin, 23 November 2026 (hari ini) 250 0 250", "Kunci pada hari", "Lepas sekarang"} {
		require.Contains(t, d.text, text)
	}
	d = o.page(200, "operator", at)
	require.Contains(t, d.text, "Ruang pada hari kerja berikutnya")
	require.NotContains(t, d.text, "Kunci pada hari")
	require.NotContains(t, o.page(200, "produsen", at).text, "Rencana personalisasi")
	for _, path := range []string{"kunci", "geser", "pecah", "lepas"} {
		o.post(403, "operator", at+"/rencana/"+path, "day", "2026-11-26", "reason", "x")
		o.post(404, foreigner, at+"/rencana/"+path, "day", "2026-11-26", "reason", "x")
		require.Equal(t, at, o.want(303, nil, "kasubdit", http.MethodGet, at+"/rencana/"+path, nil).Header().Get("Location"))
	}

	seen := o.planVersion(v.Ticket)
	d, _ = o.post(422, "kasubdit", at+"/rencana/pecah", "versi", seen, "cards", "", "day", "2026-11-28", "pin", "1", "reason", " ")
	for _, text := range []string{"Belum dilakukan: pecah permohonan", "Isi jumlah kartu yang dipisahkan, paling sedikit 1.", "Tanggal ini bukan hari kerja (akhir pekan).", "Alasan wajib diisi"} {
		require.Contains(t, d.text, text)
	}
	d, _ = o.post(422, "kasubdit", at+"/rencana/kunci", "versi", seen, "day", "2026-11-28", "reason", "pelantikan <b>")
	require.Contains(t, d.text, "pelantikan <b>", "what was typed is not lost")
	_, next := o.post(303, "kasubdit", at+"/rencana/kunci", "versi", seen, "day", "2026-11-26", "reason", "pelantikan")
	require.Contains(t, o.page(200, "kasubdit", next).text, "Kartu dikunci pada hari itu. Perkiraan yang baru tampil setelah rencana disusun ulang")
	d, _ = o.post(412, "kasubdit", at+"/rencana/geser", "versi", seen, "day", "2026-11-30", "reason", "menyusul")
	require.Contains(t, d.text, "diatur orang lain sejak Anda membuka halaman ini")
	require.Contains(t, d.text, "menyusul")
	_, next = o.post(303, "kasubdit", at+"/rencana/pecah", "versi", o.planVersion(v.Ticket), "cards", "10", "day", "2026-12-01", "pin", "1", "reason", "sebagian")
	o.scheduled("penempatan kartu diatur petugas")
	d = o.page(200, "kasubdit", next)
	for _, text := range []string{"Kamis, 26 November 2026 20 20", "Selasa, 1 Desember 2026 10 10", "Dikunci: semua kartu yang tersisa pada 26 November 2026 pelantikan Kasubdit KI Cabut",
		"Dipecah dan dikunci: 10 kartu pada 1 Desember 2026 sebagian", "bergeser karena penempatan kartu diatur petugas"} {
		require.Contains(t, d.text, text)
	}
	require.NotContains(t, o.page(200, "operator", at).text, "Cabut")

	var plan planning.Plan
	o.want(200, &plan, "operator", http.MethodGet, "/api/v1/requests/"+v.Ticket+"/plan", nil)
	undo := at + "/rencana/cabut/" + plan.Placements[0].ID
	o.page(403, "operator", undo)
	require.Contains(t, o.page(200, "kasubdit", undo).text, "semua kartu yang tersisa pada 26 November 2026")
	o.post(422, "kasubdit", undo, "versi", "1", "reason", "")
	o.post(412, "kasubdit", undo, "versi", "9", "reason", "tidak jadi")
	_, next = o.post(303, "kasubdit", undo, "versi", "1", "reason", "tidak jadi")
	require.Contains(t, o.page(200, "kasubdit", next).text, "Pengaturan dicabut.")
	_, next = o.post(303, "kasubdit", undo, "versi", "1", "reason", "tidak jadi")
	require.Equal(t, at+"?sudah=rencana-cabut", next, "sent twice")
	require.Contains(t, o.page(200, "kasubdit", next).text, "Pengaturan dicabut.")
	require.Equal(t, at, o.want(303, nil, "kasubdit", http.MethodGet, undo, nil).Header().Get("Location"), "and an old link leads to the request")
	o.page(404, "kasubdit", at+"/rencana/cabut/x")

	_, next = o.post(303, "kasubdit", at+"/rencana/lepas", "cards", "5", "reason", "mendesak")
	require.Contains(t, o.page(200, "kasubdit", next).text, "Lepas sekarang, 5 kartu "+v.Ticket+" mendesak")
	require.Contains(t, o.page(200, "kasubdit", next).text, "Menunggu dilaksanakan")
	o.scheduled("perintah petugas")
	require.NotContains(t, o.page(200, "kasubdit", next).text, "beberapa detik lagi", "what it says is over")
	require.Contains(t, o.page(200, "kasubdit", at).text, "5 kartu dilepas untuk hari ini.")
	d = o.page(200, "operator", at)
	for _, text := range []string{"Rencana diatur petugas: dikunci, semua kartu yang tersisa pada 26 November 2026 “pelantikan”", "Rencana diatur petugas: dipecah dan dikunci, 10 kartu pada 1 Desember 2026 “sebagian”",
		"Pengaturan rencana dicabut: dikunci, semua kartu yang tersisa pada 26 November 2026 “tidak jadi”", "Lepas sekarang, 5 kartu, Senin, 23 November 2026: 5 kartu dilepas untuk hari ini. “mendesak”"} {
		require.Contains(t, d.text, text, "who decided on the plan, and why, stays in the timeline")
	}
	require.NotContains(t, o.page(200, "produsen", at).text, "pelantikan", "it is the office's own business")
	require.NotContains(t, o.page(200, "produsen", at).text, "mendesak")
	require.Contains(t, o.page(200, "operator", "/papan/2026-11-23").text, "Lepas sekarang, 5 kartu "+v.Ticket+" mendesak")
	require.NotContains(t, o.page(200, "produsen", "/papan/2026-11-23").text, "mendesak")
	d, _ = o.post(422, "kasubdit", at+"/rencana/lepas", "cards", "lima", "reason", "mendesak")
	require.Contains(t, d.text, "Jumlah kartu paling sedikit 1.")
	d, _ = o.post(409, "kasubdit", "/permohonan/"+fresh.Ticket+"/rencana/lepas", "reason", "x")
	require.Contains(t, d.text, "tidak sedang diproduksi")

	o.want(200, nil, "kasubdit", http.MethodPost, "/api/v1/requests/"+v.Ticket+"/hold", map[string]any{"reason": "ditahan"}, ifMatch(o.see(v.Ticket).Version)...)
	d = o.page(200, "kasubdit", at)
	require.Contains(t, d.text, "Selama ditahan")
	require.NotContains(t, d.text, "Kunci pada hari")
	d, _ = o.post(409, "kasubdit", at+"/rencana/kunci", "versi", o.planVersion(v.Ticket), "day", "2026-11-26", "reason", "tetap dikunci")
	require.Contains(t, d.text, "tetap dikunci", "what was typed is not lost though the form is gone")
}

func TestTodayIsClosedAndReopenedOnPages(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	v := o.accept(o.drop(30))
	o.scheduled("permohonan ini diterima")
	const at = "/kalender/hari-ini"
	require.Contains(t, o.page(200, "operator", "/kalender").text, "Hari ini · Henti stasiun")
	require.NotContains(t, o.page(200, "produsen", "/kalender").text, "Henti stasiun")
	o.page(403, "produsen", at)
	require.Contains(t, o.page(200, "operator", at).text, "tidak ada kartu yang dikerjakan hari ini")
	o.page(403, "operator", at+"/tutup")
	o.post(303, "kasubdit", "/permohonan/"+v.Ticket+"/rencana/lepas", "reason", "mendesak")
	o.scheduled("perintah petugas")
	require.Contains(t, o.page(200, "kasubdit", at+"/tutup").text, v.Ticket)
	d, _ := o.post(422, "kasubdit", at+"/tutup", "ticket", "", "reason", "listrik padam")
	require.Contains(t, d.text, "Pilih satu permohonan, atau semuanya.")
	require.Equal(t, "listrik padam", d.value("reason"))
	_, next := o.post(303, "kasubdit", at+"/tutup", "ticket", "semua", "reason", "listrik padam")
	require.Contains(t, o.page(200, "operator", next).text, "Tutup lebih awal Semua permohonan hari itu listrik padam")
	require.Contains(t, o.page(200, "kasubdit", next).text, "Perintah tercatat dan dilaksanakan beberapa detik lagi.")
	o.scheduled("perintah petugas")
	d = o.page(200, "kasubdit", next)
	require.Contains(t, d.text, "Perintah sudah dilaksanakan")
	require.NotContains(t, d.text, "beberapa detik lagi", "what it says is over")
	for _, old := range []string{at + "?tersimpan=1", "/kalender?tahun=2026&tersimpan=1", "/kalender/henti-stasiun?tersimpan=1"} {
		d = o.page(200, "kasubdit", old)
		require.NotContains(t, d.text, "Perintah sudah dilaksanakan", "whoever comes later has done nothing")
		require.NotContains(t, d.text, "Perubahan tersimpan", "whoever comes later has done nothing")
	}
	require.Contains(t, o.page(200, "operator", at).text, "1 perintah kerja ditutup; 30 kartu belum selesai dan dijadwalkan kembali.")
	o.post(303, "kasubdit", at+"/buka", "ticket", v.Ticket, "reason", "listrik menyala")
	o.scheduled("perintah petugas")
	require.Contains(t, o.page(200, "operator", at).text, "1 perintah kerja dibuka kembali; 30 kartu dapat dikerjakan hari ini.")
}

func TestDowntimesPages(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	const at = "/kalender/henti-stasiun"
	o.page(403, "produsen", at)
	o.page(403, "persuratan", at+"/baru")
	require.Contains(t, o.page(200, "persuratan", at).text, "semua stasiun bekerja")
	d, _ := o.post(422, "operator", at+"/baru", "station", "Stasiun 2", "from", "2026-11-23", "to", "2026-11-20", "cards", "banyak", "reason", "x")
	require.Contains(t, d.text, "Isi berapa kartu per hari yang tidak dapat dikerjakan")
	require.Equal(t, "Stasiun 2", d.value("station"))
	_, next := o.post(303, "operator", at+"/baru", "station", "Stasiun 2", "from", "2026-11-23", "to", "2026-11-27", "cards", "125", "reason", "pembaca diperbaiki")
	require.Contains(t, o.page(200, "operator", next).text, "Stasiun 2 23 s.d. 27 November 2026 125 pembaca diperbaiki Berhenti")
	var list struct {
		Downtimes []struct{ ID string }
	}
	o.want(200, &list, "operator", http.MethodGet, v1+"/downtimes", nil)
	one := at + "/" + list.Downtimes[0].ID
	require.Contains(t, o.page(200, "operator", one).text, "Hapus henti ini")
	o.post(303, "operator", one, "versi", "1", "station", "Stasiun 2", "from", "2026-11-23", "to", "2026-11-26", "cards", "100", "reason", "lebih cepat")
	d, _ = o.post(412, "kasubdit", one, "versi", "1", "station", "Stasiun 2", "from", "2026-11-23", "to", "2026-11-30", "cards", "100", "reason", "lama")
	require.Equal(t, "2026-11-30", d.value("to"))
	o.clock.Set(morning.AddDate(0, 0, 1))
	require.Contains(t, o.page(200, "operator", one).text, "Akhiri henti ini")
	d, _ = o.post(422, "operator", one+"/hapus", "versi", "2", "reason", "x")
	require.Contains(t, d.text, "Henti ini sudah mulai.")
	require.Equal(t, "2026-11-24", o.page(200, "operator", one+"/akhiri").value("to"))
	o.post(303, "operator", one+"/akhiri", "versi", "2", "to", "2026-11-24", "reason", "sudah baik")
	require.Contains(t, o.page(200, "operator", at).text, "Stasiun 2 23 s.d. 24 November 2026 100 sudah baik Berhenti")
	o.clock.Set(morning.AddDate(0, 0, 2))
	require.Contains(t, o.page(200, "operator", at).text, "Stasiun 2 23 s.d. 24 November 2026 100 sudah baik Selesai")
	o.page(404, "operator", at+"/00000000-0000-0000-0000-000000000000")
}
