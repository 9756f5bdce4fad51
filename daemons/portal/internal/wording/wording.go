// Package wording is the desk where the office looks after the Word templates of its
// papers: who may, and each step as one transaction with its audit row. The API and the
// pages share it.
package wording

import (
	"context"
	"encoding/hex"
	"errors"
	"slices"
	"strings"

	"dukcapil.go.id/sifilma/pkg/audit"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/identity"
	"dukcapil.go.id/sifilma/pkg/letter/template"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/postgres"
)

// ErrForbidden says that somebody's role does not look after templates.
var ErrForbidden = errors.New("wording: not for this role")

// Desk is where templates are looked after.
type Desk struct {
	DB     *postgres.DB
	Office clock.Office
}

// May says whether a role looks after templates.
func May(role machine.Role) bool { return template.Machine.MayEver(template.OfferVerb, role) == nil }

// Template is an edition with what belongs to it.
type Template struct {
	template.Edition
	Editions []template.Edition // of its kind, newest first
	Timeline []machine.Taken    // newest first
	Offers   []machine.Verb     // what whoever asks can do with it now
}

// List is every edition, by kind, newest first. Error: ErrForbidden.
func (d Desk) List(ctx context.Context, who identity.Account) ([]template.Edition, error) {
	if !May(who.Role) {
		return nil, ErrForbidden
	}
	return template.List(ctx, d.DB)
}

// Get reads an edition. Errors: ErrForbidden, template.ErrNotFound.
func (d Desk) Get(ctx context.Context, who identity.Account, id string) (v Template, err error) {
	if !May(who.Role) {
		return v, ErrForbidden
	}
	if v.Edition, err = template.Get(ctx, d.DB, id); err != nil {
		return v, err
	}
	all, err := template.List(ctx, d.DB)
	if err != nil {
		return v, err
	}
	v.Editions = slices.DeleteFunc(all, func(e template.Edition) bool { return e.Kind != v.Kind })
	if v.Timeline, err = template.Machine.TimelineOf(ctx, d.DB, id); err != nil {
		return v, err
	}
	slices.Reverse(v.Timeline)
	for _, verb := range template.Machine.Offers(v.State, who.Role) {
		if verb != template.ApproveVerb || v.OfferedBy != who.Username { // approving is offered to the second person only
			v.Offers = append(v.Offers, verb)
		}
	}
	return v, nil
}

// Offer sends in a new edition of a kind; the note says what is new in it. Errors:
// ErrForbidden, form.Faults (all that is wrong with the file), and those of
// template.Offer.
func (d Desk) Offer(ctx context.Context, who identity.Account, kind string, file []byte, note string) (template.Edition, error) {
	if !May(who.Role) {
		return template.Edition{}, ErrForbidden
	}
	sound, err := template.Read(kind, file)
	if err != nil {
		return template.Edition{}, err
	}
	return d.step(ctx, who, template.OfferVerb, note, func(ctx context.Context, tx *postgres.Tx, ch template.Change) (template.Edition, error) {
		return template.Offer(ctx, tx, sound, ch)
	})
}

var steps = map[machine.Verb]func(ctx context.Context, tx *postgres.Tx, s template.Seen, ch template.Change) (template.Edition, error){
	template.ApproveVerb: approve, template.RefuseVerb: template.Refuse, template.OfferVerb: template.OfferAgain,
}

// approve wants two people: one who has seen the other's password for once may be both.
func approve(ctx context.Context, tx *postgres.Tx, s template.Seen, ch template.Change) (template.Edition, error) {
	e, err := template.Get(ctx, tx, s.ID)
	if err != nil {
		return e, err
	}
	saw, err := identity.SawPassword(ctx, tx, e.OfferedBy, ch.Actor.Name, ch.OfficeAt)
	if err != nil {
		return e, err
	}
	if saw {
		return e, identity.ErrSawPassword
	}
	return template.Approve(ctx, tx, s, ch) // of the version that was seen, so by the same hand
}

// Move takes a step with an edition: approve, refuse, or offer again. Errors:
// ErrForbidden, identity.ErrSawPassword and those of the step.
func (d Desk) Move(ctx context.Context, who identity.Account, verb machine.Verb, s template.Seen, reason string) (template.Edition, error) {
	return d.step(ctx, who, verb, reason, func(ctx context.Context, tx *postgres.Tx, ch template.Change) (template.Edition, error) {
		return steps[verb](ctx, tx, s, ch)
	})
}

func (d Desk) step(ctx context.Context, who identity.Account, verb machine.Verb, reason string,
	do func(ctx context.Context, tx *postgres.Tx, ch template.Change) (template.Edition, error)) (e template.Edition, err error) {
	if !May(who.Role) {
		return e, ErrForbidden
	}
	err = d.DB.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		reason := strings.TrimSpace(reason)
		if e, err = do(ctx, tx, template.Change{Actor: who.Actor(), Reason: reason, OfficeAt: d.Office.Now()}); err != nil {
			return err
		}
		return audit.Record(ctx, tx, audit.Entry{Actor: who.Username, Action: "template." + string(verb), Subject: e.ID, Detail: map[string]any{
			"kind": e.Kind, "edition": e.Edition, "sha256": hex.EncodeToString(e.SHA256), "reason": reason,
		}})
	})
	return e, err
}
