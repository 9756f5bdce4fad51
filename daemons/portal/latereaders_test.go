package main

import (
	"context"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/report"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/pkg/stage"
)

func (o *office) lateReaders(who, query string) (l report.LateActivations) {
	o.t.Helper()
	o.want(200, &l, who, http.MethodGet, v1+"/late-activations"+query, nil)
	return l
}

// TestLateActivations: a letter for activation that stays too long with somebody of the
// office is on the late list with who must act and since when; one that is back with the
// lembaga is not, and the days that it was there count for nobody (features.md J02 to J12).
func TestLateActivations(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	cards := o.handedOver(1)
	v := o.activates("1", cards) // on Monday 23 November
	require.Empty(t, o.lateReaders("operator", "").Activations)
	require.Equal(t, map[stage.Status]int{stage.OnTime: 1, stage.Warning: 0, stage.Late: 0}, o.lateReaders("operator", "").Counts)

	o.on("2026-11-25")
	l := o.lateReaders("operator", "").Activations
	require.Len(t, l, 1)
	require.Equal(t, []any{v.Ticket, "letter", 2, 3, -1, stage.Warning}, []any{l[0].Ticket, l[0].Stage, l[0].Days, l[0].Max, l[0].Over, l[0].Status})
	o.on("2026-11-27")
	l = o.lateReaders("operator", "?status=late").Activations
	require.Equal(t, []any{"letter", 4, 1, stage.Late, 1}, []any{l[0].Stage, l[0].Days, l[0].Over, l[0].Status, l[0].Readers})
	w := l[0].Waiting
	require.Len(t, w, 1)
	require.Equal(t, []any{request.Persuratan, "mencatat surat fisik dan mendaftarkan 1 reader", 4}, []any{w[0].Role, w[0].Task, w[0].Days})
	require.True(t, w[0].Since.Equal(morning), "since it was checked")

	// By page.
	page := o.page(200, "operator", "/terlambat")
	for _, text := range []string{
		"1 surat melewati batas, 0 mendekati batas.", v.Ticket, "lewat 1 hari kerja", "Surat dan pendaftaran: 4 dari 3 hari kerja",
		"mendaftarkan 1 reader sejak 23 November 2026, 4 hari kerja",
	} {
		require.Contains(t, page.text, text)
	}
	require.NotContains(t, o.page(200, "operator", "/terlambat?keadaan=warning").text, v.Ticket)

	// Those whose letter it is see it, and others do not.
	require.Len(t, o.lateReaders("lembaga", "").Activations, 1)
	require.Len(t, o.lateReaders("produsen", "").Activations, 1)
	for _, who := range []string{foreigner, otherLembaga} {
		require.Empty(t, o.lateReaders(who, "").Activations)
		require.Zero(t, o.lateReaders(who, "").Counts[stage.Late])
	}
	require.Equal(t, map[string]string{"/status": "unknown_value", "/x": "unknown_field"},
		codes(o.problem(400, "operator", http.MethodGet, v1+"/late-activations?status=ahead&x=1", nil)))

	// Back with the lembaga for a week: nobody of the office is late.
	o.step(200, "persuratan", "return", &v, map[string]any{"reason": "alamat kurang jelas"})
	require.Zero(t, o.lateReaders("operator", "").Counts[stage.Late])
	o.on("2026-12-04")
	require.Empty(t, o.lateReaders("operator", "").Activations)
	line := readerLines(cards)[0]
	line["line"], line["address"] = 1, "Jl. Contoh No. 2"
	o.step(200, "lembaga", "resubmission", &v, map[string]any{"lines": []map[string]any{line}})
	v = o.judged(v)
	l = o.lateReaders("operator", "").Activations
	require.Equal(t, []any{"letter", 4, 1}, []any{l[0].Stage, l[0].Days, l[0].Over}, "the week there does not count, the days before do")

	// Accepted and never signed: the reply waits, for whoever makes it.
	o.on("2026-12-07")
	o.acceptReaders(&v)
	o.on("2026-12-14")
	l = o.lateReaders("operator", "").Activations
	require.Equal(t, "reply", l[0].Stage)
	var roles []string
	for _, one := range l[0].Waiting {
		roles = append(roles, one.Task)
	}
	require.NotEmpty(t, roles)
	o.tx(func(ctx context.Context, tx *postgres.Tx) error { // who counts for the alert sees the same
		counts, err := report.CountActivations(ctx, o.db, o.clock.Now())
		require.Equal(t, 1, counts[stage.Late])
		return err
	})
}
