package main

import (
	"bytes"
	"context"
	"fmt"
	"html"
	"maps"
	"mime/multipart"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/identity"
	"dukcapil.go.id/sifilma/pkg/institution"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
)

// person signs somebody in and returns the cookie of the session.
func (o *office) person(t *testing.T, username, institutionName string, role machine.Role) string {
	t.Helper()
	a := identity.Account{Username: username, Name: "PIC " + username, Role: role}
	if institutionName != "" {
		in, err := institution.ByName(t.Context(), o.db, institutionName)
		require.NoError(t, err)
		a.InstitutionID = &in.ID
	}
	require.NoError(t, identity.SetAccount(t.Context(), o.db, a, "kata sandi "+username))
	a, err := identity.Authenticate(t.Context(), o.db, identity.Login{Username: username, Password: "kata sandi " + username}, time.Now())
	require.NoError(t, err)
	token, err := identity.StartSession(t.Context(), o.db, a, time.Now())
	require.NoError(t, err)
	return "sifilma_session=" + token
}

// filled is a form as a person fills it in.
type filled struct {
	fields map[string]string
	files  []part
}

// fill is a good form; its rows of lists stand apart, as people leave them.
func fill(t *testing.T) *filled {
	t.Helper()
	return &filled{
		fields: map[string]string{
			"kind": "reader", "reference": "001", "title": "Personalisasi <reader>", "sam_function": "R", "card_count": "3",
			"machine_type": "GSX-01", "pks_number": "PKS/1", "notes": "baris satu\r\nbaris dua", "letter/sender": "PT Produsen Contoh",
			"letter/post": "Direktur", "letter/number": "12/DIR", "letter/date": "2026-11-20", "letter/subject": "Permohonan",
			"lines/0/lembaga": " ", "lines/0/quantity": "", "lines/2/lembaga": "PT Bank Contoh", "lines/2/quantity": "3", "lines/2/remarks": "",
			"purchase_orders/1/number": "PO-1", "purchase_orders/1/from": "PT Bank Contoh", "purchase_orders/1/to": "PT Produsen Contoh",
			"purchase_orders/1/reader_count": "3", "_key": uuid.NewString(), "_version": "0", "_do": "check",
		},
		files: []part{{"letter", "surat.pdf", pdf}, {"purchase_order", "po.pdf", pdf}, {"pks", "pks.pdf", pdf}, {"card_list", "daftar.xlsx", sheet(t, 3)}},
	}
}

func (f *filled) with(changes map[string]string) *filled {
	maps.Copy(f.fields, changes)
	return f
}

// fillIn sends a form as a browser on our own page does.
func (o *office) fillIn(t *testing.T, cookie, address string, f *filled, extra ...map[string]string) reply {
	t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for name, value := range f.fields {
		require.NoError(t, w.WriteField(name, value))
	}
	for _, p := range f.files {
		out, err := w.CreateFormFile(p.name, p.file)
		require.NoError(t, err)
		_, err = out.Write(p.content)
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	header := map[string]string{"Cookie": cookie, "Content-Type": w.FormDataContentType(), "Sec-Fetch-Site": "same-origin"}
	for _, more := range extra {
		maps.Copy(header, more)
	}
	return o.do(t, http.MethodPost, address, bytes.NewReader(b.Bytes()), header)
}

func (o *office) pks(t *testing.T) {
	t.Helper()
	require.NoError(t, o.db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		lembaga, err := institution.ByName(ctx, tx, "PT Bank Contoh")
		if err != nil {
			return err
		}
		return institution.EnsurePKS(ctx, tx, institution.PKS{
			Number: "PKS/1", InstitutionID: lembaga.ID, ValidFrom: clock.Date{Year: 2026, Month: 1, Day: 1},
			ValidTo: clock.Date{Year: 2027, Month: 1, Day: 1}, State: "in_force",
		})
	}))
}

