package main

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"image"
	"image/jpeg"
	"image/png"
	"io"
	"mime/multipart"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func zipped(t testing.TB, entries map[string]string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for name, content := range entries {
		e, err := w.Create(name)
		require.NoError(t, err)
		_, err = io.WriteString(e, content)
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return b.Bytes()
}

// bomb is a workbook whose sheet unpacks to 80 MiB.
func bomb(t testing.TB) []byte {
	t.Helper()
	return zipped(t, map[string]string{
		"[Content_Types].xml": "<Types/>", "xl/workbook.xml": "<workbook/>", "xl/worksheets/sheet1.xml": strings.Repeat(" ", 80<<20),
	})
}

// lyingBomb says of a part of 8 MiB that it holds 100 bytes.
func lyingBomb(t testing.TB) []byte {
	t.Helper()
	const name = "[Content_Types].xml"
	b := zipped(t, map[string]string{
		name: strings.Repeat(" ", 8<<20), "xl/workbook.xml": "<workbook/>",
		"_rels/.rels": `<Relationships><Relationship Id="a" Type="x/officeDocument" Target="xl/workbook.xml"/></Relationships>`,
	})
	at := bytes.LastIndex(b, []byte(name)) - 46 // the name follows the entry's head, APPNOTE.TXT 4.3.12
	require.Equal(t, "PK\x01\x02", string(b[at:at+4]))
	binary.LittleEndian.PutUint32(b[at+24:], 100)
	binary.LittleEndian.PutUint32(b[at+16:], crc32.ChecksumIEEE(bytes.Repeat([]byte{' '}, 100)))
	return b
}

// manyEntries is an archive whose directory is as large as its limit allows.
func manyEntries(t testing.TB) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for range 40_000 {
		_, err := w.CreateRaw(&zip.FileHeader{Name: "x"})
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return b.Bytes()
}

func picture(t testing.TB, encode func(io.Writer, image.Image) error) []byte {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, encode(&b, image.NewGray(image.Rect(0, 0, 40, 60))))
	return b.Bytes()
}

