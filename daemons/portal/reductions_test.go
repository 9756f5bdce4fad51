package main

import (
	"fmt"
	"net/http"
	"strconv"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/report"
)

// letterOf are the fields of a reduction that are right, but for those given.
func letterOf(fields map[string]string, cards ...perso.CardRow) []string {
	all := map[string]string{
		"letter_number": "07/XI/2026", "letter_date": "2026-11-23", "signer": "Penanda Tangan", "signer_post": "Direktur", "reason": "pembeli mengurangi pesanan",
	}
	for name, value := range fields {
		all[name] = value
	}
	var pairs []string
	for name, value := range all {
		pairs = append(pairs, name, value)
	}
	for _, c := range cards {
		pairs = append(pairs, "card", c.ID+":"+strconv.FormatInt(c.Version, 10))
	}
	return pairs
}

func TestCardsAreReducedByASignedLetter(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	v := o.accept(o.drop(4))
	o.produce(v, 2)
	at := "/api/v1/requests/" + v.Ticket + "/reductions"
	cards := o.cards("kasubdit", v.Ticket)
	right := newForm(t, pdf, letterOf(nil, cards[0])...)
	for _, who := range []string{"operator", "produsen", "persuratan", "dirjen", "direktur"} {
		o.problem(403, who, http.MethodPost, at, right)
	}
	o.problem(404, foreigner, http.MethodPost, at, right)
	o.problem(404, foreigner, http.MethodGet, at, nil)

	var empty struct{ Reductions []perso.Reduction }
	o.want(200, &empty, "kasubdit", http.MethodGet, at, nil)
	require.Empty(t, empty.Reductions)
	pointers := func(f *form) (all []string) {
		for _, e := range o.problem(422, "kasubdit", http.MethodPost, at, f).Errors {
			all = append(all, e.Pointer+" "+e.Code)
		}
		return all
	}
	require.ElementsMatch(t, []string{
		"/letter_number missing", "/letter_date missing", "/signer missing", "/signer_post missing", "/reason missing", "/card missing", "/scan missing",
	}, pointers(newForm(t, nil)), "all at once")
	require.Equal(t, []string{"/letter_date in_future"}, pointers(newForm(t, pdf, letterOf(map[string]string{"letter_date": "2026-11-24"}, cards[0])...)))
	require.Equal(t, []string{"/letter_date too_early"}, pointers(newForm(t, pdf, letterOf(map[string]string{"letter_date": "2026-11-19"}, cards[0])...)))
	require.Equal(t, []string{"/scan wrong_type"}, pointers(newForm(t, []byte("bukan surat"), letterOf(nil, cards[0])...)))
	require.Equal(t, []string{"/card wrong_form"}, pointers(newForm(t, pdf, letterOf(nil, perso.CardRow{ID: "x"})...)))
	require.Equal(t, []string{"/card not_reducible", "/card not_reducible"}, pointers(newForm(t, pdf, letterOf(nil, cards...)...)), "the two that are clear")
	o.problem(404, "kasubdit", http.MethodPost, at, newForm(t, pdf, letterOf(nil, perso.CardRow{ID: uuid.NewString()})...))
	old := cards[0]
	old.Version--
	o.problem(412, "kasubdit", http.MethodPost, at, newForm(t, pdf, letterOf(nil, old)...))
	var kept int
	require.NoError(t, o.db.Get(t.Context(), &kept, `SELECT (SELECT count(*) FROM card_reduction) + (SELECT count(*) FROM card WHERE state = 'reduced')`))
	require.Zero(t, kept, "a refusal takes nothing")

	var after report.Request
	o.want(200, &after, "kasubdit", http.MethodPost, at, newForm(t, pdf, letterOf(nil, cards[0])...))
	require.Equal(t, 1, after.Cards.Reduced)
	require.Equal(t, 3, after.Cards.Total)
	require.Equal(t, "1 kartu dikurangi dari permohonan menurut surat nomor 07/XI/2026 tanggal 23 November 2026", after.Timeline[0].Label)
	require.Equal(t, "pembeli mengurangi pesanan", after.Timeline[0].Reason)
	require.Equal(t, "kasubdit", after.Timeline[0].Actor)
	o.want(200, nil, "kasubdit", http.MethodPost, at, right) // sent twice: once is enough
	require.Equal(t, []string{"/card not_reducible"}, pointers(newForm(t, pdf, letterOf(map[string]string{"letter_number": "08"}, cards[0])...)))

	var list, theirs struct{ Reductions []perso.Reduction }
	o.want(200, &list, "operator", http.MethodGet, at, nil)
	require.Len(t, list.Reductions, 1)
	require.Equal(t, []perso.ReducedCard{{ID: cards[0].ID, Serial: cards[0].Serial, Was: perso.Failed}}, list.Reductions[0].Cards)
	require.Equal(t, "kasubdit", list.Reductions[0].DecidedBy)
	o.want(200, &theirs, "produsen", http.MethodGet, at, nil)
	require.Empty(t, theirs.Reductions[0].DecidedBy)
	scan := fmt.Sprintf("%s/%s/letter", at, list.Reductions[0].ID)
	require.Equal(t, pdf, o.want(200, nil, "produsen", http.MethodGet, scan, nil).Body.Bytes())
	o.problem(404, foreigner, http.MethodGet, scan, nil)
	o.problem(404, "kasubdit", http.MethodGet, at+"/"+uuid.NewString()+"/letter", nil)
	var free int
	require.NoError(t, o.db.Get(t.Context(), &free, `SELECT count(*) FROM live_reader WHERE card_id = $1`, cards[0].ID))
	require.Zero(t, free, "its reader can be asked for again")
	require.Equal(t, "Gagal", o.cards("produsen", v.Ticket)[0].Reduction.WasLabel)
}

