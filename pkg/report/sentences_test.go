package report

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/request"
)

// TestEveryStepHasItsSentence walks the machines: what can be taken can be told.
func TestEveryStepHasItsSentence(t *testing.T) {
	t.Parallel()
	told := []machine.Verb{perso.EnlistVerb, perso.FailVerb, perso.DoubtVerb, perso.CompleteVerb, perso.ResumeVerb, perso.SpoilVerb, perso.ReduceVerb}
	used := map[string]bool{}
	for _, table := range Machines {
		for _, step := range table.Steps {
			key := table.Name + "." + string(step.Verb)
			if table == perso.Machine && !slices.Contains(told, step.Verb) {
				require.NotContains(t, sentences, key, "the timeline does not show it")
				continue
			}
			require.Contains(t, sentences, key)
			used[key] = true
			e, ok := taken{Taken: machine.Taken{Machine: table.Name, Verb: step.Verb}}.event(false)
			require.True(t, ok)
			require.NotEmpty(t, e.Label, key)
		}
	}
	for key := range sentences {
		require.True(t, used[key], "%s is no step of any machine", key)
	}
}

// TestSomebodyIsWaitedForInEachOpenState: a request that is not over never
// stands still without a name.
func TestSomebodyIsWaitedForInEachOpenState(t *testing.T) {
	t.Parallel()
	for _, state := range request.Machine.States() {
		v := &Request{State: state, Cards: perso.Tally{Total: 2, Open: 1, Clear: 1}}
		waiting := waits(v, request.Produsen, nil, nil, &arrivals{})
		over := state == request.Rejected || state == request.Cancelled
		require.Equal(t, over, len(waiting) == 0, "%s", state)
		for _, w := range waiting {
			require.NotEmpty(t, w.Label, "%s: role %q has no name", state, w.Role)
			require.NotEmpty(t, w.Task)
			require.NotEqual(t, request.Dinas, w.Role, "another applicant is not waited for")
		}
	}
}
