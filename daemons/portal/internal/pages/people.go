package pages

import (
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"

	"dukcapil.go.id/sifilma/daemons/portal/internal/signin"
	"dukcapil.go.id/sifilma/pkg/identity"
	"dukcapil.go.id/sifilma/pkg/institution"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/pkg/terbilang"
)

var peopleCrumbs = []crumb{dataCrumb, {"Akun", peoplePath}}

func (p *Pages) people(w http.ResponseWriter, r *http.Request) error {
	body, after := looked(r, peoplePath)
	list, err := p.desk.People(r.Context(), signin.Account(r), identity.PeopleFilter{Search: body.Search, After: after, Limit: dataShown + 1})
	if err != nil {
		return err
	}
	body.Links = []crumb{{"Buat akun", peoplePath + "/baru"}}
	t := rowsTable{Caption: "Akun menurut nama pengguna", Empty: "tidak ada.", Heads: []string{"Nama pengguna", "Nama", "Peran", "Lembaga", "Status"}}
	for _, a := range cutRows(&body, list, func(a identity.Person) string { return a.ID }) {
		place := placeOf(a.Account)
		status := activeTag(a.Active)
		switch {
		case a.Active && a.LockedUntil != nil && a.LockedUntil.After(p.desk.Now()):
			status = tag{wait, "Terkunci sementara"}
		case a.Active && p.expired(a):
			status = tag{bad, "Kata sandi kedaluwarsa"}
		case a.Active && a.MustChange:
			status = tag{wait, "Belum mengganti kata sandi"}
		}
		t.Rows = append(t.Rows, []cell{{Text: a.Username, Path: peoplePath + "/" + a.ID}, {Text: a.Name}, {Text: request.RoleLabels[a.Role]}, {Text: place}, {Tag: status}})
	}
	body.Tables = []rowsTable{t}
	p.show(w, r, http.StatusOK, "rows", "Akun", body)
	return nil
}

// expired says whether somebody waits for another password for once.
func (p *Pages) expired(a identity.Person) bool {
	return a.Expires != nil && !p.desk.Now().Before(*a.Expires)
}

func (p *Pages) personForm(r *http.Request, a identity.Account, action, submit string) (formBody, error) {
	roles := make([]option, len(identity.Roles))
	for i, role := range identity.Roles {
		roles[i] = option{string(role), request.RoleLabels[role], role == a.Role}
	}
	list, err := p.desk.Institutions(r.Context(), signin.Account(r), institution.Filter{Limit: choicesMost,
		Kinds: []string{institution.Produsen, institution.Lembaga, institution.Dinas}})
	chosen := ""
	if a.InstitutionID != nil {
		chosen = *a.InstitutionID
	}
	return formBody{Crumbs: peopleCrumbs, Action: action, Submit: submit, Version: a.Version, Fields: []field{
		{Name: "name", Label: "Nama", Kind: "text", Value: a.Name},
		{Name: "role", Label: "Peran", Kind: "select", Options: roles},
		{Name: "institution_id", Label: "Lembaga", Kind: "select", Options: choices(list, chosen), Optional: true,
			Hint: "Hanya untuk peran produsen, lembaga pengguna, dan dinas."},
	}}, err
}

func typedPerson(r *http.Request, a identity.Account) identity.Account {
	a.Name, a.Role, a.InstitutionID, a.Version = r.PostForm.Get("name"), machine.Role(r.PostForm.Get("role")), nil, seenVersion(r)
	if text := r.PostForm.Get("institution_id"); text != "" {
		id, _ := uuid.Parse(text) // none is no institution's
		a.InstitutionID = new(id.String())
	}
	return a
}

func (p *Pages) newPerson() editor {
	return editor{title: "Buat akun", body: func(r *http.Request) (formBody, error) {
		body, err := p.personForm(r, identity.Account{}, peoplePath+"/baru", "Buat akun")
		body.Lead = "Kata sandi sekali masuk ditampilkan setelah akun dibuat."
		body.Fields = append([]field{{Name: "username", Label: "Nama pengguna", Kind: "text", Complete: "off",
			Hint: "Huruf kecil, angka, titik, atau tanda hubung; tidak dapat diubah."}}, body.Fields...)
		return body, err
	}}
}

