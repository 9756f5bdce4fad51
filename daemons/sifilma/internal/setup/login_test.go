package setup

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/test/harness"
)

// TestScramVerifier: the server takes the verifier for the password it was made
// from, and for no other.
func TestScramVerifier(t *testing.T) {
	t.Parallel()
	database := harness.NewEmptyDatabase(t)
	role := "login_of_" + database.Name // roles are the server's: another test must not meet it
	owner := database.Open(t, "")
	exec := func(statement string) error {
		return owner.InTx(context.WithoutCancel(t.Context()), func(ctx context.Context, tx *postgres.Tx) error {
			_, err := tx.Exec(ctx, statement)
			return err
		})
	}
	verifier, err := scramVerifier("benar-sekali")
	require.NoError(t, err)
	require.NoError(t, exec(`CREATE ROLE `+role+` LOGIN PASSWORD '`+verifier+`'`))
	t.Cleanup(func() { require.NoError(t, exec(`DROP ROLE `+role)) })
	try := func(password string) error {
		file := filepath.Join(t.TempDir(), "password")
		require.NoError(t, os.WriteFile(file, []byte(password+"\n"), 0o600))
		db, err := postgres.Open(postgres.Config{URL: harness.Services(t).Postgres.RoleURL(database.Name, role, ""), PasswordFile: file})
		require.NoError(t, err)
		defer func() { require.NoError(t, db.Close()) }()
		var one int
		return db.Get(t.Context(), &one, `SELECT 1`)
	}
	require.NoError(t, try("benar-sekali"))
	require.Error(t, try("salah"))
}
