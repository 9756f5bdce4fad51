package main

import (
	"bytes"
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/activation"
	"dukcapil.go.id/sifilma/pkg/activation/release"
	"dukcapil.go.id/sifilma/pkg/letter"
	"dukcapil.go.id/sifilma/pkg/manifest"
	"dukcapil.go.id/sifilma/pkg/perso/keybook"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/test/paperoffice"
)

// A key is given up: what it signed is replaced under the next one, what was bundled before
// leaves no more, and the list names all that the old key signed.
func TestManifestsAreReissuedUnderTheNextKey(t *testing.T) {
	t.Parallel()
	o := newSigningOffice(t)
	l, lines := o.Readers(t)
	run(t, o.Office, o.config(), "")
	o.becomes(t, l, activation.ManifestReady)
	bundle, err := o.release(t, request.Kasubdit, l.ProdusenID, 3)
	require.NoError(t, err)
	o.bundled(t, bundle.Number)
	kept, err := activation.Manifest(t.Context(), o.DB, lines[0].ID)
	require.NoError(t, err)
	old := kept.KeyID

	o.key(t, 2)
	o.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
		if err := keybook.Retire(ctx, tx, "manifest-signing", "Petugas Contoh", "Token hilang", paperoffice.At); err != nil {
			return err
		}
		done, err := activation.Reissue(ctx, tx, old, 3, paperoffice.As(request.Kasubdit, "Token hilang."))
		require.Equal(t, 3, done.Readers)
		return err
	})
	var all []activation.Activation
	require.Eventually(t, func() bool {
		all, err = activation.Lines(t.Context(), o.DB, l.ID)
		require.NoError(t, err)
		require.Len(t, all, 6)
		for _, a := range all[3:] {
			if a.State != activation.ManifestReady {
				return false
			}
		}
		return true
	}, patience, 50*time.Millisecond)
	require.Eventually(t, func() bool { return len(o.list(t).Entries) == 3 }, patience, 50*time.Millisecond)
	list := o.list(t)
	require.NotEqual(t, old, list.KeyID)
	for i, e := range list.Entries {
		require.Equal(t, []string{*lines[i].ManifestSerial, manifest.Revoked, "Kunci penanda tangan diganti"}, []string{e.Number, e.State, e.Reason})
	}
	require.ErrorIs(t, o.receive(t, request.Produsen, bundle.Number, l.ProdusenID), release.ErrChanged)
	next, err := o.release(t, request.Kasubdit, l.ProdusenID, 3)
	require.NoError(t, err)
	zip := o.bundled(t, next.Number)
	got, err := manifest.Verifier{Keys: o.keys(t), List: list}.OpenDelivery(bytes.NewReader(zip), int64(len(zip)), paperoffice.At)
	require.NoError(t, err)
	require.Len(t, got.Manifests, 3)
	for i, m := range got.Manifests {
		require.NoError(t, m.Err)
		require.Equal(t, []string{list.KeyID, *all[i+3].ManifestSerial, lines[i].Reader}, []string{m.Verified.Header.KeyID, m.Verified.Header.Number, m.Verified.Facts.Reader})
	}
	require.NoError(t, o.receive(t, request.Produsen, next.Number, l.ProdusenID))

	// One reply for each acceptance; that of the re-issue says what to do.
	var paper letter.Document
	require.Eventually(t, func() bool {
		papers, err := letter.Of(context.Background(), o.DB, letter.ActivationReply, []string{*all[3].ReplyID})
		if err != nil || len(papers) != 1 {
			return false
		}
		paper = papers[0]
		return paper.State == letter.AwaitingSignature
	}, patience, 50*time.Millisecond)
	pdf, name := file(t, o.Office, paper, "pdf")
	require.Equal(t, "surat-balasan-aktivasi-"+l.Ticket+"-2.pdf", name)
	text := pdfText(t, pdf)
	for _, part := range []string{
		"Penerbitan Ulang Manifest Perangkat Pembaca KTP-el", "sebanyak 3 (tiga) unit disetujui", "dicabut karena kunci penanda tangannya diganti",
		"setelah manifest penggantinya dipasang", lines[0].Reader, lines[2].Reader,
	} {
		require.Contains(t, text, part)
	}
}
