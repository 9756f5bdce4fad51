package main

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/report"
)

// TestADispositionRecordedLate ranks by the day on which it was received (features.md
// I12), not by the one on which somebody typed it.
func TestADispositionRecordedLate(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	today := clock.Today(o.clock)
	path := o.approved()
	for on, code := range map[clock.Date]string{today.AddDays(1): "in_future", clock.MustParseDate("2001-01-01"): "before_letter"} {
		p := o.problem(422, "direktur", http.MethodPost, path+"/disposition", map[string]any{"received_on": on})
		require.Equal(t, []string{"/received_on " + code}, []string{p.Errors[0].Pointer + " " + p.Errors[0].Code})
	}
	late := today.AddDays(-3)
	var v report.Request
	o.want(200, &v, "direktur", http.MethodPost, path+"/disposition", map[string]any{"note": "proses", "received_on": late})
	o.want(200, &v, "kasubdit", http.MethodPost, path+"/acceptance", nil, ifMatch(v.Version)...)
	require.Equal(t, late, *v.DispositionOn)

	// The same in the browser.
	path = o.approved()
	ticket := path[strings.LastIndex(path, "/")+1:]
	page, _ := o.act(422, "direktur", ticket, "disposisi", "received_on", "20 November")
	require.Contains(t, page.text, "Tulis tanggal dengan tahun lebih dahulu")
	o.did("direktur", ticket, "disposisi", "Disposisi tercatat.", "received_on", late.String())
	o.did("kasubdit", ticket, "terima", "Permohonan diterima")
	require.Equal(t, late, *o.see(ticket).DispositionOn)
}
