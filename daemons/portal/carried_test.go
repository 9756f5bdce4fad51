package main

import (
	"context"
	"net/http"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/daemons/portal/internal/manifests"
	"dukcapil.go.id/sifilma/pkg/activation/release"
	"dukcapil.go.id/sifilma/pkg/manifest"
	"dukcapil.go.id/sifilma/pkg/postgres"
)

// After a restore the office sees that lists wait, and then what it has to revoke again; a
// produsen sees neither.
func TestTheOfficeSeesWhatToRevokeAgain(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	s := o.sealer()
	v := o.activates("1", o.handedOver(2))
	o.acceptReaders(&v)
	s.manifests()
	o.tx(func(ctx context.Context, tx *postgres.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO restoration (id, restored_to, raised_by, reason, epoch, tickets_from, tickets_to, papers_gap, papers)
			VALUES ($1, $2, 'uji', 'gladi', 2, 1, 2, 1, '[]')`, uuid.Must(uuid.NewV7()).String(), morning.UTC())
		return err
	})
	overview := func(who string) (all manifests.Overview) {
		o.want(200, &all, who, http.MethodGet, releases, nil)
		return all
	}
	require.True(t, overview("operator").ListWaits)
	require.Contains(t, o.problem(503, "", http.MethodGet, "/manifest/kunci.json", nil).Detail, "baru dipulihkan", "the book may have forgotten that a key was revoked")
	o.want(200, nil, "", http.MethodGet, "/manifest/pencabutan.jws", nil)
	require.False(t, overview("produsen").ListWaits)
	require.Contains(t, o.page(200, "kasubdit", "/manifest").text, "daftar pencabutan yang terakhir terbit belum diberikan")
	require.NotContains(t, o.page(200, "produsen", "/manifest").text, "belum diberikan")

	stolen := v.Lines[0].ManifestSerial
	const unknown = "MF-2026-900001-3"
	list, err := manifest.List{Number: 9, IssuedAt: morning, NextUpdate: morning.AddDate(0, 1, 0), Entries: []manifest.Entry{
		{Number: stolen, State: manifest.Revoked, At: morning.Unix(), Reason: "Reader dicuri"}, {Number: unknown, State: manifest.Suspended, At: morning.Unix()},
	}}.Sign(t.Context(), s.s)
	require.NoError(t, err)
	o.tx(func(ctx context.Context, tx *postgres.Tx) error {
		_, err := release.Recover(ctx, tx, list, s.keys, release.Statement{By: "uji", At: morning})
		return err
	})
	o.want(200, nil, "", http.MethodGet, "/manifest/kunci.json", nil)
	all := overview("kasubdit")
	require.False(t, all.ListWaits)
	require.Len(t, all.Carried, 2)
	for _, c := range all.Carried {
		require.Equal(t, map[string]string{stolen: v.Ticket, unknown: ""}[c.Number], c.Ticket)
	}
	require.Empty(t, overview("produsen").Carried)
	page := o.page(200, "operator", "/manifest")
	require.Contains(t, page.text, "Perlu dicabut ulang: "+v.Ticket+" baris 1")
	require.Contains(t, page.text, unknown)
	require.Contains(t, page.text, "Tidak dikenal basis data; tetap pada daftar")
	require.Contains(t, page.hrefs(), "/aktivasi/"+v.Ticket)
	require.NotContains(t, o.page(200, "produsen", "/manifest").text, "dicabut ulang")
}
