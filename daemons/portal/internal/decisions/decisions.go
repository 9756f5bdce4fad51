// Package decisions is what people decide about a request and state of it: each
// step one transaction of the office's function and its audit row. The API and the
// pages share it; who may do what, and when, is said by the request's own tables.
package decisions

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"dukcapil.go.id/sifilma/pkg/audit"
	"dukcapil.go.id/sifilma/pkg/cardlist"
	"dukcapil.go.id/sifilma/pkg/cardsecret"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/form"
	"dukcapil.go.id/sifilma/pkg/identity"
	"dukcapil.go.id/sifilma/pkg/institution"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/report"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/pkg/trace"
	"dukcapil.go.id/sifilma/pkg/workday"
)

// MaxText bounds reasons and notes, in characters.
const MaxText = 2000

// Desk is where requests are decided.
type Desk struct {
	db     *postgres.DB
	office clock.Office
	hours  workday.OfficeHours
}

// New returns the desk of an office that is open at these hours.
func New(db *postgres.DB, office clock.Office, hours workday.OfficeHours) *Desk {
	return &Desk{db: db, office: office, hours: hours}
}

// Refusal is what is wrong with what was typed: all of it in one sentence, and by
// field.
type Refusal struct {
	Detail string // an Indonesian sentence
	Faults form.Faults
}

// Error makes a Refusal an error.
func (r *Refusal) Error() string { return "decisions: " + r.Faults.Error() }

func refuse(pointer, code, detail string) error {
	return &Refusal{detail, form.Faults{{Pointer: pointer, Code: code, Detail: detail}}}
}

// CheckReason wants a reason of MaxText at most: nil or a *Refusal.
func CheckReason(reason string) error {
	if utf8.RuneCountInString(reason) > MaxText {
		return refuse("/reason", "too_long", "Alasan paling panjang 2.000 karakter.")
	}
	return nil
}

// find reads the request with this ticket as far as an account may know of it.
func (d *Desk) find(ctx context.Context, rd postgres.Reader, who identity.Account, ticket string) (request.Request, error) {
	r, err := request.ByTicket(ctx, rd, ticket, report.Scope(who))
	trace.Join(ctx, r.TraceParent)
	return r, err
}

func (d *Desk) change(who identity.Account, reason string) request.Change {
	return request.Change{Actor: who.Actor(), Reason: strings.TrimSpace(reason), OfficeAt: d.office.Now()}
}

// Note puts a step into the audit, in its transaction.
func Note(ctx context.Context, tx *postgres.Tx, c request.Change, action, subject, requestID string, detail map[string]any) error {
	if c.Reason != "" {
		if detail == nil {
			detail = map[string]any{}
		}
		detail["reason"] = c.Reason
	}
	return audit.Record(ctx, tx, audit.Entry{
		Actor: c.Actor.Name, Action: action, Subject: subject, Request: requestID, Detail: detail,
	})
}

// first is what a verb wants to be true, and to stay true until its transaction
// ends.
var first = map[machine.Verb]func(ctx context.Context, tx *postgres.Tx, r request.Request, c request.Change) error{
	request.Accept: func(ctx context.Context, tx *postgres.Tx, r request.Request, c request.Change) error {
		if r.State != request.Approved {
			return nil
		}
		// Whoever is handed the cards has to be able to use them; a dinas that asks for
		// itself, too (features.md N11).
		if err := cardsecret.Hold(ctx, tx, r.InstitutionID); err != nil {
			return err
		}
		if r.Kind == request.KindRekamCetak { // which has no readers and no PKS (features.md N11)
			return nil
		}
		today := clock.DateOf(c.OfficeAt)
		if err := institution.HoldPKS(ctx, tx, r.PKSNumber, today); err != nil {
			return err
		}
		lembaga := make([]string, len(r.Lines))
		for i, l := range r.Lines {
			lembaga[i] = l.Lembaga
		}
		return institution.HoldLembaga(ctx, tx, lembaga, today)
	},
}

// follow is what else a verb does, in the same transaction.
var follow = map[machine.Verb]func(ctx context.Context, tx *postgres.Tx, r request.Request, c request.Change) error{
	request.Accept: func(ctx context.Context, tx *postgres.Tx, r request.Request, c request.Change) error {
		_, err := perso.Enlist(ctx, tx, r.ID, c.Actor, c.OfficeAt)
		return err
	},
	request.Return: freeSerials, request.Reject: freeSerials, request.Cancel: freeSerials,
}

