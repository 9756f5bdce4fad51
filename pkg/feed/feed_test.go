package feed_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/feed"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/test/paperoffice"
)

var now = time.Date(2026, 11, 23, 3, 0, 0, 0, time.UTC)

// TestOneOpenFeedForEachAccount: ten made at once leave one, and its secret is the
// only one that opens anything; after a restore none does.
func TestOneOpenFeedForEachAccount(t *testing.T) {
	t.Parallel()
	o := paperoffice.New(t, paperoffice.Plan{Cards: 1})
	r := o.Request(t)
	account := uuid.NewString()
	o.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
		return tx.ExecOne(ctx, `INSERT INTO account (id, username, name, role, password_hash) VALUES ($1, 'seseorang', 'Seseorang', 'operator', '-')`, account)
	})
	tokens := make(chan string, 10)
	var all sync.WaitGroup
	for range cap(tokens) {
		all.Go(func() {
			var made string
			err := o.DB.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) (err error) {
				_, made, err = feed.Make(ctx, tx, r.ID, account, nil, "seseorang", now)
				return err
			})
			if err == nil {
				tokens <- made
			}
		})
	}
	all.Wait()
	require.Len(t, tokens, 10)
	close(tokens)
	open := 0
	for token := range tokens {
		f, err := feed.ByToken(t.Context(), o.DB, token)
		if err == nil {
			open++
			require.Equal(t, []string{r.ID, account, "seseorang"}, []string{f.RequestID, f.AccountID, f.Username})
			continue
		}
		require.ErrorIs(t, err, feed.ErrNotFound)
	}
	require.Equal(t, 1, open)
	o.Must(t, func(ctx context.Context, tx *postgres.Tx) error { return feed.EndAll(ctx, tx, "pemulih", now) })
	list, err := feed.List(t.Context(), o.DB, r.ID, "")
	require.NoError(t, err)
	require.Empty(t, list)
}
