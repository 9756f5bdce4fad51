package main

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/html"

	"dukcapil.go.id/sifilma/pkg/identity"
	"dukcapil.go.id/sifilma/pkg/letter"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/report"
	"dukcapil.go.id/sifilma/pkg/request"
)

// document is a parsed page.
type document struct {
	t    *testing.T
	root *html.Node
	text string // as people read it
}

// page asks for a page, and checks what holds for every page.
func (o *office) page(status int, who, path string) *document {
	o.t.Helper()
	w := o.want(status, nil, who, http.MethodGet, path, nil)
	return o.read(w)
}

func (o *office) read(w *httptest.ResponseRecorder) *document {
	o.t.Helper()
	require.Equal(o.t, "text/html; charset=utf-8", w.Header().Get("Content-Type"))
	require.Contains(o.t, w.Header().Get("Content-Security-Policy"), "script-src 'self'")
	require.Equal(o.t, "no-store", w.Header().Get("Cache-Control"))
	root, err := html.Parse(w.Body)
	require.NoError(o.t, err)
	d := &document{t: o.t, root: root}
	d.text = textOf(root)
	d.check()
	return d
}

func textOf(n *html.Node) string {
	var b strings.Builder
	for c := range n.Descendants() {
		if c.Type == html.TextNode {
			b.WriteString(c.Data)
			b.WriteByte(' ')
		}
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

func (d *document) all(tags ...string) []*html.Node {
	var found []*html.Node
	for n := range d.root.Descendants() {
		for _, t := range tags {
			if n.Type == html.ElementNode && n.Data == t {
				found = append(found, n)
			}
		}
	}
	return found
}

func attr(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

// check is what every page must have (users.md D.2).
func (d *document) check() {
	d.t.Helper()
	require.Equal(d.t, "id", attr(d.all("html")[0], "lang"))
	h1 := d.all("h1")
	require.Len(d.t, h1, 1)
	require.Equal(d.t, textOf(h1[0])+" – SI-FILMA", textOf(d.all("title")[0]), "the title is the heading")
	require.Len(d.t, d.all("main"), 1)
	require.Equal(d.t, "#"+attr(d.all("main")[0], "id"), attr(d.all("a")[0], "href"), "the skip link is first")
	for _, s := range d.all("script") { // no page needs one: one spares a second press, one checks a paper, both of the portal
		require.Regexp(d.t, `^/static/(verifikasi|sekali)\.[0-9a-f]{12}\.js$`, attr(s, "src"))
		require.Nil(d.t, s.FirstChild, "no inline script")
	}

	ids := map[string]bool{}
	for n := range d.root.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		require.Empty(d.t, attr(n, "style"), "inline styles are refused by the policy")
		for _, a := range n.Attr {
			require.False(d.t, strings.HasPrefix(a.Key, "on"), "no inline handler: %s", a.Key)
		}
		if id := attr(n, "id"); id != "" {
			require.False(d.t, ids[id], "id %q twice", id)
			ids[id] = true
		}
	}
	for n := range d.root.Descendants() {
		for _, name := range []string{"aria-labelledby", "for"} {
			if id := attr(n, name); id != "" {
				require.True(d.t, ids[id], "%s points at %q, which is nowhere", name, id)
			}
		}
		if href := attr(n, "href"); strings.HasPrefix(href, "#") {
			require.True(d.t, ids[href[1:]], "link to %q, which is nowhere", href)
		}
	}
	labelled := map[string]bool{}
	for _, l := range d.all("label") {
		labelled[attr(l, "for")] = true
	}
	for _, in := range d.all("input", "select", "textarea") {
		require.True(d.t, attr(in, "type") == "hidden" || labelled[attr(in, "id")], "field %q has no label", attr(in, "name"))
	}
	for _, th := range d.all("th") {
		require.NotEmpty(d.t, attr(th, "scope"), textOf(th))
	}
	require.Len(d.t, d.all("caption"), len(d.all("table")), "each table has a caption")
	last := 0
	for _, h := range d.all("h1", "h2", "h3") {
		level := int(h.Data[1] - '0')
		require.LessOrEqual(d.t, level, last+1, "heading %q skips a level", textOf(h))
		last = level
	}
}

func TestFrontPageAndErrorsAreForPeople(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	d := o.page(200, "", "/")
	require.Contains(t, d.text, "Aplikasi Rekapitulasi Personalisasi Kartu SAM")
	require.Contains(t, d.text, "23 November 2026 pukul 09.00 WIB")
	require.NotContains(t, d.text, "Keluar")
	require.Contains(t, o.page(200, "operator", "/").text, "Buka daftar permohonan")
	require.Equal(t, "/", o.want(301, nil, "", http.MethodGet, "/sam", nil).Header().Get("Location"))

	for _, path := range []string{"/tidak/ada", "/permohonan/PSAM-2026-000001-0", "/permohonan/x"} {
		require.Contains(t, o.page(404, "operator", path).text, "Tidak ditemukan", path)
	}
	for _, link := range o.page(200, "", "/").all("link") {
		w := o.want(200, nil, "", http.MethodGet, attr(link, "href"), nil)
		require.Contains(t, w.Header().Get("Cache-Control"), "immutable")
		require.NotEmpty(t, w.Body.Bytes())
	}
	o.want(404, nil, "", http.MethodGet, "/static/portal.css", nil)
}

func TestSigningInByForm(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.hire("petugas")
	r := o.drop(1)
	target := "/permohonan/" + r.Ticket
	w := o.want(303, nil, "", http.MethodGet, target, nil)
	at := w.Header().Get("Location")
	require.Equal(t, "/masuk?lanjut="+url.QueryEscape(target), at)
	require.Contains(t, o.page(200, "", at).text, "Masuk dahulu")
	o.page(200, "", "/masuk")

	post := func(secret, next string) *httptest.ResponseRecorder {
		return o.ask("", http.MethodPost, "/masuk", url.Values{"username": {"petugas"}, "password": {secret}, "lanjut": {next}}.Encode())
	}
	w = post("rahasia salah", target)
	require.Equal(t, 422, w.Code)
	require.NotContains(t, w.Body.String(), "rahasia salah")
	d := o.read(w)
	require.Contains(t, d.text, "Nama pengguna atau kata sandi salah.")
	require.Equal(t, "petugas", attr(d.all("input")[1], "value"), "no need to type it twice")

	w = post(password, target)
	require.Equal(t, 303, w.Code)
	require.Equal(t, target, w.Header().Get("Location"))
	o.cookies["petugas"] = w.Result().Cookies()[0]
	o.page(200, "petugas", target)
	o.want(303, nil, "petugas", http.MethodGet, "/masuk", nil)
	o.machine.Advance(identity.SessionIdle + 1)
	at = o.want(303, nil, "petugas", http.MethodGet, target, nil).Header().Get("Location")
	require.Contains(t, o.page(200, "petugas", at).text, "Sesi Anda telah berakhir")

	for _, away := range []string{"https://evil.example/", "//evil.example/permohonan", `/\evil.example`, "javascript:alert(1)", "/permohonan\r\nX: y", "/keluar"} {
		w = post(password, away)
		require.Equal(t, "/permohonan", w.Header().Get("Location"), away)
	}
	o.cookies["petugas"] = w.Result().Cookies()[0]
	require.Equal(t, "/masuk?keluar=1", o.want(303, nil, "petugas", http.MethodPost, "/keluar", nil).Header().Get("Location"))
	o.want(303, nil, "petugas", http.MethodGet, "/permohonan", nil)

	for range identity.MaxFailures {
		post("salah", "")
	}
	w = post(password, "")
	require.Equal(t, 429, w.Code)
	require.Contains(t, o.read(w).text, "15 menit")
}

func TestListPage(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	require.Contains(t, o.page(200, "operator", "/permohonan").text, "Belum ada permohonan.")
	for range 26 {
		o.drop(1)
	}
	special := o.accept(o.drop(3, func(f *request.Form) { f.Title = "Khusus & berbeda" }))

	d := o.page(200, "operator", "/permohonan")
	require.Contains(t, d.text, "1 sampai 25 dari 27 permohonan.")
	require.Contains(t, d.text, "Diajukan (26)")
	require.Contains(t, d.text, "PT Produsen Contoh")
	require.Len(t, d.all("progress"), 25)
	d = o.page(200, "operator", "/permohonan?halaman=2")
	require.Contains(t, d.text, "Halaman 2 dari 2")
	require.Len(t, d.all("progress"), 2)
	d = o.page(200, "operator", "/permohonan?cari=khusus+%26+berbeda&keadaan=accepted&baris=50")
	require.Contains(t, d.text, "1 permohonan yang cocok.")
	require.Contains(t, d.text, special.Ticket)
	require.Equal(t, "khusus & berbeda", attr(d.all("input")[0], "value"))
	require.Contains(t, o.page(200, "operator", "/permohonan?cari=nihil").text, "Tidak ada permohonan yang cocok.")
	o.page(200, "operator", "/permohonan?halaman=-1&baris=7&keadaan=apa&cari=%ff")
	require.Contains(t, o.page(200, foreigner, "/permohonan").text, "Belum ada permohonan.")
	d = o.page(200, "produsen", "/permohonan")
	require.Equal(t, []string{"Kode tiket", "Judul", "Kartu", "Keadaan", "Kemajuan", "Diajukan"}, heads(d), "one applicant needs no column")
}

func heads(d *document) []string {
	var texts []string
	for _, th := range d.all("th") {
		if attr(th, "scope") == "col" {
			texts = append(texts, textOf(th))
		}
	}
	return texts
}

func TestWhatPeopleTypeIsOnlyText(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	const evil = `<script>alert(1)</script>"'><img src=x onerror=alert(2)>`
	r := o.drop(1, func(f *request.Form) {
		f.Title, f.Notes, f.Subject, f.Reference = evil, evil, evil, evil
		f.Lines[0].Lembaga, f.Lines[0].Remarks, f.Orders[0].Number = evil, evil, evil
	})
	o.validate(r.ID)
	o.want(200, nil, "operator", http.MethodPost, "/api/v1/requests/"+r.Ticket+"/return", map[string]any{"reason": evil}, ifMatch(o.see(r.Ticket).Version)...)
	for _, path := range []string{"/permohonan", "/permohonan/" + r.Ticket, "/permohonan?cari=" + url.QueryEscape(evil)} {
		d := o.page(200, "operator", path) // which refuses scripts and handlers anywhere
		require.Empty(t, d.all("img"), path)
		require.Contains(t, d.text, "<script>alert(1)</script>", path)
	}
	w := o.ask("", http.MethodPost, "/masuk", url.Values{"username": {evil}, "password": {"x"}, "lanjut": {evil}}.Encode())
	require.Empty(t, o.read(w).all("img"))
}

func TestRequestPageTellsTheWholeStory(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	v := o.accept(o.drop(3))
	path := "/permohonan/" + v.Ticket
	require.Equal(t, path, o.want(301, nil, "operator", http.MethodGet, strings.ToLower(path), nil).Header().Get("Location"))

	d := o.page(200, "operator", path)
	for _, part := range []string{
		"Menunggu: Sistem (penjadwalan)", "40%", "PT Bank Contoh Nusantara", "Nomor 001/X/2026, 20 November 2026", "Diterima 23 November 2026",
		"3 keping", "oleh Persuratan Dirjen", "proses", "Permohonan diterima Subdit KI", "R (Read)", "Mesin uji",
	} {
		require.Contains(t, d.text, part)
	}
	o.produce(v, 1)
	o.doubt(v.ID, perso.DecideSpoil)
	d = o.page(200, "operator", path)
	require.Contains(t, d.text, "Menunggu: Operator KI atau Kasubdit KI memutuskan 1 kartu yang meragukan")
	require.Contains(t, d.text, "Meragukan 1 Berhasil 2")
	require.Contains(t, d.text, "usul stasiun: Nyatakan rusak")
	require.NotContains(t, o.page(200, "produsen", path).text, "usul stasiun")
	require.Contains(t, d.text, "M-SAM00002")
}

func TestRequestPageShowsPapersToWhomTheyConcern(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	v := o.accept(o.drop(3))
	path := "/permohonan/" + v.Ticket
	o.produce(v, 0)
	reply := o.makeLetter(v.ID)
	d := o.page(200, "operator", path)
	require.Contains(t, d.text, "mengunggah pindaian bertanda tangan: Surat balasan permohonan")
	require.Contains(t, d.text, "menyiapkan serah terima 3 kartu")
	require.NotContains(t, o.page(200, "produsen", path).text, "400/1/UJI")
	require.Contains(t, o.page(200, "produsen", path).text, "Belum ada dokumen.")

	o.want(200, nil, "persuratan", http.MethodPost, "/api/v1/documents/"+reply.ID+"/signature", newForm(t, signedScan(reply.ID), "signed_on", "2026-11-23"))
	var h report.Handover
	o.want(201, &h, "operator", http.MethodPost, "/api/v1/requests/"+v.Ticket+"/handovers", nil)
	o.draftBAST(h, v.ID)
	o.want(200, nil, "operator", http.MethodPost, "/api/v1/handovers/"+h.ID+"/delivery", newForm(t, signedScan(h.ID),
		"representative", "PIC Produsen Contoh", "representative_post", "Manajer", "representative_of", "produsen", "delivered_on", "2026-11-23"))
	outside := o.page(200, "produsen", path)
	for _, part := range []string{"400/1/UJI", letter.KindLabels[letter.BAST], "Pindaian bertanda tangan", "Manajer", "Menunggu: Produsen", "Serah terima ke-1 terlaksana: 3 kartu diserahkan"} {
		require.Contains(t, outside.text, part)
	}
	require.NotContains(t, outside.text, "Word (konsep)")
	require.Contains(t, outside.text, "oleh Direktur FPDDK", "the role is no secret")
	for _, internal := range []string{"proses", "cocok", "siap ditandatangani"} {
		require.NotContains(t, outside.text, " "+internal+" ")
	}
	for _, a := range outside.all("a") {
		if href := attr(a, "href"); strings.HasPrefix(href, "/api/") {
			o.want(200, nil, "produsen", http.MethodGet, href, nil)
		}
	}
}

func TestReturnedRequestSaysWhatToMend(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	r := o.drop(2)
	o.validate(r.ID)
	o.want(200, nil, "operator", http.MethodPost, "/api/v1/requests/"+r.Ticket+"/return", map[string]any{"reason": "PO tidak terbaca"}, ifMatch(o.see(r.Ticket).Version)...)
	o.find(r.ID, "daftar!Daftar!B17", "Nomor seri salah.")
	o.find(r.ID, "/lines/0/lembaga", "Nama lembaga tidak dikenal.")
	d := o.page(200, "produsen", "/permohonan/"+r.Ticket)
	for _, part := range []string{"Alasan: PO tidak terbaca", "Daftar kartu, lembar Daftar, sel B17", "Lembaga pengguna, baris 1", "Nomor seri salah.",
		"Menunggu: Produsen", "memperbaiki dan mengajukan kembali", "SAM00002"} {
		require.Contains(t, d.text, part)
	}
}