func TestBadDrops(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	p := picture(t, png.Encode)
	for name, c := range map[string]struct {
		change func(*parcel)
		status int
		want   map[string]string // pointer to code
	}{
		"text called PDF":     {func(p *parcel) { p.set("letter", []byte("Yth. Direktur Jenderal")) }, 422, map[string]string{"/letter": "wrong_type"}},
		"program called PDF":  {func(p *parcel) { p.set("pks", []byte("MZ\x90\x00\x03")) }, 422, map[string]string{"/pks": "wrong_type"}},
		"cut PDF":             {func(p *parcel) { p.set("letter", pdf[:40]) }, 422, map[string]string{"/letter": "damaged"}},
		"cut PNG":             {func(q *parcel) { q.set("letter", p[:20]) }, 422, map[string]string{"/letter": "damaged"}},
		"huge PNG":            {func(q *parcel) { q.set("letter", wide(p)) }, 422, map[string]string{"/letter": "dimensions"}},
		"empty file":          {func(p *parcel) { p.set("letter", []byte{}) }, 422, map[string]string{"/letter": "empty"}},
		"PDF as list":         {func(p *parcel) { p.set("card_list", pdf) }, 422, map[string]string{"/card_list": "not_workbook"}},
		"CSV as list":         {func(p *parcel) { p.set("card_list", []byte("No.,Seri\n1,2\n")) }, 422, map[string]string{"/card_list": "plain_text"}},
		"another zip as list": {func(p *parcel) { p.set("card_list", zipped(t, map[string]string{"a.txt": "a"})) }, 422, map[string]string{"/card_list": "not_workbook"}},
		"cut list":            {func(p *parcel) { p.set("card_list", sheet(t, 3)[:900]) }, 422, map[string]string{"/card_list": "damaged"}},
		"xlsx bomb":           {func(p *parcel) { p.set("card_list", bomb(t)) }, 422, map[string]string{"/card_list": "too_large"}},
		"xlsx bomb that lies": {func(p *parcel) { p.set("card_list", lyingBomb(t)) }, 422, map[string]string{"/card_list": "damaged"}},
		"directory bomb":      {func(p *parcel) { p.set("card_list", manyEntries(t)) }, 422, map[string]string{"/card_list": "too_large"}},
		"letter over 3 MB":    {func(p *parcel) { p.set("letter", append(bytes.Clone(pdf), make([]byte, 3<<20)...)) }, 413, map[string]string{"/letter": "too_large"}},
		"list over 5 MB":      {func(p *parcel) { p.set("card_list", make([]byte, 5<<20+1)) }, 413, map[string]string{"/card_list": "too_large"}},
		"form over 256 KB":    {func(p *parcel) { p.form["notes"] = strings.Repeat("a", 256<<10) }, 413, map[string]string{"/request": "too_large"}},
		"no form":             {func(p *parcel) { p.form = nil }, 422, map[string]string{"/request": "missing"}},
		"no files":            {func(p *parcel) { p.parts = nil }, 422, map[string]string{"/letter": "missing", "/card_list": "missing", "/pks": "missing", "/purchase_order": "missing"}},
		"unknown part":        {func(p *parcel) { p.parts = append(p.parts, part{"virus", "a.exe", pdf}) }, 422, map[string]string{"/virus": "unknown_part"}},
		"letter twice":        {func(p *parcel) { p.parts = append(p.parts, part{"letter", "b.pdf", pdf}) }, 422, map[string]string{"/letter": "repeated"}},
		"seven purchase orders": {func(p *parcel) {
			for range 6 {
				p.parts = append(p.parts, part{"purchase_order", "b.pdf", pdf})
			}
		}, 422, map[string]string{"/purchase_order/6": "too_many"}},
		"wrong machine type": {func(p *parcel) { p.form["machine_type"] = "X" }, 422, map[string]string{"/machine_type": "unknown_value"}},
		"NUL in a text":      {func(p *parcel) { p.form["title"] = "a\x00b" }, 422, map[string]string{"/title": "bad_character"}},
		"letter of tomorrow": {func(p *parcel) { p.form["letter"].(map[string]any)["date"] = "2026-11-24" }, 422, map[string]string{"/letter/date": "in_future"}},
		"no such day":        {func(p *parcel) { p.form["letter"].(map[string]any)["date"] = "2026-02-30" }, 422, map[string]string{"/letter/date": "wrong_type"}},
		"everything at once": {func(p *parcel) {
			p.form = map[string]any{
				"kind": "lain", "reference": " ", "Title": "huruf besar", "card_count": "3", "machine_type": 7, "sam_function": nil,
				"lines": []any{map[string]any{"lembaga": "", "quantity": 1.5, "x/y": 1}}, "purchase_orders": map[string]any{},
				"letter": map[string]any{"date": "20-11-2026"},
			}
			p.set("letter", []byte("bukan PDF"))
		}, 422, map[string]string{
			"/kind": "unknown_value", "/reference": "missing", "/Title": "unknown_field", "/title": "missing", "/card_count": "wrong_type",
			"/machine_type": "wrong_type", "/sam_function": "missing", "/lines/0/lembaga": "missing", "/lines/0/quantity": "wrong_type",
			"/lines/0/x~1y": "unknown_field", "/purchase_orders": "wrong_type", "/letter/date": "wrong_type", "/letter/sender": "missing",
			"/letter/post": "missing", "/letter/number": "missing", "/letter/subject": "missing", "/letter": "wrong_type",
		}},
	} {
		p := whole(t)
		c.change(p)
		r := o.send(t, drops, p, "k")
		require.Equal(t, c.status, r.status, "%s: %s", name, r.body)
		require.Equal(t, "application/problem+json", r.header.Get("Content-Type"), name)
		require.Equal(t, c.want, r.pointers(), name)
		for _, e := range r.Errors {
			require.NotEmpty(t, e.Detail, name)
		}
	}
	o.nothing(t)
}

// wide says of a PNG that it is 100 000 pixels wide.
func wide(png []byte) []byte {
	b := bytes.Clone(png)
	binary.BigEndian.PutUint32(b[16:], 100_000)
	binary.BigEndian.PutUint32(b[29:], crc32.ChecksumIEEE(b[12:29]))
	return b
}

