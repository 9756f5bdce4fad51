package main

import (
	"context"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/capacity"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/report"
)

// TestWhatIfIsAQuestion asks by API and page what the planner would do; the plan
// stays (which tables are touched is looked at in pkg/capacity).
func TestWhatIfIsAQuestion(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	first, second := o.accept(o.drop(7)), o.accept(o.drop(8))
	o.plan(10) // 7 and 3 on Tuesday, 5 on Wednesday
	date := clock.MustParseDate
	var v report.WhatIf
	o.want(200, &v, "persuratan", http.MethodPost, v1+"/what-if", map[string]any{})
	require.Equal(t, []any{2, 0, date("2026-11-25")}, []any{v.Unmoved, len(v.Moved), *v.LastAfter})

	o.want(200, &v, "kasubdit", http.MethodPost, v1+"/what-if", map[string]any{
		"days":           []any{map[string]any{"from": "2026-11-24", "cards": 7}},
		"extra_requests": []any{map[string]any{"cards": 20, "disposition_date": "2026-11-24"}},
		"holidays":       []any{"2026-11-26"},
	})
	require.Equal(t, []report.MovedRequest{{Ticket: second.Ticket, Institution: "PT Produsen Contoh",
		Before: &capacity.Period{Start: date("2026-11-24"), Finish: date("2026-11-25")}, After: &capacity.Period{Start: date("2026-11-25"), Finish: date("2026-11-25")}}}, v.Moved)
	require.Equal(t, []capacity.Period{{Start: date("2026-11-25"), Finish: date("2026-11-30")}}, v.Extra)
	require.Equal(t, []any{1, date("2026-11-30")}, []any{v.Unmoved, *v.LastAfter})
	o.want(200, &v, "operator", http.MethodPost, v1+"/what-if", map[string]any{"hold": []any{first.Ticket}})
	require.Nil(t, v.Moved[0].After)
	require.Equal(t, -1, v.Moved[1].Later)

	require.Equal(t, map[string]string{"/days/0/from": "frozen", "/hold/0": "unknown_value"}, func() map[string]string {
		all := codes(o.problem(422, "operator", http.MethodPost, v1+"/what-if", map[string]any{"days": []any{map[string]any{"from": "2026-11-23", "cards": 7}}}))
		for k, c := range codes(o.problem(422, "operator", http.MethodPost, v1+"/what-if", map[string]any{"hold": []any{"x"}})) {
			all[k] = c
		}
		return all
	}())
	for _, who := range []string{"produsen", "lembaga"} {
		o.problem(403, who, http.MethodPost, v1+"/what-if", map[string]any{})
		o.page(403, who, "/papan/andai")
	}
	o.problem(401, "", http.MethodPost, v1+"/what-if", map[string]any{})

	d := o.page(200, "operator", "/papan/andai")
	require.NotContains(t, d.text, "Seandainya demikian")
	d = o.page(200, "operator", "/papan/andai?henti_dari=2026-11-24&henti_kartu=10&tambah_kartu=1.000&tahan="+first.Ticket)
	require.Contains(t, d.text, "2 permohonan bergeser, 0 tetap.")
	require.Contains(t, d.text, first.Ticket+" PT Produsen Contoh 24 November 2026 – menjadi tanpa jadwal")
	require.Contains(t, d.text, second.Ticket+" PT Produsen Contoh 24 s.d. 25 November 2026 25 November 2026 selesai pada hari yang sama")
	require.Contains(t, d.text, "Stasiun berhenti 24 November 2026, 10 kartu per hari berkurang Permohonan tambahan 1.000 kartu dengan disposisi 23 November 2026 Permohonan "+first.Ticket+" ditahan")
	require.Equal(t, "1.000", d.value("tambah_kartu"))
	d = o.page(422, "operator", "/papan/andai?hari_dari=2026-11-23&hari_kartu=banyak&libur=besok&tahan=PSAM-2026-000009-9")
	for _, want := range []string{"Rencana hari ini sudah tetap; isi mulai besok.", "Isi jumlah kartu per hari, dari 0 sampai 100.000.", "Tanggal wajib diisi."} {
		require.Contains(t, d.text, want)
	}
	o.want(200, &v, "operator", http.MethodPost, v1+"/what-if", map[string]any{})
	require.Equal(t, 2, v.Unmoved)
}

// TestSoManyQuestionsAtOnce: while the plan cannot be read some wait for their turn
// and the others are told to come again; what cannot be asked is refused at once.
func TestSoManyQuestionsAtOnce(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.accept(o.drop(7))
	o.plan(10)
	const people = 14 // two are answered, eight wait
	codes := make(chan int, people)
	o.tx(func(ctx context.Context, tx *postgres.Tx) error {
		if _, err := tx.Exec(ctx, `LOCK TABLE placement IN ACCESS EXCLUSIVE MODE`); err != nil {
			return err
		}
		for range people {
			go func() { codes <- o.ask("kasubdit", http.MethodPost, v1+"/what-if", map[string]any{}).Code }()
		}
		for range people - 10 {
			require.Equal(t, 503, <-codes)
		}
		p := o.problem(422, "kasubdit", http.MethodPost, v1+"/what-if", map[string]any{"extra_requests": []any{map[string]any{"cards": 1_000_000_000}}})
		require.Equal(t, "out_of_range", p.Errors[0].Code)
		require.Contains(t, o.page(503, "kasubdit", "/papan/andai?biasa=10").text, "Terlalu banyak simulasi yang sedang dihitung.")
		return nil
	})
	for range 10 {
		require.Equal(t, 200, <-codes)
	}
	o.want(200, nil, "kasubdit", http.MethodPost, v1+"/what-if", map[string]any{})
}