func TestPeopleFillInAForm(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.pks(t)
	o.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	pic := o.person(t, "pic", "PT Produsen Contoh", request.Produsen)
	look := func(address string) reply {
		return o.do(t, http.MethodGet, address, nil, map[string]string{"Cookie": pic})
	}

	empty := look("/pengajuan")
	require.Equal(t, http.StatusOK, empty.status)
	for _, text := range []string{"<h1>Ajukan permohonan personalisasi</h1>", `<option value="GSX-01">GSX-01</option>`, `name="lines/4/lembaga"`, "Tambah baris", "PIC pic, PT Produsen Contoh", "Periksa dahulu"} {
		require.Contains(t, string(empty.body), text)
	}
	wellFormed(t, empty.body)

	good := o.fillIn(t, pic, "/pengajuan", fill(t))
	require.Equal(t, http.StatusOK, good.status, string(good.body))
	require.Contains(t, string(good.body), "Lolos pemeriksaan")
	require.Contains(t, string(good.body), "dengan 3 kartu")
	require.Contains(t, string(good.body), `value="Personalisasi &lt;reader&gt;"`, "what was typed is kept")
	o.nothing(t)

	bad := fill(t).with(map[string]string{"title": "", "card_count": "tiga", "lines/2/quantity": "2"})
	bad.files = append(bad.files[:3:3], part{"card_list", "", nil}) // nothing chosen
	answer := o.fillIn(t, pic, "/pengajuan", bad)
	require.Equal(t, http.StatusUnprocessableEntity, answer.status)
	for _, text := range []string{"Perlu diperbaiki", `<a href="#f-title">Judul Pengajuan wajib diisi.`, `<a href="#f-card_list">`, `value="tiga"`,
		`<a href="#f-card_count">`, `name="lines/0/lembaga" type="text" value="PT Bank Contoh"`} {
		require.Contains(t, string(answer.body), text)
	}
	wellFormed(t, answer.body)
	answer = o.fillIn(t, pic, "/pengajuan", fill(t).with(map[string]string{"card_count": "2", "_do": "check"}))
	require.Equal(t, http.StatusUnprocessableEntity, answer.status)
	require.Contains(t, string(answer.body), "sedangkan daftar kartu berisi 3")
	o.nothing(t)

	sent := fill(t).with(map[string]string{"_do": "submit"})
	first := o.fillIn(t, pic, "/pengajuan", sent)
	require.Equal(t, http.StatusSeeOther, first.status, string(first.body))
	address, err := url.Parse(first.header.Get("Location"))
	require.NoError(t, err)
	ticket := address.Query().Get("tiket")
	again := o.fillIn(t, pic, "/pengajuan", sent)
	require.Equal(t, first.header.Get("Location"), again.header.Get("Location"), "a second click makes no second request")
	require.Equal(t, 1, o.count(t, "request"))
	edited := o.fillIn(t, pic, "/pengajuan", sent.with(map[string]string{"title": "Lain"}))
	require.Equal(t, http.StatusConflict, edited.status)
	require.Contains(t, string(edited.body), "Formulir ini sudah pernah diajukan")
	require.Contains(t, string(edited.body), `value="Lain"`, "what was typed is kept")
	require.NotContains(t, string(edited.body), sent.fields["_key"], "the form is used up: what is typed now is another request")
	require.NotContains(t, string(edited.body), "Idempotency")
	wellFormed(t, edited.body)
	taken := o.fillIn(t, pic, "/pengajuan", fill(t).with(map[string]string{"_do": "submit", "title": "Lagi"}))
	require.Equal(t, http.StatusConflict, taken.status)
	for _, text := range []string{`value="Lagi"`, `<a href="#f-reference">No. Pengajuan &#34;001&#34; sudah dipakai oleh permohonan ` + ticket, `id="f-reference" name="reference" type="text" value="001" aria-describedby="h-reference e-reference" aria-invalid="true"`} {
		require.Contains(t, string(taken.body), text)
	}
	wellFormed(t, taken.body)
	require.Equal(t, 1, o.count(t, "request"))
	confirmation := look("/" + first.header.Get("Location"))
	require.Equal(t, http.StatusOK, confirmation.status)
	require.Contains(t, string(confirmation.body), ticket)
	wellFormed(t, confirmation.body)

	is, err := request.ByTicket(t.Context(), o.db, ticket, "")
	require.NoError(t, err)
	require.Equal(t, "Personalisasi <reader>", is.Title)
	require.Equal(t, "baris satu\nbaris dua", is.Notes)
	require.Len(t, is.Lines, 1)
	require.Len(t, is.Orders, 1)
	var actor string
	require.NoError(t, o.db.Get(t.Context(), &actor, `SELECT actor FROM audit WHERE action <> 'account.set'`))
	require.Equal(t, "pic", actor)

	o.returned(t, is.ID, "Sel B2 keliru.")
	correction := "/pengajuan?tiket=" + ticket
	page := look(correction)
	require.Equal(t, http.StatusOK, page.status)
	require.Contains(t, string(page.body), "<h1>Perbaiki permohonan "+ticket+"</h1>")
	require.Contains(t, string(page.body), `value="12/DIR"`)
	require.Contains(t, string(page.body), "<p>Sel B2 keliru.</p>")
	require.Contains(t, string(page.body), "Pilih kembali semua berkas")
	version := regexp.MustCompile(`name="_version" value="([0-9]+)"`).FindSubmatch(page.body)
	require.NotNil(t, version)
	fixed := fill(t).with(map[string]string{"_do": "submit", "_version": string(version[1]), "title": "Diperbaiki"})
	delete(fixed.fields, "reference")
	second := o.fillIn(t, pic, correction, fixed)
	require.Equal(t, http.StatusSeeOther, second.status, string(second.body))
	require.Equal(t, http.StatusSeeOther, o.fillIn(t, pic, correction, fixed).status, "a second click on a correction")
	is, err = request.ByTicket(t.Context(), o.db, ticket, "")
	require.NoError(t, err)
	require.Equal(t, "Diperbaiki", is.Title)
	require.Equal(t, 2, is.Submission)
}

