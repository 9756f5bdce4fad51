package pages

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/go-chi/chi/v5"

	"dukcapil.go.id/sifilma/daemons/portal/internal/api"
	"dukcapil.go.id/sifilma/daemons/portal/internal/signin"
	"dukcapil.go.id/sifilma/daemons/portal/internal/upload"
	"dukcapil.go.id/sifilma/daemons/portal/internal/wording"
	"dukcapil.go.id/sifilma/pkg/letter"
	"dukcapil.go.id/sifilma/pkg/letter/template"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/pkg/terbilang"
	"dukcapil.go.id/sifilma/pkg/web"
)

const (
	templatesPath = "/templat-surat"
	templatesName = "Templat surat"
	templatesAPI  = "/api/v1/templates/"
)

var templatesCrumb = crumb{templatesName, templatesPath}

// templateAct is a step of an edition as its page offers it.
type templateAct struct {
	verb                       machine.Verb
	path, title, lead, warning string
	label                      string // of the reason
	optional                   bool
}

var templateActs = []templateAct{
	{template.ApproveVerb, "setujui", "Setujui", "Naskah yang berkasnya dibuat sejak sekarang memakai edisi ini. Naskah yang sudah jadi tetap menurut edisinya sendiri.",
		"Pastikan Anda sudah melihat contoh cetaknya sampai halaman terakhir.", "Dasar persetujuan", true},
	{template.RefuseVerb, "tolak", "Tolak atau tarik usulan", "Edisi ini tidak dipakai. Yang mengusulkan menarik usulannya dengan cara ini pula.", "", "Alasan", false},
	{template.OfferVerb, "usulkan", "Usulkan lagi", "Edisi ini diperiksa lagi, contohnya dicetak ulang, dan orang lain diminta menyetujuinya.", "", "Mengapa edisi ini hendak dipakai lagi", false},
}

var templateTags = map[machine.State]string{
	template.Offered: busy, template.Proposed: wait, template.Unprintable: bad, template.Active: good, template.Superseded: "", template.Refused: bad,
}

func templateTag(s machine.State) tag { return tag{templateTags[s], template.Machine.Label(s)} }

func (p *Pages) mountTemplates(inside chi.Router) {
	keepers := inside.With(p.onlyWording)
	get := func(path string, f func(w http.ResponseWriter, r *http.Request) error) {
		keepers.Get(templatesPath+path, p.handle(explained(f)))
	}
	get("", p.templates)
	get("/jenis/{kind}", p.templateKind)
	get("/jenis/{kind}/unggah", p.templateForm)
	keepers.With(web.BodyLimit(upload.MaxTemplateBody), web.Slow(letterTime)).Post(templatesPath+"/jenis/{kind}/unggah", p.handle(explained(p.sendTemplate)))
	get("/{id}", p.oneTemplate)
	for _, act := range templateActs {
		get("/{id}/"+act.path, p.present(p.templateStep(act)))
		keepers.Post(templatesPath+"/{id}/"+act.path, p.handle(explained(p.save(p.templateStep(act)))))
	}
}

