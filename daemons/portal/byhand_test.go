package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/xuri/excelize/v2"

	"dukcapil.go.id/sifilma/pkg/capacity"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/identity"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/perso/handsheet"
	"dukcapil.go.id/sifilma/pkg/perso/persotest"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/report"
	"dukcapil.go.id/sifilma/pkg/request"
)

// atHand is what the API says of a request that is done by hand.
type atHand struct {
	Mode  struct{ Mode, Reason, SetBy string }
	Cards []perso.HandCard
}

// waiting are the results that wait for their second person.
func (a atHand) waiting() (ids []string) {
	for _, c := range a.Cards {
		if c.Waiting != nil {
			ids = append(ids, c.Waiting.ID)
		}
	}
	return ids
}

// byHand is an office with an accepted request of n cards in manual mode.
func byHand(t *testing.T, n int) (o *office, v report.Request, at string) {
	t.Helper()
	o = newOffice(t)
	persotest.Recipes(t, o.db)
	v = o.accept(o.drop(n))
	o.scheduled("diterima")
	at = v1 + "/requests/" + v.Ticket
	o.want(200, nil, "kasubdit", http.MethodPut, at+"/personalisation", map[string]any{"mode": "manual", "reason": "alat lama"}, ifMatch(0)...)
	return o, v, at
}

// morningOf releases the orders of the request's day, and makes it today.
func (o *office) morningOf(requestID string) {
	o.t.Helper()
	var day clock.Date
	require.NoError(o.t, o.db.Get(o.t.Context(), &day, `SELECT min(day) FROM work_order WHERE request_id = $1 AND state = 'planned'`, requestID))
	o.clock.Set(day.At(9, 0))
	o.tx(func(ctx context.Context, tx *postgres.Tx) error {
		_, err := capacity.ReleaseDay(ctx, tx, day, day.At(7, 30))
		return err
	})
}

func entry(card perso.HandCard, result, reason string) map[string]any {
	return map[string]any{"card": card.ID, "result": result, "reason": reason}
}

