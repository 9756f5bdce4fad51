package main

import (
	"context"
	"mime/multipart"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/letter"
	"dukcapil.go.id/sifilma/pkg/letter/template"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/test/paperoffice"
)

const templatesAPI = "/api/v1/templates"

// templateSeen is an edition as the API shows it.
type templateSeen struct {
	ID            string
	Kind          string
	Edition       int
	State         string
	Version       int64
	Note          string
	SHA256        string
	ApprovedBy    *string `json:"approved_by"`
	SamplePages   *int    `json:"sample_pages"`
	SampleProblem string  `json:"sample_problem"`
	Timeline      []struct{ Label, Actor, Reason string }
}

func newTemplateOffice(t *testing.T) *office {
	t.Helper()
	o := newOffice(t)
	require.NoError(t, machine.Sync(t.Context(), o.db, template.Machine))
	all, err := template.FromProgram()
	require.NoError(t, err)
	o.tx(func(ctx context.Context, tx *postgres.Tx) error {
		return template.Ship(ctx, tx, all, template.Change{OfficeAt: morning})
	})
	return o
}

// wordFile is a form with a Word file.
func wordFile(t *testing.T, file []byte, fields ...string) *form {
	t.Helper()
	f := &form{}
	w := multipart.NewWriter(&f.body)
	for i := 0; i+1 < len(fields); i += 2 {
		require.NoError(t, w.WriteField(fields[i], fields[i+1]))
	}
	part, err := w.CreateFormFile("file", "surat.docx")
	require.NoError(t, err)
	_, err = part.Write(file)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	f.mediaType = w.FormDataContentType()
	return f
}

// sample is what the document generator does with an edition that waits.
func (o *office) sample(id string) {
	o.t.Helper()
	o.tx(func(ctx context.Context, tx *postgres.Tx) error {
		e, err := template.Get(ctx, tx, id)
		if err != nil {
			return err
		}
		_, err = template.Sampled(ctx, tx, e, pdf, 9, template.Change{Actor: machine.Actor{Name: "document-generator", Role: request.Generator}, OfficeAt: morning})
		return err
	})
}

