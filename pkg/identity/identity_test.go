package identity_test

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

var noon = time.Date(2026, 11, 23, 5, 0, 0, 0, time.UTC)

func TestPasswordAndLock(t *testing.T) {
	t.Parallel()
	ctx, db := t.Context(), harness.DB(t)
	require.NoError(t, identity.SetAccount(ctx, db, identity.Account{Username: "Operator", Name: "Operator KI", Role: "operator"}, "benar sekali"))

	try := func(username, password string, now time.Time) (identity.Account, error) {
		return identity.Authenticate(ctx, db, identity.Login{Username: username, Password: password, From: "203.0.113.7"}, now)
	}
	a, err := try("OPERATOR", "benar sekali", noon)
	require.NoError(t, err)
	require.Equal(t, "operator", a.Username)

	_, err = try("tidak ada", "benar sekali", noon)
	require.ErrorIs(t, err, identity.ErrRefused)
	for range identity.MaxFailures {
		_, err = try("operator", "salah", noon)
		require.ErrorIs(t, err, identity.ErrRefused)
	}
	_, err = try("operator", "benar sekali", noon)
	require.ErrorIs(t, err, identity.ErrLocked)
	_, err = try("operator", "benar sekali", noon.Add(identity.LockFor+time.Second))
	require.NoError(t, err)
}

func TestSessionEnds(t *testing.T) {
	t.Parallel()
	ctx, db := t.Context(), harness.DB(t)
	require.NoError(t, identity.SetAccount(ctx, db, identity.Account{Username: "kasubdit", Name: "Kasubdit KI", Role: "kasubdit"}, "kata sandi"))
	a, err := identity.Authenticate(ctx, db, identity.Login{Username: "kasubdit", Password: "kata sandi"}, noon)
	require.NoError(t, err)
	token, err := identity.StartSession(ctx, db, a, noon)
	require.NoError(t, err)

	got, err := identity.SessionAccount(ctx, db, token, noon.Add(20*time.Minute))
	require.NoError(t, err)
	require.Equal(t, a.ID, got.ID)
	_, err = identity.SessionAccount(ctx, db, token, noon.Add(45*time.Minute)) // 25 minutes after its last use
	require.NoError(t, err)
	_, err = identity.SessionAccount(ctx, db, token, noon.Add(76*time.Minute)) // 31 minutes idle
	require.ErrorIs(t, err, identity.ErrNoSession)
	require.NoError(t, identity.EndSession(ctx, db, token))
	_, err = identity.SessionAccount(ctx, db, token, noon.Add(46*time.Minute))
	require.ErrorIs(t, err, identity.ErrNoSession)
}

func TestAPIKey(t *testing.T) {
	t.Parallel()
	ctx, db := t.Context(), harness.DB(t)
	var key string
	require.NoError(t, db.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		in, err := institution.Ensure(ctx, tx, institution.Institution{Kind: institution.Produsen, Name: "PT Produsen Contoh"})
		if err != nil {
			return err
		}
		key, err = identity.NewAPIKey(ctx, tx, in.ID, "uji", []string{identity.ScopeRequestWrite}, noon.AddDate(0, 0, 30))
		return err
	}))
	c, err := identity.CheckAPIKey(ctx, db, key, "203.0.113.7", noon)
	require.NoError(t, err)
	require.Equal(t, "PT Produsen Contoh", c.Institution)
	require.True(t, c.May(identity.ScopeRequestWrite))
	require.False(t, c.May(identity.ScopeRequestRead))

	for name, bad := range map[string]string{
		"empty": "", "no prefix": strings.TrimPrefix(key, "filma_"), "other secret": key[:len(key)-1] + "!", "cut": key[:20],
	} {
		_, err := identity.CheckAPIKey(ctx, db, bad, "203.0.113.7", noon)
		require.ErrorIs(t, err, identity.ErrBadKey, name)
	}
	_, err = identity.CheckAPIKey(ctx, db, key, "203.0.113.7", noon.AddDate(0, 0, 31))
	require.ErrorIs(t, err, identity.ErrBadKey, "expired")

	for name, c := range map[string]struct {
		ids    []string
		scope  string
		now    time.Time
		usable bool
	}{
		"good":          {[]string{"x", c.KeyID}, identity.ScopeRequestWrite, noon, true},
		"another scope": {[]string{c.KeyID}, identity.ScopeRequestRead, noon, false},
		"too late":      {[]string{c.KeyID}, identity.ScopeRequestWrite, noon.AddDate(0, 0, 31), false},
		"nobody's":      {[]string{"x"}, identity.ScopeRequestWrite, noon, false},
	} {
		usable, err := identity.UsableKeys(ctx, db, c.ids, c.scope, c.now)
		require.NoError(t, err, name)
		require.Equal(t, c.usable, len(usable) == 1, name)
	}
	require.NoError(t, db.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		return tx.ExecOne(ctx, `UPDATE api_key SET revoked_at = now() WHERE id = $1`, c.KeyID)
	}))
	usable, err := identity.UsableKeys(ctx, db, []string{c.KeyID}, identity.ScopeRequestWrite, noon)
	require.NoError(t, err)
	require.Empty(t, usable, "revoked")
}

// Whoever is shut out, or has somebody else's password, writes nothing any more.
func TestActiveAccounts(t *testing.T) {
	t.Parallel()
	ctx, db := t.Context(), harness.DB(t)
	change := func(statement string) {
		t.Helper()
		require.NoError(t, db.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error { return tx.ExecOne(ctx, statement) }))
	}
	var in institution.Institution
	require.NoError(t, db.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) (err error) {
		in, err = institution.Ensure(ctx, tx, institution.Institution{Kind: institution.Produsen, Name: "PT Produsen Contoh"})
		return err
	}))
	require.NoError(t, identity.SetAccount(ctx, db, identity.Account{Username: "pic", Name: "PIC", Role: "produsen", InstitutionID: &in.ID}, "benar sekali"))
	require.NoError(t, identity.SetAccount(ctx, db, identity.Account{Username: "operator", Name: "Operator KI", Role: "operator"}, "benar sekali"))
	var ids []string
	require.NoError(t, db.Select(ctx, &ids, `SELECT id FROM account ORDER BY username DESC`))
	for _, c := range []struct{ shut, open string }{
		{`UPDATE account SET must_change = true WHERE username = 'pic'`, `UPDATE account SET must_change = false WHERE username = 'pic'`},
		{`UPDATE account SET active = false WHERE username = 'pic'`, `UPDATE account SET active = true WHERE username = 'pic'`},
		{`UPDATE institution SET active = false`, `UPDATE institution SET active = true`},
	} {
		all, err := identity.ActiveAccounts(ctx, db, ids)
		require.NoError(t, err)
		require.Len(t, all, 2)
		change(c.shut)
		left, err := identity.ActiveAccounts(ctx, db, ids)
		require.NoError(t, err)
		require.Equal(t, map[string]bool{ids[1]: true}, left, c.shut)
		change(c.open)
	}
}
