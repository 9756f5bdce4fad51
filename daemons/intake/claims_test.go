package main

import (
	"context"
	"fmt"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/postgres"
)

// claimed holds the claim on a key or a reference of the produsen, as another
// intake in the middle of its transaction does.
func (o *office) claimed(t *testing.T, what, name string) (release func()) {
	t.Helper()
	return o.during(t, func(ctx context.Context, tx *postgres.Tx) error {
		var none []string
		return tx.Select(ctx, &none, `
			SELECT pg_advisory_xact_lock(hashtextextended($1 || ':' || i.id || ':' || $2, 0))::text
			FROM institution i WHERE i.name = 'PT Produsen Contoh'`, what, name)
	})
}

// inOtherHands makes a small and a large drop for each of what another intake can
// hold, and the name that it holds.
func inOtherHands(t *testing.T, each func(what, name string, s *sending)) {
	t.Helper()
	for _, what := range []string{"idempotency", "reference"} {
		for _, size := range []string{"small", "large"} {
			name := what + "-" + size
			s := numbered(t, "lain-"+name, name)
			if what == "reference" {
				s = numbered(t, name, "lain-"+name)
			}
			if size == "large" {
				s.parcel.set("letter", scan(300<<10))
			}
			each(what, name, s)
		}
	}
}

// A drop whose key or reference another intake holds goes in when the other has
// let go, and harms no neighbour meanwhile.
func TestAKeyInOtherHands(t *testing.T) {
	t.Parallel()
	o := newOffice(t, "api: {rate_per_second: 1000, rate_burst: 1000, answer_time: 1m}")
	inOtherHands(t, func(what, name string, mine *sending) {
		release := o.claimed(t, what, name)
		o.post(t, mine)
		for i := range 3 {
			neighbour := numbered(t, fmt.Sprintf("tetangga-%s-%d", name, i), fmt.Sprintf("k-%s-%d", name, i))
			r := o.send(t, drops, neighbour.parcel, neighbour.key)
			require.Equal(t, http.StatusAccepted, r.status, string(r.body))
		}
		select {
		case r := <-mine.reply:
			t.Fatalf("the drop did not wait: %d %s", r.status, r.body)
		default:
		}
		release()
		r := <-mine.reply
		require.Equal(t, http.StatusAccepted, r.status, string(r.body))
	})
}

// When the other does not let go, the client is told to come again; nothing is
// left behind.
func TestAKeyHeldForTooLong(t *testing.T) {
	t.Parallel()
	o := newOffice(t, "api: {rate_per_second: 1000, rate_burst: 1000, answer_time: 5s}")
	var all []*sending
	inOtherHands(t, func(what, name string, mine *sending) {
		o.claimed(t, what, name)
		o.post(t, mine)
		all = append(all, mine)
	})
	for _, s := range all {
		r := <-s.reply
		require.Equal(t, http.StatusConflict, r.status, string(r.body))
		require.Equal(t, "urn:sifilma:problem:idempotency-key-in-use", r.Type)
		require.Equal(t, "5", r.header.Get("Retry-After"))
	}
	o.nothing(t)
}
