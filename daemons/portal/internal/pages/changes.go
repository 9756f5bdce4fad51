package pages

import (
	"errors"
	"net/http"

	"github.com/go-chi/chi/v5"

	"dukcapil.go.id/sifilma/daemons/portal/internal/api"
	"dukcapil.go.id/sifilma/daemons/portal/internal/masterdata"
	"dukcapil.go.id/sifilma/daemons/portal/internal/signin"
	"dukcapil.go.id/sifilma/pkg/identity"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/pkg/terbilang"
	"dukcapil.go.id/sifilma/pkg/web"
)

const (
	changesPath  = peoplePath + "/usulan"
	changesTitle = "Menunggu konfirmasi"
	secondKeeper = "Ini akun pegawai Ditjen Dukcapil: perubahannya baru berlaku setelah dikonfirmasi oleh pengelola lain."
)

// changed is where somebody goes after a change of an account.
func changed(out masterdata.Outcome) string {
	if out.Waiting != nil {
		return changesPath + "/" + out.Waiting.ID + "?diajukan=1"
	}
	return peoplePath + "?tersimpan=1"
}

func (p *Pages) mountChanges(keepers chi.Router) {
	keepers.Get(changesPath, p.handle(explained(p.changes)))
	keepers.Get(changesPath+"/{id}", p.handle(explained(p.change)))
	keepers.Post(changesPath+"/{id}/setujui", p.handle(explained(p.confirmChange)))
	keepers.Post(changesPath+"/{id}/tolak", p.handle(explained(p.refuseChange)))
}

var kindNames = map[string]string{
	identity.CreateAccount: "Buat akun", identity.ChangeAccount: "Ubah peran", identity.ActivateAccount: "Aktifkan kembali",
	identity.ResetAccount: "Atur ulang kata sandi",
}

var changeTags = map[string]tag{
	identity.ChangeWaiting: {wait, "Menunggu konfirmasi"}, identity.ChangeConfirmed: {good, "Disetujui"},
	identity.ChangeRefused: {bad, "Ditolak"}, identity.ChangeExpired: {"", "Lewat waktu"},
}

func (p *Pages) changes(w http.ResponseWriter, r *http.Request) error {
	body, after := looked(r, changesPath)
	body.Crumbs, body.Searched, body.Search = peopleCrumbs, false, ""
	body.Lead = "Akun, peran, dan kata sandi pegawai Ditjen Dukcapil diajukan oleh satu pengelola dan disetujui oleh pengelola lain. Usulan yang tidak disetujui dalam tujuh hari gugur."
	list, err := p.desk.Changes(r.Context(), signin.Account(r), identity.ChangeFilter{After: after, Limit: dataShown + 1})
	if err != nil {
		return err
	}
	now := p.desk.Now()
	open := rowsTable{Caption: "Menunggu konfirmasi", Empty: "tidak ada.", Heads: []string{"Akun", "Perubahan", "Diajukan oleh", "Diajukan", "Gugur"}}
	done := rowsTable{Caption: "Sudah diputuskan", Empty: "belum ada.", Heads: []string{"Akun", "Perubahan", "Diajukan oleh", "Status", "Diputuskan oleh"}}
	for _, c := range cutRows(&body, list, func(c identity.Change) string { return c.ID }) {
		first := []cell{{Text: c.Username, Path: changesPath + "/" + c.ID}, {Text: kindNames[c.Kind]}, {Text: c.ProposedBy}}
		if state := c.State(now); state != identity.ChangeWaiting {
			decider := ""
			if c.DecidedBy != nil {
				decider = *c.DecidedBy
			}
			done.Rows = append(done.Rows, append(first, cell{Tag: changeTags[state]}, cell{Text: decider}))
			continue
		}
		open.Rows = append(open.Rows, append(first, cell{Text: terbilang.FormatDateTime(c.ProposedAt)}, cell{Text: terbilang.FormatDateTime(c.ExpiresAt)}))
	}
	body.Tables = []rowsTable{open, done}
	p.show(w, r, http.StatusOK, "rows", changesTitle, body)
	return nil
}

// changeBody is the page of one change.
type changeBody struct {
	Crumbs          []crumb
	Notice, Problem string
	Tag             tag
	Facts           []pair
	Action          string
	Waiting, Own    bool
	Barred          string // why whoever looks may not confirm it
	GivesPassword   bool
	Typed           string
}

