package request

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/need"
	"dukcapil.go.id/sifilma/pkg/postgres"
)

var (
	// ErrReasonMissing says that a verb wants a reason.
	ErrReasonMissing = errors.New("request: reason missing")
	// ErrNotDisposed says that the Direktur's disposition is not recorded yet.
	ErrNotDisposed = errors.New("request: no disposition yet")
	// ErrBlanksDiffer says that the blanks counted are not as many as the list
	// has cards (features.md I03, N21).
	ErrBlanksDiffer = errors.New("request: blanks differ from card list")
	// ErrTooLate says that a fact can no longer be given in the present state.
	ErrTooLate = errors.New("request: too late for this fact")
)

// Change is who takes a step, why, and at what office time.
type Change struct {
	Actor    machine.Actor
	Reason   string
	Detail   map[string]any
	OfficeAt time.Time
}

// WantsReason says whether a verb is taken with a reason only: somebody will ask
// why.
func WantsReason(verb machine.Verb) bool { return verb == Return || verb == Reject || verb == Hold }

// Take moves a request by one verb: a compare-and-set on state and version, a
// row in the timeline and the step's message, all in the caller's transaction. A
// request that is rejected or cancelled gives back the needs that it bundled.
// Errors: *machine.IllegalError, *machine.RoleError, ErrReasonMissing,
// ErrNotDisposed, postgres.ErrStale when somebody else moved it meanwhile.
func Take(ctx context.Context, tx *postgres.Tx, r Request, verb machine.Verb, c Change) (Request, error) {
	if err := Machine.May(r.State, verb, c.Actor.Role); err != nil {
		return Request{}, err
	}
	var step machine.Step
	var err error
	if verb == Release && r.HeldFrom != nil {
		step, err = Machine.FindTo(r.State, verb, *r.HeldFrom)
	} else {
		step, err = Machine.Find(r.State, verb)
	}
	if err != nil {
		return Request{}, err
	}
	if WantsReason(verb) && c.Reason == "" {
		return Request{}, ErrReasonMissing
	}
	next := r
	next.State, next.Version, next.HeldFrom = step.To, r.Version+1, nil
	if verb == Hold {
		next.HeldFrom = &r.State
	}
	if verb == Accept {
		fact, err := fact(ctx, tx, r.ID, FactDisposed)
		if err != nil {
			return Request{}, err
		}
		if fact == nil {
			return Request{}, ErrNotDisposed
		}
		date, err := fact.ReceivedOn()
		if err != nil {
			return Request{}, err
		}
		next.DispositionDate = &date
	}
	if verb == Return {
		// A correction voids the decisions and facts that rest on what is corrected:
		// all of them after the check, and before it those about form and list. That
		// the paper letter has come is true until the form names another letter.
		kept := ""
		if r.State == Submitted || r.State == Resubmitted {
			kept = FactLetterReceived
		}
		if err := void(ctx, tx, r.ID, kept); err != nil {
			return Request{}, err
		}
	}
	err = tx.ExecOne(ctx, `
		UPDATE request SET state=$4, version=version+1, held_from=$5, disposition_date=$6
		WHERE id=$1 AND state=$2 AND version=$3`,
		r.ID, string(r.State), r.Version, string(step.To), next.HeldFrom, next.DispositionDate)
	if err != nil {
		return Request{}, fmt.Errorf("request: %s: %w", verb, err)
	}
	if verb == Cancel || verb == Reject {
		if err := need.ReleaseAll(ctx, tx, r.ID, r.Ticket, needChange(c)); err != nil {
			return Request{}, err
		}
	}
	return next, announce(ctx, tx, taken{next, step, c})
}

// Facts of a request.
const (
	FactValidated      = "validated"
	FactLetterReceived = "letter_received"
	FactBlanksCounted  = "blanks_counted"
	FactCompared       = "compared"
	FactDisposed       = "disposed"
)

// registering are the facts that make a request registered, in any order.
var registering = []string{FactValidated, FactLetterReceived, FactBlanksCounted, FactCompared}

// FactLabels are the Indonesian names of the facts.
var FactLabels = map[string]string{
	FactValidated: "Pemeriksaan berkas lulus", FactLetterReceived: "Surat fisik diterima",
	FactBlanksCounted: "Blangko dihitung", FactCompared: "Pindaian dibandingkan dengan isian", FactDisposed: "Disposisi Direktur FPDDK",
}

// Fact is something that is true of a request, and who says so.
type Fact struct {
	Fact     string          `db:"fact" json:"fact"`
	Detail   json.RawMessage `db:"detail" json:"detail"`
	Actor    string          `db:"actor" json:"actor"`
	OfficeAt time.Time       `db:"office_at" json:"office_at"`
}

