package filetype_test

import (
	"bytes"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/filetype"
	"dukcapil.go.id/sifilma/test/spoiled"
)

// One picture of the largest kind is taken, and two; a drop full of them is not
// looked at to its end.
func TestTheFilesOfADropShareTheirWork(t *testing.T) {
	t.Parallel()
	dear := spoiled.DearPNG(t)
	require.Less(t, len(dear), 200_000)
	work := filetype.NewWork()
	check := func(b []byte) (filetype.Kind, error) { return work.Check(bytes.NewReader(b), int64(len(b)), all...) }
	for range 2 {
		kind, err := check(dear)
		require.NoError(t, err)
		require.Equal(t, filetype.PNG, kind)
	}
	for _, b := range [][]byte{dear, spoiled.PDF(), dear} {
		_, err := check(b)
		var refused *filetype.Error
		require.ErrorAs(t, err, &refused)
		require.Equal(t, filetype.TooMuch, refused.Code)
		require.Contains(t, refused.Sentence("surat"), "bersama-sama terlalu besar setelah dibuka")
	}
	work = filetype.NewWork()
	kind, err := check(spoiled.PDF())
	require.NoError(t, err)
	require.Equal(t, filetype.PDF, kind)
}

// Each kind of bomb ends with the work of a drop, however many there are, and the
// papers of a drop that people send are far from it.
func TestBombsEndWithTheWorkOfADrop(t *testing.T) {
	t.Parallel()
	for _, p := range spoiled.Papers(t) {
		work := filetype.NewWork()
		for i := range 3 {
			kind, err := work.Check(bytes.NewReader(p.Body), int64(len(p.Body)), all...)
			if p.Code == "" {
				require.NoError(t, err, "%s, number %d", p.Name, i)
				require.Equal(t, p.Kind, string(kind))
				continue
			}
			var refused *filetype.Error
			require.ErrorAs(t, err, &refused, p.Name)
			require.Contains(t, []string{p.Code, string(filetype.TooMuch)}, string(refused.Code), p.Name)
		}
	}
	for _, p := range spoiled.Scans(t) {
		work := filetype.NewWork()
		for range 8 { // a letter, six orders, an agreement
			_, err := work.Check(bytes.NewReader(p.Body), int64(len(p.Body)), all...)
			require.NoError(t, err, p.Name)
		}
	}
}

// The 160 MB of a picture pass through a window.
func TestAPictureIsNotHeld(t *testing.T) { //nolint:paralleltest // it counts what the process allocates
	dear := spoiled.DearPNG(t)
	_, err := check(dear) // the pools grow to their sizes
	require.NoError(t, err)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err = check(dear)
	runtime.ReadMemStats(&after)
	require.NoError(t, err)
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(1<<20))
}
