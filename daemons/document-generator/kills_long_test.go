//go:build long

package main

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// killEvery is how often something is killed.
const killEvery = 10 * time.Second

// TestAHundredRequestsThroughKills: a hundred requests finish together, and every ten
// seconds either the generator or each LibreOffice is killed, until all papers are made.
func TestAHundredRequestsThroughKills(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	choice := rand.New(rand.NewPCG(seed, 0))
	k := underFire(t, 100)
	began, kills := time.Now(), 0
	kill := time.NewTicker(killEvery)
	defer kill.Stop()
	look := time.NewTicker(100 * time.Millisecond)
	defer look.Stop()
	for k.left() > 0 {
		require.Less(t, time.Since(began), 30*time.Minute, "%d papers are not made", k.left())
		select {
		case <-kill.C:
			kills++
			if choice.IntN(2) == 0 || k.killLibreOffice() == 0 {
				k.killGenerator(t)
			}
		case <-look.C:
		}
	}
	t.Logf("400 papers of 100 requests took %s with %d kills", time.Since(began).Round(time.Second), kills)
	k.nothingMissingNothingTwice(t)
}
