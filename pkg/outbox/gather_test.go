package outbox

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/clock"
)

func TestMarkingWaitsOnlyWhileMoreIsDue(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		settled, inHand int
		enough          bool
	}{
		"nothing in hand":         {0, 0, true},
		"the only one":            {1, 1, true},
		"one of two":              {1, 2, false},
		"all of a batch":          {100, 100, true},
		"nearly all of a batch":   {99, 100, false},
		"as many as are marked":   {markRows, 2 * leaseRows, true},
		"one fewer, and more due": {markRows - 1, 2 * leaseRows, false},
	} {
		r := &Relay{clock: clock.Real(), inHand: c.inHand, settled: make([]verdict, c.settled), wake: make(chan struct{}, 1)}
		require.Equal(t, c.enough, r.enough(), name)
		began := time.Now()
		r.gather(context.Background()) // ends by itself, though no further verdict comes
		if !c.enough {
			require.GreaterOrEqual(t, time.Since(began), markLinger, name)
		}
	}
}
