package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/daemons/sifilma/internal/restored"
	"dukcapil.go.id/sifilma/pkg/activation"
	"dukcapil.go.id/sifilma/pkg/activation/release"
	"dukcapil.go.id/sifilma/pkg/blob"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/manifest"
	"dukcapil.go.id/sifilma/pkg/perso/keybook"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/pkg/sealed"
	"dukcapil.go.id/sifilma/test/paperoffice"
)

// recordPair puts a key pair into the book as the first version.
func recordPair(t *testing.T, o *paperoffice.Office, s *sealed.Signer) {
	t.Helper()
	record(t, o, s, "manifest-signing")
}

// recordVersion puts it there as the next version.
func recordVersion(t *testing.T, o *paperoffice.Office, s *sealed.Signer) {
	t.Helper()
	all, err := keybook.Signing(t.Context(), o.DB, "manifest-signing")
	require.NoError(t, err)
	record(t, o, s, keybook.Label("manifest-signing", len(all)+1))
}

func record(t *testing.T, o *paperoffice.Office, s *sealed.Signer, label string) {
	t.Helper()
	require.NoError(t, recordAs(t, o, s, label))
}

func recordAs(t *testing.T, o *paperoffice.Office, s *sealed.Signer, label string) error {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(s.Public())
	require.NoError(t, err)
	sum := sha256.Sum256(der)
	return o.DB.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		_, err := keybook.Record(ctx, tx, keybook.Entry{
			Label: label, Algorithm: "EC", Bits: 256, KCV: fmt.Sprintf("%X", sum[:3]), PublicKey: der, Origin: keybook.Generated,
			TokenLabel: "uji", TokenSerial: "1", Place: "Jakarta", RecordedBy: "uji", OfficeAt: paperoffice.At,
		})
		return err
	})
}

