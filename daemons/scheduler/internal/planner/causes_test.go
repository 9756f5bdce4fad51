package planner

import (
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/perso/persotest"
	"dukcapil.go.id/sifilma/pkg/rabbit"
	"dukcapil.go.id/sifilma/pkg/request"
)

// Each doorbell of the scheduler's queue has a name for people, since it may move
// an estimate; no other can ring.
func TestEveryDoorbellIsACause(t *testing.T) {
	t.Parallel()
	queues := rabbit.Topology()
	at := slices.IndexFunc(queues, func(q rabbit.Queue) bool { return q.Name == rabbit.QueueScheduler })
	require.ElementsMatch(t, queues[at].Types, slices.Collect(maps.Keys(causes)))
}

// What is said to a produsen is true of its request: what befell another is another's.
func TestACauseIsTrueOfEachRequest(t *testing.T) {
	t.Parallel()
	d := newDeaf(t)
	other, _ := d.Accepted(t, 3, monday)
	d.tick(2)
	causeOf := func(id string) (cause string) {
		require.NoError(t, d.DB.Get(t.Context(), &cause, `SELECT cause FROM estimate WHERE request_id = $1`, id))
		return cause
	}
	require.Equal(t, "permohonan ini diterima", causeOf(other))
	kasubdit := persotest.Person("kasubdit", request.Kasubdit, "uji")
	d.Must(t, d.take(request.Hold, kasubdit))
	d.tick(2)
	require.Equal(t, "permohonan lain ditahan", causeOf(other))
	d.Must(t, d.take(request.Release, kasubdit))
	d.tick(2)
	require.Equal(t, "permohonan lain dilanjutkan", causeOf(other))
	require.Equal(t, "permohonan ini dilanjutkan", d.cause())
}

func TestCausesOfManyBells(t *testing.T) {
	t.Parallel()
	var r reasons
	r.add("a", causes[rabbit.RequestHeld])
	require.Equal(t, "permohonan lain ditahan", r.others())
	require.Equal(t, map[string]string{"a": "permohonan ini ditahan"}, r.each())
	r.add("b", causes[rabbit.RequestHeld])
	r.add("b", causes[rabbit.RequestHeld])
	r.add("b", causes[rabbit.RequestReleased])
	r.add("", both("kalender berubah"))
	require.Equal(t, "permohonan lain ditahan; permohonan lain dilanjutkan; kalender berubah", r.others())
	require.Equal(t, map[string]string{
		"a": "permohonan ini ditahan; permohonan lain ditahan; permohonan lain dilanjutkan; dan lain-lain",
		"b": "permohonan ini ditahan; permohonan ini dilanjutkan; permohonan lain ditahan; dan lain-lain",
	}, r.each())
	require.Empty(t, (&reasons{}).others())
}
