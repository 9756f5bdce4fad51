package main

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/postgres"
)

// beat has a station say that it is there, with these cards.
func (o *office) beat(station string, alarms []string, inHand ...string) {
	o.t.Helper()
	o.tx(func(ctx context.Context, tx *postgres.Tx) error {
		_, err := perso.Beat{Station: station, StartedAt: time.Now(), Readers: 2, InHand: inHand, Alarms: alarms}.Put(ctx, tx)
		return err
	})
}

// TestTheBoardTellsOfTheStations: which is there, which is silent, who holds which and
// why; for the office alone.
func TestTheBoardTellsOfTheStations(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	v := o.accept(o.drop(2))
	require.NotContains(t, o.page(200, "operator", "/papan").text, "Terakhir terdengar")
	o.want(202, nil, "kasubdit", http.MethodPost, v1+"/requests/"+v.Ticket+"/release-now", map[string]any{"reason": "mendesak"})
	o.scheduled("perintah petugas")
	id := o.inHand(v.Ticket, true)
	o.beat("Ruang Bawah", []string{"stalled", "stalled", "idle"}, id)
	o.beat("Ruang Atas", nil)
	o.tx(func(ctx context.Context, tx *postgres.Tx) error {
		_, err := perso.Stand(ctx, tx, "Ruang Atas", perso.Wish{Mode: perso.Paused, By: "Sari", Reason: "ganti kotak", OfficeAt: o.clock.Now()})
		return err
	})
	page := o.page(200, "operator", "/papan")
	for _, text := range []string{"Ruang Atas", "Dijeda", "dijeda oleh Sari", "ganti kotak", "Ruang Bawah", "Bekerja", "baru saja",
		"ada kartu yang tidak maju; menganggur, padahal ada kartu yang menunggu"} {
		require.Contains(t, page.text, text)
	}
	require.NotContains(t, page.text, "Diam")
	require.NotContains(t, o.page(200, "operator", "/papan?dari=2026-01-01").text, "Ruang Atas", "that is the present")
	require.NotContains(t, o.page(200, "produsen", "/papan").text, "Ruang Atas")

	// Nothing is said of the card as long as its station has it; once that is silent it
	// can be taken away.
	o.silent()
	o.beat("Ruang Bawah", nil, id)
	require.NotContains(t, o.page(200, "operator", "/permohonan/"+v.Ticket).text, "Nyatakan meragukan")
	o.tx(func(ctx context.Context, tx *postgres.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE station SET heard_at = heard_at - interval '11 minutes' WHERE name = 'Ruang Bawah'`)
		return err
	})
	page = o.page(200, "operator", "/papan")
	require.Contains(t, page.text, "Diam")
	require.Contains(t, page.text, "11 menit lalu")
	require.Contains(t, o.page(200, "operator", "/permohonan/"+v.Ticket).text, "Nyatakan meragukan")
}