func TestReductionOfEveryCardIsRefused(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	v := o.accept(o.drop(2))
	at := "/api/v1/requests/" + v.Ticket + "/reductions"
	cards := o.cards("kasubdit", v.Ticket)
	p := o.problem(422, "kasubdit", http.MethodPost, at, newForm(t, pdf, letterOf(nil, cards...)...))
	require.Equal(t, "nothing_left", p.Errors[0].Code)
	o.want(200, nil, "kasubdit", http.MethodPost, at, newForm(t, pdf, letterOf(nil, cards[1])...)) // before its day came
	require.Equal(t, "Menunggu", o.cards("kasubdit", v.Ticket)[1].Reduction.WasLabel)
	other := o.accept(o.drop(1))
	p = o.problem(404, "kasubdit", http.MethodPost, "/api/v1/requests/"+other.Ticket+"/reductions", newForm(t, pdf, letterOf(nil, cards[0])...))
	require.Equal(t, "urn:sifilma:problem:not-found", p.Type, "a card of another request")
}

func TestReplacementsAreRegisteredTogether(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	v := o.accept(o.drop(5))
	o.produce(v, 4)
	other := o.drop(1)
	var elsewhere string
	require.NoError(t, o.db.Get(t.Context(), &elsewhere, `SELECT serial FROM listed_card WHERE request_id = $1`, other.ID))
	at := "/api/v1/requests/" + v.Ticket + "/replacements"
	cards := o.cards("operator", v.Ticket)
	body := func(serials ...string) map[string]any {
		var all []map[string]any
		for i, serial := range serials {
			all = append(all, map[string]any{"card": cards[i].ID, "serial": serial})
		}
		return map[string]any{"replacements": all}
	}
	codes := func(b any) (all []string) {
		for _, e := range o.problem(422, "operator", http.MethodPost, at, b).Errors {
			all = append(all, e.Pointer+" "+e.Code)
		}
		return all
	}
	for _, who := range []string{"produsen", "persuratan", "dirjen", "direktur"} {
		o.problem(403, who, http.MethodPost, at, body("SAM90001"))
	}
	o.problem(404, foreigner, http.MethodPost, at, body("SAM90001"))
	o.problem(404, "operator", http.MethodPost, at, map[string]any{"replacements": []map[string]any{{"card": uuid.NewString(), "serial": "SAM90001"}}})
	require.Equal(t, []string{"/replacements missing"}, codes(map[string]any{"replacements": []any{}}))
	require.Equal(t, []string{"/replacements/1/serial missing"}, codes(body("SAM90001", " ")))
	require.Equal(t, []string{"/replacements/0/serial wrong_form", "/replacements/2/serial serial_repeated", "/replacements/3/serial in_use", "/replacements/4/card not_replaceable"},
		codes(body("X1", "sam90001", "SAM90001", elsewhere, "SAM90005")), "all that is wrong at once")
	require.Equal(t, []string{"/replacements/0/serial in_use"}, codes(body(cards[1].Serial)), "its own list")
	require.Len(t, o.cards("operator", v.Ticket), 5, "everything or nothing")

	var after report.Request
	o.want(200, &after, "operator", http.MethodPost, at, body("SAM90001", "SAM90002"))
	require.Equal(t, 2, after.Cards.Open)
	require.Equal(t, 2, after.Cards.AwaitingReplacement)
	var rang, noted int
	require.NoError(t, o.db.Get(t.Context(), &rang, `SELECT count(*) FROM outbox WHERE type = 'replacement.registered'`))
	require.Equal(t, 1, rang)
	require.NoError(t, o.db.Get(t.Context(), &noted, `SELECT count(*) FROM audit WHERE action = 'card.replace' AND detail->>'reason' = 'kartu tidak menjawab'`))
	require.Equal(t, 2, noted, "the card's own reason, where none was typed")
	require.Equal(t, []string{"/replacements/0/card not_replaceable", "/replacements/1/card not_replaceable"}, codes(body("SAM90003", "SAM90004")))
}

