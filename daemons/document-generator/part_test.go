package main

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/handover"
	"dukcapil.go.id/sifilma/pkg/letter"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/test/paperoffice"
)

// A part that is handed over while the line runs gets its BAST at once, of its cards only;
// the letters and the list of the request come when it is done. A handover that is taken
// back gets none, and the BAST of the next one is made anew, which counts without it.
func TestThePapersOfAPart(t *testing.T) {
	t.Parallel()
	o := paperoffice.New(t, paperoffice.Plan{Cards: 10})
	r := o.Request(t)
	line := func(q string) {
		o.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
			for _, one := range []string{`SET LOCAL session_replication_role = replica`, q} {
				if _, err := tx.Exec(ctx, one); err != nil {
					return err
				}
			}
			return nil
		})
	}
	line(`UPDATE card c SET state = CASE l.row WHEN 2 THEN 'in_doubt' ELSE 'listed' END FROM listed_card l WHERE l.id = c.id AND l.row IN (2, 9, 10)`)
	run(t, o, "desk: {look: 1s}", "127.0.0.1:0")

	first := o.Open(t, r, 3)
	bast := papers(t, o, r, 1)[letter.BAST]
	pdf, _ := file(t, o, bast, "pdf")
	text := pdfText(t, pdf)
	require.Contains(t, text, "sebanyak 3 (tiga) keping, sebagai penyerahan ke-1 dari jumlah seluruhnya 10 (sepuluh) keping dengan sisa 7 (tujuh) keping, "+
		"yaitu 3 (tiga) keping yang belum selesai dipersonalisasi dan 4 (empat) keping yang sudah selesai, dengan nomor asal")
	for i, serial := range r.Serials {
		if i == 0 || i == 2 || i == 3 {
			require.Contains(t, text, serial)
		} else {
			require.NotContains(t, text, serial)
		}
	}
	second := o.Open(t, r, 0)
	papers(t, o, r, 2)
	ready, err := handover.Get(t.Context(), o.DB, first.ID)
	require.NoError(t, err)
	require.Equal(t, handover.BASTDrafted, ready.State)
	o.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
		_, err := handover.Cancel(ctx, tx, ready, paperoffice.As(request.Operator, "keliru"))
		return err
	})
	anew := papers(t, o, r, 1)[letter.BAST]
	require.Equal(t, second.ID, anew.SubjectID)
	require.Equal(t, "400.8.2.15/3/Dukcapil", *anew.Number)
	pdf, _ = file(t, o, anew, "pdf")
	require.Contains(t, pdfText(t, pdf), "sebanyak 4 (empat) keping, sebagai penyerahan bertahap dari jumlah seluruhnya 10 (sepuluh) keping dengan sisa 6 (enam) keping, "+
		"yaitu 3 (tiga) keping yang belum selesai dipersonalisasi dan 3 (tiga) keping yang sudah selesai, dengan nomor asal")

	third := o.Open(t, r, 0)
	require.Equal(t, 3, third.Quantity)
	line(`UPDATE card SET state = 'clear'`)
	o.Finish(t, r)
	made := papers(t, o, r, 5)
	require.Len(t, made, 4)
	for _, d := range made {
		require.NotEqual(t, first.ID, d.SubjectID)
	}
}