// The office's present way, from the choice of the mode to the last card.
func TestARequestIsDoneByHand(t *testing.T) {
	t.Parallel()
	o, v, at := byHand(t, 3)
	var desk atHand
	o.want(200, &desk, "operator", http.MethodGet, at+"/personalisation", nil)
	require.Equal(t, "manual", desk.Mode.Mode)
	for _, who := range []string{"produsen", "persuratan", "dirjen", "direktur"} {
		o.problem(403, who, http.MethodGet, at+"/personalisation", nil)
		o.problem(403, who, http.MethodPut, at+"/personalisation", map[string]any{"mode": "station", "reason": "x"}, ifMatch(1)...)
		o.problem(403, who, http.MethodPost, at+"/numbers", nil)
		o.problem(403, who, http.MethodPost, at+"/results", map[string]any{"results": []any{entry(desk.Cards[0], "clear", "")}})
		o.problem(403, who, http.MethodGet, at+"/results.xlsx", nil)
	}
	o.problem(404, foreigner, http.MethodGet, at+"/personalisation", nil)

	o.want(200, &desk, "operator", http.MethodPost, at+"/numbers", nil)
	for _, c := range desk.Cards {
		require.Regexp(t, `^[0-9A-F]{32}$`, c.PCID)
		require.NotEmpty(t, c.ManifestNo)
	}
	require.Equal(t, "urn:sifilma:problem:nothing-to-number", o.problem(409, "operator", http.MethodPost, at+"/numbers", nil).Type)
	require.Equal(t, "urn:sifilma:problem:numbers-open",
		o.problem(409, "kasubdit", http.MethodPut, at+"/personalisation", map[string]any{"mode": "station", "reason": "x"}, ifMatch(1)...).Type)
	results := func(all ...map[string]any) map[string]any { return map[string]any{"results": all} }
	p := o.problem(422, "operator", http.MethodPost, at+"/results", results(entry(desk.Cards[0], "clear", "")))
	require.Equal(t, "/results/0/result no_order", p.Errors[0].Pointer+" "+p.Errors[0].Code, "nothing is released yet")

	burnt := desk.Cards[0].PCID
	require.Equal(t, "/reason", o.problem(422, "operator", http.MethodDelete, at+"/numbers", map[string]any{"reason": ""}).Errors[0].Pointer)
	o.want(200, &desk, "operator", http.MethodDelete, at+"/numbers", map[string]any{"reason": "salah urut"})
	require.Empty(t, desk.Cards[0].PCID)
	o.want(200, &desk, "operator", http.MethodPost, at+"/numbers", nil)
	require.NotEqual(t, burnt, desk.Cards[0].PCID)

	o.morningOf(v.ID)
	require.Equal(t, []string{"operator mempersonalisasi 3 kartu secara manual", "kasubdit mempersonalisasi 3 kartu secara manual"}, waits(o.see(v.Ticket)))
	ofOperator, err := report.WaitingFor(t.Context(), o.db, identity.Account{Role: request.Operator})
	require.NoError(t, err)
	require.Equal(t, []string{v.ID}, ofOperator)
	require.Equal(t, "urn:sifilma:problem:orders-released",
		o.problem(409, "kasubdit", http.MethodPut, at+"/personalisation", map[string]any{"mode": "station", "reason": "x"}, ifMatch(1)...).Type)
	p = o.problem(422, "operator", http.MethodPost, at+"/results", results(entry(desk.Cards[0], "clear", ""), entry(desk.Cards[1], "failed", "")))
	require.Equal(t, "/results/1/reason", p.Errors[0].Pointer)
	o.want(200, &desk, "operator", http.MethodPost, at+"/results", results(entry(desk.Cards[0], "clear", ""), entry(desk.Cards[1], "failed", "Chip mati"), entry(desk.Cards[2], "failed", "keliru")))
	require.Equal(t, "Hasil menunggu konfirmasi", desk.Cards[0].StateLabel)
	require.Equal(t, "Hasil menunggu konfirmasi", o.cards("operator", v.Ticket)[0].StateLabel)
	require.Equal(t, []string{"operator mengonfirmasi hasil 3 kartu", "kasubdit mengonfirmasi hasil 3 kartu"}, waits(o.see(v.Ticket)))
	ids := desk.waiting()
	require.Len(t, ids, 3)
	require.Equal(t, "urn:sifilma:problem:has-result", o.problem(409, "operator", http.MethodDelete, at+"/numbers", map[string]any{"reason": "x"}).Type)
	require.Equal(t, "urn:sifilma:problem:same-person", o.problem(403, "operator", http.MethodPost, at+"/results/confirmation", map[string]any{"results": ids}).Type)
	o.want(200, &desk, "operator", http.MethodPost, at+"/results/withdrawal", map[string]any{"results": ids[2:]})
	require.Equal(t, "urn:sifilma:problem:no-result", o.problem(409, "kasubdit", http.MethodPost, at+"/results/confirmation", map[string]any{"results": ids}).Type)
	o.want(200, &desk, "operator", http.MethodPost, at+"/results", results(entry(desk.Cards[2], "clear", "")))
	o.want(200, &desk, "kasubdit", http.MethodPost, at+"/results/confirmation", map[string]any{"results": desk.waiting()})
	require.Equal(t, "Berhasil Gagal Berhasil", desk.Cards[0].StateLabel+" "+desk.Cards[1].StateLabel+" "+desk.Cards[2].StateLabel)
	now := o.see(v.Ticket)
	require.Equal(t, 2, now.Cards.Clear)
	require.Equal(t, 1, now.Cards.AwaitingReplacement)
	var rung int
	require.NoError(t, o.db.Get(t.Context(), &rung, `SELECT count(*) FROM outbox WHERE type = 'workorder.finished' AND request_id = $1`, v.ID))
	require.Equal(t, 1, rung)
}