func TestTwoPeoplePutATemplateInForce(t *testing.T) {
	t.Parallel()
	o := newTemplateOffice(t)
	var list struct {
		Kinds []struct {
			Kind string
			Tags []struct {
				Name     string
				Required bool
			}
		}
		Templates []templateSeen
	}
	o.want(200, &list, "persuratan", http.MethodGet, templatesAPI, nil)
	require.Len(t, list.Templates, len(template.Kinds()))
	require.Len(t, list.Kinds, len(template.Kinds()))
	require.NotEmpty(t, list.Kinds[0].Tags)
	changed := paperoffice.Template(t, letter.ReplyLetter, "Lampiran", "Berkas")
	send := func(fields ...string) *form { return wordFile(t, changed, fields...) }
	for _, who := range []string{"produsen", "lembaga", "dirjen"} {
		o.problem(403, who, http.MethodGet, templatesAPI, nil)
		o.problem(403, who, http.MethodPost, templatesAPI, send("kind", "reply_letter", "note", "x"))
	}
	p := o.problem(422, "persuratan", http.MethodPost, templatesAPI, send("kind", "reply_letter", "note", " "))
	require.Equal(t, map[string]string{"/note": "missing"}, codes(p))
	p = o.problem(422, "persuratan", http.MethodPost, templatesAPI, send("kind", "result_list", "note", "x"))
	require.Equal(t, map[string]string{"/kind": "unknown_value"}, codes(p))
	p = o.problem(422, "persuratan", http.MethodPost, templatesAPI, wordFile(t, make([]byte, template.MaxBytes+1), "kind", "reply_letter", "note", "x"))
	require.Equal(t, map[string]string{"/file": "too_large"}, codes(p))
	wrong := paperoffice.Template(t, letter.ReplyLetter, "{{addressee}}", "{{adressee}}", "{{@verification_qr}}", "", "<w:body>", `<w:body><w:p><w:ins><w:r><w:t>sisipan</w:t></w:r></w:ins></w:p>`)
	p = o.problem(422, "persuratan", http.MethodPost, templatesAPI, wordFile(t, wrong, "kind", "reply_letter", "note", "x"))
	var said []string
	for _, e := range p.Errors {
		said = append(said, e.Code)
	}
	require.ElementsMatch(t, []string{"tracked_changes", "unknown_tag", "missing_tag", "missing_tag"}, said)

	var e templateSeen
	o.want(201, &e, "persuratan", http.MethodPost, templatesAPI, send("kind", "reply_letter", "note", "kop baru"))
	at := templatesAPI + "/" + e.ID
	require.Equal(t, 2, e.Edition)
	require.Equal(t, "offered", e.State)
	require.Nil(t, e.SamplePages)
	require.Contains(t, o.problem(422, "operator", http.MethodPost, templatesAPI, send("kind", "reply_letter", "note", "lagi")).Errors[0].Detail, "sama dengan edisi 2")
	require.Equal(t, string(changed), o.ask("operator", http.MethodGet, at+"/file", nil).Body.String())
	o.problem(404, "operator", http.MethodGet, at+"/sample", nil)
	o.problem(428, "kasubdit", http.MethodPost, at+"/approval", nil)
	require.Contains(t, o.problem(409, "kasubdit", http.MethodPost, at+"/approval", nil, ifMatch(e.Version)...).Type, "not-sampled")

	o.sample(e.ID)
	o.want(200, &e, "persuratan", http.MethodGet, at, nil)
	require.Equal(t, "proposed", e.State)
	require.Equal(t, 9, *e.SamplePages)
	require.Equal(t, string(pdf), o.ask("kasubdit", http.MethodGet, at+"/sample", nil).Body.String())
	o.problem(412, "kasubdit", http.MethodPost, at+"/approval", nil, ifMatch(1)...)
	o.problem(403, "persuratan", http.MethodPost, at+"/approval", nil, ifMatch(e.Version)...)
	o.problem(422, "kasubdit", http.MethodPost, at+"/refusal", map[string]any{"reason": " "}, ifMatch(e.Version)...)
	o.want(200, &e, "kasubdit", http.MethodPost, at+"/approval", map[string]any{"reason": "contoh baik"}, ifMatch(e.Version)...)
	require.Equal(t, "active", e.State)
	require.Equal(t, "kasubdit", *e.ApprovedBy)
	require.Equal(t, "contoh baik", e.Timeline[0].Reason)
	require.Contains(t, o.problem(409, "kasubdit", http.MethodPost, at+"/refusal", map[string]any{"reason": "terlambat"}, ifMatch(e.Version)...).Type, "illegal-step")

	// The operator's own is not the operator's to approve; an old one comes back.
	var first templateSeen
	for _, one := range list.Templates {
		if one.Kind == letter.ReplyLetter {
			o.want(200, &first, "operator", http.MethodGet, templatesAPI+"/"+one.ID, nil)
		}
	}
	require.Equal(t, "superseded", first.State)
	o.want(200, &first, "operator", http.MethodPost, templatesAPI+"/"+first.ID+"/offer", map[string]any{"reason": "kop lama dipakai lagi"}, ifMatch(first.Version)...)
	o.sample(first.ID)
	o.want(200, &first, "operator", http.MethodGet, templatesAPI+"/"+first.ID, nil)
	require.Contains(t, o.problem(403, "operator", http.MethodPost, templatesAPI+"/"+first.ID+"/approval", nil, ifMatch(first.Version)...).Type, "same-person")
	o.want(200, &first, "operator-2", http.MethodPost, templatesAPI+"/"+first.ID+"/approval", nil, ifMatch(first.Version)...)
	require.Equal(t, "active", first.State)
	o.problem(404, "operator", http.MethodGet, templatesAPI+"/00000000-0000-7000-8000-000000000000", nil)
}

