package request

import (
	"context"
	"fmt"
	"slices"

	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/postgres"
)

// factOrder is the order in which people are shown what is to be stated.
var factOrder = []string{FactValidated, FactLetterReceived, FactBlanksCounted, FactCompared, FactDisposed}

// FactRoles returns who may state a fact.
func FactRoles(name string) []machine.Role { return slices.Clone(factRoles[name]) }

// FactOffers returns the facts that role can state in a state, also those that
// were stated before: stating one again corrects it.
func FactOffers(state machine.State, role machine.Role) []string {
	var offers []string
	for _, name := range factOrder {
		if slices.Contains(factStates[name], state) && slices.Contains(factRoles[name], role) {
			offers = append(offers, name)
		}
	}
	return offers
}

// WantedFacts are those that a request needs to go on from a state.
func WantedFacts(state machine.State) []string {
	switch state {
	case Submitted, Resubmitted, Validated:
		return slices.Clone(registering)
	case Approved:
		return []string{FactDisposed}
	}
	return nil
}

// onward is the verb that moves a request on from a state.
var onward = map[machine.State]machine.Verb{
	Returned: Resubmit, Registered: Approve, Approved: Accept, Accepted: Schedule, Scheduled: Start, Held: Release,
}

// Onward returns the step that a request waits for in a state, once no fact is
// missing there; false where it waits for no single step.
func Onward(state machine.State) (machine.Step, bool) {
	verb, ok := onward[state]
	if !ok {
		return machine.Step{}, false
	}
	step, err := Machine.Find(state, verb)
	return step, err == nil
}

// MissingFacts returns the facts that a request waits for in its state, given
// those that it has.
func MissingFacts(state machine.State, have []Fact) []string {
	var missing []string
	for _, name := range WantedFacts(state) {
		if !slices.ContainsFunc(have, func(f Fact) bool { return f.Fact == name }) {
			missing = append(missing, name)
		}
	}
	return missing
}

// Count returns how many requests List would find in each state without its
// limit and wherever it begins; the filter's own states do not narrow it.
func Count(ctx context.Context, rd postgres.Reader, f Filter) (map[machine.State]int, error) {
	var rows []struct {
		State machine.State `db:"state"`
		N     int           `db:"n"`
	}
	f.States = nil
	if err := rd.Select(ctx, &rows, `SELECT r.state, count(*) AS n FROM request r `+whereFilter+` GROUP BY r.state`,
		f.args()...); err != nil {
		return nil, fmt.Errorf("request: counting: %w", err)
	}
	counts := map[machine.State]int{}
	for _, row := range rows {
		counts[row.State] = row.N
	}
	return counts, nil
}
