package main

import (
	"context"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/report"
)

// TestAHeldRequestPromisesNoDay: where it stood is told as what it was, to its produsen
// and to the office, until it goes on and is planned anew.
func TestAHeldRequestPromisesNoDay(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	v := o.accept(o.drop(12))
	o.plan(10)
	path, at := v1+"/requests/"+v.Ticket, "/permohonan/"+v.Ticket
	feed := o.subscribe("produsen", v.Ticket)
	require.False(t, o.see(v.Ticket).Estimate.Suspended)

	o.want(200, nil, "kasubdit", http.MethodPost, path+"/hold", map[string]any{"reason": "menunggu berkas"}, ifMatch(o.see(v.Ticket).Version)...)
	o.plan(10)
	o.clock.Set(morning.AddDate(0, 0, 7)) // the days that it had are over
	o.tx(func(ctx context.Context, tx *postgres.Tx) error { return begin(ctx, tx, clock.Today(o.clock)) })
	for _, who := range []string{"produsen", "kasubdit", "operator"} {
		var seen report.Request
		o.want(200, &seen, who, http.MethodGet, path, nil)
		require.True(t, seen.Estimate.Suspended)
		require.Equal(t, "2026-11-25", seen.Estimate.Finish.String())
		text := o.page(200, who, at).text
		require.Contains(t, text, "Perkiraan personalisasi: ditahan; perkiraan dihitung lagi setelah permohonan dilanjutkan. Sebelum ditahan: 24 s.d. 25 November 2026.")
		require.NotContains(t, text, "Perkiraan personalisasi: 24")
		board := o.page(200, who, "/papan/2026-11-24").text
		require.NotContains(t, board, v.Ticket)
	}
	_, text := o.feed(feed)
	require.Contains(t, text, "STATUS:CANCELLED\r\n")
	require.Contains(t, text, "SUMMARY:Ditahan: Personalisasi 12 kartu SAM\\, "+v.Ticket+"\r\n")
	require.Contains(t, text, "DESCRIPTION:Permohonan ditahan\\; hari personalisasinya dihitung lagi setelah dilanjutkan.\\nPerkiraan sebelum ditahan: 24 s.d. 25 November 2026.")
	require.NotContains(t, text, "menunggu berkas")

	o.want(200, nil, "kasubdit", http.MethodPost, path+"/release", map[string]any{"reason": "lengkap"}, ifMatch(o.see(v.Ticket).Version)...)
	o.plan(10)
	now := o.see(v.Ticket).Estimate
	require.False(t, now.Suspended)
	require.Equal(t, "2026-12-01", now.Start.String())
	require.Contains(t, o.page(200, "produsen", at).text, "Perkiraan personalisasi: 1 s.d. 2 Desember 2026.")
	_, text = o.feed(feed)
	require.Contains(t, text, "STATUS:TENTATIVE\r\n")
	require.Contains(t, text, "DTSTART;VALUE=DATE:20261201\r\n")
	require.Contains(t, text, "SUMMARY:Personalisasi 12 kartu SAM")
}
