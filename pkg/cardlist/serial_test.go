package cardlist_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/cardlist"
)

// A serial that was normalised is stored and compared; another pass must not
// change it, and PostgreSQL must take it.
func FuzzNormalise(f *testing.F) {
	for _, s := range []string{" sam-001 ", "e\u200d\u0301", "\u0149", "\u1e9e\u00df", "\xff\x00", "\u00a0 \u00a0"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		once := cardlist.Normalise(s)
		require.Equal(t, once, cardlist.Normalise(once))
		require.True(t, utf8.ValidString(once))
		require.False(t, strings.ContainsRune(once, 0))
	})
}
