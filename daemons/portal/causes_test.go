package main

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/capacity"
)

// TestACauseNamesNobodyInTheOffice: what moves an estimate is told to its produsen, but
// not which station, who entered it and why; the office reads all of it.
func TestACauseNamesNobodyInTheOffice(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	v := o.accept(o.drop(30))
	o.scheduled("permohonan ini diterima")
	path := "/api/v1/requests/" + v.Ticket
	feed := o.subscribe("produsen", v.Ticket)
	var down capacity.Downtime
	moved := func(want string) {
		t.Helper()
		cause, err := capacity.CauseOf(t.Context(), o.db, o.lastChange())
		require.NoError(t, err)
		require.Equal(t, want, cause)
		o.scheduled("jadwal henti stasiun berubah: " + cause)
		_, dates := o.feed(feed)
		for _, text := range []string{
			o.want(200, nil, "produsen", http.MethodGet, path, nil).Body.String(), o.page(200, "produsen", "/permohonan/"+v.Ticket).text, dates,
		} {
			require.NotContains(t, text, "Ruang Bawah")
			require.NotContains(t, text, "perselisihan")
		}
		require.Contains(t, o.page(200, "produsen", "/permohonan/"+v.Ticket).text, want)
	}
	form := map[string]any{"station": "Ruang Bawah berhenti 2", "from": "2026-11-24", "to": "2026-11-25", "cards": 240, "reason": "perselisihan pegawai"}
	o.want(201, &down, "operator", http.MethodPost, "/api/v1/downtimes", form)
	moved("satu stasiun berhenti 24 November 2026 sampai 25 November 2026, 240 kartu per hari berkurang")
	o.want(204, nil, "operator", http.MethodPost, "/api/v1/downtimes/"+down.ID+"/removal", map[string]any{"reason": "perselisihan pegawai"}, ifMatch(1)...)
	moved("satu stasiun berhenti 24 November 2026 sampai 25 November 2026, 240 kartu per hari berkurang: dibatalkan")
	require.Equal(t, "stasiun Ruang Bawah berhenti 2 berhenti 24 November 2026 sampai 25 November 2026, 240 kartu per hari berkurang: dibatalkan", o.calendar("operator", "2026").Changes[0].Text)
	require.Empty(t, o.calendar("produsen", "2026").Changes)
}
