package commit

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/identity"
)

func (q *queue) fill(institution string, sizes ...int64) (all []*waiter) {
	for i, size := range sizes {
		w := &waiter{Entry: Entry{Client: identity.Client{InstitutionID: institution}, Key: fmt.Sprint(institution, i)}, size: size}
		if q.put(w) {
			all = append(all, w)
		}
	}
	return all
}

func keys(all []*waiter) (names []string) {
	for _, w := range all {
		names = append(names, w.Key)
	}
	return names
}

func TestClientsTakeTurns(t *testing.T) {
	t.Parallel()
	q := newQueue()
	q.fill("a", 1, 1, 1, 1, 1, 1)
	q.fill("b", 1)
	q.fill("c", 1, 1)
	require.Equal(t, []string{"a0", "a1", "b0", "c0"}, keys(q.take(4, 100)), "each has its turn; written in the order of arrival")
	require.Equal(t, []string{"a2", "c1"}, keys(q.take(2, 100)))
	require.Equal(t, []string{"a3", "a4", "a5"}, keys(q.take(100, 100)))
	require.Empty(t, q.take(100, 100))
	require.Zero(t, q.len())
}

func TestBytesOfABatchAreBounded(t *testing.T) {
	t.Parallel()
	q := newQueue()
	q.fill("a", 60, 10, 10)
	q.fill("b", 50)
	require.Equal(t, []string{"a0"}, keys(q.take(100, 100)), "b does not fit beside it")
	require.Equal(t, []string{"a1", "a2", "b0"}, keys(q.take(100, 100)))
	q.fill("c", 500)
	require.Equal(t, []string{"c0"}, keys(q.take(100, 100)), "alone, but taken")
}

func TestWithdrawn(t *testing.T) {
	t.Parallel()
	q := newQueue()
	a := q.fill("a", 1, 1)
	b := q.fill("b", 1)
	require.True(t, q.withdraw(a[0]))
	require.False(t, q.withdraw(a[0]))
	require.True(t, q.withdraw(b[0]))
	require.Equal(t, []string{"a1"}, keys(q.take(100, 100)))
	require.False(t, q.withdraw(a[1]), "it is being written")
	q.close()
	require.Empty(t, q.fill("a", 1))
}
