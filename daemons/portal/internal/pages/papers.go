package pages

import (
	"net/http"
	"slices"
	"strings"

	"github.com/go-chi/chi/v5"

	"dukcapil.go.id/sifilma/daemons/portal/internal/counter"
	"dukcapil.go.id/sifilma/daemons/portal/internal/signin"
	"dukcapil.go.id/sifilma/daemons/portal/internal/upload"
	"dukcapil.go.id/sifilma/pkg/form"
	"dukcapil.go.id/sifilma/pkg/letter"
	"dukcapil.go.id/sifilma/pkg/report"
	"dukcapil.go.id/sifilma/pkg/terbilang"
	"dukcapil.go.id/sifilma/pkg/web"
)

// papersEnd, after the address of a request and before the id of a paper, is the page of
// the paper.
const papersEnd = "/naskah"

// mountPapers adds the pages of papers.
func (p *Pages) mountPapers(inside chi.Router) {
	for _, owner := range []string{home, readersPath} {
		at := owner + "/{ticket}" + papersEnd + "/{id}"
		inside.Get(at, p.handle(explained(p.paper)))
		inside.Get(at+"/pindaian", p.handle(explained(p.present(p.signature().editor()))))
		inside.With(web.BodyLimit(p.spool.MaxBody()), web.Slow(letterTime)).Post(at+"/pindaian", p.handle(explained(p.saveScan(p.signature()))))
		inside.Get(at+"/batal", p.handle(explained(p.present(p.voidPaper()))))
		inside.Post(at+"/batal", p.handle(explained(p.saveDay(p.voidPaper()))))
	}
}

func (p *Pages) counter() counter.Desk { return counter.Desk{DB: p.db, Office: p.office} }

// paperOf is the paper of the address as whoever asks may see it, with the way to the
// request, or to the letter of readers, that it belongs to.
func (p *Pages) paperOf(r *http.Request) (d report.Document, way []crumb, at string, err error) {
	id, err := rowOf(r)
	if err != nil {
		return d, nil, "", err
	}
	var list []report.Document
	if strings.HasPrefix(r.URL.Path, readersPath+"/") {
		of, err := report.LoadActivation(r.Context(), p.db, chi.URLParam(r, "ticket"), signin.Account(r))
		if err != nil {
			return d, nil, "", err
		}
		list, at = of.Documents, readersPath+"/"+of.Ticket
		way = append(slices.Clone(readersCrumbs), crumb{of.Ticket, at})
	} else {
		of, err := report.Load(r.Context(), p.db, chi.URLParam(r, "ticket"), signin.Account(r), p.office.Now())
		if err != nil {
			return d, nil, "", err
		}
		list, at, way = of.Documents, home+"/"+of.Ticket, blankCrumbs(of.Ticket)
	}
	i := slices.IndexFunc(list, func(d report.Document) bool { return d.ID == id })
	if i < 0 {
		return d, nil, "", report.ErrNotFound
	}
	return list[i], way, at + papersEnd + "/" + id, nil
}

// paper shows a paper, its files and what can be done with it.
func (p *Pages) paper(w http.ResponseWriter, r *http.Request) error {
	d, way, at, err := p.paperOf(r)
	if err != nil {
		return err
	}
	who := signin.Account(r)
	whole, err := p.counter().Paper(r.Context(), who, d.ID)
	if err != nil {
		return err
	}
	body := rowsBody{Crumbs: way, Summary: []pair{{"Naskah", d.KindLabel}}}
	if d.Number != "" {
		body.Summary = append(body.Summary, pair{"Nomor", d.Number})
	}
	if d.Dated != nil {
		body.Summary = append(body.Summary, pair{"Tanggal", terbilang.FormatDate(*d.Dated)})
	}
	body.Summary = append(body.Summary, pair{"Status", d.StateLabel})
	if s, err := whole.Signer(); err == nil && s.Name != "" {
		body.Summary = append(body.Summary, pair{"Penanda tangan", s.Name + "\n" + s.Post})
	}
	if d.SignedOn != nil {
		body.Summary = append(body.Summary, pair{"Ditandatangani", terbilang.FormatDate(*d.SignedOn)})
	}
	if counter.MaySign(whole, who) == nil {
		body.Lead = "Cetak PDF-nya, mintakan tanda tangan, lalu unggah pindaiannya. Sejak itu naskah ini berlaku."
		body.Links = append(body.Links, crumb{"Unggah pindaian bertanda tangan", at + "/pindaian"})
	}
	for _, format := range []string{"scan", "pdf", "xlsx", "docx"} { // what is in force before what was only a draft
		if slices.Contains(d.Formats, format) {
			body.Links = append(body.Links, crumb{"Unduh " + lowerName(formatNames[format]), "/api/v1/documents/" + d.ID + "/files/" + format})
		}
	}
	body.Links = append(body.Links, crumb{"Halaman verifikasi", letter.VerificationPath + whole.Token})
	if counter.MayVoid(whole, who) == nil {
		body.Links = append(body.Links, crumb{"Batalkan naskah ini", at + "/batal"})
	}
	if keptNow(r) {
		body.Notice = "Tersimpan."
	}
	p.show(w, r, http.StatusOK, "rows", d.KindLabel, body)
	return nil
}

