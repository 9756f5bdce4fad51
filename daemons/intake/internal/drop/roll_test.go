package drop

import (
	"bytes"
	"io"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

// The files of a drop are what they were, whether they stay in memory or move to
// the disk between two of them or within one.
func TestRollKeepsFilesInMemoryAndOnDisk(t *testing.T) {
	t.Parallel()
	spool, err := OpenSpool(t.TempDir())
	require.NoError(t, err)
	for name, sizes := range map[string][]int{
		"memory":       {10, 0, 3000},
		"just full":    {rollMemory - 1, 1},
		"within one":   {100, rollMemory, 5},
		"between two":  {rollMemory, 1, 70_000},
		"at the first": {rollMemory + 1, 7},
	} {
		d := &Drop{roll: roll{spool: spool}}
		var want [][]byte
		for i, size := range sizes {
			content := bytes.Repeat([]byte{byte('a' + i)}, size)
			f, err := d.roll.take(bytes.NewReader(content), "letter", int64(size))
			require.NoError(t, err, name)
			want, d.Files = append(want, content), append(d.Files, f)
			_, err = d.roll.take(bytes.NewReader(make([]byte, 2*rollMemory)), "letter", 10)
			var large *tooLargeError
			require.ErrorAs(t, err, &large, name)
		}
		for i, f := range d.Files {
			got, err := io.ReadAll(f.Content())
			require.NoError(t, err, name)
			require.True(t, bytes.Equal(want[i], got), "%s: file %d", name, i)
		}
		d.Close()
		d.Close()
		left, err := os.ReadDir(spool.Dir())
		require.NoError(t, err)
		require.Empty(t, left, "a spool file has no name")
	}
}
