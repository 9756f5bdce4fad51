package masterdata

import (
	"context"
	"time"

	"dukcapil.go.id/sifilma/pkg/audit"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/identity"
	"dukcapil.go.id/sifilma/pkg/postgres"
)

// People lists accounts. Error: ErrForbidden.
func (d *Desk) People(ctx context.Context, who identity.Account, f identity.PeopleFilter) ([]identity.Person, error) {
	if !May(who.Role) {
		return nil, ErrForbidden
	}
	return identity.People(ctx, d.db, f)
}

// Person reads an account and what was done to it. Errors: ErrForbidden,
// identity.ErrNotFound.
func (d *Desk) Person(ctx context.Context, who identity.Account, id string) (identity.Person, []audit.Told, error) {
	if !May(who.Role) {
		return identity.Person{}, nil, ErrForbidden
	}
	p, err := identity.GetPerson(ctx, d.db, id)
	if err != nil {
		return p, nil, err
	}
	told, err := d.history(ctx, who, id)
	return p, told, err
}

// CreatePerson writes a new account and returns its password for once. Errors:
// ErrForbidden, form.Faults.
func (d *Desk) CreatePerson(ctx context.Context, who identity.Account, a identity.Account) (p identity.Person, password string, err error) {
	once, err := d.password(who)
	if err != nil {
		return p, "", err
	}
	err = d.change(ctx, who, func(ctx context.Context, tx *postgres.Tx) (audit.Entry, error) {
		p, err = identity.CreatePerson(ctx, tx, a, once)
		return audit.Entry{Action: "account.create", Subject: p.ID, Detail: map[string]any{"account": told(p)}}, err
	})
	return p, once.Text(), err
}

// ChangePerson changes name, role or institution as of the version in a. Errors:
// ErrForbidden and those of identity.ChangePerson.
func (d *Desk) ChangePerson(ctx context.Context, who identity.Account, a identity.Account) (p identity.Person, err error) {
	err = d.change(ctx, who, func(ctx context.Context, tx *postgres.Tx) (audit.Entry, error) {
		before, err := identity.GetPerson(ctx, tx, a.ID)
		if err != nil {
			return audit.Entry{}, err
		}
		a.Username = before.Username // it is in the timeline and stays
		p, err = identity.ChangePerson(ctx, tx, a, who.ID)
		return audit.Entry{Action: "account.change", Subject: a.ID, Detail: map[string]any{"from": told(before), "to": told(p)}}, err
	})
	return p, err
}

// SetPersonActive shuts an account out, or lets it in again. Errors: ErrForbidden
// and those of identity.SetPersonActive.
func (d *Desk) SetPersonActive(ctx context.Context, who identity.Account, id string, version int64, active bool) (p identity.Person, err error) {
	err = d.change(ctx, who, func(ctx context.Context, tx *postgres.Tx) (audit.Entry, error) {
		p, err = identity.SetPersonActive(ctx, tx, id, version, active, who.ID)
		return audit.Entry{Action: onOff("account", active), Subject: id, Detail: map[string]any{"version": p.Version}}, err
	})
	return p, err
}

// ResetPassword gives an account a password for once and returns it. Errors:
// ErrForbidden and those of identity.ResetPassword.
func (d *Desk) ResetPassword(ctx context.Context, who identity.Account, id string, version int64) (p identity.Person, password string, err error) {
	once, err := d.password(who)
	if err != nil {
		return p, "", err
	}
	err = d.change(ctx, who, func(ctx context.Context, tx *postgres.Tx) (audit.Entry, error) {
		p, err = identity.ResetPassword(ctx, tx, id, version, once, who.ID)
		return audit.Entry{Action: "account.reset", Subject: id, Detail: map[string]any{"version": p.Version}}, err
	})
	return p, once.Text(), err
}

// password makes one for once before the transaction: its hash takes time. Only for
// those who may use it.
func (d *Desk) password(who identity.Account) (identity.OneTime, error) {
	if !May(who.Role) {
		return identity.OneTime{}, ErrForbidden
	}
	return identity.NewOneTime(d.now().Add(d.once))
}

// told is an account as the record has it.
func told(p identity.Person) map[string]any {
	return map[string]any{"username": p.Username, "name": p.Name, "role": p.Role, "institution": p.Institution}
}

// keysOf is whose keys somebody looks after: "" for the keepers, who look after
// all. Error: ErrForbidden.
func keysOf(who identity.Account) (string, error) {
	switch {
	case who.InstitutionID != nil:
		return *who.InstitutionID, nil
	case May(who.Role):
		return "", nil
	}
	return "", ErrForbidden
}

// Keys lists API keys, newest first: for keepers those of an institution, or all;
// for an institution's people theirs. Error: ErrForbidden.
func (d *Desk) Keys(ctx context.Context, who identity.Account, institutionID, after string, limit int) ([]identity.Key, error) {
	scope, err := keysOf(who)
	if err != nil {
		return nil, err
	}
	if scope != "" {
		institutionID = scope
	}
	return identity.Keys(ctx, d.db, institutionID, after, limit)
}

// Key reads one. Errors: ErrForbidden, identity.ErrNotFound.
func (d *Desk) Key(ctx context.Context, who identity.Account, id string) (identity.Key, error) {
	scope, err := keysOf(who)
	if err != nil {
		return identity.Key{}, err
	}
	return identity.GetKey(ctx, d.db, id, scope)
}

// MakeKey makes an API key and returns its text, once: keepers for any
// institution, an institution's people for theirs. Errors: ErrForbidden and those
// of identity.MakeKey.
func (d *Desk) MakeKey(ctx context.Context, who identity.Account, n identity.NewKey) (key identity.Key, text string, err error) {
	scope, err := keysOf(who)
	if err != nil {
		return key, "", err
	}
	if scope != "" {
		if n.InstitutionID != "" && n.InstitutionID != scope {
			return key, "", identity.ErrNotFound
		}
		n.InstitutionID = scope
	}
	n.By = who.Username
	err = d.note(ctx, who, func(ctx context.Context, tx *postgres.Tx) (audit.Entry, error) {
		key, text, err = identity.MakeKey(ctx, tx, n, d.now())
		return audit.Entry{Action: "api_key.create", Subject: key.ID, Detail: map[string]any{
			"institution": key.Institution, "label": key.Label, "scopes": key.Scopes, "networks": key.Networks, "expires_at": key.ExpiresAt,
		}}, err
	})
	if err != nil {
		text = ""
	}
	return key, text, err
}

// RevokeKey ends an API key at once. Errors: ErrForbidden, identity.ErrNotFound,
// identity.ErrAlready.
func (d *Desk) RevokeKey(ctx context.Context, who identity.Account, id string) (key identity.Key, err error) {
	scope, err := keysOf(who)
	if err != nil {
		return key, err
	}
	err = d.note(ctx, who, func(ctx context.Context, tx *postgres.Tx) (audit.Entry, error) {
		key, err = identity.RevokeKey(ctx, tx, id, scope, who.Username, d.now())
		return audit.Entry{Action: "api_key.revoke", Subject: id, Detail: map[string]any{"institution": key.Institution, "label": key.Label}}, err
	})
	return key, err
}

// EndOf is the end of a day in Jakarta: until then a key is good that expires on
// it. No date has no end.
func EndOf(day clock.Date) time.Time {
	if day.IsZero() {
		return time.Time{}
	}
	next := day.AddDays(1)
	return time.Date(next.Year, next.Month, next.Day, 0, 0, 0, 0, clock.Jakarta)
}
