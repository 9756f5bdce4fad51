package report

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/lib/pq"

	"dukcapil.go.id/sifilma/pkg/activation"
	"dukcapil.go.id/sifilma/pkg/identity"
	"dukcapil.go.id/sifilma/pkg/letter"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/postgres"
)

// ActivationsWaitingFor returns the ids of the letters of readers that wait for whoever
// asks: those whose ActivationWaits name the asker's role.
func ActivationsWaitingFor(ctx context.Context, db *postgres.DB, a identity.Account) ([]string, error) {
	mine := []string{}
	err := db.View(ctx, func(ctx context.Context, rd postgres.Reader) error {
		mine = []string{}
		ids, err := perhapsWaiting(ctx, rd, a)
		if err != nil || len(ids) == 0 {
			return err
		}
		all, err := activationWaits(ctx, rd, ids)
		if err != nil {
			return err
		}
		if err := waitsOutside(ctx, rd, ids, all); err != nil {
			return err
		}
		for _, id := range ids {
			if all[id].names(a.Role) {
				mine = append(mine, id)
			}
		}
		return nil
	})
	return mine, err
}

func (l waitList) names(role machine.Role) bool {
	return slices.ContainsFunc(l, func(w Wait) bool { return w.Role == role })
}

// perhapsWaiting are the letters that have a reader, or a reply, in a state in which the
// asker's role may have to act: few of all that the office ever had.
func perhapsWaiting(ctx context.Context, rd postgres.Reader, a identity.Account) ([]string, error) {
	does := func(t *machine.Table, from machine.State, verb machine.Verb) bool {
		return t.May(from, verb, a.Role) == nil
	}
	var wanted []machine.State
	for _, state := range workedOn {
		var l waitList
		for _, disposed := range []bool{false, true} {
			for _, release := range []string{"", "released", "bundled"} {
				l.readers(state, disposed, release, "", time.Time{})
			}
		}
		if l.names(a.Role) {
			wanted = append(wanted, state)
		}
	}
	for _, s := range notInOffice {
		if does(activation.Machine, s.state, s.verb) {
			wanted = append(wanted, s.state)
		}
	}
	var replies []machine.State
	if does(letter.Machine, letter.Drafted, letter.VerbTypeNumber) {
		replies = append(replies, letter.Drafted)
	}
	if does(letter.Machine, letter.AwaitingSignature, letter.VerbIssue) {
		replies = append(replies, letter.AwaitingSignature)
	}
	var ids []string
	if len(wanted) == 0 && len(replies) == 0 {
		return ids, nil
	}
	if err := rd.Select(ctx, &ids, `
		SELECT l.id FROM activation_letter l
		WHERE l.state = $2 AND ($1 = '' OR $1 IN (l.lembaga_id::text, l.produsen_id::text)) AND l.id IN (
		      SELECT letter_id FROM activation WHERE state = ANY ($3) AND state NOT IN ('rejected', 'cancelled')
		      UNION SELECT r.letter_id FROM document d JOIN activation_reply r ON r.id = d.subject_id WHERE d.kind = $4 AND d.state = ANY ($5))
		ORDER BY l.id`, Scope(a), string(activation.LetterSubmitted), pq.Array(states(wanted)), letter.ActivationReply, pq.Array(states(replies))); err != nil {
		return nil, fmt.Errorf("report: what of readers waits for %s: %w", a.Role, err)
	}
	return ids, nil
}
