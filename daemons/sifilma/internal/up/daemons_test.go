package up

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestTokensAreNotShared: a process that starts again has its copy of the token made anew,
// and takes it from nobody.
func TestTokensAreNotShared(t *testing.T) {
	t.Parallel()
	of := &office{}
	of.Copies = 2
	seen := map[string]string{}
	for _, in := range of.instances() {
		require.Empty(t, seen[of.home(in)], in.name)
		seen[of.home(in)] = in.name
	}
	require.Equal(t, "perso-station", seen["station"])
	require.Equal(t, "perso-station-2", seen["station-2"])
}
