package main

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"golang.org/x/net/html"

	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/postgres"
)

// cardActs are the forms on cards that a page has, with {id} for a card.
func (d *document) cardActs() []string {
	var paths []string
	for _, f := range d.all("form") {
		_, path, ok := strings.Cut(attr(f, "action"), "/kartu/")
		if !ok || !strings.HasPrefix(attr(f, "action"), "/permohonan/") {
			continue
		}
		if id, rest, ok := strings.Cut(path, "/"); ok && uuid.Validate(id) == nil {
			path = "{id}/" + rest
		}
		paths = append(paths, path)
	}
	return paths
}

// inputs are the fields of a form by name, with their values.
func (d *document) inputs() map[string]string {
	all := map[string]string{}
	for _, in := range d.all("input") {
		if attr(in, "type") != "checkbox" || slices.ContainsFunc(in.Attr, func(a html.Attribute) bool { return a.Key == "checked" }) {
			all[attr(in, "name")] = attr(in, "value")
		}
	}
	for _, in := range d.all("textarea") {
		all[attr(in, "name")] = textOf(in)
	}
	return all
}

func TestCardFormsAreForThoseWhoMay(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	v := o.accept(o.drop(4))
	shows := func(want map[string][]string) {
		t.Helper()
		for _, who := range everybody {
			d := o.page(200, who, "/permohonan/"+v.Ticket)
			require.Equal(t, want[who], d.cardActs(), who)
			require.Equal(t, len(want[who]) > 0, strings.Contains(d.text, "Tindakan Anda atas kartu"), who)
		}
	}
	shows(map[string][]string{"kasubdit": {"pengurangan"}})
	o.produce(v, 2)
	shows(map[string][]string{"kasubdit": {"pengganti", "pengurangan"}, "operator": {"pengganti"}})
	id := o.doubt(v.ID, "")
	shows(map[string][]string{"kasubdit": {"{id}/usul", "pengganti", "pengurangan"}, "operator": {"{id}/usul", "pengganti"}})
	o.want(200, nil, "operator", http.MethodPost, "/api/v1/cards/"+id+"/resolution", map[string]any{"decision": "spoil", "reason": "patah"})
	shows(map[string][]string{"kasubdit": {"{id}/konfirmasi", "{id}/tarik", "pengganti", "pengurangan"}, "operator": {"{id}/tarik", "pengganti"}})
	at := "/permohonan/" + v.Ticket + "/kartu/"
	for path, outsiders := range map[string][]string{
		"pengurangan": {"operator", "produsen", "persuratan", "dirjen", "direktur"}, "pengganti": {"produsen", "persuratan", "dirjen", "direktur"},
		id + "/usul": {"produsen", "persuratan", "dirjen", "direktur"}, id + "/konfirmasi": {"produsen", "persuratan"}, id + "/tarik": {"produsen", "direktur"},
	} {
		for _, who := range outsiders {
			o.post(403, who, at+path, "reason", "x")
		}
		o.post(404, foreigner, at+path, "reason", "x")
		require.Equal(t, "/permohonan/"+v.Ticket, o.want(303, nil, "operator", http.MethodGet, at+path, nil).Header().Get("Location"), path)
	}
}

