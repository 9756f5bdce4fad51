package main

import (
	"bytes"
	"context"
	"net/http"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/daemons/portal/internal/blanks"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/letter"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/report"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/pkg/stock"
	"dukcapil.go.id/sifilma/pkg/xlsx"
)

// vault is an office with a request of five cards, of which two failed and one is
// spoiled, and where its blanks are.
func vault(t *testing.T) (o *office, v report.Request, at string) {
	t.Helper()
	o = newOffice(t)
	v = o.accept(o.drop(5))
	o.produce(v, 3)
	o.tx(func(ctx context.Context, tx *postgres.Tx) error {
		if _, err := tx.Exec(ctx, `SET LOCAL session_replication_role = replica`); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `UPDATE card SET state = 'spoiled' WHERE id = (SELECT id FROM listed_card WHERE request_id = $1 AND row = 3)`, v.ID)
		return err
	})
	return o, v, "/api/v1/requests/" + v.Ticket
}

// blanks reads the blanks of a request with the version of its book.
func (o *office) blanks(at string) (v blanks.View, version []string) {
	o.t.Helper()
	w := o.want(200, &v, "operator", http.MethodGet, at+"/blanks", nil)
	return v, []string{"If-Match", w.Header().Get("ETag")}
}

func places(b stock.Balance) []int {
	return []int{b.Received, b.Unused, b.Clear, b.Failed, b.Spoiled, b.Spare, b.Test, b.Returned, b.Difference}
}

func line(edit ...any) map[string]any {
	all := map[string]any{"quantity": 3, "happened_on": "2026-11-23", "party": "Kurir Produsen", "reason": "cadangan"}
	for i := 0; i+1 < len(edit); i += 2 {
		if edit[i+1] == nil {
			delete(all, edit[i].(string))
			continue
		}
		all[edit[i].(string)] = edit[i+1]
	}
	return all
}

