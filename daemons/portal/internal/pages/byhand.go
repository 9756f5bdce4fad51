package pages

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/go-chi/chi/v5"

	"dukcapil.go.id/sifilma/daemons/portal/internal/api"
	"dukcapil.go.id/sifilma/daemons/portal/internal/byhand"
	"dukcapil.go.id/sifilma/daemons/portal/internal/signin"
	"dukcapil.go.id/sifilma/daemons/portal/internal/upload"
	"dukcapil.go.id/sifilma/pkg/capacity"
	"dukcapil.go.id/sifilma/pkg/form"
	"dukcapil.go.id/sifilma/pkg/identity"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/report"
	"dukcapil.go.id/sifilma/pkg/terbilang"
	"dukcapil.go.id/sifilma/pkg/web"
)

// handPath is the last part of the address of a request's page for whoever
// personalises it by hand.
const handPath = "/manual"

// handAct is something that is done there.
type handAct struct {
	path, heading, done string
	take                func(d *byhand.Desk, r *http.Request, who identity.Account, ticket string) error
}

var handActs = []handAct{
	{"cara", "Tetapkan cara pengerjaan", "Cara pengerjaan ditetapkan; berlaku bagi perintah kerja yang belum dilepas.", func(d *byhand.Desk, r *http.Request, who identity.Account, ticket string) error {
		_, err := d.SetMode(r.Context(), who, ticket, typedText(r, "mode"), seenVersion(r), typedText(r, "reason"))
		return err
	}},
	{"nomor", "Generate nomor", "Semua kartu sudah bernomor.", func(d *byhand.Desk, r *http.Request, who identity.Account, ticket string) error {
		_, err := d.Generate(r.Context(), who, ticket)
		return err
	}},
	{"hapus", "Hapus semua nomor", "Semua nomor dihapus dan hangus; nomor itu tidak pernah diberikan lagi.", func(d *byhand.Desk, r *http.Request, who identity.Account, ticket string) error {
		_, err := d.Wipe(r.Context(), who, ticket, typedText(r, "reason"))
		return err
	}},
	{"hasil", "Simpan hasil", "Hasil tercatat; berlaku setelah dikonfirmasi orang lain.", func(d *byhand.Desk, r *http.Request, who identity.Account, ticket string) error {
		entries := typedResults(r)
		_, err := d.Enter(r.Context(), who, ticket, entries)
		var wrong form.Faults
		if errors.As(err, &wrong) {
			return atCards(wrong, entries)
		}
		return err
	}},
	{"konfirmasi", "Konfirmasi hasil", "Hasil dikonfirmasi dan berlaku.", func(d *byhand.Desk, r *http.Request, who identity.Account, ticket string) error {
		_, err := d.Confirm(r.Context(), who, ticket, chosenResults(r))
		return err
	}},
	{"tarik", "Tarik hasil", "Hasil ditarik; kartunya tetap bernomor.", func(d *byhand.Desk, r *http.Request, who identity.Account, ticket string) error {
		_, err := d.Retract(r.Context(), who, ticket, chosenResults(r))
		return err
	}},
}

const (
	handImport     = "impor"
	handImportName = "Impor Excel"
)

// mountByHand adds the page of cards that are personalised by hand.
func (p *Pages) mountByHand(inside chi.Router) {
	at := home + "/{ticket}" + handPath
	inside.Get(at, p.handle(explained(p.byHand)))
	again := explained(func(w http.ResponseWriter, r *http.Request) error {
		v, err := p.hands().Look(r.Context(), signin.Account(r), chi.URLParam(r, "ticket"))
		if err == nil {
			http.Redirect(w, r, home+"/"+v.Ticket+handPath, http.StatusSeeOther)
		}
		return err
	})
	for _, a := range handActs {
		inside.Post(at+"/"+a.path, p.handle(explained(p.takeByHand(a))))
		inside.Get(at+"/"+a.path, p.handle(again))
	}
	inside.With(web.BodyLimit(upload.MaxSheetBody), web.Slow(letterTime)).Post(at+"/"+handImport, p.handle(explained(p.importByHand)))
	inside.Get(at+"/"+handImport, p.handle(again))
}

func (p *Pages) hands() *byhand.Desk { return byhand.New(p.db, p.office) }

