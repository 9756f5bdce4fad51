package main

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPercentileIsAValueThatWasSeen(t *testing.T) {
	t.Parallel()
	require.Zero(t, percentile(nil, 0.99))
	require.InDelta(t, 7.0, percentile([]float64{7}, 0.50), 0)
	hundred := make([]float64, 100)
	for i := range hundred {
		hundred[i] = float64(100 - i)
	}
	require.InDelta(t, 50.0, percentile(hundred, 0.50), 0)
	require.InDelta(t, 99.0, percentile(hundred, 0.99), 0)
	require.InDelta(t, 100.0, percentile(hundred, 1), 0)
	require.InDelta(t, 100.0, hundred[0], 0, "the values keep their order")
}

func TestAnEngineThatFellBehindIsNotAskedAgain(t *testing.T) {
	t.Parallel()
	asked := map[string][]int{}
	able := func(name string, most int) engine {
		return engine{name, func(_ context.Context, rate int) (loopResult, error) {
			asked[name] = append(asked[name], rate)
			return loopResult{Seconds: loopSpan.Seconds(), Done: min(arrivals(rate), arrivals(most)), Latencies: []float64{1}}, nil
		}}
	}
	require.NoError(t, openLoops(t.Context(), 2, able("subject", 1000), able("slow", 100), able("none", 0)))
	require.Equal(t, map[string][]int{
		"subject": {20, 20, 100, 100, 300, 300, 1000, 1000},
		"slow":    {20, 20, 100, 100, 300},
		"none":    {20},
	}, asked)
	broken := errors.New("broken")
	require.ErrorIs(t, openLoops(t.Context(), 1, engine{"subject", func(context.Context, int) (loopResult, error) {
		return loopResult{}, broken
	}}), broken)
}