func TestReplacementsByForm(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	v := o.accept(o.drop(4))
	o.produce(v, 3)
	cards := o.cards("operator", v.Ticket)
	at := "/permohonan/" + v.Ticket + "/kartu/pengganti"
	serial := func(i int) string { return "serial_" + cards[i].ID }
	d, _ := o.post(422, "operator", at)
	require.Contains(t, d.text, "Isi nomor seri sekurangnya satu kartu pengganti.")
	d, _ = o.post(422, "operator", at, serial(0), "X1", "reason_"+cards[0].ID, "patah", serial(1), cards[3].Serial, serial(2), "SAM90001")
	require.Contains(t, d.text, "Belum dilakukan: daftarkan kartu pengganti")
	kept := d.form("kartu/pengganti").inputs()
	require.Equal(t, "X1", kept[serial(0)], "what was typed is kept")
	require.Equal(t, "patah", kept["reason_"+cards[0].ID])
	require.Equal(t, "SAM90001", kept[serial(2)])
	faults := map[string]string{}
	for _, p := range d.form("kartu/pengganti").all("p") {
		if attr(p, "class") == "fault" {
			faults[attr(p, "id")] = textOf(p)
		}
	}
	require.Equal(t, map[string]string{
		"pengganti-" + serial(0) + "-salah": "Bentuk nomor seri tidak sesuai dengan jenis mesin permohonan ini. Ketik persis seperti yang tercetak pada kartu.",
		"pengganti-" + serial(1) + "-salah": "Nomor seri ini sudah ada dalam daftar kartu permohonan ini. Pakai kartu blangko lain.",
	}, faults, "each at its row")
	require.Len(t, o.cards("operator", v.Ticket), 4, "everything or nothing")

	_, to := o.post(303, "operator", at, serial(0), "sam90001", serial(1), "", serial(2), "SAM90002", "reason_"+cards[2].ID, "blangko baru")
	require.Contains(t, o.page(200, "operator", to).text, "Kartu pengganti terdaftar")
	require.Equal(t, 1, o.see(v.Ticket).Cards.AwaitingReplacement, "an empty row is skipped")
	d, _ = o.post(422, "operator", at, serial(0), "SAM90005", serial(1), "SAM90006") // an old page
	require.Contains(t, d.text, "Kartu ini sudah diganti, sudah dikurangi, atau tidak gagal.")
	require.Equal(t, "SAM90006", d.form("kartu/pengganti").inputs()[serial(1)])
	o.post(404, "operator", at, "serial_x", "SAM90007")
	o.post(404, "operator", at, "serial_"+uuid.NewString(), "SAM90007")
}

func TestReductionByForm(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	v := o.accept(o.drop(5))
	o.produce(v, 3)
	cards := o.cards("kasubdit", v.Ticket)
	at := "/permohonan/" + v.Ticket + "/kartu/pengurangan"
	d := o.page(200, "kasubdit", "/permohonan/"+v.Ticket)
	require.Contains(t, d.text, "0 kartu yang belum pernah dipresentasikan di stasiun, dan 3 kartu gagal atau rusak yang belum diganti")
	d = d.form("kartu/pengurangan")
	require.Equal(t, "multipart/form-data", attr(d.root, "enctype"))
	require.Contains(t, d.text, "Paling banyak 5.000 kartu", "the limit is told before anything is sent")
	require.NotContains(t, d.text, cards[0].Serial, "no card stands in the form")

	send := func(status int, f *form) (*document, string) {
		t.Helper()
		w := o.want(status, nil, "kasubdit", http.MethodPost, at, f)
		if status == 303 {
			return nil, w.Header().Get("Location")
		}
		return o.read(w), ""
	}
	d, _ = send(422, newForm(t, nil, pageLetter(map[string]string{"letter_date": "2027-01-01", "signer": ""}, cards[0])...))
	require.Contains(t, d.text, "Tanggal surat pengurangan tidak boleh setelah hari ini.")
	require.Contains(t, d.text, "Pindaian surat pengurangan (PDF, JPG, atau PNG) wajib dilampirkan.")
	require.Contains(t, d.text, "Nama penanda tangan wajib diisi.")
	kept := d.form("kartu/pengurangan").inputs()
	require.Equal(t, cards[0].Serial, kept["serials"], "what was typed is kept")
	require.Equal(t, "07/XI/2026", kept["letter_number"])
	require.Equal(t, "pembeli mengurangi pesanan", kept["reason"])
	d, _ = send(422, newForm(t, []byte("bukan surat"), pageLetter(nil, cards[0])...))
	require.Equal(t, "07/XI/2026", d.form("kartu/pengurangan").inputs()["letter_number"])
	d, _ = send(422, newForm(t, pdf, pageLetter(nil, cards[0], cards[4])...))
	require.Contains(t, d.text, "Baris 2: kartu "+cards[4].Serial+" tidak dapat dikurangi: sudah berhasil dipersonalisasi.")

	_, to := send(303, newForm(t, pdf, pageLetter(nil, cards[0], cards[1])...))
	d = o.page(200, "kasubdit", to)
	require.Contains(t, d.text, "Pengurangan tercatat")
	require.Contains(t, d.text, "2 kartu dikurangi dari permohonan menurut surat nomor 07/XI/2026")
	require.Contains(t, d.text, "Gagal: kartu tidak menjawab; dikurangi menurut surat nomor 07/XI/2026 tanggal 23 November 2026")
	_, to = send(303, newForm(t, pdf, pageLetter(nil, cards[0], cards[1])...)) // sent twice
	require.Contains(t, to, "sudah=pengurangan")
	var n int
	require.NoError(t, o.db.Get(t.Context(), &n, `SELECT count(*) FROM card_reduction`))
	require.Equal(t, 1, n)
	links := 0
	for _, a := range o.page(200, "produsen", "/permohonan/"+v.Ticket).all("a") {
		if href := attr(a, "href"); strings.Contains(href, "/reductions/") {
			links++
			require.Equal(t, pdf, o.want(200, nil, "produsen", http.MethodGet, href, nil).Body.Bytes())
		}
	}
	require.Equal(t, 1, links)
	send(303, newForm(t, pdf, pageLetter(map[string]string{"letter_number": "08"}, cards[2])...))
	require.Equal(t, 2, o.see(v.Ticket).Cards.Total)
	d, _ = send(422, newForm(t, pdf, pageLetter(map[string]string{"letter_number": "09"}, cards[2])...)) // there is no form any more
	require.Contains(t, d.text, "09")
	require.Contains(t, d.text, "Yang Anda ketik:")
}

