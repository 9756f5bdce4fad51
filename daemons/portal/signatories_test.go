package main

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/daemons/portal/internal/masterdata"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/letter"
)

type signatoriesSeen struct {
	Signatories []masterdata.Signatory `json:"signatories"`
}

// Keepers look after who signs, by page and by API; others of the office read it, and
// nobody else.
func TestKeepersAppointWhoSigns(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	const path, at = "/data-induk/pejabat", "/api/v1/signatories"
	var seen signatoriesSeen
	o.want(200, &seen, "operator", http.MethodGet, at, nil)
	require.Len(t, seen.Signatories, 2)
	require.True(t, seen.Signatories[0].Signs)
	o.problem(403, "produsen", http.MethodGet, at, nil)

	d, _ := o.post(422, "operator", path+"/baru", "post_code", "dirjen", "form", "plh", "name", "Pejabat Harian", "post", "Direktur Jenderal Uji", "valid_from", "2026-11-23")
	require.Contains(t, d.text, "isi hari terakhirnya")
	require.Equal(t, "Pejabat Harian", d.value("name"))
	o.post(303, "operator", path+"/baru", "post_code", "dirjen", "form", "plh", "name", "Pejabat Harian", "post", "Direktur Jenderal Uji",
		"valid_from", "2026-11-23", "valid_to", "2026-11-25")
	page := o.page(200, "operator", path)
	require.Contains(t, page.text, "Plh. Direktur Jenderal Uji")
	require.Contains(t, page.text, "digantikan sementara")
	s, err := letter.SignatoryOn(t.Context(), o.db, letter.Dirjen, clock.MustParseDate("2026-11-24"))
	require.NoError(t, err)
	require.Equal(t, "Plh. Direktur Jenderal Uji", s.Printed())
	require.Equal(t, []string{"signatory.appoint"}, o.deeds(s.ID))

	var end string
	for _, link := range page.hrefs() {
		if strings.Contains(link, s.ID) {
			end = link
		}
	}
	o.post(303, "operator", end, "versi", "1", "valid_to", "2026-11-23")
	after, err := letter.SignatoryOn(t.Context(), o.db, letter.Dirjen, clock.MustParseDate("2026-11-24"))
	require.NoError(t, err)
	require.NotEqual(t, s.ID, after.ID, "the holder signs again")

	in := map[string]any{"post_code": "kasubdit_ki", "form": "an", "name": "Pejabat", "post": "Kepala Seksi", "principal": "Kasubdit KI", "valid_from": "2026-11-23"}
	o.problem(403, "produsen", http.MethodPost, at, in)
	var made masterdata.Signatory
	o.want(201, &made, "operator", http.MethodPost, at, in)
	require.Equal(t, "a.n. Kasubdit KI\nKepala Seksi", made.Printed)
	p := o.problem(422, "operator", http.MethodPost, at, in)
	require.Equal(t, "overlap", p.Errors[0].Code)
	o.problem(428, "operator", http.MethodPost, at+"/"+made.ID+"/ending", map[string]any{"valid_to": "2026-11-30"})
	o.want(200, &made, "operator", http.MethodPost, at+"/"+made.ID+"/ending", map[string]any{"valid_to": "2026-11-30"}, ifMatch(1)...)
	require.Equal(t, "2026-11-30", made.ValidTo.String())
	o.problem(412, "operator", http.MethodPost, at+"/"+made.ID+"/ending", map[string]any{"valid_to": "2026-11-30"}, ifMatch(1)...)
}
