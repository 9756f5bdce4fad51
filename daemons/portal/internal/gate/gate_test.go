package gate

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/clock"
)

const perPlace = 60

func TestManyAtOnceDoNotSlipThrough(t *testing.T) {
	t.Parallel()
	l := New(clock.NewFake(time.Unix(0, 0)), perPlace)
	var passed atomic.Int64
	var all sync.WaitGroup
	for range 2 * perPlace {
		all.Go(func() {
			if l.Allow("192.0.2.1") {
				passed.Add(1)
			}
		})
	}
	all.Wait()
	require.EqualValues(t, perPlace, passed.Load())
}

func TestOneNetworkIsOnePlace(t *testing.T) {
	t.Parallel()
	c := clock.NewFake(time.Unix(0, 0))
	l := New(c, perPlace)
	for i := range perPlace {
		require.True(t, l.Allow(fmt.Sprintf("2001:db8::%x", i+1)))
	}
	require.False(t, l.Allow("2001:db8::ffff:1"), "the same /64")
	require.True(t, l.Allow("2001:db8:0:1::1"))
	require.True(t, l.Allow("192.0.2.1"))
	c.Advance(Window)
	require.True(t, l.Allow("2001:db8::1"))
}

func TestStrangersCannotFillTheMemory(t *testing.T) {
	t.Parallel()
	l := New(clock.NewFake(time.Unix(0, 0)), perPlace)
	for i := range 3 * maxEntries {
		l.Allow(fmt.Sprintf("2001:db8:%x:%x::1", i>>16, i&0xffff))
		require.LessOrEqual(t, len(l.places), maxEntries+1)
	}
}
