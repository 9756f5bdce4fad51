package main

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/activation"
	"dukcapil.go.id/sifilma/pkg/activation/release"
	"dukcapil.go.id/sifilma/pkg/blob"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/perso/keybook"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/pkg/request/evidence"
	"dukcapil.go.id/sifilma/test/paperoffice"
)

func (o signingOffice) revoke(t *testing.T, version int) {
	t.Helper()
	o.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
		return keybook.Revoke(ctx, tx, keybook.Label("manifest-signing", version),
			keybook.Revoking{By: "Kepala Seksi", With: "Petugas Keamanan", Reason: "token hilang"}, paperoffice.At)
	})
}

// The newest key is lost, the older one that signed the manifests is not: the bundle does not
// leave, is not kept when it comes too late, and is made again under the older key.
func TestABundleOfALostKeyIsMadeAnew(t *testing.T) {
	t.Parallel()
	o := newSigningOffice(t)
	l, _ := o.Readers(t)
	done := o.Done(t)
	run(t, o.Office, o.config()+"\nlibreoffice: {soffice: /bin/false}\npress: {retry: 1m}", "")
	o.becomes(t, l, activation.ManifestReady)
	first := o.keys(t).IDs()[0]
	o.key(t, 2)
	r, err := o.release(t, request.Kasubdit, l.ProdusenID, 3)
	require.NoError(t, err)
	o.bundled(t, r.Number)
	require.NotEqual(t, first, o.list(t).KeyID, "the second key signs")
	o.proven(t, done.ID)
	old, err := evidence.Latest(t.Context(), o.DB, done.ID)
	require.NoError(t, err)
	require.False(t, old.KeyRevoked)

	o.revoke(t, 2)
	require.ErrorIs(t, o.receive(t, request.Produsen, r.Number, l.ProdusenID), release.ErrChanged)
	old, err = evidence.Latest(t.Context(), o.DB, done.ID)
	require.NoError(t, err)
	require.True(t, old.KeyRevoked)
	waiting, err := release.WaitingFor(t.Context(), o.DB)
	require.NoError(t, err)
	require.Equal(t, 3, waiting[0].Fresh, "somebody has to release them once more")
	next, err := o.release(t, request.Kasubdit, l.ProdusenID, 3)
	require.NoError(t, err)

	o.bundled(t, next.Number)
	require.NoError(t, o.receive(t, request.Produsen, next.Number, l.ProdusenID))
	o.proven(t, done.ID)
	fresh, err := evidence.Latest(t.Context(), o.DB, done.ID)
	require.NoError(t, err)
	require.False(t, fresh.KeyRevoked)
	require.NotEqual(t, old.ID, fresh.ID)
}

// Nothing that is being taken leaves beside a revocation: one waits for the other.
func TestATakerAndARevocation(t *testing.T) {
	t.Parallel()
	o := newSigningOffice(t)
	l, _ := o.Readers(t)
	run(t, o.Office, o.config(), "")
	o.becomes(t, l, activation.ManifestReady)
	r, err := o.release(t, request.Kasubdit, l.ProdusenID, 3)
	require.NoError(t, err)
	o.bundled(t, r.Number)

	taken := make(chan error, 1)
	o.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
		if err := keybook.Revoke(ctx, tx, "manifest-signing", keybook.Revoking{By: "A", With: "B", Reason: "token hilang"}, paperoffice.At); err != nil {
			return err
		}
		go func() { taken <- o.receive(t, request.Produsen, r.Number, l.ProdusenID) }()
		require.Eventually(t, func() bool {
			var waits bool
			return o.DB.Get(t.Context(), &waits, `SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock')`) == nil && waits
		}, patience, 20*time.Millisecond, "who takes it waits for the revocation")
		return nil
	})
	require.ErrorIs(t, <-taken, release.ErrChanged)
}

// Whoever sealed with the lost key a moment ago comes too late.
func TestABundleThatComesTooLate(t *testing.T) {
	t.Parallel()
	o := newSigningOffice(t)
	l, lines := o.Readers(t)
	done := o.Done(t)
	o.key(t, 2)
	o.revoke(t, 2)
	generator := paperoffice.As(request.Generator, "")
	var first, second string
	for id, k := range o.keys(t) {
		if k.Revoked != nil {
			second = id
		} else {
			first = id
		}
	}
	var zip blob.Ref
	var r release.Release
	o.Must(t, func(ctx context.Context, tx *postgres.Tx) (err error) {
		if zip, err = blob.Put(ctx, tx, "b.zip", "application/zip", strings.NewReader("PK")); err != nil {
			return err
		}
		on := clock.DateOf(paperoffice.At)
		if err := activation.AttachManifest(ctx, tx, lines[0], activation.ManifestFile{
			KeyID: first, PayloadBlob: zip.ID.String(), JWS: "j", SHA256: zip.SHA256[:], ValidFrom: on, ValidTo: on,
		}, generator); err != nil {
			return err
		}
		if r, err = release.Make(ctx, tx, l.ProdusenID, 1, paperoffice.As(request.Kasubdit, "")); err != nil {
			return err
		}
		_, err = evidence.Order(ctx, tx, done.ID, "operator", paperoffice.At)
		return err
	})
	owed, err := evidence.Owed(t.Context(), o.DB, 1)
	require.NoError(t, err)
	for name, attach := range map[string]func(ctx context.Context, tx *postgres.Tx, key string) error{
		"release": func(ctx context.Context, tx *postgres.Tx, key string) error {
			return release.Attach(ctx, tx, r, zip.ID, key, generator)
		},
		"evidence": func(ctx context.Context, tx *postgres.Tx, key string) error {
			return evidence.Attach(ctx, tx, owed[0], zip.ID, key)
		},
	} {
		with := func(key string) error {
			return o.DB.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error { return attach(ctx, tx, key) })
		}
		err := with(second)
		require.True(t, postgres.IsCheck(err, "signing_key_in_use"), "%s: %v", name, err)
		require.Error(t, with(""), name)
		require.NoError(t, with(first), name)
	}
}
