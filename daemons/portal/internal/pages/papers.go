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
		p.mountPaperNumbers(inside, at)
		p.mountCertified(inside, at)
	}
	p.mountNumbers(inside)
}

func (p *Pages) counter() counter.Desk {
	return counter.Desk{DB: p.db, Office: p.office, Signer: p.signer}
}

// owner is the request, or the letter of readers, that papers belong to.
type owner struct {
	Way       []crumb
	Path      string // the address of its page
	Documents []report.Document
}

// paperOwner is the owner that the address names, as whoever asks may see it.
func (p *Pages) paperOwner(r *http.Request) (*owner, error) {
	ticket, who := chi.URLParam(r, "ticket"), signin.Account(r)
	if strings.HasPrefix(r.URL.Path, readersPath+"/") {
		of, err := report.LoadActivation(r.Context(), p.db, ticket, who)
		if err != nil {
			return nil, err
		}
		at := readersPath + "/" + of.Ticket
		return &owner{append(slices.Clone(readersCrumbs), crumb{of.Ticket, at}), at, of.Documents}, nil
	}
	of, err := report.Load(r.Context(), p.db, ticket, who, p.office.Now())
	if err != nil {
		return nil, err
	}
	return &owner{blankCrumbs(of.Ticket), home + "/" + of.Ticket, of.Documents}, nil
}

// paperOf is the paper of the address as whoever asks may see it, with its owner.
func (p *Pages) paperOf(r *http.Request) (d report.Document, of *owner, at string, err error) {
	id, err := rowOf(r)
	if err != nil {
		return d, nil, "", err
	}
	if of, err = p.paperOwner(r); err != nil {
		return d, nil, "", err
	}
	i := slices.IndexFunc(of.Documents, func(d report.Document) bool { return d.ID == id })
	if i < 0 {
		return d, nil, "", report.ErrNotFound
	}
	return of.Documents[i], of, of.Path + papersEnd + "/" + id, nil
}

// paperCrumbs is the way to a form of a paper.
func paperCrumbs(of *owner, d report.Document, at string) []crumb {
	return append(slices.Clone(of.Way), crumb{d.KindLabel, at})
}

// paper shows a paper, its files and what can be done with it.
func (p *Pages) paper(w http.ResponseWriter, r *http.Request) error {
	d, of, at, err := p.paperOf(r)
	if err != nil {
		return err
	}
	who := signin.Account(r)
	whole, err := p.counter().Paper(r.Context(), who, d.ID)
	if err != nil {
		return err
	}
	body := rowsBody{Crumbs: of.Way, Summary: []pair{{"Naskah", d.KindLabel}}}
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
	if !report.Outside(who) {
		edition, err := p.madeWith(r, d.ID)
		if err != nil {
			return err
		}
		if edition != "" {
			body.Summary = append(body.Summary, pair{"Templat", edition})
		}
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
	if err := p.certified(r, &body, whole, at); err != nil {
		return err
	}
	if err := p.paperOnward(r, &body, whole, of, at); err != nil {
		return err
	}
	if keptNow(r) {
		body.Notice = "Tersimpan."
	}
	p.show(w, r, http.StatusOK, "rows", d.KindLabel, body)
	return nil
}

// lowerName is the name of a format within a sentence; what is a name by itself stays.
func lowerName(name string) string {
	if name == formatNames["scan"] {
		return lowerFirst(name)
	}
	return name
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
			d, of, at, err := p.paperOf(r)
			if err != nil {
				return formBody{}, err
			}
			whole, err := p.counter().Paper(r.Context(), signin.Account(r), d.ID)
			if err == nil {
				err = counter.MaySign(whole, signin.Account(r))
			}
			return formBody{
				Crumbs: paperCrumbs(of, d, at), Facts: paperFacts(d), Upload: true, Action: at + "/pindaian", Submit: "Terbitkan naskah", Version: whole.Version,
				Lead:   "Periksa pindaiannya: semua halaman ada, terbaca, dan bertanda tangan. Naskah yang sudah terbit tidak dapat dibatalkan lagi, hanya diganti.",
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
			d, of, at, err := p.paperOf(r)
			if err != nil {
				return formBody{}, err
			}
			whole, err := p.counter().Paper(r.Context(), signin.Account(r), d.ID)
			if err == nil {
				err = counter.MayVoid(whole, signin.Account(r))
			}
			return formBody{
				Crumbs: paperCrumbs(of, d, at), Facts: paperFacts(d), Action: at + "/batal", Submit: "Batalkan naskah ini", Version: whole.Version,
				Warning: "Nomornya tetap terpakai dan tidak diberikan lagi.",
				Fields: []field{
					{Name: "reason", Label: "Alasan", Kind: "textarea", Longest: 2000},
					{Name: "again", Label: "Sesudah dibatalkan", Kind: "select", Options: []option{{"ya", "Susun naskah baru dengan nomor baru", false}, {"tidak", afterVoid(whole), false}},
						Hint: rightFirst(whole)},
				},
			}, err
		},
		func(r *http.Request) (string, error) {
			d, _, at, err := p.paperOf(r)
			if err != nil {
				return "", err
			}
			var wrong form.Faults
			again := r.PostForm.Get("again")
			if again != "ya" && again != "tidak" {
				wrong.Add("/again", "missing", "Pilih apa yang terjadi sesudah naskah ini dibatalkan.")
			}
			if strings.TrimSpace(r.PostForm.Get("reason")) == "" { // both are told at once
				wrong.Add("/reason", "missing", "Alasan wajib diisi.")
			}
			if err := wrong.Err(); err != nil {
				return "", err
			}
			return at + "?" + justKept(), p.counter().Void(r.Context(), signin.Account(r), d.ID, seenVersion(r), r.PostForm.Get("reason"), again == "ya")
		}}
}
