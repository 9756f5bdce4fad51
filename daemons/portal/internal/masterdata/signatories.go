package masterdata

import (
	"context"

	"dukcapil.go.id/sifilma/pkg/audit"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/identity"
	"dukcapil.go.id/sifilma/pkg/letter"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/report"
)

// Signatory is a period of office as it is shown.
type Signatory struct {
	ID        string      `json:"id"`
	Version   int64       `json:"version"`
	PostCode  string      `json:"post_code"`
	PostLabel string      `json:"post_label"`
	Form      string      `json:"form"`
	FormLabel string      `json:"form_label"`
	Name      string      `json:"name"`
	NIP       string      `json:"nip"`
	Rank      string      `json:"rank"`
	Post      string      `json:"post"`
	Principal string      `json:"principal"`
	Through   string      `json:"through"`
	Address   string      `json:"address"`
	Printed   string      `json:"printed"` // above the signature; lines apart by line feeds
	ValidFrom clock.Date  `json:"valid_from"`
	ValidTo   *clock.Date `json:"valid_to"`
	// Signs says that papers of the office's day are signed by this one.
	Signs bool `json:"signs"`
}

func labelOf(list []struct{ Code, Label string }, code string) string {
	for _, one := range list {
		if one.Code == code {
			return one.Label
		}
	}
	return code
}

func showSignatory(s letter.Signatory) Signatory {
	return Signatory{
		ID: s.ID, Version: s.Version, PostCode: s.PostCode, PostLabel: labelOf(letter.Posts, s.PostCode), Form: s.Form, FormLabel: labelOf(letter.Forms, s.Form),
		Name: s.Name, NIP: s.NIP, Rank: s.Rank, Post: s.Post, Principal: s.Principal, Through: s.Through, Address: s.Address, Printed: s.Printed(),
		ValidFrom: s.ValidFrom, ValidTo: s.ValidTo,
	}
}

// Signatories lists all periods of office, the newest of each post first. It is for the
// office's own people. Error: ErrForbidden.
func (d *Desk) Signatories(ctx context.Context, who identity.Account) ([]Signatory, error) {
	if report.Outside(who) {
		return nil, ErrForbidden
	}
	list, err := letter.Signatories(ctx, d.db)
	if err != nil {
		return nil, err
	}
	today, signing := d.Today(), map[string]int{}
	out := make([]Signatory, len(list))
	for i, s := range list {
		out[i] = showSignatory(s)
		if s.ValidFrom.After(today) || s.ValidTo != nil && s.ValidTo.Before(today) {
			continue
		}
		if at, ok := signing[s.PostCode]; !ok || list[at].Form == letter.Definitif { // who acts goes before the holder
			signing[s.PostCode] = i
		}
	}
	for _, i := range signing {
		out[i].Signs = true
	}
	return out, nil
}

// Appoint writes a period of office. Errors: ErrForbidden, form.Faults.
func (d *Desk) Appoint(ctx context.Context, who identity.Account, s letter.Signatory) (made Signatory, err error) {
	return d.changeSignatory(ctx, who, "signatory.appoint", func(ctx context.Context, tx *postgres.Tx) (letter.Signatory, error) {
		return letter.AppointSignatory(ctx, tx, s)
	})
}

// EndTerm ends a period of office with its last day. Errors: ErrForbidden, form.Faults,
// letter.ErrNoSuchSignatory, letter.ErrTermOver, postgres.ErrStale.
func (d *Desk) EndTerm(ctx context.Context, who identity.Account, id string, version int64, last clock.Date) (made Signatory, err error) {
	return d.changeSignatory(ctx, who, "signatory.end", func(ctx context.Context, tx *postgres.Tx) (letter.Signatory, error) {
		return letter.EndTerm(ctx, tx, id, version, last, d.Today())
	})
}

func (d *Desk) changeSignatory(ctx context.Context, who identity.Account, action string,
	do func(ctx context.Context, tx *postgres.Tx) (letter.Signatory, error)) (made Signatory, err error) {
	err = d.change(ctx, who, func(ctx context.Context, tx *postgres.Tx) (audit.Entry, error) {
		s, err := do(ctx, tx)
		made = showSignatory(s)
		return audit.Entry{Action: action, Subject: s.ID, Detail: map[string]any{"signatory": s}}, err
	})
	return made, err
}
