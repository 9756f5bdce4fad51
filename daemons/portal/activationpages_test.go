package main

import (
	"bytes"
	"context"
	"fmt"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/xuri/excelize/v2"

	"dukcapil.go.id/sifilma/pkg/activation/readersheet"
	"dukcapil.go.id/sifilma/pkg/institution"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/report"
)

// letterForm is the page's form of a letter.
func letterForm(t *testing.T, scan, list []byte, fields map[string]string) *form {
	t.Helper()
	f := &form{}
	w := multipart.NewWriter(&f.body)
	for name, value := range fields {
		require.NoError(t, w.WriteField(name, value))
	}
	for name, body := range map[string][]byte{"letter": scan, "list": list} {
		part, err := w.CreateFormFile(name, map[bool]string{true: "", false: name + ".bin"}[body == nil])
		require.NoError(t, err)
		_, err = part.Write(body)
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	f.mediaType = w.FormDataContentType()
	return f
}

// A lembaga's person and the office go the whole way by pages.
func TestReadersByPages(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	cards := o.handedOver(2)
	book := func(pcid string) []byte {
		f, err := excelize.OpenReader(o.want(200, nil, "lembaga", http.MethodGet, activations+"/template.xlsx", nil).Body)
		require.NoError(t, err)
		for i, c := range cards {
			require.NoError(t, f.SetSheetRow(readersheet.Sheet, fmt.Sprintf("B%d", i+3), &[]any{c.ReaderSerial, c.Serial, "", c.ManifestNo, c.PCID, "Mesin uji", "Online", "Jl. Contoh", "Kota Bandung"}))
		}
		if pcid != "" {
			require.NoError(t, f.SetCellStr(readersheet.Sheet, "F4", pcid))
		}
		var b bytes.Buffer
		require.NoError(t, f.Write(&b))
		require.NoError(t, f.Close())
		return b.Bytes()
	}
	page := o.want(200, nil, "lembaga", http.MethodGet, "/aktivasi", nil).Body.String()
	require.Contains(t, page, "Ajukan permohonan aktivasi")
	require.Equal(t, 403, o.ask("operator", http.MethodGet, "/aktivasi/baru", nil).Code)
	require.Contains(t, o.want(200, nil, "lembaga", http.MethodGet, "/aktivasi/baru", nil).Body.String(), "PT Produsen Contoh")
	fields := map[string]string{
		"produsen": "PT Produsen Contoh", "number": "017/<BCN>", "date": "2026-11-20", "subject": "Permohonan aktivasi", "leader": "Pimpinan", "leader_post": "", "notes": "",
	}
	page = o.want(422, nil, "lembaga", http.MethodPost, "/aktivasi/baru", letterForm(t, pdf, book("12"), fields)).Body.String()
	require.Contains(t, page, "Jabatan pimpinan wajib diisi.")
	require.Contains(t, page, "Lembar Daftar Reader, sel F4: PCID terdiri atas 32")
	require.Contains(t, page, "017/&lt;BCN&gt;", "what was typed stays")
	page = o.want(422, nil, "lembaga", http.MethodPost, "/aktivasi/baru", letterForm(t, pdf, []byte("bukan buku kerja"), fields)).Body.String()
	require.Contains(t, page, "Daftar ini berupa teks atau CSV, bukan buku kerja Excel")
	require.NotContains(t, page, "Daftar kartu ")
	require.NotContains(t, page, "Pilih daftar reader", "it was chosen")
	fields["leader_post"] = "Direktur Utama"
	w := o.want(303, nil, "lembaga", http.MethodPost, "/aktivasi/baru", letterForm(t, pdf, book(cards[0].PCID), fields))
	at, err := url.Parse(w.Header().Get("Location"))
	require.NoError(t, err)
	path := at.Path
	var v report.ActivationLetter
	o.want(200, &v, "lembaga", http.MethodGet, activations+path[len("/aktivasi"):], nil)
	v = o.judged(v)
	require.Equal(t, "validated returned", lineStates(v))

	page = o.want(200, nil, "lembaga", http.MethodGet, path, nil).Body.String()
	require.Contains(t, page, "PCID tidak sesuai catatan.")
	require.Contains(t, page, path+"/baris/2/perbaiki")
	require.NotContains(t, page, "Daftarkan")
	require.Contains(t, page, "Menunggu: Persuratan Dirjen")
	require.Contains(t, page, "mencatat surat fisik dan mendaftarkan 1 reader")
	require.Contains(t, page, "memperbaiki dan mengajukan kembali 1 reader", "nobody else goes on with what was returned")
	require.Contains(t, page, "Mesin uji", "a machine has a name")
	all := o.want(200, nil, "lembaga", http.MethodGet, path+"?pilih=semua", nil).Body.String()
	for _, n := range []string{"1", "2"} {
		require.Regexp(t, `value="`+n+`" aria-label="Pilih reader [^"]*" checked`, all)
	}
	require.Contains(t, o.want(200, nil, "persuratan", http.MethodGet, "/aktivasi", nil).Body.String(), "Persuratan Dirjen<br>")
	o.tx(func(ctx context.Context, tx *postgres.Tx) error {
		return institution.SeedMachineType(ctx, tx, institution.MachineType{Code: "tanpa", Name: "Tidak menggunakan mesin", SAMPattern: `SAM[0-9]{5}`, ReaderPattern: `^$`})
	})
	fix := o.want(200, nil, "lembaga", http.MethodGet, path+"/baris/2/perbaiki", nil).Body.String()
	require.Contains(t, fix, "PCID tidak sesuai catatan.")
	require.Contains(t, fix, "Mesin uji")
	require.NotContains(t, fix, "Tidak menggunakan mesin", "no reader is of that type")
	line := url.Values{
		"versi": {fmt.Sprint(v.Version)}, "reader_serial": {cards[1].ReaderSerial}, "sam_serial": {cards[1].Serial}, "perso_no": {cards[1].ManifestNo}, "pcid": {"x"}, "machine_type": {"uji"},
		"mode": {"offline"}, "address": {"Jl. Contoh"}, "region": {"Kota Bandung"},
	}
	page = o.want(422, nil, "lembaga", http.MethodPost, path+"/baris/2/perbaiki", line.Encode()).Body.String()
	require.Regexp(t, `id="pcid-salah">PCID terdiri atas 32`, page, "what is wrong now, not what was")
	line.Set("pcid", cards[1].PCID)
	o.want(303, nil, "lembaga", http.MethodPost, path+"/baris/2/perbaiki", line.Encode())
	v = o.judged(v)

	step := func(status int, who, verb string, more url.Values) string {
		o.want(200, &v, "operator", http.MethodGet, activations+path[len("/aktivasi"):], nil)
		body := url.Values{"versi": {fmt.Sprint(v.Version)}}
		for name, values := range more {
			body[name] = values
		}
		return o.want(status, nil, who, http.MethodPost, path+"/"+verb, body.Encode()).Body.String()
	}
	require.Equal(t, 403, o.ask("operator", http.MethodPost, path+"/daftarkan", "versi=1").Code)
	require.Contains(t, step(422, "persuratan", "daftarkan", url.Values{"tanggal": {"2026-11-30"}}), "tidak boleh setelah hari ini")
	require.Contains(t, o.want(412, nil, "persuratan", http.MethodPost, path+"/daftarkan", "versi=1&tanggal=2026-11-23").Body.String(), "Belum dilakukan")
	require.Contains(t, step(422, "persuratan", "kembalikan", nil), `<a href="#alasan">Alasan wajib diisi.`)
	require.Contains(t, step(422, "lembaga", "batalkan", nil), "Pilih reader yang dimaksud.", "leaving the choice out cancels nothing")
	step(303, "persuratan", "daftarkan", url.Values{"tanggal": {"2026-11-23"}})
	step(303, "dirjen", "setujui", nil)
	require.Contains(t, step(409, "kasubdit", "terima", nil), "Disposisi Direktur FPDDK belum tercatat")
	step(303, "direktur", "disposisi", url.Values{"tanggal": {"2026-11-23"}})
	step(303, "kasubdit", "terima", url.Values{"baris": {"1"}})
	page = o.want(200, nil, "kasubdit", http.MethodGet, path+"?sudah=terima", nil).Body.String()
	require.Contains(t, page, "MFR-2026-000001-5")
	require.Contains(t, page, "Reader diterima; manifest")
	require.Contains(t, page, "wajib mengirim data balikan")
	require.Contains(t, page, "membuat manifest 1 reader")
	for _, end := range []string{"pindahkan", "ganti"} {
		o.want(200, nil, "operator", http.MethodGet, path+"/baris/1/"+end, nil)
	}
	place := url.Values{"versi": {"99"}, "address": {"Jl. Baru"}, "region": {"Kota Bogor"}, "reason": {"Pindah"}}
	o.want(412, nil, "operator", http.MethodPost, path+"/baris/1/pindahkan", place.Encode())
	o.want(200, &v, "operator", http.MethodGet, activations+path[len("/aktivasi"):], nil)
	place.Set("versi", fmt.Sprint(v.Version))
	o.want(303, nil, "operator", http.MethodPost, path+"/baris/1/pindahkan", place.Encode())
	require.Contains(t, o.want(200, nil, "dirjen", http.MethodGet, "/aktivasi?cari="+cards[0].Serial+"&status=accepted", nil).Body.String(), v.Ticket)
}

// A produsen's draft is submitted by its lembaga, by pages.
func TestADraftByPages(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	fields := map[string]string{"lembaga": "PT Bank Contoh Nusantara", "number": "7", "date": "2026-11-20", "subject": "Aktivasi", "leader": "P", "leader_post": "D", "notes": "", "draft": "1"}
	w := o.want(303, nil, "produsen", http.MethodPost, "/aktivasi/baru", letterForm(t, nil, nil, fields))
	at, err := url.Parse(w.Header().Get("Location"))
	require.NoError(t, err)
	require.NotContains(t, o.want(200, nil, "produsen", http.MethodGet, at.Path, nil).Body.String(), "/ajukan")
	require.Contains(t, o.want(200, nil, "lembaga", http.MethodGet, at.Path, nil).Body.String(), at.Path+"/ajukan")
	require.Equal(t, 404, o.ask("operator", http.MethodGet, at.Path, nil).Code)
	require.Equal(t, 403, o.ask("produsen", http.MethodGet, at.Path+"/ajukan", nil).Code)
	delete(fields, "lembaga")
	delete(fields, "draft")
	fields["produsen"], fields["versi"] = "PT Produsen Contoh", "1"
	page := o.want(422, nil, "lembaga", http.MethodPost, at.Path+"/ajukan", letterForm(t, nil, nil, fields)).Body.String()
	require.Contains(t, page, "Pilih daftar reader")
	require.Contains(t, page, "Pindaian surat permohonan aktivasi wajib dilampirkan.")
	o.want(303, nil, "produsen", http.MethodPost, at.Path+"/hapus", "versi=1")
	require.Equal(t, 404, o.ask("lembaga", http.MethodGet, at.Path, nil).Code)
}

// typedReaders adds rows to a form as a browser sends them: also those that were left empty.
func typedReaders(fields map[string]string, n int, rows map[int]map[string]any) map[string]string {
	all := map[string]string{"baris": fmt.Sprint(n)}
	for name, value := range fields {
		all[name] = value
	}
	for i := range n {
		for _, name := range []string{"reader_serial", "sam_serial", "origin_no", "perso_no", "pcid", "machine_type", "mode", "address", "region"} {
			text, _ := rows[i][name].(string)
			all[fmt.Sprintf("lines/%d/%s", i, name)] = text
		}
	}
	return all
}

// A lembaga types its readers row by row, without a script and without losing what it typed.
func TestReadersTypedRowByRow(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	cards := o.handedOver(2)
	lines := readerLines(cards)
	for _, l := range lines {
		l["origin_no"] = ""
	}
	page := o.want(200, nil, "lembaga", http.MethodGet, "/aktivasi/baru", nil).Body.String()
	require.Contains(t, page, `name="lines/2/pcid"`)
	require.NotContains(t, page, `name="lines/3/pcid"`)
	require.Equal(t, 1, strings.Count(page, "<script"), "it spares a second press, and no row needs it")
	fields := map[string]string{"produsen": "PT Produsen Contoh", "number": "018/BCN", "date": "2026-11-20", "subject": "Permohonan aktivasi", "leader": "Pimpinan", "leader_post": "Direktur", "notes": ""}
	wrong := map[int]map[string]any{0: lines[0], 2: {}}
	for name, value := range lines[1] {
		wrong[2][name] = value
	}
	wrong[2]["pcid"], wrong[2]["address"] = "12 <x>", ""

	more := typedReaders(fields, 3, wrong)
	more["tambah"] = "1"
	page = o.want(200, nil, "lembaga", http.MethodPost, "/aktivasi/baru", letterForm(t, nil, nil, more)).Body.String()
	require.Contains(t, page, `name="lines/6/pcid"`, "two that were typed and five more")
	require.Contains(t, page, "018/BCN")
	require.Contains(t, page, "12 &lt;x&gt;", "what was typed stays, wrong or not")
	require.NotContains(t, page, "Belum tersimpan")

	page = o.want(422, nil, "lembaga", http.MethodPost, "/aktivasi/baru", letterForm(t, nil, nil, typedReaders(fields, 3, wrong))).Body.String()
	require.Contains(t, page, `<a href="#lines-1-pcid">Reader 2: PCID terdiri atas 32`, "the empty row between is left out, so it is the second")
	require.Contains(t, page, `<a href="#lines-1-address">Reader 2: Alamat penempatan wajib diisi.`)
	require.Contains(t, page, "Pindaian surat permohonan aktivasi wajib dilampirkan.")
	require.Contains(t, page, `name="lines/1/pcid" type="text" value="12 &lt;x&gt;"`)
	require.Contains(t, page, `name="lines/0/reader_serial" type="text" value="`+cards[0].ReaderSerial+`"`)
	require.Contains(t, page, `name="lines/0/origin_no" type="text" value=""`, "it follows the serial still")
	page = o.want(422, nil, "lembaga", http.MethodPost, "/aktivasi/baru", letterForm(t, pdf, nil, typedReaders(fields, 3, nil))).Body.String()
	require.Contains(t, page, "Pilih daftar reader")

	right := map[int]map[string]any{0: lines[0], 1: lines[1]}
	fields["draft"] = "1"
	w := o.want(303, nil, "lembaga", http.MethodPost, "/aktivasi/baru", letterForm(t, nil, nil, typedReaders(fields, 2, map[int]map[string]any{1: lines[0]})))
	at, err := url.Parse(w.Header().Get("Location"))
	require.NoError(t, err)
	page = o.want(200, nil, "lembaga", http.MethodGet, at.Path+"/ajukan", nil).Body.String()
	require.Contains(t, page, `name="lines/0/sam_serial" type="text" value="`+cards[0].Serial+`"`)
	delete(fields, "draft")
	fields["versi"] = "1"
	page = o.want(412, nil, "lembaga", http.MethodPost, at.Path+"/ajukan", letterForm(t, pdf, nil, typedReaders(map[string]string{
		"produsen": fields["produsen"], "number": "1", "date": "2026-11-20", "subject": "S", "leader": "P", "leader_post": "D", "notes": "", "versi": "7",
	}, 2, right))).Body.String()
	require.Contains(t, page, `value="`+cards[1].ReaderSerial+`"`, "also when somebody was faster")
	o.want(303, nil, "lembaga", http.MethodPost, at.Path+"/ajukan", letterForm(t, pdf, nil, typedReaders(fields, 2, right)))
	var v report.ActivationLetter
	o.want(200, &v, "lembaga", http.MethodGet, activations+at.Path[len("/aktivasi"):], nil)
	v = o.judged(v)
	require.Equal(t, "validated validated", lineStates(v))
}
