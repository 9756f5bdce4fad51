package api

import (
	"encoding/hex"
	"net/http"
	"time"

	"github.com/google/uuid"

	"dukcapil.go.id/sifilma/daemons/portal/internal/masterdata"
	"dukcapil.go.id/sifilma/daemons/portal/internal/signin"
	"dukcapil.go.id/sifilma/pkg/audit"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/identity"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/pkg/web"
)

// personView is an account as it is shown.
type personView struct {
	ID            string       `json:"id"`
	Username      string       `json:"username"`
	Name          string       `json:"name"`
	Role          machine.Role `json:"role"`
	RoleLabel     string       `json:"role_label"`
	InstitutionID *string      `json:"institution_id"`
	Institution   *string      `json:"institution"`
	Email         string       `json:"email"`
	Address       string       `json:"address"`
	Phone         string       `json:"phone"`
	Photo         bool         `json:"photo"` // whether there is one
	Active        bool         `json:"active"`
	Locked        bool         `json:"locked"`
	MustChange    bool         `json:"must_change_password"`
	// Expires is when the password for once of whoever has one can no longer be used.
	Expires   *time.Time `json:"password_expires_at"`
	CreatedAt time.Time  `json:"created_at"`
	Version   int64      `json:"version"`
	// Password for once, shown in the answer that made it and never again.
	Password string       `json:"password,omitempty"`
	History  []audit.Told `json:"history,omitempty"`
}

func (a *API) viewPerson(p identity.Person) personView {
	return personView{
		ID: p.ID, Username: p.Username, Name: p.Name, Role: p.Role, RoleLabel: request.RoleLabels[p.Role], InstitutionID: p.InstitutionID,
		Institution: p.Institution, Email: p.Email, Address: p.Address, Phone: p.Phone, Photo: p.Photo != nil, Active: p.Active, Locked: p.LockedUntil != nil && p.LockedUntil.After(a.desk.Now()),
		MustChange: p.MustChange, Expires: p.Expires, CreatedAt: p.CreatedAt, Version: p.Version,
	}
}

// personForm is what is typed of an account; the user name of one that exists
// stays.
type personForm struct {
	Username      string       `json:"username"`
	Name          string       `json:"name"`
	Role          machine.Role `json:"role"`
	InstitutionID *string      `json:"institution_id"`
}

func (f personForm) row() (identity.Account, error) {
	a := identity.Account{Username: f.Username, Name: f.Name, Role: f.Role}
	if f.InstitutionID != nil && *f.InstitutionID != "" {
		id, err := uuid.Parse(*f.InstitutionID)
		if err != nil {
			return a, invalid("/institution_id", "unknown_value", "Pilih lembaga yang terdaftar.")
		}
		a.InstitutionID = new(id.String())
	}
	return a, nil
}

func (a *API) listPeople(w http.ResponseWriter, r *http.Request) error {
	p := readList(r)
	known := make([]string, len(identity.Roles))
	for i, role := range identity.Roles {
		known[i] = string(role)
	}
	f := identity.PeopleFilter{
		Role: machine.Role(p.one("role", known...)), Active: p.flag("active"), Search: p.search, After: p.after, Limit: p.limit + 1,
	}
	if err := p.err(); err != nil {
		return err
	}
	list, err := a.desk.People(r.Context(), signin.Account(r), f)
	if err != nil {
		return err
	}
	writeList(w, r, p, "accounts", list, func(p identity.Person) string { return p.ID }, a.viewPerson)
	return nil
}

func (a *API) createPerson(w http.ResponseWriter, r *http.Request) error {
	if !masterdata.May(signin.Account(r).Role) {
		return masterdata.ErrForbidden
	}
	var in personForm
	if err := web.DecodeJSON(r, &in); err != nil {
		return err
	}
	row, err := in.row()
	if err != nil {
		return err
	}
	p, password, err := a.desk.CreatePerson(r.Context(), signin.Account(r), row)
	if err != nil {
		return err
	}
	v := a.viewPerson(p)
	v.Password = password
	w.Header().Set("Cache-Control", "no-store")
	created(w, r, "accounts/"+p.ID, p.Version, v)
	return nil
}

func (a *API) getPerson(w http.ResponseWriter, r *http.Request) error {
	if !masterdata.May(signin.Account(r).Role) {
		return masterdata.ErrForbidden
	}
	id, err := rowID(r)
	if err != nil {
		return err
	}
	p, told, err := a.desk.Person(r.Context(), signin.Account(r), id)
	if err != nil {
		return err
	}
	v := a.viewPerson(p)
	v.History = told
	shown(w, r, p.Version, v)
	return nil
}

