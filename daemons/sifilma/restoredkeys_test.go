package main

import (
	"bytes"
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/daemons/sifilma/internal/restored"
	"dukcapil.go.id/sifilma/pkg/activation/release"
	"dukcapil.go.id/sifilma/pkg/manifest"
	"dukcapil.go.id/sifilma/pkg/perso/keybook"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/test/paperoffice"
)

// A restore that takes the revocation of a key out of the book does not make the key good
// again: the given list is not taken before people have revoked it once more, and keys that
// the book does not know stay on every list.
func TestARestoreDoesNotTrustARevokedKey(t *testing.T) {
	t.Parallel()
	o := paperoffice.New(t, paperoffice.Plan{Cards: 1})
	dir := t.TempDir()
	first, _ := pairAt(t, filepath.Join(dir, "kunci.json"))
	recordPair(t, o, first)
	require.NoError(t, restored.Raise(t.Context(), o.DB, restored.Order{By: "operator uji", Reason: "gladi", Tickets: 100, Papers: 10}))
	now := time.Now()
	var out bytes.Buffer
	number := int64(100)
	give := func(keys ...manifest.KeyEntry) error {
		next, _ := pairAt(t, filepath.Join(t.TempDir(), "kunci.json"))
		recordVersion(t, o, next)
		list, err := manifest.List{Number: number, IssuedAt: now, NextUpdate: now.AddDate(0, 1, 0), Keys: keys}.Sign(t.Context(), next)
		require.NoError(t, err)
		return restored.Lists(t.Context(), o.DB, list, "operator uji", "", &out)
	}
	lost := manifest.KeyEntry{KeyID: first.KeyID(), At: now.Unix(), Reason: "token hilang"}
	gone := manifest.KeyEntry{KeyID: "kunci-yang-tidak-dikenal", At: now.Unix(), Reason: "bocor"}
	require.ErrorContains(t, give(lost, gone), "cabut dulu dengan sifilma keys revoke")
	require.ErrorIs(t, release.Recovered(t.Context(), o.DB), release.ErrUnrecovered, "nothing of it was taken")
	revoked := func() []manifest.KeyEntry {
		keys, err := release.RevokedKeys(t.Context(), o.DB)
		require.NoError(t, err)
		return keys
	}
	require.Empty(t, revoked())

	o.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
		return keybook.Revoke(ctx, tx, "manifest-signing", keybook.Revoking{By: "Kepala Seksi", With: "Petugas Keamanan", Reason: "token hilang"}, now)
	})
	require.NoError(t, give(lost, gone))
	require.NoError(t, release.Recovered(t.Context(), o.DB))
	require.ElementsMatch(t, []manifest.KeyEntry{lost, gone}, revoked())

	// A list of the lost key may be anybody's: somebody has to say where it is from.
	list, err := manifest.List{Number: 200, IssuedAt: now, NextUpdate: now.AddDate(0, 1, 0)}.Sign(t.Context(), first)
	require.NoError(t, err)
	for _, reason := range []string{"", " "} {
		require.ErrorContains(t, restored.Lists(t.Context(), o.DB, list, "operator uji", reason, &out), "kunci yang sudah DICABUT")
	}
	floor, err := release.Floor(t.Context(), o.DB)
	require.NoError(t, err)
	require.EqualValues(t, 100, floor, "nothing of it was taken")
	require.NoError(t, restored.Lists(t.Context(), o.DB, list, "operator uji", "arsip server web kantor", &out))

	// The token still has such a key: it does not come back into the book as one in use.
	back, _ := pairAt(t, filepath.Join(t.TempDir(), "kunci.json"))
	number = 300
	require.NoError(t, give(lost, gone, manifest.KeyEntry{KeyID: back.KeyID(), At: now.Unix(), Reason: "bocor"}))
	require.ErrorIs(t, recordAs(t, o, back, "manifest-signing.v7"), keybook.ErrRevoked)
	require.ErrorIs(t, recordAs(t, o, first, "manifest-signing.v7"), keybook.ErrTwice, "nor does one under another label")
}
