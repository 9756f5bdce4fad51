package rabbit

import (
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/clock"
)

// jumping is a clock on which each wait is over at once; while it lasts, what
// meanwhile says happens.
type jumping struct {
	now       time.Time
	waited    []time.Duration
	meanwhile func()
}

func (j *jumping) Now() time.Time { return j.now }

func (j *jumping) NewTimer(d time.Duration) clock.Timer {
	j.now, j.waited = j.now.Add(d), append(j.waited, d)
	j.meanwhile()
	c := make(chan time.Time, 1)
	c <- j.now
	return rung{c}
}

type rung struct{ c chan time.Time }

func (r rung) C() <-chan time.Time { return r.c }
func (r rung) Stop() bool          { return false }
func (r rung) Reset(time.Duration) {}

// Batches of several begin a pace apart, with what came in meanwhile; a lone
// message and a full batch wait for nothing.
func TestBatchesKeepTheirPace(t *testing.T) {
	t.Parallel()
	buffer := make(chan amqp.Delivery, 200)
	come := func(n int) {
		for range n {
			buffer <- amqp.Delivery{}
		}
	}
	during := 0
	j := &jumping{now: time.Now(), meanwhile: func() { come(during) }}
	w := &worker{consumer: &consumer{b: &Broker{clock: j}, batch: 100}, ctx: t.Context(), buffer: buffer}
	next := func(waiting, inTheWait int) (size int) {
		come(waiting - 1)
		during = inTheWait
		return len(w.fill(amqp.Delivery{}))
	}
	require.Equal(t, 1, next(1, 9), "a lone message")
	require.Equal(t, 1, next(1, 9), "another, right behind it")
	require.Equal(t, 3, next(3, 9), "several, after a lone one")
	require.Empty(t, j.waited)

	j.now = j.now.Add(pace / 4)
	require.Equal(t, 9, next(2, 7), "several, a moment after several")
	require.Equal(t, []time.Duration{pace - pace/4}, j.waited)
	require.Equal(t, 100, next(150, 9), "a full batch")
	require.Equal(t, 51, next(1, 0), "what was left of them")
	require.Equal(t, []time.Duration{pace - pace/4, pace}, j.waited)
	require.Equal(t, 5, next(1, 4), "a lone one, right behind several")
	require.Len(t, j.waited, 3)
	j.now = j.now.Add(pace)
	require.Equal(t, 2, next(2, 9), "after work that took long")
	require.Len(t, j.waited, 3)
}
