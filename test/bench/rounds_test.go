package main

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMedianIsOfTheMiddle(t *testing.T) {
	t.Parallel()
	require.InDelta(t, 3.0, result{values: []float64{9, 1, 3}}.median(), 0)
	require.InDelta(t, 2.5, result{values: []float64{4, 1, 3, 2}}.median(), 0)
}

func TestNoRatioToAReferenceThatSwings(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		reference []float64
		line      string
	}{
		"steady":      {[]float64{150, 200, 300}, "bench x value=100 unit=u reference=r:200 ratio=0.500\n"},
		"twofold":     {[]float64{100, 200}, "bench x value=100 unit=u reference=r:150 ratio=0.667\n"},
		"more":        {[]float64{100, 200, 201}, "bench x value=100 unit=u reference=r:200 ratio=unsteady\n"},
		"stood still": {[]float64{0, 0, 0}, "bench x value=100 unit=u reference=r:0.0 ratio=unsteady\n"},
	} {
		var out bytes.Buffer
		compare(&out, "x", "u", limit("x", 100), result{name: "r", values: c.reference})
		require.Equal(t, c.line, out.String(), name)
	}
}

func TestBenchesAreChosenByName(t *testing.T) {
	t.Parallel()
	all, err := choose("")
	require.NoError(t, err)
	require.Len(t, all, len(benches))
	some, err := choose(" start, hop")
	require.NoError(t, err)
	require.Equal(t, []string{"start", "hop"}, some)
	_, err = choose("hops")
	require.ErrorContains(t, err, `"hops"`)
}
