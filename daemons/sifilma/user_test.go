package main

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/identity"
	"dukcapil.go.id/sifilma/pkg/institution"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/test/harness"
)

// Accounts of the command line leave their trace, and a password that somebody
// else typed is changed at the first login.
func TestUserOfTheCommandLine(t *testing.T) {
	t.Parallel()
	const secret = "kata sandi yang panjang"
	database := harness.NewDatabase(t)
	db, config := database.Open(t, ""), database.Config(t, "")
	require.NoError(t, db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		_, err := institution.Ensure(ctx, tx, institution.Institution{Kind: institution.Lembaga, Name: "PT Bank Contoh"})
		return err
	}))
	run := func(args ...string) error {
		return setUser(t.Context(), append([]string{"-url", config.URL, "-password-file", config.PasswordFile}, args...), strings.NewReader(secret+"\n"))
	}
	for why, args := range map[string][]string{
		"Nama wajib diisi.":            {"-username", "dirjen", "-role", "dirjen"},
		"terdaftar sebagai Lembaga":    {"-username", "pic", "-name", "PIC", "-role", "produsen", "-institution", "PT Bank Contoh"},
		"kosongkan lembaganya":         {"-username", "dirjen", "-name", "Dirjen", "-role", "dirjen", "-institution", "PT Bank Contoh"},
		"Pilih lembaga tempat":         {"-username", "pic", "-name", "PIC", "-role", "lembaga"},
		"Nama pengguna terdiri":        {"-username", "A b", "-name", "PIC", "-role", "operator"},
		"Pilih peran dari daftar":      {"-username", "raja", "-name", "Raja", "-role", "raja"},
		"-username dan -role wajib di": {"-username", "raja"},
	} {
		require.ErrorContains(t, run(args...), why)
	}
	var accounts int
	require.NoError(t, db.Get(t.Context(), &accounts, `SELECT count(*) FROM account`))
	require.Zero(t, accounts)

	now := time.Now()
	enter := func() identity.Account {
		t.Helper()
		a, err := identity.Authenticate(t.Context(), db, identity.Login{Username: "dirjen", Password: secret}, now)
		require.NoError(t, err)
		return a
	}
	require.NoError(t, run("-username", "Dirjen", "-name", "Dirjen", "-role", "dirjen"))
	require.True(t, enter().MustChange)
	require.NoError(t, run("-username", "dirjen", "-name", "Dirjen", "-role", "dirjen", "-no-change"))
	a := enter()
	require.False(t, a.MustChange)
	var trace []struct {
		Actor  string
		Change bool
	}
	require.NoError(t, db.Select(t.Context(), &trace, `
		SELECT actor, (detail->>'must_change')::bool AS change FROM audit WHERE action = 'account.set' AND subject = $1 ORDER BY id`, a.ID))
	require.Len(t, trace, 2)
	require.True(t, trace[0].Change)
	require.False(t, trace[1].Change)
	require.True(t, strings.HasPrefix(trace[0].Actor, "sifilma@"), trace[0].Actor)
}
