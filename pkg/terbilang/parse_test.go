package terbilang_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/terbilang"
)

func TestParseInt(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int{"1000": 1000, "1.000": 1000, " 100.000 ": 100_000, "0": 0, "12": 12, "1.234.567": 1_234_567, "-5": -5} {
		n, ok := terbilang.ParseInt(text)
		require.True(t, ok, text)
		require.Equal(t, want, n, text)
	}
	for _, text := range []string{"", "1.5", "1.00", "1,000", "0.100", "1.0000", "1000.000", ".5", "seribu", "99999999999999999999"} {
		_, ok := terbilang.ParseInt(text)
		require.False(t, ok, text)
	}
}