func TestDoubtIsDecidedByForms(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	v := o.accept(o.drop(3))
	o.produce(v, 1)
	id := o.doubt(v.ID, perso.DecideComplete)
	o.tx(func(ctx context.Context, tx *postgres.Tx) error {
		return tx.ExecOne(ctx, `UPDATE perso_attempt SET observed = '{"life_cycle": "SECURED", "pcid": true, "marker": "", "step": "secret"}'`)
	})
	page := "/permohonan/" + v.Ticket
	at := page + "/kartu/" + id + "/"
	d := o.page(200, "operator", page)
	for _, says := range []string{"jawaban kartu hilang", "Siklus hidup kartu terisi dan dikunci", "PCID pada kartu ada", "Penanda upaya pada kartu tidak ada", "Terhenti pada langkah penulisan CONF", "Usul stasiun Terima sebagai selesai"} {
		require.Contains(t, d.text, says)
	}
	require.NotContains(t, o.page(200, "produsen", page).text, "Siklus hidup")
	propose := d.form("usul")
	require.NotContains(t, propose.text, "Lanjutkan penulisan", "the card does not allow it")
	d, _ = o.act(422, "operator", v.Ticket, "usul", "reason", "isi lengkap")
	require.Contains(t, d.text, "Pilih keputusan.")
	require.Equal(t, "isi lengkap", d.form("usul").inputs()["reason"])
	old := o.page(200, "kasubdit", page).form("usul").inputs()["versi"]
	_, to := o.act(303, "operator", v.Ticket, "usul", "decision", "complete", "reason", "isi lengkap")
	require.Contains(t, o.page(200, "operator", to).text, "Keputusan tercatat; berlaku setelah dikonfirmasi orang lain.")
	d, _ = o.post(409, "kasubdit", at+"usul", "versi", old, "decision", "spoil", "reason", "patah") // an old page
	require.Contains(t, d.text, "menunggu konfirmasi")
	require.Contains(t, d.text, "patah", "what was typed, though there is no such form now")

	seen := o.page(200, "kasubdit", page).form("konfirmasi").inputs()
	require.NotEmpty(t, seen["keputusan"])
	d, _ = o.act(422, "kasubdit", v.Ticket, "konfirmasi", "reason", "sudah saya lihat")
	require.Contains(t, d.text, "Centang pernyataan ini bila Anda setuju.")
	require.Equal(t, "sudah saya lihat", d.form("konfirmasi").inputs()["reason"])
	o.act(303, "operator", v.Ticket, "tarik")
	o.act(303, "operator", v.Ticket, "usul", "decision", "spoil", "reason", "ternyata patah")
	d, _ = o.post(412, "kasubdit", at+"konfirmasi", "versi", seen["versi"], "keputusan", seen["keputusan"], "confirmed", "1", "reason", "cocok")
	require.Contains(t, d.text, "Kartu ini sudah berubah")
	require.Contains(t, d.text, "ternyata patah", "what they would have confirmed")
	now := d.form("konfirmasi").inputs()
	require.Equal(t, "cocok", now["reason"])
	require.NotContains(t, now, "confirmed", "the tick was about another decision")
	require.Equal(t, perso.InDoubt, o.cards("operator", v.Ticket)[0].State)
	o.post(412, "kasubdit", at+"konfirmasi", "versi", "1", "keputusan", now["keputusan"], "confirmed", "1")
	d, _ = o.post(403, "operator", at+"konfirmasi", "versi", now["versi"], "keputusan", now["keputusan"], "confirmed", "1")
	require.Contains(t, d.text, "Keputusan harus dikonfirmasi oleh orang lain.")

	_, to = o.act(303, "kasubdit", v.Ticket, "konfirmasi", "confirmed", "1")
	require.Contains(t, o.page(200, "kasubdit", to).text, "Keputusan dikonfirmasi.")
	require.Equal(t, perso.Spoiled, o.cards("operator", v.Ticket)[0].State)
	require.Equal(t, 1, o.see(v.Ticket).Cards.AwaitingReplacement)
	d, _ = o.post(409, "kasubdit", at+"konfirmasi", "versi", now["versi"], "keputusan", now["keputusan"], "confirmed", "1") // sent twice
	require.Contains(t, d.text, "tidak dalam keadaan meragukan")
	var audited int
	require.NoError(t, o.db.Get(t.Context(), &audited, `SELECT count(*) FROM audit WHERE action LIKE 'card.resolution.%'`))
	require.Equal(t, 4, audited)
	other := o.accept(o.drop(1))
	o.post(404, "kasubdit", "/permohonan/"+other.Ticket+"/kartu/"+id+"/usul", "versi", "1", "decision", "spoil", "reason", "x") // another request's card
}

// A card that was taken away in the middle is in doubt before anybody has read it: the
// page says where it stood still, and what to do next, in the words of the office.
func TestADoubtBeforeReadingSaysTheNextStep(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	v := o.accept(o.drop(3))
	o.produce(v, 1)
	o.doubt(v.ID, "")
	o.tx(func(ctx context.Context, tx *postgres.Tx) error {
		return tx.ExecOne(ctx, `UPDATE perso_attempt SET observed = '{"step": "numbers", "life_cycle": "INITIALIZED"}'`)
	})
	d := o.page(200, "operator", "/permohonan/"+v.Ticket)
	for _, says := range []string{"Terhenti pada langkah penulisan nomor", "Siklus hidup kartu terisi sebagian, belum dikunci", "Masukkan kartu ke pembaca di stasiun supaya dibaca"} {
		require.Contains(t, d.text, says)
	}
	require.NotContains(t, d.text, "INITIALIZED")
	d, _ = o.act(422, "operator", v.Ticket, "usul", "decision", "selesai", "reason", "uji")
	require.NotContains(t, d.text, "complete")
}
