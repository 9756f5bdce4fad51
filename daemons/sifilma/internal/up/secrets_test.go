package up

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"
	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/cardsecret"
	"dukcapil.go.id/sifilma/pkg/institution"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/test/harness"
)

// TestTheSampleHasItsKeys: the private half of the produsen's is in the run's folder, and a
// second start changes nothing.
func TestTheSampleHasItsKeys(t *testing.T) {
	t.Parallel()
	db := harness.NewDatabase(t).Open(t, "")
	var produsen institution.Institution
	require.NoError(t, db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) (err error) {
		produsen, err = institution.Ensure(ctx, tx, institution.Institution{Kind: institution.Produsen, Name: produsenName})
		return err
	}))
	dir := t.TempDir()
	require.NoError(t, secretKeys(t.Context(), db, dir, produsen.ID))
	now, err := cardsecret.KeyOf(t.Context(), db, produsen.ID)
	require.NoError(t, err)
	body, err := os.ReadFile(filepath.Join(dir, "secrets", produsenKeyFile))
	require.NoError(t, err)
	ids, err := age.ParseIdentities(strings.NewReader(string(body)))
	require.NoError(t, err)
	id, is := ids[0].(*age.X25519Identity)
	require.True(t, is)
	require.Equal(t, now.Recipient, id.Recipient().String())
	require.NoError(t, secretKeys(t.Context(), db, dir, produsen.ID))
	again, err := os.ReadFile(filepath.Join(dir, "secrets", produsenKeyFile))
	require.NoError(t, err)
	require.Equal(t, body, again)
	escrows, err := cardsecret.Escrows(t.Context(), db)
	require.NoError(t, err)
	require.Len(t, escrows, 1)
}
