package main

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/handover"
	"dukcapil.go.id/sifilma/pkg/letter"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/test/paperoffice"
)

// TestPapersThatCannotBeDraftedStandBeforeNoOther, however many: the post that signs them
// is vacant, and the sheet of the day wants none.
func TestPapersThatCannotBeDraftedStandBeforeNoOther(t *testing.T) {
	t.Parallel()
	o := paperoffice.New(t, paperoffice.Plan{Cards: 1, NoSignatories: true})
	r := o.Request(t)
	day := clock.DateOf(paperoffice.At)
	var sheet letter.Asked
	o.Must(t, func(ctx context.Context, tx *postgres.Tx) (err error) {
		if _, err := tx.Exec(ctx, `
			INSERT INTO handover (id, request_id, ordinal, state, quantity, created_at)
			SELECT ('00000000-0000-0000-0000-' || lpad(n::text, 12, '0'))::uuid, $1, n, $2, 1, $3 FROM generate_series(1, 150) n`,
			r.ID, string(handover.Prepared), paperoffice.At.UTC()); err != nil {
			return err
		}
		sheet, err = letter.Ask(ctx, tx, letter.Asked{Kind: letter.DaySheet, Dated: day}, letter.DayFacts{
			Day: day, At: paperoffice.At, HeadSeq: 7, HeadHash: "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff",
		}, paperoffice.As(request.Operator, ""))
		return err
	})
	run(t, o, "desk: {look: 1s}", "127.0.0.1:0")
	require.Eventually(t, func() bool {
		printed, err := letter.Newest(context.Background(), o.DB, letter.DaySheet, sheet.ID)
		return err == nil && printed.State == letter.Issued
	}, patience, 50*time.Millisecond)
}
