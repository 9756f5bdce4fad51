//go:build long

package e2e

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// kills is how many demos are disturbed, each by the death of one daemon.
const kills = 20

// TestKillAtSeededMoments kills a random daemon after a random number of lines
// of progress, twenty times over, each in a demo of its own on the same data.
// SIFILMA_SEED repeats a run.
func TestKillAtSeededMoments(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv("SIFILMA_SEED"); s != "" {
		var err error
		seed, err = strconv.ParseUint(s, 10, 64)
		require.NoError(t, err)
	}
	t.Logf("SIFILMA_SEED=%d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	names := []string{"intake", "validator", "portal", "scheduler", "perso-station", "document-generator"}
	dir := runDir(t)
	secured := 0
	for i := range kills {
		daemon, line := names[i%len(names)], 1+random.IntN(45)
		t.Run(fmt.Sprintf("%s after line %d", daemon, line), func(t *testing.T) {
			o := start(t, dir, "-once")
			o.until(`masuk|Melanjutkan`)
			for range line {
				if _, ok := o.next(); !ok {
					break
				}
			}
			o.kill(daemon)
			require.NoError(t, o.wait())
			m := lastLine.FindStringSubmatch(o.text.String())
			require.NotNil(t, m, o.text.String())
			require.Equal(t, "25", m[2])
			secured += 25
			judge(t, dir, secured)
			require.Empty(t, leftovers(t, dir), "processes left behind")
		})
	}
}