func TestDecisionsOnADoubtNameWhatWasSeen(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	v := o.accept(o.drop(2))
	o.produce(v, 1)
	id := o.doubt(v.ID, perso.DecideComplete)
	at := "/api/v1/cards/" + id + "/resolution"
	card := o.cards("operator", v.Ticket)[0]
	require.NotNil(t, card.Observed)
	require.Nil(t, o.cards("produsen", v.Ticket)[0].Observed, "the office's business")
	spoil := map[string]any{"decision": "spoil", "reason": "kartu patah"}
	o.problem(412, "operator", http.MethodPost, at, spoil, ifMatch(card.Version-1)...)
	o.want(200, nil, "operator", http.MethodPost, at, spoil, ifMatch(card.Version)...)
	first := o.cards("kasubdit", v.Ticket)[0].Resolution
	o.problem(412, "kasubdit", http.MethodDelete, at, nil, ifMatch(card.Version-1)...)
	o.want(200, nil, "operator", http.MethodDelete, at, nil, ifMatch(card.Version)...)
	o.want(200, nil, "operator", http.MethodPost, at, map[string]any{"decision": "complete", "reason": "isi lengkap"})
	o.problem(412, "kasubdit", http.MethodPost, at+"/confirmation", map[string]any{"resolution": first.ID})
	o.problem(412, "kasubdit", http.MethodPost, at+"/confirmation", nil, ifMatch(card.Version-1)...)
	second := o.cards("kasubdit", v.Ticket)[0].Resolution
	o.problem(403, "operator", http.MethodPost, at+"/confirmation", map[string]any{"resolution": second.ID}, ifMatch(card.Version)...)
	o.want(200, nil, "kasubdit", http.MethodPost, at+"/confirmation", map[string]any{"resolution": second.ID}, ifMatch(card.Version)...)
	require.Equal(t, perso.Written, o.cards("kasubdit", v.Ticket)[0].State)
}