// ReceivedOn is the date that a fact is of: the one that was typed with it, for what
// is recorded late, else the one on which it was recorded.
func (f Fact) ReceivedOn() (clock.Date, error) {
	var typed struct {
		On clock.Date `json:"received_on"`
	}
	if len(f.Detail) > 0 {
		if err := json.Unmarshal(f.Detail, &typed); err != nil {
			return clock.Date{}, fmt.Errorf("request: fact %s: %w", f.Fact, err)
		}
	}
	if typed.On.IsZero() {
		return clock.DateOf(f.OfficeAt), nil
	}
	return typed.On, nil
}

// Facts returns the facts of a request, oldest first.
func Facts(ctx context.Context, rd postgres.Reader, requestID string) ([]Fact, error) {
	var facts []Fact
	err := rd.Select(ctx, &facts, `
		SELECT fact, detail, actor, office_at FROM request_fact WHERE request_id=$1 ORDER BY at, fact`, requestID)
	if err != nil {
		return nil, fmt.Errorf("request: facts: %w", err)
	}
	return facts, nil
}

func fact(ctx context.Context, rd postgres.Reader, requestID, name string) (*Fact, error) {
	facts, err := Facts(ctx, rd, requestID)
	if err != nil {
		return nil, err
	}
	for _, f := range facts {
		if f.Fact == name {
			return &f, nil
		}
	}
	return nil, nil
}

// void takes back the facts of a request, all but one.
func void(ctx context.Context, tx *postgres.Tx, requestID, kept string) error {
	if _, err := tx.Exec(ctx, `DELETE FROM request_fact WHERE request_id=$1 AND fact <> $2`, requestID, kept); err != nil {
		return fmt.Errorf("request: voiding facts: %w", err)
	}
	return nil
}

// factRoles says who may state a fact (users.md A.3).
var factRoles = map[string][]machine.Role{
	FactValidated:      {Validator},
	FactLetterReceived: {Persuratan},
	FactBlanksCounted:  {Persuratan, Operator},
	FactCompared:       {Operator},
	FactDisposed:       {Direktur},
}

// factStates says while a request is in which states a fact may be stated. A
// fact stated again replaces the earlier one.
var factStates = map[string][]machine.State{
	FactValidated:      {Validated},
	FactLetterReceived: {Submitted, Resubmitted, Validated},
	FactBlanksCounted:  {Submitted, Resubmitted, Validated},
	FactCompared:       {Submitted, Resubmitted, Validated},
	FactDisposed:       {Approved},
}

// State records a fact; the last of the four that are needed moves the request
// to registered, in the same transaction. The request is locked, so that two
// facts stated at once cannot both think the other is missing.
func State(ctx context.Context, tx *postgres.Tx, requestID, name string, detail map[string]any, c Change) (Request, error) {
	r, err := Lock(ctx, tx, requestID)
	if err != nil {
		return Request{}, err
	}
	if !slices.Contains(factRoles[name], c.Actor.Role) {
		return Request{}, &machine.RoleError{Machine: Machine.Name, Verb: machine.Verb(name), Role: c.Actor.Role}
	}
	if !slices.Contains(factStates[name], r.State) {
		return Request{}, ErrTooLate
	}
	if name == FactBlanksCounted && detail["count"] != r.CardCount {
		return Request{}, ErrBlanksDiffer
	}
	body, err := json.Marshal(detail)
	if err != nil {
		return Request{}, fmt.Errorf("request: fact: %w", err)
	}
	if detail == nil {
		body = []byte("{}")
	}
	if _, err := tx.Exec(ctx, `
		INSERT INTO request_fact (request_id, fact, detail, actor, office_at) VALUES ($1,$2,$3,$4,$5)
		ON CONFLICT (request_id, fact) DO UPDATE SET detail=excluded.detail, actor=excluded.actor,
		            office_at=excluded.office_at, at=now()`,
		r.ID, name, string(body), c.Actor.Name, c.OfficeAt.UTC()); err != nil {
		return Request{}, fmt.Errorf("request: fact %s: %w", name, err)
	}
	if r.State != Validated {
		return r, nil
	}
	facts, err := Facts(ctx, tx, r.ID)
	if err != nil {
		return Request{}, err
	}
	for _, needed := range registering {
		found := false
		for _, f := range facts {
			found = found || f.Fact == needed
		}
		if !found {
			return r, nil
		}
	}
	return Take(ctx, tx, r, Register, Change{Actor: c.Actor, OfficeAt: c.OfficeAt})
}