// waits are who must act on a request, and what.
func waits(v report.Request) (all []string) {
	for _, w := range v.Waiting {
		all = append(all, string(w.Role)+" "+w.Task)
	}
	return all
}

// On station orders nothing is set by hand.
func TestAStationRequestTakesNothingByHand(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	persotest.Recipes(t, o.db)
	v := o.accept(o.drop(1))
	o.scheduled("diterima")
	at := v1 + "/requests/" + v.Ticket
	var desk atHand
	o.want(200, &desk, "operator", http.MethodGet, at+"/personalisation", nil)
	require.Equal(t, "station", desk.Mode.Mode)
	for method, path := range map[string]string{http.MethodPost: "/numbers", http.MethodDelete: "/numbers"} {
		p := o.problem(409, "operator", method, at+path, map[string]any{})
		require.Equal(t, "urn:sifilma:problem:station-mode", p.Type)
	}
	p := o.problem(409, "operator", http.MethodPost, at+"/results", map[string]any{"results": []any{entry(desk.Cards[0], "clear", "")}})
	require.Contains(t, p.Detail, "dikerjakan di stasiun")
	o.problem(412, "operator", http.MethodPut, at+"/personalisation", map[string]any{"mode": "manual", "reason": "x"}, ifMatch(7)...)
	o.problem(428, "operator", http.MethodPut, at+"/personalisation", map[string]any{"mode": "manual", "reason": "x"})
	o.problem(422, "operator", http.MethodPut, at+"/personalisation", map[string]any{"mode": "tangan", "reason": ""}, ifMatch(0)...)
}

// handBook exports a request's workbook and lets edit change it.
func (o *office) handBook(at string, edit func(f *excelize.File)) []byte {
	o.t.Helper()
	w := o.want(200, nil, "operator", http.MethodGet, at+"/results.xlsx", nil)
	f, err := excelize.OpenReader(bytes.NewReader(w.Body.Bytes()))
	require.NoError(o.t, err)
	if edit != nil {
		edit(f)
	}
	var b bytes.Buffer
	require.NoError(o.t, f.Write(&b))
	require.NoError(o.t, f.Close())
	return b.Bytes()
}

