package idempotency_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/idempotency"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/web"
	"dukcapil.go.id/sifilma/test/harness"
)

func TestKeysAreRead(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{"a": "a", ` "a b`: "", `"a"`: "a", " a ": "a", `""`: "", "a\x7f": "", `"`: `"`} {
		r := httptest.NewRequest(http.MethodPost, "/", http.NoBody)
		r.Header.Set("Idempotency-Key", text)
		key, err := idempotency.Key(r)
		require.Equal(t, want, key, text)
		require.Equal(t, want == "", err != nil, text)
		r.Header.Add("Idempotency-Key", text)
		_, err = idempotency.Key(r)
		require.Error(t, err, "two of them")
	}
}

func TestPrintsTellCallsApart(t *testing.T) {
	t.Parallel()
	one := idempotency.File{Kind: "letter", SHA256: [32]byte{1}}
	two := idempotency.File{Kind: "list", SHA256: [32]byte{2}}
	seen := map[string]int{}
	for i, c := range []struct {
		target, form string
		files        []idempotency.File
	}{
		{"a", "b", nil}, {"ab", "", nil}, {"", "ab", nil}, {"a", "b", []idempotency.File{one}}, {"a", "b", []idempotency.File{one, two}},
		{"a", "b", []idempotency.File{two, one}}, {"a", "b", []idempotency.File{{Kind: "list", SHA256: one.SHA256}}},
	} {
		sum, err := idempotency.Print(c.target, c.form, c.files...)
		require.NoError(t, err)
		require.Len(t, sum, 32)
		before, taken := seen[string(sum)]
		require.False(t, taken, "%d and %d", before, i)
		seen[string(sum)] = i
	}
}

func TestOnce(t *testing.T) {
	t.Parallel()
	db := harness.DB(t)
	done := 0
	ask := func(key string, print byte, fails error) (a idempotency.Answer, err error) {
		call := idempotency.Call{Client: "c", Key: key, Print: append(make([]byte, 31), print)}
		err = db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) (err error) {
			a, err = idempotency.Once(ctx, tx, call, "beside", func() (idempotency.Answer, error) {
				done++
				return idempotency.Answer{Status: 201, Location: "/x", Body: []byte(`{"b":1,"a":2}`)}, fails
			})
			return err
		})
		return a, err
	}
	broken := errors.New("broken")
	_, err := ask("k", 1, broken)
	require.ErrorIs(t, err, broken)
	first, err := ask("k", 1, nil)
	require.NoError(t, err)
	again, err := ask("k", 1, broken)
	require.NoError(t, err, "it is not done again")
	require.Equal(t, 2, done)
	require.True(t, again.Replayed)
	again.Replayed = false
	require.Equal(t, first, again)
	_, err = ask("k", 2, nil)
	var p *web.Problem
	require.ErrorAs(t, err, &p)
	require.Equal(t, http.StatusUnprocessableEntity, p.Status)

	// Another transaction has the key, or what goes beside it.
	require.NoError(t, db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		free, err := idempotency.Claim(ctx, tx, []idempotency.Call{{Client: "c", Key: "other"}, {Client: "d", Key: "k"}}, []string{"beside", ""})
		require.Equal(t, []bool{true, true}, free)
		for _, key := range []string{"other", "a third"} {
			_, err := ask(key, 1, nil)
			require.ErrorIs(t, err, idempotency.ErrRunning)
		}
		return err
	}))

	forget := func(before time.Time) {
		_, err := idempotency.Prune(t.Context(), db, before)
		require.NoError(t, err)
	}
	forget(time.Now().Add(-time.Hour))
	_, err = ask("k", 2, nil)
	require.Error(t, err)
	forget(time.Now().Add(time.Hour))
	_, err = ask("k", 2, nil)
	require.NoError(t, err, "its time is over")
}