func TestWhoMayFillIn(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	pic := o.person(t, "pic", "PT Produsen Contoh", request.Produsen)
	other := o.person(t, "lain", "PT Produsen Lain", request.Produsen)
	operator := o.person(t, "operator", "", request.Operator)
	lembaga := o.person(t, "bank", "PT Bank Contoh", request.Lembaga)
	ticket := o.give(t, "produsen", "ref", "Rahasia").Ticket
	o.returned(t, o.idOf(t, ticket), "Sel B2.")
	for name, c := range map[string]struct {
		cookie, address string
		send            bool
		status          int
	}{
		"nobody":              {"", "/pengajuan", false, 401},
		"nobody sends":        {"", "/pengajuan", true, 401},
		"a made-up session":   {"sifilma_session=abc", "/pengajuan", true, 401},
		"the office":          {operator, "/pengajuan", true, 403},
		"a lembaga sends":     {lembaga, "/pengajuan", true, 403},
		"another's request":   {other, "/pengajuan?tiket=" + ticket, false, 404},
		"another's to send":   {other, "/pengajuan?tiket=" + ticket, true, 404},
		"another's thank you": {other, "/terkirim?tiket=" + ticket, false, 404},
		"one's own":           {pic, "/pengajuan?tiket=" + ticket, false, 200},
	} {
		var r reply
		if c.send {
			r = o.fillIn(t, c.cookie, c.address, fill(t).with(map[string]string{"_do": "submit"}))
		} else {
			r = o.do(t, http.MethodGet, c.address, nil, map[string]string{"Cookie": c.cookie})
		}
		require.Equal(t, c.status, r.status, "%s: %s", name, r.body)
		require.Contains(t, r.header.Get("Content-Type"), "text/html", name)
		if name != "one's own" {
			require.NotContains(t, string(r.body), "Rahasia", name)
		}
	}
	foreign := o.fillIn(t, pic, "/pengajuan", fill(t), map[string]string{"Sec-Fetch-Site": "cross-site"})
	require.Equal(t, http.StatusForbidden, foreign.status)
	require.Equal(t, 1, o.count(t, "request"))
}

// More rows come without a script, and what is typed stays; there is one for each
// lembaga that a request may have.
func TestRowsAreAdded(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	pic := o.person(t, "pic", "PT Produsen Contoh", request.Produsen)
	f := fill(t).with(map[string]string{"_do": "more", "_lines": "5", "title": ""})
	more := o.fillIn(t, pic, "/pengajuan", f)
	require.Equal(t, http.StatusOK, more.status)
	require.Contains(t, string(more.body), `name="lines/14/lembaga"`)
	require.NotContains(t, string(more.body), `name="lines/15/lembaga"`)
	require.Contains(t, string(more.body), `name="purchase_orders/5/number"`)
	require.Contains(t, string(more.body), `name="lines/0/lembaga" type="text" value="PT Bank Contoh"`)
	require.NotContains(t, string(more.body), "wajib diisi", "nothing is checked yet")
	require.Contains(t, string(more.body), `<input type="hidden" name="_lines" value="15">`)
	wellFormed(t, more.body)
	all := o.fillIn(t, pic, "/pengajuan", f.with(map[string]string{"_lines": "95"}))
	require.Contains(t, string(all.body), `name="lines/99/lembaga"`)
	require.NotContains(t, string(all.body), `name="lines/100/lembaga"`)
	require.NotContains(t, string(all.body), "Tambah baris")
	kept := o.fillIn(t, pic, "/pengajuan", f.with(map[string]string{"_do": "check", "_lines": "25"}))
	require.Contains(t, string(kept.body), `name="lines/24/lembaga"`)
	o.nothing(t)
}

