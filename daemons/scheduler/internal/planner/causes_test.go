package planner

import (
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/rabbit"
)

// Each doorbell of the scheduler's queue has a name for people, since it may move
// an estimate; no other can ring.
func TestEveryDoorbellIsACause(t *testing.T) {
	t.Parallel()
	queues := rabbit.Topology()
	at := slices.IndexFunc(queues, func(q rabbit.Queue) bool { return q.Name == rabbit.QueueScheduler })
	require.ElementsMatch(t, queues[at].Types, slices.Collect(maps.Keys(causes)))
}
