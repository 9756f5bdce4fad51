package journal

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// An entry counts when the disk has it: each is synced, whole, before Append says
// that it was kept. When the disk does not say so, nothing is kept any more.
func TestEachEntryIsSynced(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "station.journal")
	j, err := Open(path)
	require.NoError(t, err)
	var synced []int64 // the sizes of the file
	var refused error
	real := j.sync
	j.sync = func() error {
		info, err := os.Stat(path)
		require.NoError(t, err)
		synced = append(synced, info.Size())
		return errors.Join(real(), refused)
	}
	for n := 1; n <= 3; n++ {
		require.NoError(t, j.Append(Entry{Kind: "writing", Card: "chip-01", Attempt: "a-1"}))
		require.Len(t, synced, n)
		require.Equal(t, j.size, synced[n-1], "what was synced is the whole line")
	}
	refused = errors.New("the disk does not answer")
	require.ErrorIs(t, j.Append(Entry{Kind: "writing", Card: "chip-02", Attempt: "a-2"}), refused)
	require.Error(t, j.Append(Entry{Kind: "writing", Card: "chip-03", Attempt: "a-3"}))
	require.Len(t, synced, 4, "it is not asked again")
	require.NoError(t, j.Close())
}