// personVerb answers a change of an account.
func (a *API) personVerb(w http.ResponseWriter, r *http.Request, body any, do func(id string, version int64) (identity.Person, string, error)) error {
	if !masterdata.May(signin.Account(r).Role) {
		return masterdata.ErrForbidden
	}
	id, version, err := versioned(r)
	if err != nil {
		return err
	}
	if err := decode(r, body); err != nil {
		return err
	}
	p, password, err := do(id, version)
	if err != nil {
		return err
	}
	v := a.viewPerson(p)
	v.Password = password
	w.Header().Set("Cache-Control", "no-store")
	shown(w, r, p.Version, v)
	return nil
}

func (a *API) changePerson(w http.ResponseWriter, r *http.Request) error {
	var in personForm
	return a.personVerb(w, r, &in, func(id string, version int64) (identity.Person, string, error) {
		row, err := in.row()
		if err != nil {
			return identity.Person{}, "", err
		}
		row.ID, row.Version = id, version
		p, err := a.desk.ChangePerson(r.Context(), signin.Account(r), row)
		return p, "", err
	})
}

func (a *API) setPersonActive(active bool) func(w http.ResponseWriter, r *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		return a.personVerb(w, r, &struct{}{}, func(id string, version int64) (identity.Person, string, error) {
			p, err := a.desk.SetPersonActive(r.Context(), signin.Account(r), id, version, active)
			return p, "", err
		})
	}
}

func (a *API) resetPassword(w http.ResponseWriter, r *http.Request) error {
	return a.personVerb(w, r, &struct{}{}, func(id string, version int64) (identity.Person, string, error) {
		return a.desk.ResetPassword(r.Context(), signin.Account(r), id, version)
	})
}

// keyView is an API key as it is shown.
type keyView struct {
	identity.Key
	State string `json:"state"` // live, expired or revoked
	// Text of the key, shown in the answer that made it and never again.
	Text string `json:"key,omitempty"`
}

func (a *API) viewKey(k identity.Key) keyView { return keyView{Key: k, State: k.State(a.desk.Now())} }

func (a *API) listKeys(w http.ResponseWriter, r *http.Request) error {
	p := readList(r)
	of := p.id("institution_id")
	if err := p.err(); err != nil {
		return err
	}
	after := p.after
	if after != "" {
		after = keyID(uuid.MustParse(after)) // readList made it of a UUID
	}
	list, err := a.desk.Keys(r.Context(), signin.Account(r), of, after, p.limit+1)
	if err != nil {
		return err
	}
	writeList(w, r, p, "api_keys", list, func(k identity.Key) string { return k.ID }, a.viewKey)
	return nil
}

// keyID is a key's id in the form that the key's text has it.
func keyID(id uuid.UUID) string { return hex.EncodeToString(id[:]) }

func (a *API) makeKey(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		InstitutionID string     `json:"institution_id"` // of an institution's own people it may be left out
		Label         string     `json:"label"`
		Scopes        []string   `json:"scopes"`
		Networks      []string   `json:"networks"`
		ExpiresOn     clock.Date `json:"expires_on"` // the last day
	}
	if err := web.DecodeJSON(r, &in); err != nil {
		return err
	}
	n := identity.NewKey{Label: in.Label, Scopes: in.Scopes, Networks: in.Networks, Expires: masterdata.EndOf(in.ExpiresOn)}
	if in.InstitutionID != "" {
		id, err := uuid.Parse(in.InstitutionID)
		if err != nil {
			return invalid("/institution_id", "unknown_value", "Pilih lembaga yang terdaftar.")
		}
		n.InstitutionID = id.String()
	}
	key, text, err := a.desk.MakeKey(r.Context(), signin.Account(r), n)
	if err != nil {
		return err
	}
	v := a.viewKey(key)
	v.Text = text
	w.Header().Set("Cache-Control", "no-store")
	web.WriteJSON(w, r, http.StatusCreated, v)
	return nil
}

func (a *API) revokeKey(w http.ResponseWriter, r *http.Request) error {
	id, err := rowID(r)
	if err != nil {
		return err
	}
	if err := decode(r, &struct{}{}); err != nil {
		return err
	}
	key, err := a.desk.RevokeKey(r.Context(), signin.Account(r), keyID(uuid.MustParse(id)))
	if err != nil {
		return err
	}
	web.WriteJSON(w, r, http.StatusOK, a.viewKey(key))
	return nil
}
