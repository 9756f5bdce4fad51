package main

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/report"
	"dukcapil.go.id/sifilma/pkg/request"
)

// A letter that comes after office hours or on an off day counts from the next
// hari kerja (users.md B.1).
func TestLetterAfterOfficeHours(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	r := o.drop(1, func(f *request.Form) { f.Date = clock.MustParseDate("2026-11-18") })
	path := "/api/v1/requests/" + r.Ticket + "/letter"
	for _, c := range []struct{ on, at, from string }{
		{"2026-11-19", "", "2026-11-19"},
		{"2026-11-19", "16.00", "2026-11-19"},
		{"2026-11-19", "16.01", "2026-11-20"},
		{"2026-11-20", "16.30", "2026-11-20"}, // Friday
		{"2026-11-20", "16:31", "2026-11-23"},
		{"2026-11-21", "", "2026-11-23"},
		{"2026-11-23", "", "2026-11-23"}, // today, in the morning
	} {
		body := map[string]any{"received_on": c.on}
		if c.at != "" {
			body["received_time"] = c.at
		}
		var v report.Request
		o.want(200, &v, "persuratan", http.MethodPost, path, body)
		var detail struct {
			From string `json:"counts_from"`
		}
		require.NoError(t, json.Unmarshal(v.Facts[0].Detail, &detail))
		require.Equal(t, c.from, detail.From, "%s %s", c.on, c.at)
	}
	require.Contains(t, o.ask("operator", http.MethodGet, "/permohonan/"+r.Ticket, nil).Body.String(), "Diterima 23 November 2026")
	o.problem(400, "persuratan", http.MethodPost, path, map[string]any{"received_on": "2026-11-19", "received_time": "25.00"})
}
