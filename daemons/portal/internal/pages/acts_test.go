package pages

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/request"
)

// Whatever the tables let a person do there is a form for, and no form is for
// something else. What is submitted goes through the intake, with its files.
func TestEveryStepOfPeopleHasItsForm(t *testing.T) {
	t.Parallel()
	people := []machine.Role{request.Produsen, request.Dinas, request.Persuratan, request.Dirjen, request.Direktur, request.Kasubdit, request.Operator}
	var offered []string
	for _, state := range request.Machine.States() {
		for _, role := range people {
			for _, verb := range request.Machine.Offers(state, role) {
				if verb != request.Submit && verb != request.Resubmit {
					offered = append(offered, string(verb))
				}
			}
			offered = append(offered, request.FactOffers(state, role)...)
		}
	}
	slices.Sort(offered)
	var have, paths []string
	for _, a := range acts {
		have, paths = append(have, a.offer()), append(paths, a.path)
	}
	slices.Sort(have)
	require.Equal(t, slices.Compact(offered), have)
	slices.Sort(paths)
	require.Len(t, slices.Compact(paths), len(acts), "each has an address of its own")
}

func TestCountsAreReadAsPeopleWriteThem(t *testing.T) {
	t.Parallel()
	for _, good := range []string{"0", "250", "1000", "1.000", "12.500"} {
		require.True(t, wholeNumber.MatchString(good), good)
	}
	for _, bad := range []string{"", "-1", "2.5", "1.00", "1,000", "1.0000", ".100", "dua"} {
		require.False(t, wholeNumber.MatchString(bad), bad)
	}
}