func (p *Pages) makePerson(w http.ResponseWriter, r *http.Request) error {
	e := p.newPerson()
	body, err := e.body(r)
	if err != nil {
		return err
	}
	var made identity.Person
	password := ""
	if err = typed(r); err == nil {
		made, password, err = p.desk.CreatePerson(r.Context(), signin.Account(r), typedPerson(r, identity.Account{Username: r.PostForm.Get("username")}))
	}
	if err != nil {
		return p.again(w, r, e.title, body, err)
	}
	p.show(w, r, http.StatusCreated, "secret", "Akun dibuat", secretBody{made.Name, made.Username, password, made.Expires, peoplePath})
	return nil
}

// secretBody shows a password for once.
type secretBody struct {
	Name, Username, Text string
	Expires              *time.Time
	Back                 string
}

// personOf is the account in the address.
func (p *Pages) personOf(r *http.Request) (identity.Person, error) {
	id, err := rowOf(r)
	if err != nil {
		return identity.Person{}, err
	}
	a, _, err := p.desk.Person(r.Context(), signin.Account(r), id)
	return a, err
}

func (p *Pages) editPerson() editor {
	return editor{"Ubah akun",
		func(r *http.Request) (formBody, error) {
			a, err := p.personOf(r)
			if err != nil {
				return formBody{}, err
			}
			body, err := p.personForm(r, a.Account, peoplePath+"/"+a.ID, "Simpan")
			body.Lead = "Nama pengguna " + a.Username + ", " + strings.ToLower(activeTag(a.Active).Text) + ". Bila peran atau lembaganya diubah, sesinya berakhir."
			body.Picture = photoAddress("accounts/"+a.ID, a.Photo)
			for _, f := range []fact{{"Surel", a.Email}, {"No. telepon", a.Phone}, {"Alamat", a.Address}} {
				if f.Text != "" {
					body.Facts = append(body.Facts, f)
				}
			}
			if p.expired(a) {
				body.Warning = "Kata sandi sekali masuk orang ini kedaluwarsa sejak " + terbilang.FormatDateTime(*a.Expires) + ". Atur ulang kata sandinya agar ia dapat masuk."
			}
			if a.ID != signin.Account(r).ID {
				body.Also = []crumb{{toggleLabel(a.Active), peoplePath + "/" + a.ID + "/status"}, {"Atur ulang kata sandi", peoplePath + "/" + a.ID + "/sandi"}}
			}
			return body, err
		},
		func(r *http.Request) (string, error) {
			a, err := p.personOf(r)
			if err == nil {
				_, err = p.desk.ChangePerson(r.Context(), signin.Account(r), typedPerson(r, a.Account))
			}
			return peoplePath + "?tersimpan=1", err
		}}
}

func (p *Pages) personStatus() editor {
	return editor{"Ubah status akun",
		func(r *http.Request) (formBody, error) {
			a, err := p.personOf(r)
			body := formBody{Crumbs: peopleCrumbs, Action: peoplePath + "/" + a.ID + "/status", Submit: toggleLabel(a.Active), Version: a.Version,
				Lead: a.Name + " (" + a.Username + ")"}
			if a.Active {
				body.Warning = "Semua sesi orang ini langsung berakhir dan ia tidak dapat masuk lagi."
			}
			return body, err
		},
		func(r *http.Request) (string, error) {
			a, err := p.personOf(r)
			if err == nil {
				_, err = p.desk.SetPersonActive(r.Context(), signin.Account(r), a.ID, seenVersion(r), !a.Active)
			}
			return peoplePath + "?tersimpan=1", err
		}}
}

func (p *Pages) resetForm() editor {
	return editor{title: "Atur ulang kata sandi", body: func(r *http.Request) (formBody, error) {
		a, err := p.personOf(r)
		return formBody{Crumbs: peopleCrumbs, Action: peoplePath + "/" + a.ID + "/sandi", Submit: "Buat kata sandi sekali masuk", Version: a.Version,
			Lead: a.Name + " (" + a.Username + ")", Warning: "Kata sandinya yang sekarang tidak berlaku lagi dan semua sesinya berakhir."}, err
	}}
}

func (p *Pages) resetPassword(w http.ResponseWriter, r *http.Request) error {
	e := p.resetForm()
	body, err := e.body(r)
	if err != nil {
		return err
	}
	a, err := p.personOf(r)
	if err != nil {
		return err
	}
	password := ""
	if err = typed(r); err == nil {
		a, password, err = p.desk.ResetPassword(r.Context(), signin.Account(r), a.ID, seenVersion(r))
	}
	if err != nil {
		return p.again(w, r, e.title, body, err)
	}
	p.show(w, r, http.StatusOK, "secret", "Kata sandi diatur ulang", secretBody{a.Name, a.Username, password, a.Expires, peoplePath})
	return nil
}
