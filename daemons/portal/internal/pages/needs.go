package pages

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/go-chi/chi/v5"

	"dukcapil.go.id/sifilma/daemons/portal/internal/needs"
	"dukcapil.go.id/sifilma/daemons/portal/internal/signin"
	"dukcapil.go.id/sifilma/daemons/portal/internal/upload"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/need"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/report"
	"dukcapil.go.id/sifilma/pkg/web"
)

const needsPath = "/permintaan"

// needVerbs are the verbs of the pages' forms by the last part of their address.
var needVerbs = map[string]machine.Verb{
	"setujui": need.Approve, "kembalikan": need.Return, "tolak": need.Reject, "batalkan": need.Cancel,
}

// statuses are the filter of the table (features.md C07).
var statuses = []struct{ Code, Label string }{
	{"", "Semua"}, {need.OnProgress, "Sedang berjalan"}, {need.StatusApproved, "Disetujui"}, {need.StatusRejected, "Ditolak atau dibatalkan"},
}

type statusOption struct {
	Code, Label string
	Count       int
	Chosen      bool
}

type needLine struct {
	No int
	report.NeedSummary
	needFiles
	Decide, Edit, Cancel bool
}

// needFiles are the two files of a need; nil is one that it does not have.
type needFiles struct{ Letter, List *report.File }

func filesOf(n report.NeedSummary) (f needFiles) {
	for i := range n.Files {
		switch n.Files[i].Kind {
		case need.FileLetter:
			f.Letter = &n.Files[i]
		case need.FileList:
			f.List = &n.Files[i]
		}
	}
	return f
}

type needsBody struct {
	Search         string
	Statuses       []statusOption
	Lines          []needLine
	MayAsk         bool
	ByProdusen     bool // the asker is one
	Narrowed       bool
	Summary        string
	Number, Last   int
	Previous, Next string
}

// mountNeeds adds the pages of lembaga's requests.
func (p *Pages) mountNeeds(inside chi.Router) {
	inside.Get(needsPath, p.handle(p.needs))
	inside.Get(needsPath+"/baru", p.handle(p.newNeed))
	inside.Get(needsPath+"/{number}", p.handle(p.need))
	inside.Get(needsPath+"/{number}/ubah", p.handle(p.editNeed))
	inside.Get(needsPath+"/{number}/daftar", p.handle(p.needCards))
	for path, verb := range needVerbs {
		inside.Post(needsPath+"/{number}/"+path, p.handle(p.moveNeed(verb)))
	}
	uploads := inside.With(web.BodyLimit(upload.MaxParcel))
	uploads.Post(needsPath+"/baru", p.handle(p.askNeed))
	uploads.Post(needsPath+"/{number}/ubah", p.handle(p.correctNeed))
}

func (p *Pages) needDesk() needs.Desk { return needs.Desk{DB: p.db, Office: p.office, Spool: p.spool} }

// needs shows the Tabel Permohonan Personalisasi: to a produsen what it is asked
// for, to a lembaga what it asked.
func (p *Pages) needs(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	who := signin.Account(r)
	f := need.Filter{Search: strings.TrimSpace(q.Get("cari")), Limit: sizes[0]}
	if len(f.Search) > maxSearch || !utf8.ValidString(f.Search) || strings.ContainsRune(f.Search, 0) {
		f.Search = ""
	}
	status := q.Get("status")
	f.States = need.Statuses[status]
	n, err := strconv.Atoi(q.Get("halaman"))
	if err != nil || n < 1 || n > 1_000_000 {
		n = 1
	}
	f.Offset = (n - 1) * f.Limit
	page, err := report.Needs(r.Context(), p.db, who, report.NeedQuery{Filter: f, Totals: true})
	if err != nil {
		return err
	}
	body := needsBody{
		Search: f.Search, MayAsk: who.Role == need.Lembaga, ByProdusen: who.Role == need.Produsen,
		Narrowed: f.Search != "" || len(f.States) > 0, Number: n, Last: max(1, (page.Total+f.Limit-1)/f.Limit),
		Summary: number(page.Total) + " permintaan.",
	}
	for _, s := range statuses {
		count := page.All
		if s.Code != "" {
			count = 0
			for _, state := range need.Statuses[s.Code] {
				count += page.Counts[state]
			}
		}
		body.Statuses = append(body.Statuses, statusOption{s.Code, s.Label, count, s.Code == status})
	}
	for i, one := range page.Needs {
		body.Lines = append(body.Lines, needLine{
			No: f.Offset + i + 1, NeedSummary: one, needFiles: filesOf(one), Decide: slices.Contains(one.Offers, need.Approve),
			Edit: correction(one.Offers) != "", Cancel: slices.Contains(one.Offers, need.Cancel),
		})
	}
	if n > 1 {
		body.Previous = needsAddress(f.Search, status, min(n-1, body.Last))
	}
	if n < body.Last {
		body.Next = needsAddress(f.Search, status, n+1)
	}
	p.show(w, r, http.StatusOK, "needs", "Tabel Permohonan Personalisasi", body)
	return nil
}

