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
	Letter, List   *report.File
	Decide, Cancel bool
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
	for path, verb := range needVerbs {
		inside.Post(needsPath+"/{number}/"+path, p.handle(p.moveNeed(verb)))
	}
	uploads := inside.With(web.BodyLimit(upload.MaxParcel))
	uploads.Post(needsPath+"/baru", p.handle(p.askNeed))
	uploads.Post(needsPath+"/{number}/perbaiki", p.handle(p.correctNeed))
}

func (p *Pages) needDesk() needs.Desk { return needs.Desk{DB: p.db, Office: p.office} }

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
		line := needLine{No: f.Offset + i + 1, NeedSummary: one, Decide: slices.Contains(one.Offers, need.Approve),
			Cancel: slices.Contains(one.Offers, need.Cancel)}
		for j := range one.Files {
			switch one.Files[j].Kind {
			case need.FileLetter:
				line.Letter = &one.Files[j]
			case need.FileList:
				line.List = &one.Files[j]
			}
		}
		body.Lines = append(body.Lines, line)
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
	Need                   *report.Need
	Decide, Cancel, Repair bool
	Form                   needForm
	Notice, Problem        string
}

// needForm is the form of a need with what was typed and what is wrong with it.
type needForm struct {
	Values             map[string]string
	Faults             map[string]string // sentences by field
	Produsen, Machines []report.Choice
	Correction         bool
	Problem            string
}

// needNotices say what was done, by the code in the address.
var needNotices = map[string]string{
	"diajukan": "Permintaan sudah diajukan kepada produsen.", "setujui": "Permintaan disetujui.", "kembalikan": "Permintaan dikembalikan kepada lembaga.",
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
	form := needForm{Correction: true, Values: map[string]string{
		"reference": v.Reference, "produsen": v.Produsen, "title": v.Title, "quantity": strconv.Itoa(v.Quantity),
		"machine_type": v.MachineType, "remarks": v.Remarks,
	}}
	return p.showNeed(w, r, http.StatusOK, v, form, needNotices[q.Get("sudah")], needProblems[q.Get("masalah")])
}

func (p *Pages) showNeed(w http.ResponseWriter, r *http.Request, status int, v *report.Need, form needForm, notice, problem string) error {
	body := needBody{
		Need: v, Decide: slices.Contains(v.Offers, need.Approve), Cancel: slices.Contains(v.Offers, need.Cancel),
		Repair: slices.Contains(v.Offers, need.Resubmit), Form: form, Notice: notice, Problem: problem,
	}
	if body.Repair {
		var err error
		if body.Form.Produsen, body.Form.Machines, err = report.NeedChoices(r.Context(), p.db, v.MachineType); err != nil {
			return err
		}
	}
	p.show(w, r, status, "need", "Permintaan "+v.Number, body)
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

func onlyLembaga(r *http.Request) error {
	if err := needs.May(signin.Account(r), need.Submit); err != nil {
		return web.Forbidden("Hanya lembaga pengguna yang dapat mengajukan permintaan personalisasi.")
	}
	return nil
}

// newNeed shows the empty form.
func (p *Pages) newNeed(w http.ResponseWriter, r *http.Request) error {
	if err := onlyLembaga(r); err != nil {
		return err
	}
	return p.showNewNeed(w, r, http.StatusOK, needForm{Values: map[string]string{}})
}

func (p *Pages) showNewNeed(w http.ResponseWriter, r *http.Request, status int, form needForm) (err error) {
	if form.Produsen, form.Machines, err = report.NeedChoices(r.Context(), p.db, ""); err != nil {
		return err
	}
	p.show(w, r, status, "need-new", "Permintaan personalisasi", form)
	return nil
}

// askNeed takes the form in: a new need, or the form again with what is wrong.
func (p *Pages) askNeed(w http.ResponseWriter, r *http.Request) error {
	if err := onlyLembaga(r); err != nil {
		return err
	}
	parcel, err := p.spool.ReadParcel(r, needs.Fields, need.FileLetter, need.FileList)
	form := needForm{Values: map[string]string{}}
	if err == nil {
		defer parcel.Close()
		form.Values = parcel.Fields
		var made need.Need
		if made, err = p.needDesk().Submit(r.Context(), signin.Account(r), parcel); err == nil {
			http.Redirect(w, r, needsPath+"/"+made.Number+"?sudah=diajukan", http.StatusSeeOther)
			return nil
		}
	}
	if !form.tell(err) {
		return err
	}
	return p.showNewNeed(w, r, http.StatusUnprocessableEntity, form)
}

// correctNeed takes the correction of a returned need in.
func (p *Pages) correctNeed(w http.ResponseWriter, r *http.Request) error {
	who := signin.Account(r)
	v, err := report.LoadNeed(r.Context(), p.db, chi.URLParam(r, "number"), who)
	if err != nil {
		return err
	}
	if err := onlyLembaga(r); err != nil {
		return err
	}
	parcel, err := p.spool.ReadParcel(r, append([]string{"versi"}, needs.Fields...), need.FileLetter, need.FileList)
	form := needForm{Correction: true, Values: map[string]string{}}
	if err == nil {
		defer parcel.Close()
		form.Values = parcel.Fields
		version, _ := strconv.ParseInt(parcel.Fields["versi"], 10, 64) // none is not the present one
		if _, err = p.needDesk().Resubmit(r.Context(), who, v.Number, version, parcel); err == nil {
			http.Redirect(w, r, needsPath+"/"+v.Number+"?sudah=diajukan", http.StatusSeeOther) //nolint:gosec // the number is the row's, not the address's
			return nil
		}
	}
	var illegal *machine.IllegalError
	if errors.As(err, &illegal) || errors.Is(err, postgres.ErrStale) {
		http.Redirect(w, r, needsPath+"/"+v.Number+"?masalah=berubah", http.StatusSeeOther) //nolint:gosec // the number is the row's, not the address's
		return nil
	}
	if !form.tell(err) {
		return err
	}
	form.Values["reference"], form.Values["produsen"] = v.Reference, v.Produsen
	return p.showNeed(w, r, http.StatusUnprocessableEntity, v, form, "", "")
}

// tell puts what is wrong beside the fields; false is a fault of another kind.
func (f *needForm) tell(err error) bool {
	f.Faults = map[string]string{}
	var problem *web.Problem
	switch {
	case errors.Is(err, need.ErrReferenceUsed):
		f.Faults["reference"] = "No. Aktivasi ini sudah dipakai. Pakai nomor lain."
	case errors.As(err, &problem) && problem.Status < http.StatusInternalServerError:
		for _, e := range problem.Errors {
			f.Faults[strings.TrimPrefix(e.Pointer, "/")] = e.Detail
		}
		f.Problem = problem.Detail
	default:
		return false
	}
	if f.Problem == "" {
		f.Problem = "Ada isian yang perlu diperbaiki."
	}
	return true
}
