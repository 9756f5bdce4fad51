package identity

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTheQueueOfPasswordsHasAnEnd(t *testing.T) {
	t.Parallel()
	q := newQueue(1, 2)
	require.NoError(t, q.enter(t.Context()))
	gone, leave := context.WithCancel(t.Context())
	left := make(chan error, 2)
	for range 2 {
		go func() { left <- q.enter(gone) }()
	}
	for len(q.waiting) < 3 { // both are in the queue
		require.Empty(t, left)
	}
	require.ErrorIs(t, q.enter(t.Context()), ErrBusy)
	leave() // who goes away gives their place up
	require.ErrorIs(t, <-left, context.Canceled)
	require.ErrorIs(t, <-left, context.Canceled)
	require.Len(t, q.waiting, 1)
	q.leave()
	require.NoError(t, q.enter(t.Context()))
	q.leave()
	require.Empty(t, q.waiting)
}
