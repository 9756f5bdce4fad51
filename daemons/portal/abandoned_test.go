package main

import (
	"context"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/perso/persotest"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/report"
)

// inHand has a station take the first card of a request, whose cards are released, and
// begin to write it.
func (o *office) inHand(ticket string, writing bool) (cardID string) {
	o.t.Helper()
	persotest.Recipes(o.t, o.db)
	o.tx(func(ctx context.Context, tx *postgres.Tx) error {
		c := perso.Change{Actor: perso.StationActor("Ruang Bawah"), OfficeAt: o.clock.Now()}
		serial := o.cards("operator", ticket)[0].Serial
		h, err := perso.Claim(ctx, tx, perso.Identity{Serial: serial, ChipID: "CHIP" + serial},
			persotest.Place(o.t, o.db, "Ruang Bawah"), c)
		if err == nil && writing {
			h, err = perso.BeginWriting(ctx, tx, h, perso.Intent{Sealed: []byte("x")}, c)
		}
		cardID = h.Card.ID
		return err
	})
	return cardID
}

// silent lets an hour pass without a sign of any station.
func (o *office) silent() {
	o.t.Helper()
	o.tx(func(ctx context.Context, tx *postgres.Tx) error {
		for _, q := range []string{`SET LOCAL session_replication_role = replica`, `UPDATE history SET at = at - interval '61 minutes'`,
			`UPDATE perso_attempt SET claimed_at = claimed_at - interval '61 minutes', writing_at = writing_at - interval '61 minutes'`} {
			if _, err := tx.Exec(ctx, q); err != nil {
				return err
			}
		}
		return nil
	})
}

func TestACardIsTakenFromAStationThatDied(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	v := o.accept(o.drop(2))
	o.want(202, nil, "kasubdit", http.MethodPost, v1+"/requests/"+v.Ticket+"/release-now", map[string]any{"reason": "mendesak"})
	o.scheduled("perintah petugas")
	id := o.inHand(v.Ticket, true)
	at := "/api/v1/cards/" + id + "/resolution"
	body := map[string]any{"decision": "doubt", "reason": "stasiun terbakar"}
	refused := o.problem(409, "operator", http.MethodPost, at, body)
	require.Equal(t, "station-heard", refused.Code())
	require.NotContains(t, o.page(200, "operator", "/permohonan/"+v.Ticket).text, "Nyatakan meragukan")
	o.silent()
	require.True(t, o.cards("operator", v.Ticket)[0].Abandoned)
	require.False(t, o.cards("produsen", v.Ticket)[0].Abandoned)
	o.refuseOthers(at, body, 1, "operator", "kasubdit")
	page := o.page(200, "operator", "/permohonan/"+v.Ticket)
	require.Equal(t, []string{"{id}/usul"}, page.cardActs())
	require.Contains(t, page.text, "tidak ada kabar tentangnya dari stasiunnya sekurangnya sepuluh menit")
	require.Empty(t, o.page(200, "produsen", "/permohonan/"+v.Ticket).cardActs())

	path := "/permohonan/" + v.Ticket + "/kartu/" + id
	version := page.form("usul").value("versi")
	d, _ := o.post(422, "operator", path+"/usul", "versi", version, "decision", "doubt", "reason", "")
	require.Contains(t, d.text, "Alasan wajib diisi.")
	o.post(303, "operator", path+"/usul", "versi", version, "decision", "doubt", "reason", "stasiun terbakar")
	require.Equal(t, []string{"{id}/tarik"}, o.page(200, "operator", "/permohonan/"+v.Ticket).cardActs())
	page = o.page(200, "kasubdit", "/permohonan/"+v.Ticket)
	require.Contains(t, page.text, "Setelah dikonfirmasi kartu menjadi meragukan")
	decided := page.form("konfirmasi").value("keputusan")
	o.problem(403, "operator", http.MethodPost, at+"/confirmation", map[string]any{"resolution": decided})
	_, to := o.post(303, "kasubdit", path+"/konfirmasi", "versi", version, "keputusan", decided, "confirmed", "1")
	page = o.page(200, "kasubdit", to)
	require.Contains(t, page.text, "Putuskan kartu meragukan")
	require.Equal(t, perso.InDoubt, o.cards("operator", v.Ticket)[0].State)
	require.Equal(t, 1, o.see(v.Ticket).Cards.InDoubt)
	again := o.problem(409, "operator", http.MethodPost, at, body)
	require.Equal(t, "not-abandoned", again.Code())
	var seen report.Request
	require.NotContains(t, o.want(200, &seen, "produsen", http.MethodGet, v1+"/requests/"+v.Ticket, nil).Body.String(), "terbakar")
}

// TestAClaimIsTakenFromAStationThatDied: the blank is as it was.
func TestAClaimIsTakenFromAStationThatDied(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	v := o.accept(o.drop(2))
	o.want(202, nil, "kasubdit", http.MethodPost, v1+"/requests/"+v.Ticket+"/release-now", map[string]any{"reason": "mendesak"})
	o.scheduled("perintah petugas")
	id := o.inHand(v.Ticket, false)
	o.silent()
	at := "/api/v1/cards/" + id + "/resolution"
	o.want(200, nil, "kasubdit", http.MethodPost, at, map[string]any{"decision": "doubt", "reason": "stasiun mati"})
	require.Contains(t, o.page(200, "operator", "/permohonan/"+v.Ticket).text, "kartu kembali ke antrean")
	o.want(200, nil, "operator", http.MethodPost, at+"/confirmation", map[string]any{})
	require.Equal(t, perso.Numbered, o.cards("operator", v.Ticket)[0].State)
	require.Empty(t, o.page(200, "operator", "/permohonan/"+v.Ticket).cardActs())
	require.Equal(t, id, o.inHand(v.Ticket, true), "any station may take it")
}
