package outbox

import (
	"context"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/rabbit"
)

func TestMarkingWaitsAMomentForMore(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		settled, inHand int
		over, enough    bool
	}{
		"one":                          {1, 1, false, false},
		"as many as are marked":        {markRows, handRows, false, true},
		"one fewer":                    {markRows - 1, handRows, false, false},
		"the last of a process":        {3, 3, true, true},
		"nearly the last of a process": {2, 3, true, false},
	} {
		r := &Relay{clock: clock.Real(), over: c.over, inHand: c.inHand, settled: make([]verdict, c.settled), due: make(chan struct{}, 1)}
		require.Equal(t, c.enough, r.enough(), name)
		began := time.Now()
		r.gather(context.Background()) // ends by itself, though no further verdict comes
		if !c.enough {
			require.GreaterOrEqual(t, time.Since(began), markLinger, name)
		}
	}
}

// A row that waited for its turn is not sent when another relay may have it by
// then.
func TestStaleRowsAreGivenBack(t *testing.T) {
	t.Parallel()
	r := NewRelay(nil, deaf{}, zerolog.Nop())
	now := r.clock.Now()
	r.publishAll(context.Background(), []parcel{{at: now.Add(-fresh - time.Second)}, {at: now}})
	require.Len(t, r.settled, 1)
	require.Equal(t, rabbit.Unknown, r.settled[0].outcome)
}

// deaf is a broker that takes everything and answers nothing.
type deaf struct{}

func (deaf) WaitPublish(context.Context) error { return nil }

func (deaf) Publish(context.Context, rabbit.Event, func(rabbit.Outcome)) error { return nil }