func TestBlanksAreBooked(t *testing.T) {
	t.Parallel()
	o, _, at := vault(t)
	now, version := o.blanks(at)
	require.Equal(t, []int{5, 0, 2, 2, 1, 0, 0, 0, 0}, places(now.Balance))
	require.Equal(t, []machine.Verb{stock.ReceiveVerb, stock.DestroyVerb, stock.AttestVerb}, now.Offers)
	for _, who := range []string{"produsen", "dirjen", "direktur"} {
		o.problem(403, who, http.MethodPost, at+"/blanks/receipts", line(), version...)
	}
	o.problem(403, "produsen", http.MethodGet, at+"/blanks", nil)
	o.problem(404, foreigner, http.MethodGet, at+"/blanks", nil)
	o.problem(404, foreigner, http.MethodPost, at+"/blanks/receipts", line(), version...)
	o.problem(403, "persuratan", http.MethodPost, at+"/blanks/tests", line("party", nil), version...)
	o.problem(428, "operator", http.MethodPost, at+"/blanks/receipts", line())

	pointers := func(path string, body any) (all []string) {
		for _, e := range o.problem(422, "operator", http.MethodPost, at+path, body, version...).Errors {
			all = append(all, e.Pointer+" "+e.Code)
		}
		return all
	}
	require.Equal(t, []string{"/quantity missing", "/happened_on missing", "/party missing", "/reason missing"}, pointers("/blanks/receipts", map[string]any{}), "all at once")
	require.Equal(t, []string{"/quantity out_of_range", "/happened_on in_future"}, pointers("/blanks/receipts", line("quantity", 10001, "happened_on", "2026-11-24")))
	require.Equal(t, []string{"/happened_on too_early"}, pointers("/blanks/receipts", line("happened_on", "2026-11-22")))
	require.Equal(t, []string{"/source missing"}, pointers("/blanks/returns", line()))
	require.Equal(t, []string{"/quantity too_many"}, pointers("/blanks/tests", line("party", nil)))

	var after blanks.View
	w := o.want(200, &after, "persuratan", http.MethodPost, at+"/blanks/receipts", line(), version...)
	require.Equal(t, []int{8, 0, 2, 2, 1, 3, 0, 0, 0}, places(after.Balance))
	o.problem(412, "persuratan", http.MethodPost, at+"/blanks/receipts", line(), version...)
	version = []string{"If-Match", w.Header().Get("ETag")}
	w = o.want(200, &after, "operator", http.MethodPost, at+"/blanks/tests", line("party", nil, "quantity", 1), version...)
	version = []string{"If-Match", w.Header().Get("ETag")}
	w = o.want(200, &after, "persuratan", http.MethodPost, at+"/blanks/returns", line("source", "spare", "quantity", 2), version...)
	version = []string{"If-Match", w.Header().Get("ETag")}
	require.Equal(t, []int{8, 0, 2, 2, 1, 0, 1, 2, 0}, places(after.Balance))
	require.Equal(t, []string{"persuratan", "operator", "persuratan"}, []string{after.Movements[0].BookedBy, after.Movements[1].BookedBy, after.Movements[2].BookedBy})
	back := func(i int) string { return at + "/blanks/" + after.Movements[i].ID + "/reversal" }
	o.problem(403, "persuratan", http.MethodPost, back(1), map[string]any{"reason": "salah"}, version...)
	p := o.problem(422, "operator", http.MethodPost, back(0), map[string]any{"reason": "salah"}, version...)
	require.Equal(t, "too_many", p.Errors[0].Code, "what came in has gone")
	o.problem(404, "operator", http.MethodPost, at+"/blanks/"+uuid.NewString()+"/reversal", map[string]any{"reason": "salah"}, version...)
	w = o.want(200, &after, "kasubdit", http.MethodPost, back(1), map[string]any{"reason": "salah ketik"}, version...)
	version = []string{"If-Match", w.Header().Get("ETag")}
	require.Equal(t, []int{8, 0, 2, 2, 1, 1, 0, 2, 0}, places(after.Balance))
	o.problem(409, "operator", http.MethodPost, back(1), map[string]any{"reason": "lagi"}, version...)

	// The blanks of replacements come in with their registration, but for the spare one.
	cards := o.cards("kasubdit", now.Ticket)
	o.want(200, nil, "operator", http.MethodPost, at+"/replacements", map[string]any{"replacements": []any{
		map[string]any{"card": cards[0].ID, "serial": "SAM90001"}, map[string]any{"card": cards[1].ID, "serial": "SAM90002"},
	}})
	now, _ = o.blanks(at)
	require.Equal(t, []int{9, 2, 2, 2, 1, 0, 0, 2, 0}, places(now.Balance))
	require.Equal(t, "Diterima bersama pendaftaran kartu pengganti.", now.Movements[4].Reason)

	other := o.drop(1)
	_, version = o.blanks("/api/v1/requests/" + other.Ticket)
	p = o.problem(409, "operator", http.MethodPost, "/api/v1/requests/"+other.Ticket+"/blanks/receipts", line(), version...)
	require.Equal(t, "urn:sifilma:problem:blanks-not-open", p.Type)
}

func TestTheDaySheetOfBlanks(t *testing.T) {
	t.Parallel()
	o, v, at := vault(t)
	_, version := o.blanks(at)
	o.want(200, nil, "operator", http.MethodPost, at+"/blanks/receipts", line(), version...)
	var sheet blanks.Sheet
	o.want(200, &sheet, "operator", http.MethodGet, "/api/v1/blanks", nil)
	require.Len(t, sheet.Requests, 1)
	d := sheet.Requests[0]
	require.Equal(t, v.Ticket, d.Ticket)
	require.Equal(t, []int{0, 8, 0}, []int{d.Opening, d.Received, d.Difference})
	require.Equal(t, d.Opening+d.Received, d.Clear+d.Failed+d.Spoiled+d.InDoubt+d.InHand+d.Test+d.Returned+d.Closing)
	o.want(200, &sheet, "operator", http.MethodGet, "/api/v1/blanks?day=2026-11-22", nil)
	require.Empty(t, sheet.Requests)
	o.problem(400, "operator", http.MethodGet, "/api/v1/blanks?day=kemarin", nil)
	o.problem(403, "produsen", http.MethodGet, "/api/v1/blanks", nil)
	o.problem(403, "produsen", http.MethodGet, "/api/v1/blanks.xlsx", nil)

	for path, first := range map[string]string{"/api/v1/blanks.xlsx": v.Ticket, at + "/blanks.xlsx": "2026-11-23"} {
		body := o.want(200, nil, "kasubdit", http.MethodGet, path, nil).Body.Bytes()
		book, err := xlsx.Open(bytes.NewReader(body), int64(len(body)), xlsx.Limits{})
		require.NoError(t, err)
		found := false
		for row, err := range book.Rows("Blangko") {
			require.NoError(t, err)
			found = found || row.Cell(1).Text == first
		}
		require.True(t, found, "%s has no row of %s", path, first)
	}
}

