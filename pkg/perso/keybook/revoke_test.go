package keybook_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/perso/keybook"
	"dukcapil.go.id/sifilma/pkg/perso/persotest"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/sealed"
)

// pair records a version of the manifest key and returns its id.
func pair(t *testing.T, db *postgres.DB, version int) string {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	e := entry(keybook.Label("manifest-signing", version), "A1B2C3")
	e.Algorithm, e.Origin, e.Custodians = "EC", keybook.Generated, nil
	e.PublicKey, err = x509.MarshalPKIXPublicKey(&private.PublicKey)
	require.NoError(t, err)
	_, err = record(t, db, e)
	require.NoError(t, err)
	return sealed.KeyID(&private.PublicKey)
}

func revoke(t *testing.T, db *postgres.DB, label string, r keybook.Revoking) error {
	t.Helper()
	return db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		return keybook.Revoke(ctx, tx, label, r, persotest.OfficeAt.Add(time.Minute))
	})
}

// A signing key is revoked once, by two people, with a reason, in use or given up; the book
// says so to whoever verifies, and by the id that tokens carry.
func TestASigningKeyIsRevokedByTwo(t *testing.T) {
	t.Parallel()
	o := persotest.New(t, 1, 1)
	first, second, third := pair(t, o.DB, 1), pair(t, o.DB, 2), pair(t, o.DB, 3)
	_, err := record(t, o.DB, entry("k", "A1B2C3"))
	require.NoError(t, err)
	two := keybook.Revoking{By: "Kepala Seksi", With: "Petugas Keamanan", Reason: "token hilang"}
	change := func(do func(r *keybook.Revoking)) keybook.Revoking { r := two; do(&r); return r }
	for name, c := range map[string]struct {
		label string
		r     keybook.Revoking
		want  error
	}{
		"unknown":     {"manifest-signing.v9", two, keybook.ErrNotFound},
		"a card key":  {"k", two, keybook.ErrNotSigning},
		"alone":       {"manifest-signing", change(func(r *keybook.Revoking) { r.With = " kepala  seksi " }), keybook.ErrOnePerson},
		"nobody":      {"manifest-signing", change(func(r *keybook.Revoking) { r.By = "" }), keybook.ErrOnePerson},
		"no reason":   {"manifest-signing", change(func(r *keybook.Revoking) { r.Reason = " " }), keybook.ErrReasonMissing},
		"long reason": {"manifest-signing", change(func(r *keybook.Revoking) { r.Reason = strings.Repeat("a", 129) }), keybook.ErrReasonLong},
	} {
		require.ErrorIs(t, revoke(t, o.DB, c.label, c.r), c.want, name)
	}
	require.NoError(t, revoke(t, o.DB, "manifest-signing", two))
	require.ErrorIs(t, revoke(t, o.DB, "manifest-signing", two), keybook.ErrRevoked)
	require.NoError(t, retire(t, o.DB, "manifest-signing.v2"))

	entries, err := keybook.Signing(t.Context(), o.DB, "manifest-signing")
	require.NoError(t, err)
	var ids []string
	require.NoError(t, o.DB.Select(t.Context(), &ids, `SELECT key_id FROM master_key WHERE name = 'manifest-signing' ORDER BY version`))
	require.Equal(t, []string{first, second, third}, ids, "the database names them as tokens do")
	require.Equal(t, []bool{true, true, false}, []bool{entries[0].Retired(), entries[1].Retired(), entries[2].Retired()})
	keys, err := keybook.PublicKeys(entries)
	require.NoError(t, err)
	require.Equal(t, &sealed.Revocation{At: persotest.OfficeAt.Add(time.Minute).UTC(), Reason: "token hilang"}, keys[first].Revoked)
	require.Nil(t, keys[second].Revoked)
	require.Equal(t, persotest.OfficeAt.Add(keybook.Settling).UTC(), keys[second].Ends)
	require.True(t, keys[third].Ends.IsZero())

	require.NoError(t, revoke(t, o.DB, "manifest-signing.v2", two), "one that was given up is revoked, too")
	after, err := keybook.Get(t.Context(), o.DB, "manifest-signing.v2")
	require.NoError(t, err)
	require.Equal(t, "diganti", *after.RetiredReason, "why it was given up stays")
	var trail []string
	require.NoError(t, o.DB.Select(t.Context(), &trail, `SELECT action FROM audit WHERE subject = 'manifest-signing.v2' ORDER BY id`))
	require.Equal(t, []string{"key.recorded", "key.retired", "key.revoked"}, trail)

	for q, constraint := range map[string]string{
		`UPDATE master_key SET revoked_reason = 'keliru' WHERE label = 'manifest-signing'`:                                                         "master_key_kept",
		`UPDATE master_key SET revoked_by = NULL, revoked_with = NULL, revoked_reason = NULL, revoked_at = NULL WHERE label = 'manifest-signing'`:  "master_key_kept",
		`UPDATE master_key SET retired_reason = 'lain' WHERE label = 'manifest-signing.v2'`:                                                        "master_key_kept",
		`UPDATE master_key SET public_key = public_key || 'x' WHERE label = 'manifest-signing.v3'`:                                                 "master_key_kept",
		`UPDATE master_key SET revoked_by = 'a', revoked_with = 'b', revoked_reason = 'c', revoked_at = now() WHERE label = 'manifest-signing.v3'`: "master_key_revoked",
		`UPDATE master_key SET revoked_by = 'a', revoked_with = 'A', revoked_reason = 'c', revoked_at = now(), retired_by = 'a', retired_reason = 'c', retired_at = now()
			WHERE label = 'manifest-signing.v3'`: "master_key_revoked",
		`UPDATE master_key SET revoked_by = 'a', revoked_with = 'b', revoked_reason = 'c', revoked_at = now(), retired_by = 'a', retired_reason = 'c', retired_at = now()
			WHERE label = 'k'`: "master_key_revoked",
	} {
		err := o.DB.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error { _, err := tx.Exec(ctx, q); return err })
		require.True(t, postgres.IsCheck(err, constraint), "%s: %v", q, err)
	}
}
