package main

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// post sends a form of a page.
func (o *office) post(status int, who, path string, pairs ...string) (*document, string) {
	o.t.Helper()
	form := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		form.Add(pairs[i], pairs[i+1])
	}
	w := o.want(status, nil, who, http.MethodPost, path, form.Encode())
	if status == http.StatusSeeOther {
		return nil, w.Header().Get("Location")
	}
	return o.read(w), ""
}

// value is what a field of a page holds.
func (d *document) value(name string) string {
	d.t.Helper()
	for _, n := range d.all("input", "textarea") {
		if attr(n, "name") == name {
			return attr(n, "value") + textOf(n)
		}
	}
	d.t.Fatalf("no field %q", name)
	return ""
}

func TestMasterDataIsForItsKeepersOnly(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	paths := []string{"/data-induk", "/data-induk/lembaga", "/data-induk/lembaga/baru", "/data-induk/pks", "/data-induk/pks/baru",
		"/data-induk/jenis-mesin", "/data-induk/jenis-mesin/baru", "/data-induk/akun", "/data-induk/akun/baru"}
	for _, path := range paths {
		o.page(200, "operator", path)
		o.page(200, "kasubdit", path)
		require.Contains(t, o.page(403, "produsen", path).text, "Operator KI dan Kasubdit KI")
		o.page(403, "dirjen", path)
		require.Contains(t, o.want(303, nil, "", http.MethodGet, path, nil).Header().Get("Location"), "/masuk")
	}
	require.NotContains(t, o.page(200, "produsen", "/permohonan").text, "Data induk")
	require.Contains(t, o.page(200, "produsen", "/permohonan").text, "Kunci API Profil")
	o.page(404, "operator", "/data-induk/lembaga/x")
	o.page(404, "operator", "/data-induk/pks/00000000-0000-7000-8000-000000000000")
	o.page(404, "operator", "/data-induk/jenis-mesin/tidak-ada")
}

func TestFormsKeepWhatWasTyped(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	d, _ := o.post(422, "operator", "/data-induk/lembaga/baru", "kind", "produsen", "name", "", "email", "bukan surel", "post", "Direktur")
	require.Contains(t, d.text, "Nama lembaga wajib diisi.")
	require.Equal(t, "bukan surel", d.value("email"))
	require.Equal(t, "Direktur", d.value("post"))
	_, next := o.post(303, "operator", "/data-induk/lembaga/baru", "kind", "produsen", "name", "PT Baru <b>", "post", "Direktur")
	require.Contains(t, o.page(200, "operator", next).text, "Perubahan tersimpan.")
	list := o.page(200, "operator", "/data-induk/lembaga?cari=baru")
	require.Contains(t, list.text, "PT Baru <b>")
	require.NotContains(t, list.text, "PT Produsen Lain")

	at := "/data-induk/lembaga/" + o.at.ID
	d = o.page(200, "operator", at)
	version := d.value("versi")
	o.post(303, "kasubdit", at, "versi", version, "name", "PT Produsen Contoh", "address", "Jl. Satu")
	d, _ = o.post(412, "operator", at, "versi", version, "name", "PT Produsen Contoh", "address", "Jl. Dua")
	require.Contains(t, d.text, "baru saja diubah oleh pihak lain")
	require.Equal(t, "Jl. Dua", d.value("address"), "nothing that was typed is lost")
	require.Equal(t, version, d.value("versi"), "and sending it again overwrites nothing")

	d, _ = o.post(422, "operator", "/data-induk/jenis-mesin/baru", "code", "x-1", "name", "X", "uses_reader", "ya",
		"sam_pattern", "S[0-9]+", "sam_examples", "S1\r\nT2", "reader_pattern", "R.+", "reader_examples", "R1")
	require.Contains(t, d.text, "Contoh “T2” tidak sesuai")
	_, next = o.post(303, "operator", "/data-induk/jenis-mesin/baru", "code", "x-1", "name", "X", "uses_reader", "ya",
		"sam_pattern", "S[0-9]+", "sam_examples", "S1\r\nS2", "reader_pattern", "R.+", "reader_examples", "R1")
	require.Contains(t, o.page(200, "operator", next).text, "x-1")
	o.page(200, "operator", "/data-induk/jenis-mesin/x-1")
	_, _ = o.post(303, "operator", "/data-induk/jenis-mesin/x-1/status", "versi", "1")
	require.Contains(t, o.page(200, "operator", "/data-induk/jenis-mesin").text, "Nonaktif")
}

func TestWithdrawingAPKSOnItsPage(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	v := o.accept(o.drop(1))
	at := "/data-induk/pks/" + o.pks().ID
	d, _ := o.post(422, "operator", at+"/cabut", "versi", "1", "date", "2026-11-23", "reason", "")
	require.Contains(t, d.text, "Alasan pencabutan wajib diisi.")
	_, next := o.post(303, "operator", at+"/cabut", "versi", "1", "date", "2026-11-23", "reason", "Diakhiri bersama")
	d = o.page(200, "kasubdit", next)
	require.Contains(t, d.text, "Menunggu keputusan Kasubdit KI")
	require.Contains(t, d.text, v.Ticket)
	require.Contains(t, d.text, "23 November 2026 oleh operator")
	_, next = o.post(303, "kasubdit", at+"/berlakukan", "versi", "2", "reason", "Keliru")
	d = o.page(200, "operator", next)
	require.Contains(t, d.text, "Diberlakukan kembali")
	require.NotContains(t, d.text, "Menunggu keputusan")
	o.page(200, "operator", at+"/ubah")
	_, next = o.post(303, "operator", "/data-induk/pks/baru", "institution_id", o.lembaga(), "number", "PKS/9", "valid_from", "2026-01-01", "valid_to", "2026-06-30")
	require.Contains(t, o.page(200, "operator", next).text, "Berakhir")
}