// onlyWording wants somebody who looks after templates.
func (p *Pages) onlyWording(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !wording.May(signin.Account(r).Role) {
			p.fail(w, r, api.Explain(wording.ErrForbidden))
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (p *Pages) wording() wording.Desk { return wording.Desk{DB: p.db, Office: p.office} }

func kindPath(kind string) string { return templatesPath + "/jenis/" + kind }

// editionName is an edition within its kind.
func editionName(e template.Edition) string { return fmt.Sprintf("Edisi %d", e.Edition) }

// sampled says what there is of an edition's sample.
func sampled(e template.Edition) string {
	switch {
	case e.SamplePages != nil:
		return number(*e.SamplePages) + " halaman"
	case e.State == template.Offered && e.SampleProblem != "":
		return "belum jadi: " + e.SampleProblem
	case e.State == template.Offered:
		return "sedang disiapkan"
	}
	return ""
}

// longSample is when a sample that is still to be made is no longer awaited in silence: it
// takes less than a minute where nothing is away.
const longSample = 10 * time.Minute

// sampleWaits says why a sample is not there yet, and since when it is waited for; empty
// while that is usual.
func sampleWaits(e template.Edition, now time.Time) string {
	text := e.SampleProblem
	if text == "" && now.Sub(e.OfferedAt) >= longSample {
		text = "Contoh ini belum jadi, lebih lama daripada biasanya. Beri tahu pengelola sistem: penyusun naskah (document-generator) mungkin tidak berjalan."
	}
	if text != "" {
		text += " Ditunggu sejak " + terbilang.FormatDateTime(e.OfferedAt) + "."
	}
	return text
}

func (p *Pages) templates(w http.ResponseWriter, r *http.Request) error {
	all, err := p.wording().List(r.Context(), signin.Account(r))
	if err == nil {
		err = p.namedEditions(r, all)
	}
	if err != nil {
		return err
	}
	body := rowsBody{Lead: "Berkas Word yang diisi menjadi naskah. Unduh yang berlaku, sunting di Word atau LibreOffice, lalu unggah kembali; contoh cetaknya dilihat orang lain, dan baru berlaku setelah disetujuinya."}
	waiting := rowsTable{Caption: "Menunggu", Heads: []string{"Usulan", "Keadaan", "Diusulkan oleh", "Pada", "Contoh cetak"}}
	inForce := rowsTable{Caption: "Templat per jenis naskah", Empty: "belum ada.", Heads: []string{"Jenis naskah", "Berlaku", "Disetujui oleh", "Jumlah edisi"}, Numbers: []int{3}}
	for _, kind := range template.Kinds() {
		row, editions := []cell{{Text: letter.KindLabels[kind], Path: kindPath(kind)}, {Text: "tidak ada"}, {}}, 0
		for _, e := range all {
			if e.Kind != kind {
				continue
			}
			editions++
			switch e.State {
			case template.Active:
				row[1], row[2] = cell{Text: editionName(e), Path: templatesPath + "/" + e.ID}, cell{Text: text(e.ApprovedBy)}
			case template.Offered, template.Proposed:
				waiting.Rows = append(waiting.Rows, []cell{
					{Text: e.Label(), Path: templatesPath + "/" + e.ID}, {Tag: templateTag(e.State)}, {Text: e.OfferedBy}, {Text: terbilang.FormatDateTime(e.OfferedAt)}, {Text: sampled(e)},
				})
			}
		}
		inForce.Rows = append(inForce.Rows, append(row, cell{Text: number(editions)}))
	}
	if len(waiting.Rows) > 0 {
		body.Tables = append(body.Tables, waiting)
	}
	body.Tables = append(body.Tables, inForce)
	p.show(w, r, http.StatusOK, "rows", templatesName, body)
	return nil
}

// kindIn is the kind of paper in the address.
func kindIn(r *http.Request) (string, error) {
	kind := chi.URLParam(r, "kind")
	if !template.Known(kind) {
		return "", web.NotFound("Tidak ada templat untuk jenis naskah ini.")
	}
	return kind, nil
}

// templateKind shows the editions of one kind, and what may be written into them.
func (p *Pages) templateKind(w http.ResponseWriter, r *http.Request) error {
	kind, err := kindIn(r)
	if err != nil {
		return err
	}
	all, err := p.wording().List(r.Context(), signin.Account(r))
	if err == nil {
		err = p.namedEditions(r, all)
	}
	if err != nil {
		return err
	}
	all = slices.DeleteFunc(all, func(e template.Edition) bool { return e.Kind != kind })
	body := rowsBody{Crumbs: []crumb{templatesCrumb}, Lead: "Tag wajib tidak boleh hilang dari templat. Susunan kata, kop, dan huruf bebas diubah."}
	body.Links = append(body.Links, crumb{"Unggah templat baru", kindPath(kind) + "/unggah"})
	for _, e := range all {
		if e.State == template.Active {
			body.Links = append(body.Links, crumb{"Unduh yang berlaku (Word)", templatesAPI + e.ID + "/file"})
		}
	}
	body.Tables = append(body.Tables, editionsTable(all), tagsTable(kind))
	p.show(w, r, http.StatusOK, "rows", letter.KindLabels[kind], body)
	return nil
}

// namedEditions puts names in the places of the accounts that offered and approved editions.
func (p *Pages) namedEditions(r *http.Request, all []template.Edition) error {
	var people []*string
	for i := range all {
		if people = append(people, &all[i].OfferedBy); all[i].ApprovedBy != nil {
			people = append(people, all[i].ApprovedBy)
		}
	}
	return p.named(r.Context(), people...)
}

func editionsTable(all []template.Edition) rowsTable {
	t := rowsTable{Caption: "Edisi", Empty: "belum ada.", Heads: []string{"Edisi", "Keadaan", "Yang berubah", "Diusulkan oleh", "Pada", "Disetujui oleh", "Contoh cetak"}}
	for _, e := range all {
		t.Rows = append(t.Rows, []cell{
			{Text: editionName(e), Path: templatesPath + "/" + e.ID}, {Tag: templateTag(e.State)}, {Text: e.Note}, {Text: e.OfferedBy},
			{Text: terbilang.FormatDateTime(e.OfferedAt)}, {Text: text(e.ApprovedBy)}, {Text: sampled(e)},
		})
	}
	return t
}

// tagsTable is what people may write into a template of a kind.
func tagsTable(kind string) rowsTable {
	t := rowsTable{Caption: "Tag yang dikenal", Heads: []string{"Tag", "Wajib", "Tempat", "Isi"}, Serials: true}
	for _, one := range template.Tags(kind) {
		need, where := "tidak", "di mana saja"
		if one.Required {
			need = "ya"
		}
		switch {
		case one.Within() != "":
			where = "di baris berulang {{#" + one.Within() + "}}"
		case one.Name[0] == '#':
			where = "satu baris tabel atau lebih"
		case one.Name[0] == '@':
			where = "gambar, di luar baris berulang"
		}
		t.Rows = append(t.Rows, []cell{{Text: one.Written()}, {Text: need}, {Text: where}, {Text: one.About}})
	}
	return t
}

// askTemplate is the form by which an edition is sent in.
func askTemplate(kind string) formBody {
	return formBody{
		Crumbs: []crumb{templatesCrumb, {letter.KindLabels[kind], kindPath(kind)}}, Upload: true, Action: kindPath(kind) + "/unggah", Submit: "Unggah dan periksa",
		Lead: letter.KindLabels[kind] + ". Berkas diperiksa dahulu; semua yang perlu diperbaiki disebut sekaligus beserta tempatnya. Sesudah lulus, contohnya dicetak dan orang lain diminta menyetujuinya.",
		Fields: []field{
			{Name: upload.TemplatePart, Label: "Berkas Word", Kind: "file", Value: ".docx", Hint: fmt.Sprintf("Dokumen Word (.docx), paling besar %d MB, tanpa makro, komentar, dan perubahan terlacak.", template.MaxBytes>>20)},
			{Name: "note", Label: "Apa yang berubah", Kind: "textarea", Longest: 2000, Hint: "Dibaca oleh yang menyetujui, dan tercatat pada riwayat edisi ini."},
		},
	}
}

const offerTitle = "Unggah templat"

func (p *Pages) templateForm(w http.ResponseWriter, r *http.Request) error {
	kind, err := kindIn(r)
	if err != nil {
		return err
	}
	p.show(w, r, http.StatusOK, "form", offerTitle, askTemplate(kind))
	return nil
}

// sendTemplate takes an edition in, or shows the form again with everything that is
// wrong with it.
func (p *Pages) sendTemplate(w http.ResponseWriter, r *http.Request) error {
	kind, err := kindIn(r)
	if err != nil {
		return err
	}
	parcel, faults, err := p.spool.ReadTemplate(r, nil, "note")
	if err != nil {
		return err
	}
	defer parcel.Close()
	r.PostForm = url.Values{"note": {parcel.Fields["note"]}} // for the form, should it be shown again
	if err := faults.Err(); err != nil {
		return p.again(w, r, offerTitle, askTemplate(kind), err)
	}
	file, err := parcel.Files[upload.TemplatePart].Bytes()
	if err != nil {
		return err
	}
	done, err := p.spool.Turn(r.Context())
	if err != nil {
		return err
	}
	made, err := p.wording().Offer(r.Context(), signin.Account(r), kind, file, parcel.Fields["note"])
	done()
	if err != nil {
		return p.again(w, r, offerTitle, askTemplate(kind), api.TemplateProblem(err))
	}
	http.Redirect(w, r, templatesPath+"/"+made.ID+"?tersimpan=1", http.StatusSeeOther)
	return nil
}

// templateIn is the edition in the address, with the names of people.
func (p *Pages) templateIn(r *http.Request) (wording.Template, error) {
	id, err := rowOf(r)
	if err != nil {
		return wording.Template{}, err
	}
	v, err := p.wording().Get(r.Context(), signin.Account(r), id)
	if err != nil {
		return v, err
	}
	people := []*string{&v.OfferedBy}
	if v.ApprovedBy != nil {
		people = append(people, v.ApprovedBy)
	}
	for i := range v.Timeline {
		people = append(people, &v.Timeline[i].Actor)
	}
	if err := p.named(r.Context(), people...); err != nil {
		return v, err
	}
	return v, p.namedEditions(r, v.Editions)
}

// oneTemplate shows an edition: its file, its sample, and what can be done with it.
func (p *Pages) oneTemplate(w http.ResponseWriter, r *http.Request) error {
	v, err := p.templateIn(r)
	if err != nil {
		return err
	}
	at := templatesPath + "/" + v.ID
	body := rowsBody{Crumbs: []crumb{templatesCrumb, {letter.KindLabels[v.Kind], kindPath(v.Kind)}}, Summary: []pair{
		{"Keadaan", template.Machine.Label(v.State)}, {"Yang berubah", v.Note}, {"Diusulkan", v.OfferedBy + ", " + terbilang.FormatDateTime(v.OfferedAt)},
		{"Disetujui oleh", text(v.ApprovedBy)}, {"Contoh cetak", sampled(v.Edition)}, {"SHA-256", hex.EncodeToString(v.SHA256)},
	}}
	body.Summary = slices.DeleteFunc(body.Summary, func(p pair) bool { return p.Text == "" })
	switch v.State {
	case template.Offered:
		body.Lead = "Contoh cetaknya sedang disiapkan, biasanya kurang dari satu menit. Muat ulang halaman ini untuk melihatnya."
		if body.Alarm = sampleWaits(v.Edition, p.office.Now()); body.Alarm != "" {
			body.Lead = "Contoh cetaknya belum jadi, dan tanpa contoh usulan ini belum dapat disetujui. Sistem mencetaknya begitu dapat; beri tahu pengelola sistem."
		}
	case template.Proposed:
		body.Lead = "Lihat contoh cetaknya sampai halaman terakhir: nama 80 huruf, pejabat a.n. tanpa NIP, dua lembaga, dan 250 baris; lalu satu kartu dengan pejabat Plt."
	case template.Unprintable:
		body.Alarm = v.SampleProblem
	}
	if keptNow(r) || r.URL.Query().Get("tersimpan") != "" {
		body.Notice = "Tersimpan."
		if v.State == template.Offered || v.State == template.Proposed {
			body.Notice = "Templat diterima dan belum berlaku. Mintalah Operator KI lain atau Kasubdit KI membukanya pada Templat surat."
		}
	}
	if v.SampleBlob != nil {
		body.Links = append(body.Links, crumb{"Lihat contoh cetak (PDF)", templatesAPI + v.ID + "/sample"})
	}
	if v.SampleBlob == nil { // not the refusal, which would stand first
		body.Links = append(body.Links, crumb{"Unduh berkas Word", templatesAPI + v.ID + "/file"})
	}
	for _, act := range templateActs {
		if slices.Contains(v.Offers, act.verb) {
			body.Links = append(body.Links, crumb{act.title, at + "/" + act.path})
		}
	}
	if v.SampleBlob != nil {
		body.Links = append(body.Links, crumb{"Unduh berkas Word", templatesAPI + v.ID + "/file"})
	}
	steps := rowsTable{Caption: "Riwayat, terbaru lebih dahulu", Empty: "belum ada.", Heads: []string{"Langkah", "Waktu", "Oleh", "Peran", "Alasan"}}
	for _, s := range v.Timeline {
		role := request.RoleLabels[s.Role]
		if role == "" {
			role = "Sistem"
		}
		steps.Rows = append(steps.Rows, []cell{{Text: template.Machine.VerbLabel(s.Verb)}, {Text: terbilang.FormatDateTime(s.OfficeAt)}, {Text: s.Actor}, {Text: role}, {Text: s.Reason}})
	}
	body.Tables = append(body.Tables, steps, editionsTable(v.Editions))
	p.show(w, r, http.StatusOK, "rows", v.Label(), body)
	return nil
}

func (p *Pages) templateStep(act templateAct) editor {
	return editor{act.title,
		func(r *http.Request) (formBody, error) {
			v, err := p.templateIn(r)
			body := formBody{Crumbs: []crumb{templatesCrumb, {v.Label(), templatesPath + "/" + v.ID}}, Action: templatesPath + "/" + v.ID + "/" + act.path, Submit: act.title,
				Version: v.Version, Lead: v.Label() + ". " + act.lead, Warning: act.warning, Fields: []field{{Name: "reason", Label: act.label, Kind: "textarea", Longest: 2000, Optional: act.optional}}}
			if act.verb == template.ApproveVerb && err == nil {
				body.Facts = []fact{{"Yang berubah", v.Note}, {"Diusulkan oleh", v.OfferedBy}, {"Contoh cetak", sampled(v.Edition)}}
				if v.SampleBlob != nil {
					body.Also = []crumb{{"Lihat contoh cetak (PDF)", templatesAPI + v.ID + "/sample"}}
				}
				for _, e := range v.Editions {
					if e.State == template.Active {
						body.Facts = append(body.Facts, fact{"Menggantikan", editionName(e)})
					}
				}
			}
			return body, err
		},
		func(r *http.Request) (string, error) {
			v, err := p.templateIn(r)
			if err == nil {
				_, err = p.wording().Move(r.Context(), signin.Account(r), act.verb, template.Seen{ID: v.ID, Version: seenVersion(r)}, r.PostForm.Get("reason"))
			}
			return templatesPath + "/" + v.ID + "?tersimpan=1", err
		}}
}

// madeWith is the edition that a paper was made with, for the office's own people; empty
// where there is none.
func (p *Pages) madeWith(r *http.Request, documentID string) (string, error) {
	e, err := template.OfPaper(r.Context(), p.db, documentID)
	if errors.Is(err, template.ErrNotFound) {
		return "", nil
	}
	return e.Label(), err
}