// TestARestoreAsksForTheLastRevocationList: what it takes and what it refuses, and that a
// manifest which waits to be signed gets another serial, while one that is signed keeps its.
func TestARestoreAsksForTheLastRevocationList(t *testing.T) {
	t.Parallel()
	o := paperoffice.New(t, paperoffice.Plan{Cards: 3})
	dir := t.TempDir()
	by, _ := pairAt(t, filepath.Join(dir, "kunci.json"))
	other, _ := pairAt(t, filepath.Join(dir, "lain.json"))
	recordPair(t, o, by)
	l, lines := o.Readers(t)
	o.Must(t, func(ctx context.Context, tx *postgres.Tx) error { // one is signed before the moment
		ref, err := blob.Put(ctx, tx, "m.json", "application/octet-stream", bytes.NewReader([]byte("{}")))
		if err != nil {
			return err
		}
		on := clock.DateOf(paperoffice.At)
		return activation.AttachManifest(ctx, tx, lines[0], activation.ManifestFile{
			KeyID: "k", PayloadBlob: ref.ID.String(), JWS: "j", SHA256: ref.SHA256[:], ValidFrom: on, ValidTo: on,
		}, paperoffice.As(request.Generator, ""))
	})
	now := time.Now()
	sign := func(s *sealed.Signer, number int64, entries ...manifest.Entry) []byte {
		list, err := manifest.List{Number: number, IssuedAt: now, NextUpdate: now.AddDate(0, 1, 0), Entries: entries}.Sign(t.Context(), s)
		require.NoError(t, err)
		return list
	}
	publish := func(number, last int64) error {
		return o.DB.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
			return release.Publish(ctx, tx, release.PublishedList{Number: number, KeyID: "k", Token: "t", Sum: release.Sum(nil), IssuedAt: now, NextUpdate: now.Add(time.Hour)}, last)
		})
	}
	require.NoError(t, publish(50, 0))
	stolen := *lines[0].ManifestSerial
	good := sign(by, 100, manifest.Entry{Number: stolen, State: manifest.Revoked, At: now.Unix(), Reason: "Reader dicuri"})
	var out bytes.Buffer
	give := func(token []byte) error { return restored.Lists(t.Context(), o.DB, token, "operator uji", "", &out) }
	require.ErrorContains(t, give(good), "belum dinyatakan dipulihkan")
	require.ErrorContains(t, restored.NoLists(t.Context(), o.DB, "operator uji", "tidak ada", &out), "belum dinyatakan dipulihkan")

	require.NoError(t, restored.Raise(t.Context(), o.DB, restored.Order{By: "operator uji", Reason: "gladi", Tickets: 100, Papers: 10}))
	after, err := activation.Lines(t.Context(), o.DB, l.ID)
	require.NoError(t, err)
	require.Equal(t, stolen, *after[0].ManifestSerial, "signed: it stays")
	given := map[string]bool{}
	for i := range lines {
		given[*lines[i].ManifestSerial] = true
	}
	for _, a := range after[1:] {
		require.Equal(t, activation.Accepted, a.State)
		require.False(t, given[*a.ManifestSerial], "%s may have been signed after the moment", *a.ManifestSerial)
	}
	require.ErrorIs(t, o.DB.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error { // who read the line before
		on := clock.DateOf(paperoffice.At)
		return activation.AttachManifest(ctx, tx, lines[1], activation.ManifestFile{
			KeyID: "k", PayloadBlob: "00000000-0000-0000-0000-000000000000", JWS: "j", SHA256: make([]byte, 32), ValidFrom: on, ValidTo: on,
		}, paperoffice.As(request.Generator, ""))
	}), postgres.ErrStale)

	require.ErrorIs(t, publish(60, 50), release.ErrUnrecovered)
	report := func() string {
		out.Reset()
		require.NoError(t, restored.Report(t.Context(), o.DB, &out))
		return out.String()
	}
	said := report()
	require.Contains(t, said, "Daftar pencabutan: BELUM diberikan")
	require.Contains(t, said, "nomor "+*lines[1].ManifestSerial+" diganti "+*after[1].ManifestSerial)
	for name, bad := range map[string]struct {
		token []byte
		says  string
	}{
		"older":     {sign(by, 49), "lebih tua"},
		"other":     {sign(other, 100), "kunci yang tidak ada pada buku kunci"},
		"no list":   {[]byte("pencabutan"), "bukan daftar pencabutan"},
		"changed":   {append(bytes.Clone(good[:len(good)-8]), "AAAAAAAA"...), "tanda tangan daftar itu tidak cocok"},
		"cut":       {good[:len(good)-1], "bukan daftar pencabutan"},
		"by itself": {nil, "bukan daftar pencabutan"},
	} {
		require.ErrorContains(t, give(bad.token), bad.says, name)
	}
	require.ErrorContains(t, restored.NoLists(t.Context(), o.DB, "operator uji", " ", &out), "-reason")
	require.ErrorIs(t, publish(60, 50), release.ErrUnrecovered)

	out.Reset()
	require.NoError(t, give(good))
	require.Contains(t, out.String(), "nomor 100")
	require.Contains(t, out.String(), fmt.Sprintf("%s dicabut sejak", stolen))
	require.Contains(t, out.String(), "ulangi pada "+l.Ticket+" baris 1")
	require.Contains(t, report(), "Pencabutan yang perlu diulang orang: 1")
	require.NoError(t, publish(101, 50))
	require.ErrorContains(t, give(sign(by, 99)), "lebih tua", "one was given that is newer")
	require.NoError(t, give(sign(by, 200)), "one that turns up later")

	// The next restore asks again; a person's word is enough, and is kept.
	require.NoError(t, restored.Raise(t.Context(), o.DB, restored.Order{By: "operator uji", Reason: "gladi lagi", Tickets: 100, Papers: 10}))
	require.ErrorIs(t, publish(300, 101), release.ErrUnrecovered)
	require.NoError(t, restored.NoLists(t.Context(), o.DB, "operator uji", "generator mati sejak sebelum saat itu", &out))
	require.NoError(t, publish(300, 101))
	var words int
	require.NoError(t, o.DB.Get(t.Context(), &words, `SELECT count(*) FROM audit WHERE action = 'revocations.none_since' AND detail->>'reason' LIKE 'generator mati%'`))
	require.Equal(t, 1, words)
}