func destruction(edit ...any) map[string]any {
	all := map[string]any{"destroyed_on": "2026-11-23", "method": "dipotong melalui chip", "first_name": "Ani", "first_post": "Operator KI",
		"second_name": "Budi", "second_post": "Kasubdit KI", "reason": "chip menolak"}
	for i := 0; i+1 < len(edit); i += 2 {
		all[edit[i].(string)] = edit[i+1]
	}
	return all
}

// made plays the document generator for a berita acara.
func (o *office) made(requestID, id string) (d letter.Document) {
	o.t.Helper()
	c := request.Change{Actor: machine.Actor{Name: "document-generator", Role: request.Generator}, OfficeAt: o.clock.Now()}
	o.tx(func(ctx context.Context, tx *postgres.Tx) (err error) {
		d, _, err = letter.Make(ctx, tx, letter.Draft{Kind: letter.DestructionReport, SubjectID: id, RequestID: requestID, Dated: clock.DateOf(morning), Numbering: "{urut}"}, c)
		return err
	})
	return d
}

func TestCardsAreDestroyedThroughThePortal(t *testing.T) {
	t.Parallel()
	o, v, at := vault(t)
	now, _ := o.blanks(at)
	require.Len(t, now.Lost, 3)
	ids := []string{now.Lost[0].CardID, now.Lost[2].CardID}
	require.Equal(t, []string{"failed", "spoiled"}, []string{now.Lost[0].Was, now.Lost[2].Was})
	path := at + "/destructions"
	for _, who := range []string{"produsen", "persuratan", "dirjen", "direktur"} {
		o.problem(403, who, http.MethodPost, path, destruction("cards", ids))
	}
	pointers := func(body any) (all []string) {
		for _, e := range o.problem(422, "operator", http.MethodPost, path, body).Errors {
			all = append(all, e.Pointer+" "+e.Code)
		}
		return all
	}
	require.Equal(t, []string{"/cards missing", "/destroyed_on missing", "/method missing", "/first_name missing", "/first_post missing", "/second_name missing", "/second_post missing", "/reason missing"}, pointers(map[string]any{}))
	require.Equal(t, []string{"/second_name same"}, pointers(destruction("cards", ids, "second_name", "ANI")))
	clear := o.cards("operator", v.Ticket)[4]
	require.Equal(t, perso.Clear, clear.State)
	require.Equal(t, []string{"/cards not_destroyable"}, pointers(destruction("cards", []string{ids[0], clear.ID})))

	var after blanks.View
	o.want(200, &after, "operator", http.MethodPost, path, destruction("cards", ids))
	require.Equal(t, 2, after.Balance.Destroyed)
	require.Len(t, after.Destructions, 1)
	one := after.Destructions[0]
	require.Nil(t, one.Paper)
	require.Equal(t, []string{"/cards not_destroyable"}, pointers(destruction("cards", ids[:1])), "once is enough")
	var bells int
	require.NoError(t, o.db.Get(t.Context(), &bells, `SELECT count(*) FROM outbox WHERE type = 'cards.destroyed' AND subject = $1`, one.ID))
	require.Equal(t, 1, bells)

	void := path + "/" + one.ID + "/voiding"
	why := map[string]any{"reason": "salah saksi"}
	p := o.problem(409, "operator", http.MethodPost, void, why)
	require.Equal(t, "urn:sifilma:problem:paper-not-made", p.Type)
	paper := o.made(v.ID, one.ID)
	o.problem(403, "kasubdit", http.MethodPost, void, why)
	o.problem(404, "operator", http.MethodPost, path+"/"+uuid.NewString()+"/voiding", why)
	o.want(200, &after, "operator", http.MethodPost, void, why)
	require.Zero(t, after.Balance.Destroyed)
	require.Equal(t, letter.Void, after.Destructions[0].Paper.State)
	o.problem(409, "operator", http.MethodPost, void, why)
	gone, err := letter.Get(t.Context(), o.db, paper.ID)
	require.NoError(t, err)
	require.Equal(t, letter.Void, gone.State)
	o.want(200, &after, "kasubdit", http.MethodPost, path, destruction("cards", ids))
	require.Equal(t, 2, after.Balance.Destroyed)
	o.made(v.ID, after.Destructions[1].ID)
	require.Equal(t, "Berita Acara Kartu Rusak", o.see(v.Ticket).Documents[1].KindLabel)
}
