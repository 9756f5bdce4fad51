package signin

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/identity"
)

func TestManyAtOnceDoNotSlipThrough(t *testing.T) {
	t.Parallel()
	l := newLimiter(clock.NewFake(time.Unix(0, 0)))
	var passed atomic.Int64
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			if l.allow("192.0.2.1", "Operator") {
				passed.Add(1)
			}
		})
	}
	all.Wait()
	require.EqualValues(t, identity.MaxFailures, passed.Load())
}

func TestOneAddressWithManyNames(t *testing.T) {
	t.Parallel()
	c := clock.NewFake(time.Unix(0, 0))
	l := newLimiter(c)
	for i := range perPlace {
		require.True(t, l.allow("192.0.2.1", fmt.Sprint(i)))
	}
	require.False(t, l.allow("192.0.2.1", "another"))
	require.True(t, l.allow("192.0.2.2", "another"))
	c.Advance(placeFor)
	require.True(t, l.allow("192.0.2.1", "another"))
}

func TestStrangersCannotFillTheMemory(t *testing.T) {
	t.Parallel()
	l := newLimiter(clock.NewFake(time.Unix(0, 0)))
	for i := range 3 * maxEntries {
		l.allow(fmt.Sprint("2001:db8::", i), "x")
		require.LessOrEqual(t, len(l.places)+len(l.pairs), maxEntries+2)
	}
}