func needsAddress(search, status string, page int) string {
	q := url.Values{}
	for name, value := range map[string]string{"cari": search, "status": status} {
		if value != "" {
			q.Set(name, value)
		}
	}
	if page > 1 {
		q.Set("halaman", strconv.Itoa(page))
	}
	if len(q) == 0 {
		return needsPath
	}
	return needsPath + "?" + q.Encode()
}

type needBody struct {
	Need *report.Need
	needFiles
	Decide, Edit, Returned, Cancel bool
	Notice, Problem                string
}

// needNotices say what was done, by the code in the address.
var needNotices = map[string]string{
	"diajukan": "Permintaan sudah diajukan kepada produsen.", "diubah": "Perubahan sudah disimpan dan dilihat produsen.", "setujui": "Permintaan disetujui.", "kembalikan": "Permintaan dikembalikan kepada lembaga.",
	"tolak": "Permintaan ditolak.", "batalkan": "Permintaan dibatalkan.",
}

var needProblems = map[string]string{
	"alasan":  "Alasan wajib diisi, paling panjang 2.000 karakter.",
	"berubah": "Permintaan ini sudah berubah sejak Anda membukanya. Periksa keadaannya sekarang, lalu ulangi bila masih perlu.",
	"langkah": "Langkah ini tidak dapat dilakukan pada keadaan permintaan sekarang.",
}

// need shows one need whole, with what the asker can do about it.
func (p *Pages) need(w http.ResponseWriter, r *http.Request) error {
	v, err := report.LoadNeed(r.Context(), p.db, chi.URLParam(r, "number"), signin.Account(r))
	if err != nil {
		return err
	}
	q := r.URL.Query()
	p.show(w, r, http.StatusOK, "need", "Permintaan "+v.Number, needBody{
		Need: v, needFiles: filesOf(v.NeedSummary), Decide: slices.Contains(v.Offers, need.Approve), Edit: correction(v.Offers) != "",
		Returned: v.State == need.Returned, Cancel: slices.Contains(v.Offers, need.Cancel),
		Notice: needNotices[q.Get("sudah")], Problem: needProblems[q.Get("masalah")],
	})
	return nil
}

// moveNeed answers a button of the page: back to it, which says what became of it.
func (p *Pages) moveNeed(verb machine.Verb) func(w http.ResponseWriter, r *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		who, number := signin.Account(r), chi.URLParam(r, "number")
		v, err := report.LoadNeed(r.Context(), p.db, number, who)
		if err != nil {
			return err
		}
		if err := needs.May(who, verb); err != nil {
			return web.Forbidden("Langkah “" + need.Machine.VerbLabel(verb) + "” bukan untuk peran Anda.")
		}
		if err := parseForm(r); err != nil {
			return err
		}
		reason := r.PostForm.Get("alasan")
		version, _ := strconv.ParseInt(r.PostForm.Get("versi"), 10, 64) // none is not the present one
		q := url.Values{}
		err = need.ErrReasonMissing
		if utf8.RuneCountInString(reason) <= maxReason {
			err = p.needDesk().Take(r.Context(), who, number, verb, version, reason)
		}
		var illegal *machine.IllegalError
		switch {
		case errors.Is(err, need.ErrReasonMissing):
			q.Set("masalah", "alasan")
		case errors.Is(err, postgres.ErrStale):
			q.Set("masalah", "berubah")
		case errors.As(err, &illegal):
			q.Set("masalah", "langkah")
		case err != nil:
			return err
		default:
			for path, v := range needVerbs {
				if v == verb {
					q.Set("sudah", path)
				}
			}
		}
		http.Redirect(w, r, needsPath+"/"+v.Number+"?"+q.Encode(), http.StatusSeeOther) //nolint:gosec // the number is the row's, not the address's
		return nil
	}
}