func TestBadBodies(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	body, contentType := whole(t).body(t)
	boundary := strings.TrimPrefix(contentType, "multipart/form-data; boundary=")
	formOnly := func(text string) []byte {
		var b bytes.Buffer
		w := multipart.NewWriter(&b)
		require.NoError(t, w.SetBoundary(boundary))
		put(t, w, part{name: "request", content: []byte(text)})
		require.NoError(t, w.Close())
		return b.Bytes()
	}
	for name, c := range map[string]struct {
		body        []byte
		contentType string
		status      int
	}{
		"JSON":                {[]byte(`{}`), "application/json", 415},
		"no boundary":         {body, "multipart/form-data", 415},
		"another boundary":    {body, "multipart/form-data; boundary=lain", 400},
		"cut":                 {body[:len(body)-200], contentType, 400},
		"cut between parts":   {body[:bytes.LastIndex(body, []byte("--"+boundary))], contentType, 400},
		"without its end":     {body[:len(body)-4], contentType, 400},
		"empty":               {nil, contentType, 400},
		"form cut":            {formOnly(`{"kind":`), contentType, 400},
		"form no object":      {formOnly(`[]`), contentType, 400},
		"form with more":      {formOnly(`{} {}`), contentType, 400},
		"form not UTF-8":      {formOnly("{\"title\":\"\xff\"}"), contentType, 400},
		"form nested forever": {formOnly(strings.Repeat("[", 100_000)), contentType, 400},
	} {
		r := o.do(t, http.MethodPost, drops, bytes.NewReader(c.body), map[string]string{
			"Authorization": "Bearer " + o.key, "Content-Type": c.contentType, "Idempotency-Key": "k",
		})
		require.Equal(t, c.status, r.status, "%s: %s", name, r.body)
		require.NotEmpty(t, r.Title, name)
	}
	o.nothing(t)
}

func TestWhoMayDrop(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	for name, c := range map[string]struct {
		key    string
		status int
	}{
		"no key":        {"", 401},
		"nonsense":      {"Bearer filma", 401},
		"wrong secret":  {"Bearer " + o.key[:len(o.key)-4] + "AAAA", 401},
		"not UTF-8":     {"Bearer filma_\xff_x", 401},
		"very long":     {"Bearer filma_" + strings.Repeat("a", 9000), 401},
		"other scheme":  {"Basic " + o.key, 401},
		"reads only":    {"Bearer " + o.keys["read only"], 403},
		"a lembaga's":   {"Bearer " + o.keys["lembaga"], 403},
		"dinas, reader": {"Bearer " + o.keys["dinas"], 422},
	} {
		r := o.send(t, drops, whole(t), "k", map[string]string{"Authorization": c.key})
		require.Equal(t, c.status, r.status, "%s: %s", name, r.body)
		if c.status == 401 {
			require.NotEmpty(t, r.header.Get("WWW-Authenticate"), name)
		}
	}
	o.nothing(t)
}

func TestDinasAsksForRekamCetak(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	p := whole(t)
	p.form["kind"], p.form["machine_type"], p.form["sam_function"] = "rekam_cetak", "TANPA", "Rekam"
	for _, name := range []string{"lines", "purchase_orders", "pks_number"} {
		delete(p.form, name)
	}
	p.set("purchase_order", nil)
	p.set("pks", nil)
	p.set("letter", picture(t, func(w io.Writer, m image.Image) error { return jpeg.Encode(w, m, nil) }))
	r := o.send(t, drops, p, "k", map[string]string{"Authorization": "Bearer " + o.keys["dinas"]})
	require.Equal(t, http.StatusAccepted, r.status, string(r.body))
}

func TestRateOfAKey(t *testing.T) {
	t.Parallel()
	o := newOffice(t, "api: {rate_per_second: 0.001, rate_burst: 2}")
	get := func(key string) reply {
		return o.do(t, http.MethodGet, "/api/v1/requests/PSAM-2026-000001-5", nil, map[string]string{"Authorization": "Bearer " + o.keys[key]})
	}
	require.Equal(t, http.StatusNotFound, get("produsen").status)
	require.Equal(t, http.StatusNotFound, get("produsen").status)
	r := get("produsen")
	require.Equal(t, http.StatusTooManyRequests, r.status)
	require.NotEmpty(t, r.header.Get("Retry-After"))
	require.Equal(t, http.StatusNotFound, get("other").status, "another key has its own rate")
}