func freeSerials(ctx context.Context, tx *postgres.Tx, r request.Request, _ request.Change) error {
	return cardlist.Free(ctx, tx, r.ID)
}

// Take moves the request with this ticket by a verb, as the account saw it in this
// version. Errors: request.ErrNotFound, *machine.RoleError, *Refusal,
// postgres.ErrStale, *institution.NotInForceError, cardsecret.ErrNoKey,
// cardsecret.ErrNoEscrow, and those of request.Take.
func (d *Desk) Take(ctx context.Context, who identity.Account, ticket string, verb machine.Verb, version int64, reason string) (next request.Request, err error) {
	if err := request.Machine.MayEver(verb, who.Role); err != nil {
		return next, err
	}
	if err := CheckReason(reason); err != nil {
		return next, err
	}
	c := d.change(who, reason)
	err = d.db.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		now, err := d.find(ctx, tx, who, ticket)
		if err != nil {
			return err
		}
		if now.Version != version {
			return postgres.ErrStale
		}
		if before := first[verb]; before != nil {
			if err := before(ctx, tx, now, c); err != nil {
				return err
			}
		}
		if next, err = request.Take(ctx, tx, now, verb, c); err != nil {
			return err
		}
		if more := follow[verb]; more != nil {
			if err := more(ctx, tx, next, c); err != nil {
				return err
			}
		}
		return Note(ctx, tx, c, "request."+string(verb), next.ID, next.ID,
			map[string]any{"from": now.State, "to": next.State, "version": next.Version})
	})
	return next, err
}

// TooLateError says that the state of a request has overtaken a fact.
type TooLateError struct {
	State machine.State
	Fact  string
}

func (e *TooLateError) Error() string {
	return fmt.Sprintf("decisions: fact %q in state %q", e.Fact, e.State)
}

// Unwrap is request.ErrTooLate.
func (e *TooLateError) Unwrap() error { return request.ErrTooLate }

// MayState says whether a role can state a fact at all: nil or a
// *machine.RoleError.
func MayState(fact string, role machine.Role) error {
	for _, may := range request.FactRoles(fact) {
		if may == role {
			return nil
		}
	}
	return &machine.RoleError{Machine: request.Machine.Name, Verb: machine.Verb(fact), Role: role}
}

// Seen is what somebody had before their eyes when they stated a fact: the fact is
// of that and of nothing newer.
type Seen struct {
	// Version of the request; nil when none was named, for facts come in any order.
	Version *int64
	// Submission is which of the request's submissions it was.
	Submission int
}

// State records a fact of the request with this ticket; the last of those that are
// needed registers the request in the same transaction. Errors: request.ErrNotFound,
// *machine.RoleError, *Refusal, *TooLateError, request.ErrBlanksDiffer, and
// postgres.ErrStale when the request is no longer the one that was seen.
func (d *Desk) State(ctx context.Context, who identity.Account, ticket string, seen Seen, s Statement) (now request.Request, err error) {
	if err := MayState(s.Fact(), who.Role); err != nil {
		return now, err
	}
	c := d.change(who, "")
	err = d.db.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		of, err := d.find(ctx, tx, who, ticket)
		if err != nil {
			return err
		}
		if of, err = request.Lock(ctx, tx, of.ID); err != nil {
			return err
		}
		if of.Submission != seen.Submission || seen.Version != nil && of.Version != *seen.Version {
			return postgres.ErrStale
		}
		detail, err := s.detail(of, clock.DateOf(c.OfficeAt))
		if err != nil {
			return err
		}
		if l, ok := s.(Letter); ok {
			if detail["counts_from"], err = d.countsFrom(ctx, tx, l); err != nil {
				return err
			}
		}
		now, err = request.State(ctx, tx, of.ID, s.Fact(), detail, c)
		if errors.Is(err, request.ErrTooLate) {
			return &TooLateError{of.State, s.Fact()}
		}
		if err != nil {
			return err
		}
		return Note(ctx, tx, c, "request.fact."+s.Fact(), of.ID, of.ID, map[string]any{"fact": detail, "state": now.State})
	})
	return now, err
}