// Results go out and come back by Excel; what is wrong is named by its cell, and
// then nothing of it is taken.
func TestResultsComeBackByExcel(t *testing.T) {
	t.Parallel()
	o, v, at := byHand(t, 4)
	o.want(200, nil, "operator", http.MethodPost, at+"/numbers", nil)
	o.morningOf(v.ID)
	var desk atHand
	post := func(book []byte) {
		o.want(200, &desk, "operator", http.MethodPost, at+"/results/import", sheetForm(t, book))
	}
	post(o.handBook(at, nil))
	require.Empty(t, desk.waiting(), "nothing was changed")

	// The table begins in row 3: two titles, the header, then the cards.
	set := func(f *excelize.File, cell, value string) {
		require.NoError(t, f.SetCellStr(handsheet.Sheet, cell, value))
	}
	wrong := o.handBook(at, func(f *excelize.File) {
		header, err := f.GetCellValue(handsheet.Sheet, "E3")
		require.NoError(t, err)
		require.Equal(t, handsheet.HeaderStatus, header)
		set(f, "E4", "Berhasil")
		set(f, "E5", "Gagal")
		set(f, "D6", strings.Repeat("0", 32))
		set(f, "C7", "M-LAIN")
	})
	p := o.problem(422, "operator", http.MethodPost, at+"/results/import", sheetForm(t, wrong))
	var places []string
	for _, e := range p.Errors {
		places = append(places, e.Pointer+" "+e.Code)
	}
	require.Equal(t, []string{"sheet!Data Personalisasi!F5 missing", "sheet!Data Personalisasi!D6 differs", "sheet!Data Personalisasi!C7 differs"}, places)
	p = o.problem(422, "operator", http.MethodPost, at+"/results/import", sheetForm(t, o.handBook(at, func(f *excelize.File) {
		set(f, "E4", "Berhasil")
		set(f, "E5", "mungkin")
		set(f, "B6", "SAM99999")
		set(f, "D6", "PCID LAIN")
		set(f, "E7", "Gagal")
	})))
	places = nil
	for _, e := range p.Errors {
		places = append(places, e.Pointer+" "+e.Code)
	}
	require.Equal(t, []string{"sheet!Data Personalisasi!E5 unknown_value", "sheet!Data Personalisasi!B6 unknown_value", "sheet!Data Personalisasi!F7 missing"},
		places, "all that is wrong is told at once, as it stands in the sheet")
	o.want(200, &desk, "operator", http.MethodGet, at+"/personalisation", nil)
	require.Empty(t, desk.waiting())
	require.Equal(t, "/sheet", o.problem(422, "operator", http.MethodPost, at+"/results/import", sheetForm(t, []byte("%PDF-1.7"))).Errors[0].Pointer)
	require.Equal(t, "/sheet", o.problem(422, "operator", http.MethodPost, at+"/results/import", sheetForm(t, nil)).Errors[0].Pointer)

	good := func(f *excelize.File) {
		set(f, "E4", "Berhasil")
		set(f, "E5", "GAGAL")
		set(f, "F5", "Chip tidak menjawab")
		set(f, "E6", "Clear")
	}
	post(o.handBook(at, good))
	require.Len(t, desk.waiting(), 3)
	require.Equal(t, "Chip tidak menjawab", desk.Cards[1].Waiting.Reason)
	post(o.handBook(at, nil)) // the same once more
	require.Len(t, desk.waiting(), 3)
	o.want(200, &desk, "kasubdit", http.MethodPost, at+"/results/confirmation", map[string]any{"results": desk.waiting()})
	post(o.handBook(at, func(f *excelize.File) { set(f, "E7", "Berhasil") }))
	require.Len(t, desk.waiting(), 1)
	p = o.problem(422, "operator", http.MethodPost, at+"/results/import", sheetForm(t, o.handBook(at, func(f *excelize.File) { set(f, "E4", "Gagal"); set(f, "F4", "x") })))
	require.Equal(t, "sheet!Data Personalisasi!E4 not_open", p.Errors[0].Pointer+" "+p.Errors[0].Code, "a result is not changed")
}

// Another tool may give the numbers: they are checked, and taken for ever.
func TestNumbersComeByExcel(t *testing.T) {
	t.Parallel()
	o, _, at := byHand(t, 2)
	number := func(i int) string { return fmt.Sprintf("AB%030X", i) }
	book := o.handBook(at, func(f *excelize.File) {
		for i := range 2 {
			require.NoError(t, f.SetCellStr(handsheet.Sheet, fmt.Sprintf("C%d", 4+i), fmt.Sprintf("ki-%d", i)))
			require.NoError(t, f.SetCellStr(handsheet.Sheet, fmt.Sprintf("D%d", 4+i), strings.ToLower(number(i))))
		}
	})
	var desk atHand
	o.want(200, &desk, "operator", http.MethodPost, at+"/results/import", sheetForm(t, book))
	require.Equal(t, number(1), desk.Cards[1].PCID)
	require.Equal(t, "KI-1", desk.Cards[1].ManifestNo)
	o.want(200, &desk, "operator", http.MethodDelete, at+"/numbers", map[string]any{"reason": "salah"})
	p := o.problem(422, "operator", http.MethodPost, at+"/results/import", sheetForm(t, book))
	require.Equal(t, "sheet!Data Personalisasi!D4 in_use", p.Errors[0].Pointer+" "+p.Errors[0].Code, "burnt")
}
