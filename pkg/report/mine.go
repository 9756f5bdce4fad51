package report

import (
	"context"
	"fmt"
	"slices"

	"github.com/lib/pq"

	"dukcapil.go.id/sifilma/pkg/capacity"
	"dukcapil.go.id/sifilma/pkg/handover"
	"dukcapil.go.id/sifilma/pkg/identity"
	"dukcapil.go.id/sifilma/pkg/institution"
	"dukcapil.go.id/sifilma/pkg/letter"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
)

// WaitingFor returns the ids of the requests that wait for whoever asks: those
// whose Waiting names the asker's role, found in one query.
func WaitingFor(ctx context.Context, rd postgres.Reader, a identity.Account) ([]string, error) {
	does := func(t *machine.Table, from machine.State, verb machine.Verb) bool {
		return t.May(from, verb, a.Role) == nil
	}
	var states, facts, onward, handing []string
	var mine []bool
	for _, state := range request.Machine.States() {
		for _, fact := range request.WantedFacts(state) {
			states, facts, mine = append(states, string(state)), append(facts, fact), append(mine, slices.Contains(request.FactRoles(fact), a.Role))
		}
		if step, ok := request.Onward(state); ok && slices.Contains(step.Roles, a.Role) {
			onward = append(onward, string(state))
		}
	}
	for state, step := range handoverSteps {
		if does(handover.Machine, state, step.verb) {
			handing = append(handing, string(state))
		}
	}
	ids := []string{}
	err := rd.Select(ctx, &ids, `
		SELECT r.id FROM request r
		CROSS JOIN LATERAL (
		    SELECT count(*) AS n, coalesce(bool_or(w.mine), false) AS mine
		    FROM unnest($2::text[], $3::text[], $4::boolean[]) AS w (state, fact, mine)
		    WHERE w.state = r.state AND NOT EXISTS (SELECT FROM request_fact f WHERE f.request_id = r.id AND f.fact = w.fact)) missing
		WHERE ($1 = '' OR r.institution_id::text = $1) AND (
		      missing.mine
		   OR missing.n = 0 AND r.state = ANY ($5)
		   OR r.state = $6 AND ($7 AND EXISTS (SELECT FROM card c WHERE c.request_id = r.id AND c.state = $8)
		      OR $9 AND EXISTS (SELECT FROM card c WHERE c.request_id = r.id AND c.state = ANY ($10)
		                        AND NOT EXISTS (SELECT FROM listed_card n WHERE n.replaces = c.id))
		      OR $21 AND EXISTS (SELECT FROM order_mode m WHERE m.request_id = r.id AND m.mode = $22)
		         AND EXISTS (SELECT FROM card c WHERE c.request_id = r.id AND c.state = ANY ($23)))
		   OR r.state = ANY ($26) AND ($12 AND EXISTS (SELECT FROM document d WHERE d.request_id = r.id AND d.state = $13
		                        AND (d.kind <> $14 AND r.state = $11 OR d.kind = $14 AND d.replaces IS NOT NULL))
		      OR $24 AND EXISTS (SELECT FROM document d WHERE d.request_id = r.id AND d.state = $25 AND d.awaits_number AND (r.state = $11 OR d.kind = $14))
		      OR EXISTS (SELECT FROM handover h WHERE h.request_id = r.id AND h.state = ANY ($15) AND (r.state <> $27 OR h.state <> $28)))
		   OR r.state = $11 AND ($16 AND EXISTS (SELECT FROM (SELECT coalesce(sum(h.quantity), 0) AS n FROM handover h WHERE h.request_id = r.id AND h.state <> $29) handed
		                         WHERE handed.n < r.card_count -- most are handed over whole, and their cards are not counted
		                           AND handed.n < (SELECT count(*) FROM card c WHERE c.request_id = r.id AND c.state = $17)))
		   OR $18 AND r.state = ANY ($19) AND r.pks_number <> ''
		      AND EXISTS (SELECT FROM pks p WHERE p.number = r.pks_number AND p.state = $20))`,
		Scope(a), pq.Array(states), pq.Array(facts), pq.Array(mine), pq.Array(onward),
		string(request.InProgress), does(perso.Machine, perso.InDoubt, perso.SpoilVerb), string(perso.InDoubt),
		a.Role == replacer, pq.Array([]string{string(perso.Failed), string(perso.Spoiled)}),
		string(request.Done), does(letter.Machine, letter.AwaitingSignature, letter.VerbIssue), string(letter.AwaitingSignature), letter.BAST,
		pq.Array(handing), does(handover.Machine, "", handover.VerbPrepare), string(perso.Clear),
		a.Role == request.Kasubdit, pq.Array([]string{string(request.Accepted), string(request.Scheduled), string(request.InProgress)}), institution.PKSWithdrawn,
		does(perso.Machine, perso.Numbered, perso.EnterVerb), capacity.ModeManual,
		pq.Array([]string{string(perso.Listed), string(perso.Bound), string(perso.Numbered), string(perso.Claimed)}),
		does(letter.Machine, letter.Drafted, letter.VerbTypeNumber), string(letter.Drafted),
		pq.Array(handingStates), string(request.Held), string(handover.BASTDrafted), string(handover.Cancelled))
	if err != nil {
		return nil, fmt.Errorf("report: what waits for %s: %w", a.Role, err)
	}
	return ids, nil
}