// endless is a multipart body whose letter has size bytes; it takes no memory.
type endless struct {
	head, tail io.Reader
	left, sent int64
}

func newEndless(size int64) *endless {
	return &endless{
		head: strings.NewReader("--b\r\nContent-Disposition: form-data; name=\"letter\"; filename=\"a.pdf\"\r\n\r\n%PDF-1.7\n"),
		tail: strings.NewReader("\r\n--b--\r\n"), left: size,
	}
}

func (e *endless) Read(p []byte) (int, error) {
	if n, _ := e.head.Read(p); n > 0 {
		e.sent += int64(n)
		return n, nil
	}
	if e.left > 0 {
		n := min(int64(len(p)), e.left)
		clear(p[:n])
		e.left -= n
		e.sent += n
		return int(n), nil
	}
	return e.tail.Read(p)
}

// This test is not parallel: it measures the memory of the process.
func TestAHundredMegabytes(t *testing.T) {
	o := newOffice(t)
	const size = 100 << 20
	header := map[string]string{
		"Authorization": "Bearer " + o.key, "Content-Type": "multipart/form-data; boundary=b", "Idempotency-Key": "k",
	}
	allocated := func() uint64 {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.TotalAlloc
	}

	t.Run("streamed without a length", func(t *testing.T) {
		before := allocated()
		r := o.do(t, http.MethodPost, drops, io.MultiReader(newEndless(size)), header)
		require.Equal(t, http.StatusRequestEntityTooLarge, r.status, string(r.body))
		require.Less(t, allocated()-before, uint64(8<<20), "bytes allocated while 32 MB were read")
	})
	t.Run("with its length", func(t *testing.T) {
		e := newEndless(size)
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, o.url+drops, io.NopCloser(e))
		require.NoError(t, err)
		req.ContentLength = size
		for name, value := range header {
			req.Header.Set(name, value)
		}
		req.Header.Set("Expect", "100-continue")
		res, err := (&http.Transport{ExpectContinueTimeout: 1 << 40, DisableKeepAlives: true}).RoundTrip(req)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		require.Equal(t, http.StatusRequestEntityTooLarge, res.StatusCode)
		require.Zero(t, e.sent, "a client that asks first is told before it sends anything")
	})
	o.nothing(t)
}

// A client that sends slowly, on purpose or not, keeps its own places and no one
// else's.
func TestSlowClientHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	o := newOffice(t, "api: {rate_per_second: 1000, rate_burst: 1000, uploads: 2}")
	body, contentType := whole(t).body(t)
	slow, pipe := io.Pipe()
	first := make(chan reply, 1)
	go func() {
		first <- o.do(t, http.MethodPost, drops, slow, map[string]string{
			"Authorization": "Bearer " + o.key, "Content-Type": contentType, "Idempotency-Key": "slow",
		})
	}()
	half := len(body) / 2
	_, err := pipe.Write(body[:half])
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		return strings.Contains(string(o.do(t, http.MethodGet, "/api/v1/status", nil, nil).body), `"now":1`)
	}, 10*time.Second, 10*time.Millisecond)

	again := whole(t)
	again.form["reference"] = "lain"
	r := o.send(t, drops, again, "again")
	require.Equal(t, http.StatusTooManyRequests, r.status, "%s", r.body)
	require.Equal(t, "5", r.header.Get("Retry-After"))
	r = o.send(t, drops, whole(t), "other", map[string]string{"Authorization": "Bearer " + o.keys["other"]})
	require.Equal(t, http.StatusAccepted, r.status, "%s", r.body)

	_, err = pipe.Write(body[half:])
	require.NoError(t, err)
	require.NoError(t, pipe.Close())
	require.Equal(t, http.StatusAccepted, (<-first).status)
}