// typedResults are the rows of the table that somebody filled in, in the order in
// which the cards were listed: ids rise.
func typedResults(r *http.Request) (entries []perso.Entry) {
	var ids []string
	for name := range r.PostForm {
		if id, ok := strings.CutPrefix(name, "result_"); ok && (typedText(r, name) != "" || typedText(r, "reason_"+id) != "") {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	for _, id := range ids {
		entries = append(entries, perso.Entry{CardID: id, Result: machine.State(typedText(r, "result_"+id)), Reason: typedText(r, "reason_"+id)})
	}
	return entries
}

// atCards puts faults of entries where the page has them.
func atCards(wrong form.Faults, entries []perso.Entry) form.Faults {
	for i := range wrong {
		parts := strings.Split(wrong[i].Pointer, "/") // /results/N/field
		if len(parts) != 4 {
			continue
		}
		if n, err := strconv.Atoi(parts[2]); err == nil && n < len(entries) {
			name := "result_"
			if parts[3] == "reason" {
				name = "reason_"
			}
			wrong[i].Pointer = "/" + name + entries[n].CardID
		}
	}
	return wrong
}

// chosenResults are the results that were ticked, or all that the page showed.
func chosenResults(r *http.Request) []string {
	if r.PostForm.Get("semua") != "" {
		return r.PostForm["tampil"]
	}
	return r.PostForm["results"]
}

// takeByHand answers a form: back to the page, which says what was done, or the page
// once more with what was typed.
func (p *Pages) takeByHand(a handAct) func(w http.ResponseWriter, r *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		ticket := chi.URLParam(r, "ticket")
		err := typed(r)
		if err == nil {
			err = a.take(p.hands(), r, signin.Account(r), ticket)
		}
		if err != nil {
			return p.byHandAgain(w, r, a.path, a.heading, err)
		}
		return p.toHand(w, r, a.path)
	}
}

func (p *Pages) toHand(w http.ResponseWriter, r *http.Request, done string) error {
	to := home + "/" + url.PathEscape(chi.URLParam(r, "ticket")) + handPath + "?sudah=" + done
	if n := r.URL.Query().Get("halaman"); n != "" {
		to += "&halaman=" + url.QueryEscape(n)
	}
	http.Redirect(w, r, to, http.StatusSeeOther)
	return nil
}

// importByHand takes a workbook in.
func (p *Pages) importByHand(w http.ResponseWriter, r *http.Request) error {
	who, ticket := signin.Account(r), chi.URLParam(r, "ticket")
	if _, err := p.hands().Look(r.Context(), who, ticket); err != nil { // before a file is taken in
		return err
	}
	parcel, faults, err := p.spool.ReadSheet(r, nil, nil, "sheet")
	if err != nil {
		return err
	}
	defer parcel.Close()
	r.PostForm = url.Values{}
	file := parcel.Files["sheet"]
	if file == nil && len(faults) == 0 {
		faults.Add("/sheet", "missing", "Pilih dahulu buku kerja Excelnya.")
	}
	if err := faults.Err(); err != nil {
		return p.byHandAgain(w, r, handImport, handImportName, err)
	}
	done, err := p.spool.Turn(r.Context())
	if err != nil {
		return err
	}
	defer done()
	book := file.Content()
	_, entered, err := p.hands().Import(r.Context(), who, ticket, book, book.Size())
	if err != nil {
		return p.byHandAgain(w, r, handImport, handImportName, err)
	}
	if entered == 0 {
		return p.toHand(w, r, handImport+"-sama")
	}
	return p.toHand(w, r, handImport)
}

// handNotice says what was done, by the code in the address.
func handNotice(code string) string {
	switch code {
	case handImport:
		return "Excel diimpor. Hasil berlaku setelah dikonfirmasi orang lain."
	case handImport + "-sama":
		return "Tidak ada yang baru dalam Excel itu: isinya sama dengan yang sudah tercatat."
	}
	for _, a := range handActs {
		if a.path == code {
			return a.done
		}
	}
	return ""
}

// byHandAgain shows the page as it is now with why something was not done, and what
// was typed, or passes on an error that is not the form's.
func (p *Pages) byHandAgain(w http.ResponseWriter, r *http.Request, sent, heading string, err error) error {
	stale := errors.Is(err, postgres.ErrStale)
	people := errors.Is(err, perso.ErrSamePerson) || errors.Is(err, perso.ErrSawPassword)
	var problem *web.Problem
	if err = api.Explain(err); !errors.As(err, &problem) {
		return err
	}
	switch problem.Status {
	case http.StatusUnprocessableEntity, http.StatusConflict, http.StatusPreconditionFailed:
	default:
		if !people {
			return err
		}
	}
	body, err := p.handBody(r)
	if err != nil {
		return err
	}
	body.sent, body.Trouble = sent, &trouble{Heading: "Belum dilakukan: " + lowerFirst(heading)}
	if stale {
		body.Trouble.Faults = []fault{{Detail: "Data berubah sejak Anda membuka halaman ini. Periksa keadaan sekarang, lalu kirim lagi bila masih perlu; yang Anda ketik masih ada."}}
	} else {
		body.blame(problem)
	}
	body.retype(r)
	p.show(w, r, problem.Status, "manual", body.Title(), body)
	return nil
}

func (p *Pages) byHand(w http.ResponseWriter, r *http.Request) error {
	body, err := p.handBody(r)
	if err != nil {
		return err
	}
	body.Notice = handNotice(r.URL.Query().Get("sudah"))
	p.show(w, r, http.StatusOK, "manual", body.Title(), body)
	return nil
}

// modeSentence says how cards are made, and who decided so.
func modeSentence(m capacity.RequestMode) string {
	s := "Cara pengerjaan: " + lowerFirst(capacity.ModeLabels[m.Mode])
	if m.At != nil {
		s += ", ditetapkan " + m.By + " pada " + terbilang.FormatDateTime(*m.At) + ": " + m.Reason
	}
	return strings.TrimSuffix(s, ".") + "."
}

// handLink leads from a request's page to that of its cards by hand.
type handLink struct{ Says, Path string }

// handLink is nil for whoever does not personalise.
func (p *Pages) handLink(r *http.Request, v *report.Request, who identity.Account) (*handLink, error) {
	if !byhand.May(who.Role) {
		return nil, nil
	}
	m, err := capacity.ModeOf(r.Context(), p.db, v.ID)
	if err != nil {
		return nil, err
	}
	if m.At != nil {
		if err := p.named(r.Context(), &m.By); err != nil {
			return nil, err
		}
	}
	return &handLink{modeSentence(m), home + "/" + v.Ticket + handPath}, nil
}
