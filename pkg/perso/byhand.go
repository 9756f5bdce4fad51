package perso

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/lib/pq"

	"dukcapil.go.id/sifilma/pkg/audit"
	"dukcapil.go.id/sifilma/pkg/capacity"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
)

var (
	// ErrStationMode says that the cards of the request are personalised at stations:
	// people give them neither numbers nor results.
	ErrStationMode = errors.New("perso: the request's cards are personalised at stations")
	// ErrNothingToNumber says that each card has its numbers.
	ErrNothingToNumber = errors.New("perso: no card without numbers")
	// ErrNothingToWipe says that no card has numbers.
	ErrNothingToWipe = errors.New("perso: no card with numbers")
	// ErrHasResult says that a card of the request has a result, or one that waits: its
	// numbers are kept (features.md N17).
	ErrHasResult = errors.New("perso: a card of the request has a result")
	// ErrNoTemplates says that no templates of numbers are approved.
	ErrNoTemplates = errors.New("perso: no number templates in force")
)

// MayByHand says whether a role may give numbers and results to the cards of manual
// work orders.
func MayByHand(role machine.Role) bool { return Machine.MayEver(EnterVerb, role) == nil }

// manual locks a request in manual mode, under the planner's lock: the rows of orders,
// requests and cards are locked in several orders, by Reduce for instance.
func manual(ctx context.Context, tx *postgres.Tx, requestID string, ch Change) (request.Request, error) {
	if err := Machine.MayEver(EnterVerb, ch.Actor.Role); err != nil {
		return request.Request{}, err
	}
	if err := capacity.Lock(ctx, tx); err != nil {
		return request.Request{}, err
	}
	r, err := request.Lock(ctx, tx, requestID)
	if err != nil {
		return r, err
	}
	switch r.State {
	case request.Accepted, request.Scheduled, request.InProgress:
	default:
		return r, capacity.ErrNotPlannable
	}
	m, err := capacity.ModeOf(ctx, tx, requestID)
	if err == nil && m.Mode != capacity.ModeManual {
		err = ErrStationMode
	}
	return r, err
}

// Generate gives numbers to each card of a request in manual mode that has none
// (features.md F13). It returns how many. Errors: *machine.RoleError,
// request.ErrNotFound, capacity.ErrNotPlannable, ErrStationMode, ErrNothingToNumber,
// ErrNoTemplates, numbers.ErrTemplate.
func Generate(ctx context.Context, tx *postgres.Tx, requestID string, ch Change) (int, error) {
	if _, err := manual(ctx, tx, requestID, ch); err != nil {
		return 0, err
	}
	cards, err := cardsIn(ctx, tx, requestID, Listed, Bound)
	if err != nil {
		return 0, err
	}
	if len(cards) == 0 {
		return 0, ErrNothingToNumber
	}
	ids := make([]string, len(cards))
	for i, c := range cards {
		ids[i] = c.ID
	}
	given, label, err := give(ctx, tx, ids, clock.DateOf(ch.OfficeAt).Year)
	if why, refused := RefusedFor(unnumbered(err, Card{})); refused && why == NoNumbers {
		return 0, ErrNoTemplates
	}
	if err != nil {
		return 0, err
	}
	if err := number(ctx, tx, cards, given, label, ch); err != nil {
		return 0, err
	}
	return len(cards), noteCards(ctx, tx, requestID, "card.numbers.generate", ch, map[string]any{"cards": len(cards), "template": label})
}

// cardsIn locks the cards of a request in some states, in the order of their ids.
func cardsIn(ctx context.Context, tx *postgres.Tx, requestID string, states ...machine.State) ([]Card, error) {
	var cards []Card
	if err := tx.Select(ctx, &cards, selectCard+`WHERE request_id = $1 AND state = ANY ($2) ORDER BY id FOR UPDATE`, requestID, pq.Array(states)); err != nil {
		return nil, fmt.Errorf("perso: locking cards: %w", err)
	}
	return cards, nil
}

