package api

import (
	"net/http"
	"time"

	"dukcapil.go.id/sifilma/daemons/portal/internal/masterdata"
	"dukcapil.go.id/sifilma/daemons/portal/internal/signin"
	"dukcapil.go.id/sifilma/pkg/identity"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/pkg/web"
)

// standing is what an account is, before a change of it or after.
type standing struct {
	Name        string       `json:"name"`
	Role        machine.Role `json:"role"`
	RoleLabel   string       `json:"role_label"`
	Institution *string      `json:"institution"`
}

func standingOf(a identity.Account) standing {
	return standing{a.Name, a.Role, request.RoleLabels[a.Role], a.Institution}
}

// changeView is a change that wants two keepers, as it is shown.
type changeView struct {
	ID         string     `json:"id"`
	Kind       string     `json:"kind"`
	State      string     `json:"state"`
	AccountID  string     `json:"account_id"`
	Username   string     `json:"username"`
	Before     *standing  `json:"before"` // none for a new account
	After      standing   `json:"after"`
	ProposedBy string     `json:"proposed_by"`
	ProposedAt time.Time  `json:"proposed_at"`
	ExpiresAt  time.Time  `json:"expires_at"`
	DecidedBy  *string    `json:"decided_by"`
	DecidedAt  *time.Time `json:"decided_at"`
	Reason     string     `json:"reason"`
	// Account as it is now, with its password for once, in the answer that confirmed
	// the change and never again.
	Account *personView `json:"account,omitempty"`
}

func (a *API) viewChange(c identity.Change) changeView {
	v := changeView{
		ID: c.ID, Kind: c.Kind, State: c.State(a.desk.Now()), AccountID: c.AccountID, Username: c.Username, After: standingOf(c.To),
		ProposedBy: c.ProposedBy, ProposedAt: c.ProposedAt, ExpiresAt: c.ExpiresAt, DecidedBy: c.DecidedBy, DecidedAt: c.DecidedAt(), Reason: c.Reason,
	}
	if c.From != nil {
		v.Before = new(standingOf(*c.From))
	}
	return v
}

// waits answers a change that was only proposed.
func (a *API) waits(w http.ResponseWriter, r *http.Request, c identity.Change) {
	w.Header().Set("Location", "/api/v1/account-changes/"+c.ID)
	web.WriteJSON(w, r, http.StatusAccepted, a.viewChange(c))
}

func (a *API) listChanges(w http.ResponseWriter, r *http.Request) error {
	p := readList(r)
	waiting := p.one("state", identity.ChangeWaiting) != ""
	if err := p.err(); err != nil {
		return err
	}
	list, err := a.desk.Changes(r.Context(), signin.Account(r), identity.ChangeFilter{Waiting: waiting, After: p.after, Limit: p.limit + 1})
	if err != nil {
		return err
	}
	writeList(w, r, p, "account_changes", list, func(c identity.Change) string { return c.ID }, a.viewChange)
	return nil
}

func (a *API) getChange(w http.ResponseWriter, r *http.Request) error {
	if !masterdata.May(signin.Account(r).Role) {
		return masterdata.ErrForbidden
	}
	id, err := rowID(r)
	if err != nil {
		return err
	}
	c, _, err := a.desk.Change(r.Context(), signin.Account(r), id)
	if err != nil {
		return err
	}
	web.WriteJSON(w, r, http.StatusOK, a.viewChange(c))
	return nil
}

func (a *API) confirmChange(w http.ResponseWriter, r *http.Request) error {
	if !masterdata.May(signin.Account(r).Role) {
		return masterdata.ErrForbidden
	}
	id, err := rowID(r)
	if err != nil {
		return err
	}
	if err := decode(r, &struct{}{}); err != nil {
		return err
	}
	c, out, err := a.desk.ConfirmChange(r.Context(), signin.Account(r), id)
	if err != nil {
		return err
	}
	v := a.viewChange(c)
	v.Account = new(a.viewPerson(out.Person))
	v.Account.Password = out.Password
	w.Header().Set("Cache-Control", "no-store")
	web.WriteJSON(w, r, http.StatusOK, v)
	return nil
}

func (a *API) refuseChange(w http.ResponseWriter, r *http.Request) error {
	if !masterdata.May(signin.Account(r).Role) {
		return masterdata.ErrForbidden
	}
	id, err := rowID(r)
	if err != nil {
		return err
	}
	var in struct {
		Reason string `json:"reason"`
	}
	if err := web.DecodeJSON(r, &in); err != nil {
		return err
	}
	c, err := a.desk.RefuseChange(r.Context(), signin.Account(r), id, in.Reason)
	if err != nil {
		return err
	}
	web.WriteJSON(w, r, http.StatusOK, a.viewChange(c))
	return nil
}
