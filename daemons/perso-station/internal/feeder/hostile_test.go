package feeder_test

import (
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/daemons/perso-station/internal/feeder"
)

// A feeder's program is somebody else's: it is not told how the station reaches the
// database, and one that never stops talking does not fill the station's memory.
func TestAFeederIsAStranger(t *testing.T) {
	t.Setenv("SIFILMA_POSTGRES_URL", "postgres://stasiun:rahasia@/")
	t.Setenv("PINTU", "7")
	spy := []string{"/bin/sh", "-c", `test "$PINTU" = 7 && ! env | grep -q ^SIFILMA_`}
	f := feeder.For([]feeder.Config{{Reader: "R", Next: spy, Good: []string{"/usr/bin/yes", "macet"}, Timeout: 500 * time.Millisecond}}, "R")
	require.NoError(t, f.Next(t.Context()))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	require.ErrorContains(t, f.Bin(t.Context(), "good"), "macet")
	runtime.ReadMemStats(&after)
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(8<<20))
}
