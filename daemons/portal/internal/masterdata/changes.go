package masterdata

import (
	"context"
	"errors"

	"dukcapil.go.id/sifilma/pkg/audit"
	"dukcapil.go.id/sifilma/pkg/identity"
	"dukcapil.go.id/sifilma/pkg/postgres"
)

// Outcome is what became of a change of an account: it was made, or it waits for
// a second keeper.
type Outcome struct {
	Person   identity.Person
	Password string // for once, where one was given
	Waiting  *identity.Change
}

// changePerson makes a change of an account, or proposes it where it gives power in
// the office.
func (d *Desk) changePerson(ctx context.Context, who identity.Account, kind string, a identity.Account,
	do func(ctx context.Context, tx *postgres.Tx) (Outcome, audit.Entry, error)) (out Outcome, err error) {
	err = d.change(ctx, who, func(ctx context.Context, tx *postgres.Tx) (audit.Entry, error) {
		var e audit.Entry
		if out, e, err = do(ctx, tx); !errors.Is(err, identity.ErrSecondKeeper) {
			return e, err
		}
		c, err := identity.Propose(ctx, tx, kind, a, who, d.now())
		out = Outcome{Waiting: &c}
		return audit.Entry{Action: "account.propose", Subject: c.AccountID, Detail: proposal(c)}, err
	})
	return out, err
}

// Changes lists changes of accounts that want two keepers. Error: ErrForbidden.
func (d *Desk) Changes(ctx context.Context, who identity.Account, f identity.ChangeFilter) ([]identity.Change, error) {
	if !May(who.Role) {
		return nil, ErrForbidden
	}
	return identity.Changes(ctx, d.db, f, d.now())
}

// WaitingChanges counts those that wait for a second keeper.
func (d *Desk) WaitingChanges(ctx context.Context) (int, error) {
	return identity.WaitingChanges(ctx, d.db, d.now())
}

// Change reads one, and says why who may not confirm it: nil, or an error of
// identity.Change.May. Errors: ErrForbidden, identity.ErrNotFound.
func (d *Desk) Change(ctx context.Context, who identity.Account, id string) (c identity.Change, barred, err error) {
	if !May(who.Role) {
		return c, nil, ErrForbidden
	}
	if c, err = identity.GetChange(ctx, d.db, id); err != nil {
		return c, nil, err
	}
	return c, c.May(ctx, d.db, who, d.now()), nil
}

// ConfirmChange makes a change that another keeper proposed; whoever confirms it
// sees the password. Errors: ErrForbidden and those of identity.Confirm.
func (d *Desk) ConfirmChange(ctx context.Context, who identity.Account, id string) (c identity.Change, out Outcome, err error) {
	c, barred, err := d.Change(ctx, who, id)
	if err == nil {
		err = barred // before its password costs anything
	}
	if err != nil {
		return c, out, err
	}
	var once identity.OneTime
	if c.GivesPassword() {
		if once, err = d.password(ctx, who); err != nil {
			return c, out, err
		}
	}
	err = d.change(ctx, who, func(ctx context.Context, tx *postgres.Tx) (audit.Entry, error) {
		var p identity.Person
		c, p, err = identity.Confirm(ctx, tx, id, who, once, d.now())
		out = Outcome{Person: p, Password: once.Text()}
		return audit.Entry{Action: "account." + c.Kind, Subject: c.AccountID, Detail: proposal(c)}, err
	})
	return c, out, err
}

// RefuseChange lays a change aside. Errors: ErrForbidden and those of
// identity.Refuse.
func (d *Desk) RefuseChange(ctx context.Context, who identity.Account, id, reason string) (c identity.Change, err error) {
	err = d.change(ctx, who, func(ctx context.Context, tx *postgres.Tx) (audit.Entry, error) {
		c, err = identity.Refuse(ctx, tx, id, who, reason, d.now())
		return audit.Entry{Action: "account.refuse", Subject: c.AccountID, Detail: proposal(c)}, err
	})
	return c, err
}

// proposal is a change as the record has it.
func proposal(c identity.Change) map[string]any {
	detail := map[string]any{"change": c.ID, "kind": c.Kind, "proposed_by": c.ProposedBy, "to": told(identity.Person{Account: c.To})}
	if c.From != nil {
		detail["from"] = told(identity.Person{Account: *c.From})
	}
	if c.Reason != "" {
		detail["reason"] = c.Reason
	}
	return detail
}
