package activation

import (
	"context"
	"fmt"
	"slices"

	"github.com/lib/pq"

	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/outbox"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
)

// Chosen returns the lines of a letter with these numbers, or without any all that verb
// can be done to. Errors: ErrNotFound, ErrNoLines, *machine.RoleError,
// *machine.IllegalError.
func Chosen(ctx context.Context, rd postgres.Reader, l Letter, numbers []int, verb machine.Verb, role machine.Role) ([]Activation, error) {
	if err := Machine.MayEver(verb, role); err != nil {
		return nil, err
	}
	all, err := Lines(ctx, rd, l.ID)
	if err != nil {
		return nil, err
	}
	var chosen []Activation
	var illegal error
	for _, a := range all {
		if len(numbers) > 0 && !slices.Contains(numbers, a.Number) {
			continue
		}
		err := Machine.May(a.State, verb, role)
		if err != nil && len(numbers) > 0 {
			return nil, err
		}
		if err != nil {
			illegal = err
			continue
		}
		chosen = append(chosen, a)
	}
	switch {
	case len(numbers) > 0 && len(chosen) < len(unique(numbers)):
		return nil, ErrNotFound
	case len(chosen) == 0 && illegal != nil:
		return nil, illegal
	case len(chosen) == 0:
		return nil, ErrNoLines
	}
	return chosen, nil
}

func unique(numbers []int) []int { return slices.Compact(slices.Sorted(slices.Values(numbers))) }

// take moves lines by one verb: a compare-and-set on state and version of each, a row in
// the timeline for each, and one bell for each letter. set adds columns; its arguments
// count from $5. The letters are locked by the caller, in the order of their ids. Errors:
// *machine.RoleError, *machine.IllegalError, ErrReasonMissing, postgres.ErrStale.
func take(ctx context.Context, tx *postgres.Tx, of []Activation, verb machine.Verb, c request.Change, set string, args ...any) error {
	return takeEach(ctx, tx, of, verb, c, nil, set, args...)
}

// takeEach is take with a reason for each line, or with c's for all.
func takeEach(ctx context.Context, tx *postgres.Tx, of []Activation, verb machine.Verb, c request.Change, reasons []string, set string, args ...any) error {
	if reasons == nil && WantsReason(verb) && c.Reason == "" {
		return ErrReasonMissing
	}
	steps := make([]machine.Step, len(of))
	ids, states, nexts := make([]string, len(of)), make([]string, len(of)), make([]string, len(of))
	versions := make([]int64, len(of))
	for i, a := range of {
		if err := Machine.May(a.State, verb, c.Actor.Role); err != nil {
			return err
		}
		step, err := Machine.Find(a.State, verb)
		if verb == VerbResume && a.SuspendedFrom != nil {
			step, err = Machine.FindTo(a.State, verb, *a.SuspendedFrom)
		}
		if err != nil {
			return err
		}
		steps[i], ids[i], states[i], nexts[i], versions[i] = step, a.ID, string(a.State), string(step.To), a.Version
	}
	if set != "" {
		set = ", " + set
	}
	n, err := tx.Exec(ctx, `
		UPDATE activation a SET state = s.next, version = a.version + 1, suspended_from = CASE s.next WHEN 'suspended' THEN a.state END`+set+`
		FROM unnest($1::uuid[], $2::text[], $3::bigint[], $4::text[]) AS s (id, state, version, next)
		WHERE a.id = s.id AND a.state = s.state AND a.version = s.version`,
		append([]any{pq.Array(ids), pq.Array(states), pq.Array(versions), pq.Array(nexts)}, args...)...)
	if err != nil {
		return known(err, string(verb))
	}
	if int(n) != len(of) {
		return fmt.Errorf("activation: %s: %w", verb, postgres.ErrStale)
	}
	return announce(ctx, tx, of, steps, c, reasons)
}

// announce writes the timeline of lines that took a step, raises the versions of their
// letters and rings once for each letter. reasons are those of takeEach.
func announce(ctx context.Context, tx *postgres.Tx, of []Activation, steps []machine.Step, c request.Change, reasons []string) error {
	var records []machine.Record
	var letters []string
	for i, a := range of {
		reason := c.Reason
		if reasons != nil {
			reason = reasons[i]
		}
		records = append(records, machine.Record{
			Subject: a.ID, Ticket: a.Ticket, Version: a.Version + 1, Step: steps[i], Actor: c.Actor, Reason: reason, Detail: c.Detail,
			OfficeAt: c.OfficeAt, TraceParent: a.TraceParent,
		})
		letters = append(letters, a.LetterID)
	}
	if err := Machine.Write(ctx, tx, records...); err != nil {
		return err
	}
	slices.Sort(letters)
	letters = slices.Compact(letters)
	var raised []struct {
		ID          string `db:"id"`
		Version     int64  `db:"version"`
		TraceParent string `db:"traceparent"`
	}
	if err := tx.Select(ctx, &raised, `UPDATE activation_letter SET version = version + 1 WHERE id = ANY ($1::uuid[]) RETURNING id, version, traceparent`,
		pq.Array(letters)); err != nil {
		return fmt.Errorf("activation: letters: %w", err)
	}
	rings := map[string][]string{}
	for i, a := range of {
		if kind := steps[i].Message; kind != "" && !slices.Contains(rings[a.LetterID], kind) {
			rings[a.LetterID] = append(rings[a.LetterID], kind)
		}
	}
	var messages []outbox.Message
	for _, l := range raised {
		for _, kind := range rings[l.ID] {
			messages = append(messages, outbox.Message{Type: kind, Subject: l.ID, Version: l.Version, TraceParent: l.TraceParent})
		}
	}
	return outbox.Put(ctx, tx, messages...)
}

// lockLetters takes the letters' rows in the order of their ids, so that two who do so
// never wait in a circle.
func lockLetters(ctx context.Context, tx *postgres.Tx, ids []string) error {
	if err := tx.Select(ctx, &[]string{}, `SELECT id FROM activation_letter WHERE id = ANY ($1::uuid[]) ORDER BY id FOR UPDATE`, pq.Array(ids)); err != nil {
		return fmt.Errorf("activation: locking: %w", err)
	}
	return nil
}
