package journal

import (
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestAClosedJournalIsFreeWhileAChildIsBeingStarted: between fork and exec a child
// has every open file, and with it the lock.
func TestAClosedJournalIsFreeWhileAChildIsBeingStarted(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "journal")
	j, err := Open(path)
	require.NoError(t, err)
	child, err := syscall.Dup(int(j.file.Fd()))
	require.NoError(t, err)
	defer func() { _ = syscall.Close(child) }()
	_, err = Open(path)
	require.ErrorIs(t, err, ErrLocked)
	require.NoError(t, j.Close())
	j, err = Open(path)
	require.NoError(t, err)
	require.NoError(t, j.Close())
}
