package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/activation"
	"dukcapil.go.id/sifilma/pkg/activation/release"
	"dukcapil.go.id/sifilma/pkg/audit"
	"dukcapil.go.id/sifilma/pkg/blob"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/manifest"
	"dukcapil.go.id/sifilma/pkg/perso/keybook"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/test/paperoffice"
)

// A key is revoked while a bundle of its manifests waits to be taken: they do not leave any
// more, the next key's list names the lost one, and nothing that the lost key signs is kept.
func TestARevokedKeySignsNothing(t *testing.T) {
	t.Parallel()
	o := newSigningOffice(t)
	l, _ := o.Readers(t)
	run(t, o.Office, o.config(), "")
	o.becomes(t, l, activation.ManifestReady)
	r, err := o.release(t, request.Kasubdit, l.ProdusenID, 3)
	require.NoError(t, err)
	o.bundled(t, r.Number)
	before := o.list(t)

	o.key(t, 2)
	o.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
		return keybook.Revoke(ctx, tx, "manifest-signing", keybook.Revoking{By: "Kepala Seksi", With: "Petugas Keamanan", Reason: "token hilang"}, paperoffice.At)
	})
	keys := o.keys(t)
	var lost string
	for _, id := range keys.IDs() {
		if keys[id].Revoked != nil {
			lost = id
		}
	}
	require.Equal(t, lost, before.KeyID)
	require.ErrorIs(t, o.receive(t, request.Produsen, r.Number, l.ProdusenID), release.ErrChanged)
	waiting, err := release.WaitingFor(t.Context(), o.DB)
	require.NoError(t, err)
	require.Empty(t, waiting, "nobody is asked to release what does not count")
	_, err = o.release(t, request.Kasubdit, l.ProdusenID, 3)
	require.ErrorIs(t, err, activation.ErrNoLines)

	require.Eventually(t, func() bool {
		p, err := release.Latest(t.Context(), o.DB)
		return err == nil && p.KeyID != lost
	}, patience, 50*time.Millisecond)
	now := o.list(t)
	require.Greater(t, now.Number, before.Number)
	require.Equal(t, []manifest.KeyEntry{{KeyID: lost, At: paperoffice.At.Unix(), Reason: "token hilang"}}, now.Keys)

	// Whoever signed with the lost key a moment ago finds that it is too late.
	insert := func(do func(ctx context.Context, tx *postgres.Tx) error) {
		t.Helper()
		err := o.DB.InTx(t.Context(), do)
		require.True(t, postgres.IsCheck(err, "signing_key_in_use"), "%v", err)
	}
	insert(func(ctx context.Context, tx *postgres.Tx) error {
		return release.Publish(ctx, tx, release.PublishedList{
			Number: now.Number + 1, KeyID: lost, Token: "t", Sum: release.Sum(nil), IssuedAt: paperoffice.At, NextUpdate: paperoffice.At.Add(time.Hour),
		}, now.Number)
	})
	insert(func(ctx context.Context, tx *postgres.Tx) error {
		_, err := audit.KeepHead(ctx, tx, "besok", audit.SignedHead{Day: clock.DateOf(paperoffice.At), At: paperoffice.At.Truncate(time.Minute), KeyID: lost, Signature: make([]byte, 64)})
		return err
	})

	// The readers get manifests of the next key, which whoever has the new key file believes.
	o.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
		done, err := activation.Reissue(ctx, tx, lost, 3, paperoffice.As(request.Kasubdit, "Token hilang."))
		require.Equal(t, 3, done.Readers)
		return err
	})
	require.Eventually(t, func() bool {
		waiting, err := release.WaitingFor(t.Context(), o.DB)
		return err == nil && len(waiting) == 1 && waiting[0].Fresh == 3
	}, patience, 50*time.Millisecond)
	again, err := o.release(t, request.Kasubdit, l.ProdusenID, 3)
	require.NoError(t, err)
	zip := o.bundled(t, again.Number)
	got, err := manifest.Verifier{Keys: keys}.OpenDelivery(bytes.NewReader(zip), int64(len(zip)), paperoffice.At)
	require.NoError(t, err)
	for _, m := range got.Manifests {
		require.NoError(t, m.Err)
	}
	require.NoError(t, o.receive(t, request.Produsen, again.Number, l.ProdusenID))
}

// Nor is a manifest kept that was being signed when its key was given up.
func TestAManifestThatComesTooLate(t *testing.T) {
	t.Parallel()
	o := newSigningOffice(t)
	_, lines := o.Readers(t)
	keys := o.keys(t)
	o.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
		return keybook.Retire(ctx, tx, "manifest-signing", "uji", "diganti", paperoffice.At)
	})
	err := o.DB.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		ref, err := blob.Put(ctx, tx, "m.json", "application/octet-stream", strings.NewReader("{}"))
		if err != nil {
			return err
		}
		on := clock.DateOf(paperoffice.At)
		return activation.AttachManifest(ctx, tx, lines[0], activation.ManifestFile{
			KeyID: keys.IDs()[0], PayloadBlob: ref.ID.String(), JWS: "j", SHA256: ref.SHA256[:], ValidFrom: on, ValidTo: on,
		}, paperoffice.As(request.Generator, ""))
	})
	require.True(t, postgres.IsCheck(err, "signing_key_in_use"), "%v", err)
}

// Without a key in force nothing is signed, and whoever watches is told until there is one.
func TestNothingSignsIsSeen(t *testing.T) {
	t.Parallel()
	o := newSigningOffice(t)
	o.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
		return keybook.Retire(ctx, tx, "manifest-signing", "uji", "diganti", paperoffice.At)
	})
	address := freeAddress(t)
	run(t, o.Office, o.config(), address)
	shows := func(line, why string) {
		t.Helper()
		require.Eventually(t, func() bool {
			res, err := http.Get("http://" + address + "/metrics")
			if err != nil {
				return false
			}
			defer func() { _ = res.Body.Close() }()
			body, err := io.ReadAll(res.Body)
			var page struct {
				Values struct {
					Waits string `json:"signing_waits"`
				}
			}
			_, ok := asked(address, "/api/v1/status", &page)
			return err == nil && ok && strings.Contains(string(body), "\n"+line+"\n") && strings.Contains(page.Values.Waits, why)
		}, patience, 50*time.Millisecond, line)
	}
	shows("sifilma_signing_waits 1", "has no key manifest-signing in use")
	o.key(t, 2)
	shows("sifilma_signing_waits 0", "")
}