func (p *Pages) changeBody(r *http.Request, id string) (changeBody, error) {
	c, barred, err := p.desk.Change(r.Context(), signin.Account(r), id)
	if err != nil {
		return changeBody{}, err
	}
	state := c.State(p.desk.Now())
	b := changeBody{
		Crumbs: append(peopleCrumbs[:len(peopleCrumbs):len(peopleCrumbs)], crumb{changesTitle, changesPath}), Tag: changeTags[state],
		Action: changesPath + "/" + c.ID, Waiting: state == identity.ChangeWaiting, Own: c.ProposedByID == signin.Account(r).ID,
		GivesPassword: c.GivesPassword(),
	}
	if b.Waiting && barred != nil {
		var problem *web.Problem
		if !errors.As(api.Explain(barred), &problem) {
			return b, barred
		}
		b.Barred = problem.Detail
	}
	b.Facts = []pair{{"Perubahan", kindNames[c.Kind]}, {"Nama pengguna", c.Username}, {"Nama", c.To.Name}, {"Peran", request.RoleLabels[c.To.Role]}}
	if c.Kind == identity.ChangeAccount && c.From != nil {
		place := ""
		if c.From.Institution != nil {
			place = ", " + *c.From.Institution
		}
		b.Facts = append(b.Facts, pair{"Sebelumnya", c.From.Name + ", " + request.RoleLabels[c.From.Role] + place})
	}
	b.Facts = append(b.Facts, pair{"Diajukan oleh", c.ProposedBy + " (" + request.RoleLabels[c.ProposerRole] + ")"}, pair{"Diajukan", terbilang.FormatDateTime(c.ProposedAt)})
	if b.Waiting {
		b.Facts = append(b.Facts, pair{"Gugur bila belum disetujui", terbilang.FormatDateTime(c.ExpiresAt)})
	}
	if at := c.DecidedAt(); at != nil && c.DecidedBy != nil {
		b.Facts = append(b.Facts, pair{"Diputuskan", terbilang.FormatDateTime(*at) + " oleh " + *c.DecidedBy})
	}
	if c.Reason != "" {
		b.Facts = append(b.Facts, pair{"Alasan", c.Reason})
	}
	return b, nil
}

const changeName = "Perubahan akun pegawai"

func (p *Pages) change(w http.ResponseWriter, r *http.Request) error {
	id, err := rowOf(r)
	if err != nil {
		return err
	}
	body, err := p.changeBody(r, id)
	if err != nil {
		return err
	}
	switch q := r.URL.Query(); {
	case q.Get("diajukan") != "":
		body.Notice = "Perubahan diajukan dan belum berlaku. Mintalah pengelola lain membukanya pada Data induk, Akun, Menunggu konfirmasi."
	case q.Get("tersimpan") != "":
		body.Notice = "Keputusan tersimpan."
	}
	p.show(w, r, http.StatusOK, "change", changeName, body)
	return nil
}

// changeAgain shows a change once more with why it was not decided.
func (p *Pages) changeAgain(w http.ResponseWriter, r *http.Request, id string, err error) error {
	var problem *web.Problem
	if err = api.Explain(err); !errors.As(err, &problem) || problem.Status == http.StatusNotFound || problem.Status >= http.StatusInternalServerError {
		return err
	}
	body, err := p.changeBody(r, id)
	if err != nil {
		return err
	}
	body.Problem, body.Typed = problem.Detail, r.PostForm.Get("reason")
	if len(problem.Errors) > 0 {
		body.Problem = problem.Errors[0].Detail
	}
	p.show(w, r, problem.Status, "change", changeName, body)
	return nil
}

func (p *Pages) confirmChange(w http.ResponseWriter, r *http.Request) error {
	id, err := rowOf(r)
	if err != nil {
		return err
	}
	_, out, err := p.desk.ConfirmChange(r.Context(), signin.Account(r), id)
	if err != nil {
		return p.changeAgain(w, r, id, err)
	}
	if out.Password == "" {
		http.Redirect(w, r, changesPath+"/"+id+"?tersimpan=1", http.StatusSeeOther) //nolint:gosec // rowOf made it a UUID
		return nil
	}
	p.show(w, r, http.StatusOK, "secret", "Perubahan disetujui", secretBody{out.Person.Name, out.Person.Username, out.Password, out.Person.Expires, changesPath})
	return nil
}

func (p *Pages) refuseChange(w http.ResponseWriter, r *http.Request) error {
	id, err := rowOf(r)
	if err != nil {
		return err
	}
	if err = typed(r); err == nil {
		_, err = p.desk.RefuseChange(r.Context(), signin.Account(r), id, r.PostForm.Get("reason"))
	}
	if err != nil {
		return p.changeAgain(w, r, id, err)
	}
	http.Redirect(w, r, changesPath+"/"+id+"?tersimpan=1", http.StatusSeeOther) //nolint:gosec // rowOf made it a UUID
	return nil
}