// lowerName is the name of a format within a sentence; an abbreviation stays.
func lowerName(name string) string {
	if len(name) > 1 && name[1] >= 'A' && name[1] <= 'Z' {
		return name
	}
	return lowerFirst(name)
}

func paperFacts(d report.Document) []fact {
	facts := []fact{{"Naskah", d.KindLabel}}
	if d.Number != "" {
		facts = append(facts, fact{"Nomor", d.Number})
	}
	if d.Dated != nil {
		facts = append(facts, fact{"Tanggal", terbilang.FormatDate(*d.Dated)})
	}
	return facts
}

// signature takes in the signed scan of a paper.
func (p *Pages) signature() scanEditor {
	return scanEditor{"Unggah pindaian bertanda tangan",
		func(r *http.Request) (formBody, error) {
			d, way, at, err := p.paperOf(r)
			if err != nil {
				return formBody{}, err
			}
			whole, err := p.counter().Paper(r.Context(), signin.Account(r), d.ID)
			if err == nil {
				err = counter.MaySign(whole, signin.Account(r))
			}
			return formBody{
				Crumbs: append(way, crumb{d.KindLabel, at}), Facts: paperFacts(d), Upload: true, Action: at + "/pindaian", Submit: "Terbitkan naskah", Version: whole.Version,
				Lead:   "Periksa pindaiannya: semua halaman ada, terbaca, dan bertanda tangan. Naskah yang sudah terbit tidak dapat dibatalkan di sini.",
				Fields: []field{{Name: "signed_on", Label: "Tanggal ditandatangani", Kind: "date", Value: p.desk.Today().String()}, scanField("Pindaian bertanda tangan")},
			}, err
		},
		func(r *http.Request, scan *upload.File, wrong form.Faults) (string, error) {
			d, _, at, err := p.paperOf(r)
			if err != nil {
				return "", err
			}
			return at + "?" + justKept(), p.counter().Sign(r.Context(), signin.Account(r), d.ID, seenVersion(r), r.PostForm.Get("signed_on"), scan, wrong)
		}}
}

// voidPaper cancels a paper.
func (p *Pages) voidPaper() editor {
	return editor{"Batalkan naskah",
		func(r *http.Request) (formBody, error) {
			d, way, at, err := p.paperOf(r)
			if err != nil {
				return formBody{}, err
			}
			whole, err := p.counter().Paper(r.Context(), signin.Account(r), d.ID)
			if err == nil {
				err = counter.MayVoid(whole, signin.Account(r))
			}
			return formBody{
				Crumbs: append(way, crumb{d.KindLabel, at}), Facts: paperFacts(d), Action: at + "/batal", Submit: "Batalkan naskah ini", Version: whole.Version,
				Warning: "Nomornya tetap terpakai dan tidak diberikan lagi. Naskah baru dengan nomor baru disusun sebagai gantinya.",
				Fields:  []field{{Name: "reason", Label: "Alasan", Kind: "textarea", Longest: 2000}},
			}, err
		},
		func(r *http.Request) (string, error) {
			d, _, at, err := p.paperOf(r)
			if err != nil {
				return "", err
			}
			return at + "?" + justKept(), p.counter().Void(r.Context(), signin.Account(r), d.ID, seenVersion(r), r.PostForm.Get("reason"))
		}}
}
