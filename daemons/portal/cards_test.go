package main

import (
	"context"
	"net/http"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/report"
)

func (o *office) cards(who, ticket string) []perso.CardRow {
	o.t.Helper()
	var list struct{ Cards []perso.CardRow }
	o.want(200, &list, who, http.MethodGet, "/api/v1/requests/"+ticket+"/cards", nil)
	return list.Cards
}

func TestFailedCardIsReplaced(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	v := o.accept(o.drop(3))
	o.produce(v, 1)
	cards := o.cards("operator", v.Ticket)
	require.Len(t, cards, 3)
	require.Equal(t, "Gagal", cards[0].StateLabel)
	at := "/api/v1/cards/" + cards[0].ID + "/replacement"
	body := map[string]any{"serial": "sam90001"}

	require.Contains(t, o.see(v.Ticket).WaitingFor, report.Wait{Role: "operator"}.Role)
	o.refuseOthers(at, body, 1, "operator", "kasubdit")
	require.Equal(t, "/serial", o.problem(422, "operator", http.MethodPost, at, map[string]any{}).Errors[0].Pointer)
	require.Equal(t, "/serial", o.problem(422, "operator", http.MethodPost, at, map[string]any{"serial": "X1"}).Errors[0].Pointer)
	require.Equal(t, "/serial", o.problem(422, "operator", http.MethodPost, at, map[string]any{"serial": cards[1].Serial}).Errors[0].Pointer)
	o.problem(409, "operator", http.MethodPost, "/api/v1/cards/"+cards[1].ID+"/replacement", body)

	var after report.Request
	o.want(200, &after, "operator", http.MethodPost, at, body)
	require.Equal(t, 1, after.Cards.Open)
	require.Zero(t, after.Cards.AwaitingReplacement)
	require.Contains(t, after.Timeline[0].Label, "pengganti "+cards[0].Serial)
	o.problem(409, "operator", http.MethodPost, at, map[string]any{"serial": "SAM90002"})
	cards = o.cards("produsen", v.Ticket)
	require.Len(t, cards, 4)
	require.Equal(t, "SAM90001", cards[3].Serial)
	require.Equal(t, cards[0].ID, *cards[3].Replaces)
}

// doubt puts the first card of a request in doubt; the station proposes what it
// read from the card.
func (o *office) doubt(requestID string, proposal perso.Decision) (cardID string) {
	o.t.Helper()
	o.tx(func(ctx context.Context, tx *postgres.Tx) error {
		if _, err := tx.Exec(ctx, `SET LOCAL session_replication_role = replica`); err != nil {
			return err
		}
		if err := tx.Get(ctx, &cardID, `
			UPDATE card SET state = 'in_doubt', finished_at = NULL, reason = 'jawaban kartu hilang', version = version + 1
			WHERE id = (SELECT id FROM listed_card WHERE request_id = $1 ORDER BY row LIMIT 1) RETURNING id`, requestID); err != nil {
			return err
		}
		return tx.ExecOne(ctx, `
			INSERT INTO perso_attempt (id, card_id, attempt, work_order_id, station, reader, chip_id, profile, profile_sha256, proposal)
			SELECT $2, id, attempt, work_order_id, 'uji', 'uji', chip_id, 'uji', '', $3 FROM card WHERE id = $1`,
			cardID, uuid.NewString(), string(proposal))
	})
	return cardID
}

func TestDoubtIsSettledByTwo(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	v := o.accept(o.drop(2))
	o.produce(v, 1)
	id := o.doubt(v.ID, perso.DecideComplete)
	at := "/api/v1/cards/" + id + "/resolution"
	body := map[string]any{"decision": "complete", "reason": "isi kartu lengkap"}

	o.refuseOthers(at, body, 1, "operator", "kasubdit")
	o.problem(422, "operator", http.MethodPost, at, map[string]any{"decision": "guess", "reason": "x"})
	o.problem(422, "operator", http.MethodPost, at, map[string]any{"decision": "complete"})
	o.problem(409, "operator", http.MethodPost, at, map[string]any{"decision": "resume", "reason": "x"}) // not what was read
	o.problem(409, "kasubdit", http.MethodPost, at+"/confirmation", nil)
	o.want(200, nil, "operator", http.MethodPost, at, body)
	require.Equal(t, "operator", o.cards("kasubdit", v.Ticket)[0].Resolution.DecidedBy)
	require.Nil(t, o.cards("produsen", v.Ticket)[0].Resolution)
	require.Empty(t, o.cards("produsen", v.Ticket)[0].Reason)
	o.problem(403, "operator", http.MethodPost, at+"/confirmation", nil)
	o.refuseOthers(at+"/confirmation", nil, 1, "operator", "kasubdit")
	var after report.Request
	o.want(200, &after, "operator-2", http.MethodPost, at+"/confirmation", nil)
	require.Zero(t, after.Cards.InDoubt)
	require.Equal(t, "Sudah ditulis", o.cards("operator", v.Ticket)[0].StateLabel)
	o.problem(409, "kasubdit", http.MethodPost, at, body)
}

func TestUnconfirmedDecisionIsWithdrawn(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	v := o.accept(o.drop(2))
	o.produce(v, 1)
	id := o.doubt(v.ID, perso.DecideComplete)
	at := "/api/v1/cards/" + id + "/resolution"
	require.Equal(t, "urn:sifilma:problem:no-resolution", o.problem(409, "operator", http.MethodDelete, at, nil).Type)
	o.want(200, nil, "operator", http.MethodPost, at, map[string]any{"decision": "spoil", "reason": "keliru"})
	for _, who := range []string{"produsen", "persuratan", "dirjen", "direktur"} {
		o.problem(403, who, http.MethodDelete, at, nil)
	}
	o.problem(404, foreigner, http.MethodDelete, at, nil)
	o.problem(404, "operator", http.MethodDelete, "/api/v1/cards/"+uuid.NewString()+"/resolution", nil)
	var after report.Request
	o.want(200, &after, "kasubdit", http.MethodDelete, at, nil) // whoever may decide, so that nobody blocks a card
	require.Equal(t, v.ID, after.ID)
	require.Nil(t, o.cards("kasubdit", v.Ticket)[0].Resolution)
	o.problem(409, "kasubdit", http.MethodPost, at+"/confirmation", nil)
	var audited int
	require.NoError(t, o.db.Get(t.Context(), &audited, `SELECT count(*) FROM audit WHERE action = 'card.resolution.withdraw' AND actor = 'kasubdit'`))
	require.Equal(t, 1, audited)

	o.want(200, nil, "operator", http.MethodPost, at, map[string]any{"decision": "complete", "reason": "isi kartu lengkap"})
	o.want(200, nil, "kasubdit", http.MethodPost, at+"/confirmation", nil)
	o.problem(409, "kasubdit", http.MethodDelete, at, nil) // it has taken effect
}