func TestPasswordForOnceOnThePages(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	d, _ := o.post(422, "operator", "/data-induk/akun/baru", "username", "pic-dua", "name", "PIC Dua", "role", "produsen")
	require.Contains(t, d.text, "Pilih lembaga tempat orang ini bekerja.")
	d, _ = o.post(201, "operator", "/data-induk/akun/baru", "username", "pic-dua", "name", "PIC Dua", "role", "produsen", "institution_id", o.at.ID)
	once := ""
	for _, n := range d.all("p") {
		if strings.Contains(attr(n, "class"), "secret") {
			once = textOf(n)
		}
	}
	require.Len(t, once, 19)
	w := o.ask("", http.MethodPost, "/masuk", url.Values{"username": {"pic-dua"}, "password": {once}}.Encode())
	require.Equal(t, 303, w.Code)
	o.cookies["dua"] = w.Result().Cookies()[0]
	require.Equal(t, "/kata-sandi", o.want(303, nil, "dua", http.MethodGet, "/permohonan", nil).Header().Get("Location"))
	require.Contains(t, o.page(200, "dua", "/kata-sandi").text, "hanya untuk sekali masuk")
	d, _ = o.post(422, "dua", "/kata-sandi", "old_password", once, "new_password", password, "confirmation", "lain")
	require.Contains(t, d.text, "tidak sama")
	require.NotContains(t, d.text, password)
	require.Empty(t, d.value("new_password"))
	_, next := o.post(303, "dua", "/kata-sandi", "old_password", once, "new_password", password, "confirmation", password)
	require.Contains(t, o.page(200, "dua", next).text, "Kata sandi Anda sudah diganti.")
	o.page(200, "dua", "/permohonan")

	id := o.idOf("pic-dua")
	o.page(200, "operator", "/data-induk/akun/"+id)
	d, _ = o.post(200, "operator", "/data-induk/akun/"+id+"/sandi", "versi", "2")
	require.Contains(t, d.text, "Hanya ditampilkan sekali")
	o.post(303, "operator", "/data-induk/akun/"+id+"/status", "versi", "3")
	require.Contains(t, o.page(200, "operator", "/data-induk/akun?cari=pic-dua").text, "Nonaktif")
	d, _ = o.post(409, "operator", "/data-induk/akun/"+o.idOf("operator")+"/status", "versi", "1")
	require.Contains(t, d.text, "hanya dapat diubah oleh orang lain")
}

func TestKeysAndProfileOnThePages(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.page(200, "produsen", "/kunci-api")
	o.page(200, "produsen", "/kunci-api/baru")
	o.page(200, "operator", "/kunci-api/baru")
	o.page(403, "dirjen", "/kunci-api")
	o.page(403, "dirjen", "/kunci-api/baru")
	d, _ := o.post(422, "produsen", "/kunci-api", "label", "Produksi", "networks", "kantor", "expires_on", "2027-01-31")
	require.Contains(t, d.text, "bukan alamat IP")
	d2, _ := o.post(422, "operator", "/kunci-api", "label", "Produksi", "scopes", "request:read", "expires_on", "2027-01-31")
	require.Contains(t, d2.text, "Pilih lembaga pemilik kunci.")
	require.Equal(t, "Produksi", d.value("label"))
	d, _ = o.post(201, "produsen", "/kunci-api", "label", "Produksi", "scopes", "request:write", "networks", "203.0.113.7\r\n10.0.0.0/8", "expires_on", "2027-01-31")
	require.Contains(t, d.text, "filma_")
	require.Contains(t, d.text, "31 Januari 2027")
	list := o.page(200, "produsen", "/kunci-api")
	require.NotContains(t, list.text, "filma_", "shown once")
	require.Contains(t, o.page(200, "operator", "/kunci-api").text, "PT Produsen Contoh")
	require.NotContains(t, o.page(200, foreigner, "/kunci-api").text, "Produksi")
	var id string
	require.NoError(t, o.db.Get(t.Context(), &id, `SELECT id FROM api_key`))
	o.page(404, foreigner, "/kunci-api/"+id+"/cabut")
	require.Contains(t, o.page(200, "produsen", "/kunci-api/"+id+"/cabut").text, "tidak dapat dibatalkan")
	_, next := o.post(303, "produsen", "/kunci-api/"+id+"/cabut")
	require.Contains(t, o.page(200, "produsen", next).text, "Dicabut")

	o.page(403, "operator", "/profil")
	d = o.page(200, "produsen", "/profil")
	_, next = o.post(303, "produsen", "/profil", "versi", d.value("versi"), "address", "Jl. Baru", "representative", "Wakil Contoh", "post", "PIC")
	d = o.page(200, "produsen", next)
	require.Contains(t, d.text, "Perubahan tersimpan.")
	require.Equal(t, "Wakil Contoh", d.value("representative"))
}