// number writes given numbers into locked cards, which are people's from then on.
// label is where the numbers come from.
func number(ctx context.Context, tx *postgres.Tx, cards []Card, given []pair, label string, ch Change) error {
	ids, pcids, manifests := make([]string, len(cards)), make([]string, len(cards)), make([]string, len(cards))
	for i, c := range cards {
		ids[i], pcids[i], manifests[i] = c.ID, given[i].pcid, given[i].manifest
	}
	n, err := tx.Exec(ctx, `
		UPDATE card c SET state = 'numbered', version = c.version + 1, pcid = v.pcid, manifest_no = v.manifest_no, by_hand = true
		FROM unnest($1::uuid[], $2::text[], $3::text[]) AS v (id, pcid, manifest_no) WHERE c.id = v.id AND c.state IN ('listed','bound')`,
		pq.Array(ids), pq.Array(pcids), pq.Array(manifests))
	if err != nil {
		return fmt.Errorf("perso: numbering: %w", err)
	}
	if n != int64(len(cards)) {
		return postgres.ErrStale
	}
	return steps(ctx, tx, cards, NumberVerb, Numbered, ch, func(i int) map[string]any {
		return map[string]any{"manifest_no": manifests[i], "template": label}
	})
}

// steps writes one step of several cards into the timeline.
func steps(ctx context.Context, tx *postgres.Tx, cards []Card, verb machine.Verb, to machine.State, ch Change, detail func(i int) map[string]any) error {
	records := make([]machine.Record, len(cards))
	for i, c := range cards {
		step, err := Machine.FindTo(c.State, verb, to)
		if err != nil {
			return err
		}
		records[i] = machine.Record{
			Subject: c.ID, Request: c.RequestID, Version: c.Version + 1, Step: step, Actor: ch.Actor, Reason: ch.Reason,
			Detail: detail(i), OfficeAt: ch.OfficeAt, TraceParent: c.TraceParent,
		}
	}
	return Machine.Write(ctx, tx, records...)
}

// Wipe takes the numbers of all cards of a request in manual mode away, as long as
// none of its cards has a result (features.md F14, N17). They stay burnt: the timeline
// keeps them, and no card is given them again. It returns how many cards had numbers.
// Errors: as of Generate, ErrReasonMissing, ErrHasResult, ErrNothingToWipe.
func Wipe(ctx context.Context, tx *postgres.Tx, requestID string, ch Change) (int, error) {
	if _, err := manual(ctx, tx, requestID, ch); err != nil {
		return 0, err
	}
	if ch.Reason = strings.TrimSpace(ch.Reason); ch.Reason == "" {
		return 0, ErrReasonMissing
	}
	cards, err := cardsIn(ctx, tx, requestID, Numbered)
	if err != nil {
		return 0, err
	}
	var begun bool // after the locks: a result that is being entered has been
	if err := tx.Get(ctx, &begun, `
		SELECT EXISTS (SELECT FROM card WHERE request_id = $1 AND state NOT IN ('listed','bound','numbered')
		               AND NOT (state = 'reduced' AND attempt = 0))`, requestID); err != nil {
		return 0, fmt.Errorf("perso: looking for results: %w", err)
	}
	switch {
	case begun:
		return 0, ErrHasResult
	case len(cards) == 0:
		return 0, ErrNothingToWipe
	}
	ids := make([]string, len(cards))
	for i, c := range cards {
		ids[i] = c.ID
	}
	if _, err := tx.Exec(ctx, `
		UPDATE card SET state = 'listed', version = version + 1, pcid = NULL, manifest_no = NULL, by_hand = false WHERE id = ANY ($1::uuid[])`, pq.Array(ids)); err != nil {
		return 0, fmt.Errorf("perso: wiping numbers: %w", err)
	}
	if err := steps(ctx, tx, cards, WipeVerb, Listed, ch, func(i int) map[string]any {
		return map[string]any{"pcid": cards[i].PCID, "manifest_no": cards[i].ManifestNo}
	}); err != nil {
		return 0, err
	}
	return len(cards), noteCards(ctx, tx, requestID, "card.numbers.wipe", ch, map[string]any{"cards": len(cards), "reason": ch.Reason})
}

// noteCards puts what was done with several cards of a request into the audit.
func noteCards(ctx context.Context, tx *postgres.Tx, requestID, action string, ch Change, detail map[string]any) error {
	return audit.Record(ctx, tx, audit.Entry{Actor: ch.Actor.Name, Action: action, Subject: requestID, Request: requestID, Detail: detail})
}
