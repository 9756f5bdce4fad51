package chaos_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/test/crash/chaos"
)

// TestPlanIsTheSeeds: a seed gives one schedule, a longer run begins like a
// shorter one, and ten minutes have everything in them.
func TestPlanIsTheSeeds(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for seed := range uint64(5) {
		long := chaos.Plan(seed, 10*time.Minute)
		require.Equal(t, long, chaos.Plan(seed, 10*time.Minute))
		short := chaos.Plan(seed, 2*time.Minute)
		require.Equal(t, short, long[:len(short)])
		require.Greater(t, len(short), 30)
		hash := chaos.Hash(long)
		require.False(t, seen[hash])
		seen[hash] = true
		kinds := map[chaos.Kind]int{}
		last := time.Duration(0)
		for _, b := range long {
			kinds[b.Kind]++
			if b.Kind == chaos.Restart || b.Kind == chaos.Empty {
				require.GreaterOrEqual(t, b.At-last, 25*time.Second, "one service at a time")
				last = b.At
			}
		}
		for _, kind := range []chaos.Kind{chaos.Kill, chaos.Stop, chaos.Hasten, chaos.Freeze, chaos.Drop, chaos.Cut, chaos.Blackhole, chaos.Swallow, chaos.Delay,
			chaos.Fill, chaos.Restart, chaos.Days} {
			require.Positive(t, kinds[kind], "seed %d: %s", seed, kind)
		}
	}
}
