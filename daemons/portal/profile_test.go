package main

import (
	"bytes"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"mime/multipart"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

type profileAnswer struct {
	Username, Name, Email, Address, Phone string
	Institution                           *string
	Photo                                 bool
	Version                               int64
}

// picture draws a photo of this size.
func picture(t *testing.T, width, height int, asJPEG bool) []byte {
	t.Helper()
	img := image.NewPaletted(image.Rect(0, 0, width, height), color.Palette{color.White, color.Black})
	img.SetColorIndex(width/2, height/2, 1)
	var b bytes.Buffer
	if asJPEG {
		require.NoError(t, jpeg.Encode(&b, img, nil))
	} else {
		require.NoError(t, png.Encode(&b, img))
	}
	return b.Bytes()
}

// photoForm is a body of fields (name, value) and, unless nil, a photo.
func photoForm(t *testing.T, photo []byte, fields ...string) *form {
	t.Helper()
	f := &form{}
	w := multipart.NewWriter(&f.body)
	for i := 0; i+1 < len(fields); i += 2 {
		require.NoError(t, w.WriteField(fields[i], fields[i+1]))
	}
	name := "wajah.gif" // what the sender calls it plays no part
	if photo == nil {
		name = "" // as a browser sends an empty choice
	}
	part, err := w.CreateFormFile("photo", name)
	require.NoError(t, err)
	_, err = part.Write(photo)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	f.mediaType = w.FormDataContentType()
	return f
}

const (
	profileAt = v1 + "/me/profile"
	photoAt   = v1 + "/me/photo"
)

func TestPeopleLookAfterTheirProfile(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.problem(401, "", http.MethodGet, profileAt, nil)
	var p profileAnswer
	o.want(200, &p, "produsen", http.MethodGet, profileAt, nil)
	require.Equal(t, "PT Produsen Contoh", *p.Institution)
	change := map[string]any{"name": " PIC Contoh ", "email": "pic@contoh.example", "address": "Jl. Satu\r\nJakarta", "phone": "+62 21 5550100"}
	o.problem(428, "produsen", http.MethodPut, profileAt, change)
	bad := o.problem(422, "produsen", http.MethodPut, profileAt, map[string]any{"name": "", "email": "pic@", "phone": "nol delapan", "address": strings.Repeat("x", 501)}, ifMatch(p.Version)...)
	require.Equal(t, map[string]string{"/name": "missing", "/email": "wrong_form", "/phone": "wrong_form", "/address": "too_long"}, codes(bad))
	o.problem(400, "produsen", http.MethodPut, profileAt, map[string]any{"name": "X", "username": "raja"}, ifMatch(p.Version)...)
	o.want(200, &p, "produsen", http.MethodPut, profileAt, change, ifMatch(p.Version)...)
	require.Equal(t, []any{"PIC Contoh", "pic@contoh.example", "Jl. Satu\nJakarta", "+62 21 5550100", int64(2)}, []any{p.Name, p.Email, p.Address, p.Phone, p.Version})
	o.want(200, &p, "produsen", http.MethodPut, profileAt, change, ifMatch(2)...)
	require.EqualValues(t, 2, p.Version, "nothing was changed")
	o.problem(412, "produsen", http.MethodPut, profileAt, change, ifMatch(1)...)

	id := o.idOf("produsen")
	require.Equal(t, []string{"account.profile"}, o.deeds(id))
	var told string
	require.NoError(t, o.db.Get(t.Context(), &told, `SELECT detail::text FROM audit WHERE subject = $1`, id))
	require.JSONEq(t, `{"changed": ["name", "email", "address", "phone"], "from": "Produsen", "to": "PIC Contoh"}`, told,
		"how somebody is reached is not kept for ever")
	var seen struct{ Email, Phone, Address string }
	o.want(200, &seen, "operator", http.MethodGet, v1+"/accounts/"+id, nil)
	require.Equal(t, "pic@contoh.example", seen.Email)
	o.problem(403, foreigner, http.MethodGet, v1+"/accounts/"+id, nil)
}

func TestPhotoOfAPerson(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	id := o.idOf("produsen")
	small := picture(t, 40, 50, false)
	o.problem(404, "produsen", http.MethodGet, photoAt, nil)
	o.problem(404, "produsen", http.MethodDelete, photoAt, nil, ifMatch(1)...)
	o.problem(428, "produsen", http.MethodPut, photoAt, photoForm(t, small))
	for name, c := range map[string]struct {
		photo []byte
		code  string
	}{
		"none":          {nil, "missing"},
		"a PDF":         {pdf, "wrong_type"},
		"a page":        {[]byte("<html><script>alert(1)</script>"), "wrong_type"},
		"cut short":     {small[:len(small)-20], "damaged"},
		"too wide":      {picture(t, 5001, 2, false), "dimensions"},
		"too many bits": {append(picture(t, 10, 10, true), make([]byte, 1<<20)...), "too_large"},
	} {
		bad := o.problem(422, "produsen", http.MethodPut, photoAt, photoForm(t, c.photo), ifMatch(1)...)
		require.Equal(t, map[string]string{"/photo": c.code}, codes(bad), name)
	}
	o.problem(413, "produsen", http.MethodPut, photoAt, photoForm(t, make([]byte, 13<<20)), ifMatch(1)...)
	var files int
	require.NoError(t, o.db.Get(t.Context(), &files, `SELECT count(*) FROM blob`))
	require.Zero(t, files)

	var p profileAnswer
	o.want(200, &p, "produsen", http.MethodPut, photoAt, photoForm(t, small), ifMatch(1)...)
	require.True(t, p.Photo)
	require.Equal(t, "Produsen", p.Name)
	for _, who := range []string{"produsen", "operator", "kasubdit"} {
		at := v1 + "/accounts/" + id + "/photo"
		w := o.want(200, nil, who, http.MethodGet, at, nil)
		require.Equal(t, small, w.Body.Bytes())
		require.Equal(t, "image/png", w.Header().Get("Content-Type"))
		require.Equal(t, "nosniff", w.Header().Get("X-Content-Type-Options"))
		require.Equal(t, "same-origin", w.Header().Get("Cross-Origin-Resource-Policy"))
		require.Equal(t, "default-src 'none'; sandbox", w.Header().Get("Content-Security-Policy"))
		require.Contains(t, w.Header().Get("Content-Disposition"), "wajah.gif.png")
	}
	for _, who := range []string{foreigner, "lembaga", "dirjen", "persuratan"} {
		o.problem(403, who, http.MethodGet, v1+"/accounts/"+id+"/photo", nil)
	}
	o.problem(401, "", http.MethodGet, v1+"/accounts/"+id+"/photo", nil)

	o.problem(412, "produsen", http.MethodPut, photoAt, photoForm(t, picture(t, 9, 9, true)), ifMatch(1)...)
	o.want(200, &p, "produsen", http.MethodPut, photoAt, photoForm(t, picture(t, 9, 9, true)), ifMatch(2)...)
	require.Equal(t, "image/jpeg", o.want(200, nil, "produsen", http.MethodGet, photoAt, nil).Header().Get("Content-Type"))
	o.want(200, &p, "produsen", http.MethodDelete, photoAt, nil, ifMatch(3)...)
	require.False(t, p.Photo)
	o.problem(404, "produsen", http.MethodGet, photoAt, nil)
	require.Equal(t, []string{"account.profile", "account.profile", "account.profile"}, o.deeds(id))
}

func TestProfileOnItsPage(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	const at = "/profil-saya"
	require.Contains(t, o.want(303, nil, "", http.MethodGet, at, nil).Header().Get("Location"), "/masuk")
	d := o.page(200, "lembaga", at)
	require.Contains(t, d.text, "Nama pengguna lembaga")
	require.Contains(t, d.text, "Nama lembaga PT Bank Contoh Nusantara")
	require.Empty(t, d.all("img"))
	require.Contains(t, o.page(200, "dirjen", at).text, "Nama lembaga Ditjen Dukcapil")
	version := d.value("versi")

	// All that is wrong is said at once, and nothing that was typed is lost.
	w := o.want(422, nil, "lembaga", http.MethodPost, at, photoForm(t, pdf, "versi", version, "name", "PIC Bank", "email", "bukan surel", "address", "Jl. Dua\nBogor", "phone", "12"))
	d = o.read(w)
	for _, says := range []string{"Surel harus berupa alamat surel", "No. telepon sekurangnya 5 angka", "harus berupa JPG atau PNG"} {
		require.Contains(t, d.text, says)
	}
	require.Equal(t, "bukan surel", d.value("email"))
	require.Equal(t, "Jl. Dua Bogor", d.value("address"))
	d = o.read(o.want(422, nil, "lembaga", http.MethodPost, at, photoForm(t, make([]byte, 2<<20), "versi", version, "name", "PIC Bank")))
	require.Contains(t, d.text, "Foto paling besar 1 MB.")
	require.Equal(t, "PIC Bank", d.value("name"))

	w = o.want(303, nil, "lembaga", http.MethodPost, at, photoForm(t, picture(t, 64, 64, true), "versi", version, "name", "PIC Bank", "email", "pic@bank.example", "address", "Jl. Dua\nBogor", "phone", "021 5550101"))
	d = o.page(200, "lembaga", w.Header().Get("Location"))
	require.Contains(t, d.text, "Profil Anda tersimpan.")
	require.Contains(t, d.text, "PIC Bank")
	image := attr(d.all("img")[0], "src")
	require.Equal(t, "image/jpeg", o.want(200, nil, "lembaga", http.MethodGet, image, nil).Header().Get("Content-Type"))
	d = o.page(200, "operator", "/data-induk/akun/"+o.idOf("lembaga"))
	require.Contains(t, d.text, "pic@bank.example")
	require.Equal(t, "image/jpeg", o.want(200, nil, "operator", http.MethodGet, attr(d.all("img")[0], "src"), nil).Header().Get("Content-Type"))

	// Without another photo it stays; it goes by the box.
	o.want(412, nil, "lembaga", http.MethodPost, at, photoForm(t, nil, "versi", version, "name", "PIC Lain"))
	o.want(303, nil, "lembaga", http.MethodPost, at, photoForm(t, nil, "versi", "2", "name", "PIC Bank"))
	require.Len(t, o.page(200, "lembaga", at).all("img"), 1)
	o.want(303, nil, "lembaga", http.MethodPost, at, photoForm(t, nil, "versi", "3", "name", "PIC Bank", "remove_photo", "ya"))
	require.Empty(t, o.page(200, "lembaga", at).all("img"))
	o.want(413, nil, "lembaga", http.MethodPost, at, photoForm(t, make([]byte, 13<<20), "versi", "4", "name", "PIC Bank"))
	require.Contains(t, o.page(200, "lembaga", at).text, "PIC Bank")
}