// Beside a portal: whoever is not signed in is sent there and comes back, and the
// pages lead to it.
func TestThePortalBesideTheForm(t *testing.T) {
	t.Parallel()
	o := newOffice(t, `api: {portal_url: "http://portal.example", rate_per_second: 1000, rate_burst: 1000}`)
	o.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	for address, way := range map[string]string{"/pengajuan": "/pengajuan", "/pengajuan?tiket=X%26": "/pengajuan?tiket=X%26", "/terkirim?tiket=X": "/pengajuan"} {
		r := o.do(t, http.MethodGet, address, nil, nil)
		require.Equal(t, http.StatusSeeOther, r.status, address)
		require.Equal(t, "http://portal.example/masuk?lanjut="+url.QueryEscape(way), r.header.Get("Location"))
	}
	require.Equal(t, http.StatusUnauthorized, o.fillIn(t, "", "/pengajuan", fill(t)).status, "what was typed is not lost in a redirect")
	pic := o.person(t, "pic", "PT Produsen Contoh", request.Produsen)
	page := o.do(t, http.MethodGet, "/pengajuan", nil, map[string]string{"Cookie": pic})
	for _, link := range []string{`<a href="http://portal.example/">Portal</a>`, `<a href="http://portal.example/permohonan">Permohonan saya</a>`, "Keluar"} {
		require.Contains(t, string(page.body), link)
	}
	lembaga := o.do(t, http.MethodGet, "/pengajuan", nil, map[string]string{"Cookie": o.person(t, "bank", "PT Bank Contoh", request.Lembaga)})
	require.Equal(t, http.StatusForbidden, lembaga.status, "before anything is typed")
	require.Contains(t, string(lembaga.body), `<a href="http://portal.example/permintaan">`)
	require.NotContains(t, string(lembaga.body), "<form")

	icon := o.do(t, http.MethodGet, "/favicon.ico", nil, nil)
	require.Equal(t, "image/svg+xml", icon.header.Get("Content-Type"))
	doc := o.do(t, http.MethodGet, "/api", nil, nil)
	require.Contains(t, string(doc.body), "<code>http://portal.example</code>")
	bad := o.do(t, http.MethodGet, drops, nil, map[string]string{"Authorization": "Bearer filma_x"})
	require.Equal(t, "Kunci API tidak berlaku", bad.Title)
}

func TestTypedNonsense(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	pic := o.person(t, "pic", "PT Produsen Contoh", request.Produsen)
	many := fill(t)
	for i := range 700 {
		many.fields[fmt.Sprintf("lines/%d/lembaga", i)] = "PT"
	}
	require.Equal(t, http.StatusBadRequest, o.fillIn(t, pic, "/pengajuan", many).status)
	for name, changes := range map[string]map[string]string{
		"no such list":    {"x/0/y": "1"},
		"no number":       {"lines/x/lembaga": "1"},
		"list as a text":  {"lines": "1"},
		"deep":            {"a/b/c/d/e": "1"},
		"text as an list": {"title/0/x": "1"},
		"not UTF-8":       {"title": "\xff"},
		"long":            {"notes": strings.Repeat("a", 9000)},
		"control":         {"title": "a\x00b"},
	} {
		r := o.fillIn(t, pic, "/pengajuan", fill(t).with(changes))
		require.Less(t, r.status, 500, "%s: %s", name, r.body)
		require.Contains(t, r.header.Get("Content-Type"), "text/html", name)
	}
	o.nothing(t)
}

func (o *office) idOf(t *testing.T, ticket string) string {
	t.Helper()
	r, err := request.ByTicket(t.Context(), o.db, ticket, "")
	require.NoError(t, err)
	return r.ID
}

var (
	idAttribute   = regexp.MustCompile(` id="([^"]+)"`)
	labelFor      = regexp.MustCompile(`<label for="([^"]+)"`)
	linkToElement = regexp.MustCompile(`href="#([^"]+)"`)
	formControl   = regexp.MustCompile(`<(?:input|select|textarea)[^>]*>`)
)

// wellFormed holds what a person with a screen reader needs: ids are unique, each
// control has a label, each link in the page leads somewhere.
func wellFormed(t *testing.T, body []byte) {
	t.Helper()
	text := string(body)
	ids := map[string]bool{}
	for _, m := range idAttribute.FindAllStringSubmatch(text, -1) {
		require.False(t, ids[m[1]], "id %s twice", m[1])
		ids[m[1]] = true
	}
	labels := map[string]bool{}
	for _, m := range labelFor.FindAllStringSubmatch(text, -1) {
		require.True(t, ids[m[1]], "label for nothing: %s", m[1])
		labels[m[1]] = true
	}
	for _, control := range formControl.FindAllString(text, -1) {
		if strings.Contains(control, `type="hidden"`) {
			continue
		}
		m := idAttribute.FindStringSubmatch(control)
		require.NotNil(t, m, control)
		require.True(t, labels[m[1]], "no label: %s", control)
	}
	for _, m := range linkToElement.FindAllStringSubmatch(text, -1) {
		require.True(t, ids[html.UnescapeString(m[1])], "link to nothing: %s", m[1])
	}
	require.NotContains(t, text, "ZgotmplZ")
}
