package perso_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/perso/persotest"
	"dukcapil.go.id/sifilma/pkg/postgres"
)

func TestAuthenticationsAreCountedAndStopped(t *testing.T) {
	t.Parallel()
	o := persotest.New(t, 1, 1)
	ctx := context.Background()
	var count int
	tryOnce := func() error {
		return o.DB.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) (err error) {
			count, err = perso.CountAuthentication(ctx, tx, "CHIP", persotest.OfficeAt)
			return err
		})
	}
	require.NoError(t, tryOnce())
	require.NoError(t, tryOnce())
	require.Equal(t, perso.MaxAuthentications, count)
	for range 2 { // the second is the first's repetition after a lost answer
		o.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
			return perso.UncountAuthentication(ctx, tx, "CHIP", count)
		})
		left, err := perso.AuthenticationFailures(ctx, o.DB, "CHIP")
		require.NoError(t, err)
		require.Equal(t, 1, left)
	}
	o.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
		return perso.UncountAuthentication(ctx, tx, "CHIP", 1)
	})
	require.NoError(t, tryOnce())
	require.NoError(t, tryOnce())
	require.ErrorIs(t, tryOnce(), perso.ErrAuthenticationStopped)
	require.ErrorIs(t, tryOnce(), perso.ErrAuthenticationStopped)
	n, err := perso.AuthenticationFailures(ctx, o.DB, "CHIP")
	require.NoError(t, err)
	require.Equal(t, 2, n)
	o.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
		return perso.ClearAuthentications(ctx, tx, "CHIP", persotest.OfficeAt)
	})
	require.NoError(t, tryOnce())
}