// The same on pages: find it, read the tags, send it in, see what is wrong, wait for the
// sample, look at it, approve by another.
func TestATemplateOnItsPages(t *testing.T) {
	t.Parallel()
	o := newTemplateOffice(t)
	const at = "/templat-surat"
	require.Contains(t, o.page(200, "operator", "/data-induk").text, "Templat surat")
	require.Contains(t, o.page(200, "persuratan", "/permohonan").text, "Templat surat", "whoever does not look after other master data finds it too")
	require.NotContains(t, o.page(200, "dirjen", "/permohonan").text, "Templat surat")
	for _, who := range []string{"dirjen", "produsen", "lembaga"} {
		o.page(403, who, at)
		o.page(403, who, at+"/jenis/bast/unggah")
	}
	o.page(404, "operator", at+"/jenis/result_list")
	list := o.page(200, "persuratan", at)
	require.Contains(t, list.text, "Surat balasan permohonan Edisi 1 Pemasangan sistem")
	require.NotContains(t, list.text, "Menunggu")
	kind := o.page(200, "persuratan", at+"/jenis/reply_letter")
	for _, words := range []string{"{{addressee}}", "tujuan surat: nama lembaga", "{{@verification_qr}}", "{{#copies}} … {{/copies}}", "Unduh yang berlaku (Word)"} {
		require.Contains(t, kind.text, words)
	}

	upload := at + "/jenis/reply_letter/unggah"
	o.page(200, "persuratan", upload)
	w := o.ask("persuratan", http.MethodPost, upload, wordFile(t, paperoffice.Template(t, letter.ReplyLetter, "{{addressee}}", "{{adressee}}"), "note", "kop baru"))
	require.Equal(t, 422, w.Code)
	for _, words := range []string{"Tag {{adressee}} tidak dikenal untuk naskah ini. Mungkin maksudnya {{addressee}}.", "Tag wajib {{addressee}} tidak ada", "kop baru"} {
		require.Contains(t, w.Body.String(), words)
	}
	w = o.ask("persuratan", http.MethodPost, upload, wordFile(t, nil, "note", "kop baru"))
	require.Equal(t, 422, w.Code)
	w = o.ask("persuratan", http.MethodPost, upload, wordFile(t, paperoffice.Template(t, letter.ReplyLetter, "Lampiran", "Berkas"), "note", "kop baru"))
	require.Equal(t, 303, w.Code, "%s", w.Body)
	one, _, _ := strings.Cut(w.Header().Get("Location"), "?")
	waits := o.page(200, "persuratan", one+"?tersimpan=1")
	require.Contains(t, waits.text, "Templat diterima dan belum berlaku")
	require.Contains(t, waits.text, "Contoh cetaknya sedang disiapkan")
	require.Contains(t, waits.text, "Diusulkan "+request.RoleLabels[request.Persuratan]+",", "people have names, not accounts")
	require.NotContains(t, waits.text, "Ditunggu sejak")
	o.clock.Set(o.clock.Now().Add(15 * time.Minute)) // nobody prints it
	require.Contains(t, o.page(200, "kasubdit", one).text, "penyusun naskah (document-generator) mungkin tidak berjalan. Ditunggu sejak 23 November 2026")
	id := strings.TrimPrefix(one, at+"/")
	o.tx(func(ctx context.Context, tx *postgres.Tx) error {
		e, err := template.Get(ctx, tx, id)
		if err != nil {
			return err
		}
		return template.SampleWaits(ctx, tx, e, "LibreOffice sedang tidak dapat dipakai.")
	})
	require.Contains(t, o.page(200, "kasubdit", one).text, "LibreOffice sedang tidak dapat dipakai. Ditunggu sejak 23 November 2026")
	require.Contains(t, o.page(200, "kasubdit", at).text, "belum jadi: LibreOffice sedang tidak dapat dipakai.")
	require.NotContains(t, o.page(200, "kasubdit", one).text, "kurang dari satu menit", "what waits longer is not said to take a minute")
	require.NotContains(t, o.page(200, "kasubdit", one).text, "Setujui")
	o.sample(id)
	require.Contains(t, o.page(200, "kasubdit", at).text, "Menunggu persetujuan")
	require.NotContains(t, o.page(200, "persuratan", one).text, "Setujui")
	look := o.page(200, "kasubdit", one)
	for _, words := range []string{"Lihat contoh cetak (PDF)", "9 halaman", "Setujui", "Tolak atau tarik usulan", "kop baru"} {
		require.Contains(t, look.text, words)
	}
	form := o.page(200, "kasubdit", one+"/setujui")
	require.Contains(t, form.text, "Menggantikan Edisi 1")
	o.post(303, "kasubdit", one+"/setujui", "versi", form.value("versi"), "reason", "")
	require.Contains(t, o.page(200, "persuratan", at).text, "Surat balasan permohonan Edisi 2 Kasubdit KI")
	o.post(303, "operator", at+"/"+o.firstReply()+"/usulkan", "versi", "3", "reason", "kop lama")
	require.Contains(t, o.page(200, "kasubdit", at).text, "Menunggu contoh cetak")
}

// firstReply is the id of the first edition of the reply letter.
func (o *office) firstReply() (id string) {
	o.t.Helper()
	require.NoError(o.t, o.db.Get(o.t.Context(), &id, `SELECT id FROM letter_template WHERE kind = 'reply_letter' AND edition = 1`))
	return id
}

func TestWhoSawAPasswordApprovesNoTemplate(t *testing.T) {
	t.Parallel()
	o := newTemplateOffice(t)
	c := o.propose("operator", http.MethodPost, v1+"/accounts/"+o.idOf("kasubdit")+"/password-reset", nil, ifMatch(1)...)
	given := o.confirm("operator-2", c)
	o.signIn("kasubdit", "kasubdit", given.Password)
	o.want(204, nil, "kasubdit", http.MethodPost, v1+"/me/password", newWords(given.Password, password))
	var e templateSeen
	o.want(201, &e, "kasubdit", http.MethodPost, templatesAPI, wordFile(t, paperoffice.Template(t, letter.BAST, "Pihak", "PIHAK"), "kind", "bast", "note", "kapital"))
	o.sample(e.ID)
	at := templatesAPI + "/" + e.ID
	require.Equal(t, "saw-password", problemCode(o.problem(403, "operator-2", http.MethodPost, at+"/approval", nil, ifMatch(e.Version+1)...).Type))
	o.want(200, &e, "operator", http.MethodPost, at+"/approval", nil, ifMatch(e.Version+1)...)
	require.Equal(t, "active", e.State)
}
