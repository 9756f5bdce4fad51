package up

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/daemons/sifilma/internal/ceremony"
	"dukcapil.go.id/sifilma/pkg/perso/keybook"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/test/harness"
)

// TestTokensAreNotShared: a process that starts again has its copy of the token made anew,
// and takes it from nobody.
func TestTokensAreNotShared(t *testing.T) {
	t.Parallel()
	of := &office{}
	of.Copies = 2
	seen := map[string]string{}
	for _, in := range of.instances() {
		require.Empty(t, seen[of.home(in)], in.name)
		seen[of.home(in)] = in.name
	}
	require.Equal(t, "perso-station", seen["station"])
	require.Equal(t, "perso-station-2", seen["station-2"])
}

// TestAGivenUpKeyKeepsNoOfficeShut: a key that was revoked or retired lies in the token, and
// the office starts again without it.
func TestAGivenUpKeyKeepsNoOfficeShut(t *testing.T) {
	t.Parallel()
	db := harness.NewDatabase(t).Open(t, "")
	record := []ceremony.Key{
		{Label: "a", Kind: ceremony.Kinds["aes256"], KCV: "000001", Origin: keybook.Generated},
		{Label: "b", Kind: ceremony.Kinds["aes256"], KCV: "000002", Origin: keybook.Generated},
	}
	start := func() {
		t.Helper()
		kept, err := notGivenUp(t.Context(), db, record)
		require.NoError(t, err)
		require.NoError(t, ceremony.Keep(t.Context(), db, ceremony.Act{By: "uji", At: time.Now()}, kept...))
	}
	start()
	start()
	require.NoError(t, db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		return keybook.Retire(ctx, tx, "a", "uji", "diganti", time.Now())
	}))
	start()
	kept, err := notGivenUp(t.Context(), db, record)
	require.NoError(t, err)
	require.Equal(t, record[1:], kept)
}
