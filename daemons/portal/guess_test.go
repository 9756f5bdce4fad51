package main

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/report"
)

// TestDaysOfAYearWithoutACalendarAreSaidToBeAGuess, to the office and the produsen,
// wherever such days are chosen or told; until the year has its calendar.
func TestDaysOfAYearWithoutACalendarAreSaidToBeAGuess(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.decreedOn("2026-12-25")
	v := o.accept(o.drop(30))
	o.scheduled("permohonan baru diterima")
	at, path := "/permohonan/"+v.Ticket, v1+"/requests/"+v.Ticket
	const guess = "Hari libur tahun 2029 belum ditetapkan; perkiraan dapat bergeser."
	for _, who := range []string{"kasubdit", "operator", "produsen"} {
		require.NotContains(t, o.page(200, who, at).text, "belum ditetapkan")
	}
	_, next := o.post(303, "kasubdit", at+"/rencana/geser", "versi", o.planVersion(v.Ticket), "day", "2029-03-05", "reason", "menyusul")
	require.Contains(t, o.page(200, "kasubdit", next).text, guess, "as soon as the day is chosen")
	o.scheduled("kapasitas berubah: penempatan kartu diatur petugas")
	for _, who := range []string{"kasubdit", "operator", "produsen"} {
		require.Contains(t, o.page(200, who, at).text, guess, who)
	}
	require.Contains(t, o.page(200, "operator", "/papan").text, "Ada kartu yang direncanakan pada tahun 2029. "+guess)
	var seen report.Request
	o.want(200, &seen, "produsen", http.MethodGet, path, nil)
	require.Equal(t, 2029, seen.Estimate.UnknownYear)

	var w report.WhatIf
	o.want(200, &w, "kasubdit", http.MethodPost, v1+"/what-if", map[string]any{})
	require.Equal(t, 2027, w.UnknownYear, "the first of the years until then")
	require.Contains(t, o.page(200, "kasubdit", "/papan/andai?biasa=10").text, "Hari libur tahun 2027 belum ditetapkan; perkiraan dapat bergeser.")

	o.decreedOn("2029-12-25")
	require.NotContains(t, o.page(200, "produsen", at).text, "belum ditetapkan")
}
