package main

import (
	"context"
	"net/http"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/daemons/portal/internal/lots"
	"dukcapil.go.id/sifilma/pkg/postgres"
)

// held has a station hold the lot of a request's first card.
func (o *office) held(requestID, kind, cause string) (id string) {
	o.t.Helper()
	id = uuid.NewString()
	o.tx(func(ctx context.Context, tx *postgres.Tx) error {
		return tx.ExecOne(ctx, `
			INSERT INTO lot_hold (id, work_order_id, kind, card_id, cause, station, office_at)
			SELECT $1, c.work_order_id, $2, c.id, $3, 'perso-1', now() FROM card c JOIN listed_card l ON l.id = c.id
			WHERE c.request_id = $4 AND c.work_order_id IS NOT NULL ORDER BY l.row LIMIT 1`, id, kind, cause, requestID)
	})
	return id
}

// A lot that waits is shown to those who look after it, and goes on when one of them
// says what was looked at; once, and never before the first card is there.
func TestALotThatWaitsGoesOn(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	v := o.accept(o.drop(2))
	o.want(202, nil, "kasubdit", http.MethodPost, v1+"/requests/"+v.Ticket+"/release-now", map[string]any{"reason": "mendesak"})
	o.scheduled("perintah petugas")
	o.inHand(v.Ticket, true)
	first := o.held(v.ID, "first_card", "")
	stopped := o.held(v.ID, "equal_failures", "Kunci kartu tidak cocok")
	const at = v1 + "/lot-holds"
	for _, id := range []string{first, stopped} {
		o.refuseOthers(at+"/"+id+"/lift", map[string]any{"reason": "x"}, 1, "operator", "kasubdit")
	}
	o.problem(403, "dirjen", http.MethodGet, at, nil)
	o.page(403, "produsen", "/lot")
	var list struct{ Holds []lots.Hold }
	o.want(200, &list, "operator", http.MethodGet, at, nil)
	require.Len(t, list.Holds, 2)
	require.Equal(t, []any{first, v.Ticket, "Kartu pertama menunggu persetujuan", false},
		[]any{list.Holds[0].ID, list.Holds[0].Ticket, list.Holds[0].KindLabel, list.Holds[0].Liftable})

	d := o.page(200, "operator", "/lot")
	require.Contains(t, d.text, "Lot tertahan (2)")
	require.Contains(t, d.text, "Kunci kartu tidak cocok")
	require.Contains(t, d.text, "belum ada yang dapat diperiksa")
	require.Contains(t, o.problem(409, "kasubdit", http.MethodPost, at+"/"+first+"/lift", map[string]any{"reason": "baik"}).Type, "first-not-clear")
	o.tx(func(ctx context.Context, tx *postgres.Tx) error {
		if _, err := tx.Exec(ctx, `SET LOCAL session_replication_role = replica`); err != nil {
			return err
		}
		return tx.ExecOne(ctx, `UPDATE card SET state = 'clear' WHERE id = (SELECT card_id FROM lot_hold WHERE id = $1)`, first)
	})
	_, next := o.post(303, "kasubdit", "/lot/"+first+"/lanjut", "alasan", " ")
	require.Contains(t, o.page(200, "kasubdit", next).text, "Tuliskan apa yang diperiksa")
	_, next = o.post(303, "kasubdit", "/lot/"+first+"/lanjut", "alasan", "dibaca pada mesin uji, cocok")
	d = o.page(200, "kasubdit", next)
	require.Contains(t, d.text, "Lot dilanjutkan")
	require.Contains(t, d.text, "dibaca pada mesin uji, cocok")
	_, next = o.post(303, "operator", "/lot/"+first+"/lanjut", "alasan", "x")
	require.Contains(t, o.page(200, "operator", next).text, "sudah dilanjutkan orang lain")

	o.problem(422, "operator", http.MethodPost, at+"/"+stopped+"/lift", map[string]any{"reason": " "})
	var h lots.Hold
	o.want(200, &h, "operator", http.MethodPost, at+"/"+stopped+"/lift", map[string]any{"reason": "batch lain dipasang"})
	require.Equal(t, "operator", *h.LiftedBy)
	require.Contains(t, o.problem(409, "operator", http.MethodPost, at+"/"+stopped+"/lift", map[string]any{"reason": "x"}).Type, "already-lifted")
	o.problem(404, "operator", http.MethodPost, at+"/"+uuid.NewString()+"/lift", map[string]any{"reason": "x"})
	require.NotContains(t, o.page(200, "operator", "/lot").text, "Lot tertahan (")
	require.Equal(t, 2, o.count(`audit WHERE action = 'lot.released'`))
}
