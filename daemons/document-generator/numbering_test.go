package main

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/letter"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/test/paperoffice"
)

// TestThePDFIsMadeAfterTheNumber that persuratan types; and a paper in force is made anew
// when somebody asks, but not one that was voided for good.
func TestThePDFIsMadeAfterTheNumber(t *testing.T) {
	t.Parallel()
	o := paperoffice.New(t, paperoffice.Plan{Cards: 1})
	run(t, o, "desk: {look: 1s}", "127.0.0.1:0")
	persuratan := paperoffice.As(request.Persuratan, "salah")
	var n letter.Numbering
	until := func(what string, is func() bool) {
		t.Helper()
		require.Eventually(t, is, patience, 50*time.Millisecond, what)
	}
	until("the numberings are known", func() bool {
		var err error
		n, err = letter.GetNumbering(t.Context(), o.DB, letter.ReplyLetter)
		return err == nil
	})
	o.Must(t, func(ctx context.Context, tx *postgres.Tx) (err error) {
		n.Way = letter.Typed
		_, err = letter.ChangeNumbering(ctx, tx, n, 0, 2026, persuratan)
		return err
	})
	r := o.Done(t)
	made := papers(t, o, r, 2)
	require.Empty(t, made[letter.ReplyLetter].Formats(), "no file before the number")
	var waiting []letter.Document
	until("it waits for its number", func() bool {
		var err error
		waiting, err = letter.AwaitingNumber(t.Context(), o.DB, 10)
		require.NoError(t, err)
		return len(waiting) == 1
	})
	o.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
		_, err := letter.TypeNumber(ctx, tx, waiting[0], "470/77/SJ", clock.MustParseDate("2026-11-23"), persuratan)
		return err
	})
	reply := papers(t, o, r, 3)[letter.ReplyLetter]
	pdf, _ := file(t, o, reply, "pdf")
	require.Contains(t, pdfText(t, pdf), "470/77/SJ")

	list := made[letter.ResultList]
	o.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
		if _, err := letter.CancelForGood(ctx, tx, made[letter.CompletionLetter], persuratan); err != nil {
			return err
		}
		_, err := letter.AskReplacement(ctx, tx, list, persuratan)
		return err
	})
	until("the list is replaced", func() bool {
		now, err := letter.Get(t.Context(), o.DB, list.ID)
		require.NoError(t, err)
		return now.State == letter.Replaced
	})
	_, err := letter.Living(t.Context(), o.DB, letter.CompletionLetter, r.ID)
	require.ErrorIs(t, err, letter.ErrNotFound, "voided for good")
}
