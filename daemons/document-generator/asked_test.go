package main

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/letter"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/test/harness"
	"dukcapil.go.id/sifilma/test/paperoffice"
)

// TestWhoAsksForAPaperGetsIt, once: the receipt for blanks with a number and for
// signing, the sheet of a day at once, of no request and without a number.
func TestWhoAsksForAPaperGetsIt(t *testing.T) {
	t.Parallel()
	own := signingOffice{paperoffice.New(t, paperoffice.Plan{Cards: 2, NoSignatories: true}), harness.HSM(t)}
	own.key(t, 1)
	o, head := own.Office, own.sealed(t)
	r := o.Request(t)
	day := clock.DateOf(paperoffice.At)
	var receipt, sheet letter.Asked
	o.Must(t, func(ctx context.Context, tx *postgres.Tx) (err error) {
		c := paperoffice.As(request.Operator, "")
		if receipt, err = letter.Ask(ctx, tx, letter.Asked{Kind: letter.BlankReceipt, RequestID: r.ID, Dated: day}, letter.BlankCount{
			BroughtOn: day, Quantity: 1, Listed: 2, BroughtBy: letter.Signature{Name: "Dedi Kurir", Post: "PIC Produsen"}, ReceivedBy: letter.Signature{Name: "Ani", Post: "Persuratan"},
		}, c); err != nil {
			return err
		}
		sheet, err = letter.Ask(ctx, tx, letter.Asked{Kind: letter.DaySheet, Dated: day}, letter.DayFacts{
			Day: day, At: paperoffice.At, HeadSeq: head.Seq, HeadHash: head.Hash.String(),
			MadeBy: letter.Signature{Name: "Ani", Post: "Persuratan"}, KnownBy: letter.Signature{Post: "Kasubdit KI"},
			Written: []letter.WrittenCards{{Ticket: r.Ticket, Institution: "PT Produsen Contoh", Station: "perso-1", Clear: 2}},
		}, c)
		return err
	})
	run(t, o, own.config()+"\ndesk: {look: 1s}", "127.0.0.1:0")
	made := papers(t, o, r, 1)[letter.BlankReceipt]
	require.Equal(t, letter.AwaitingSignature, made.State)
	require.Equal(t, "400.8.2.15/1/Dukcapil", *made.Number)
	require.Equal(t, receipt.ID, made.SubjectID)
	pdf, name := file(t, o, made, "pdf")
	require.Equal(t, "tanda-terima-blangko-"+r.Ticket+".pdf", name)
	text := pdfText(t, pdf)
	require.Contains(t, text, "Jumlah blangko : 1 (satu) keping Jumlah tersebut TIDAK SAMA dengan jumlah kartu pada daftar kartu permohonan, yaitu 2 (dua) keping: kurang 1 (satu) keping.")
	signed, err := made.Signatures()
	require.NoError(t, err)
	require.Equal(t, []letter.Signature{{Name: "Dedi Kurir", Post: "PIC Produsen"}, {Name: "Ani", Post: "Persuratan"}}, signed)

	var printed letter.Document
	require.Eventually(t, func() bool {
		printed, err = letter.Newest(context.Background(), o.DB, letter.DaySheet, sheet.ID)
		return err == nil && printed.State == letter.Issued
	}, patience, 50*time.Millisecond)
	require.Nil(t, printed.Number)
	require.Empty(t, printed.RequestID)
	pdf, name = file(t, o, printed, "pdf")
	require.Equal(t, "lembar-harian-2026-11-23.pdf", name)
	text = pdfText(t, pdf)
	require.Contains(t, text, fmt.Sprintf("catatan nomor %d, SHA-256 %.8s", head.Seq, head.Hash))
	require.Contains(t, text, "1 "+r.Ticket+" PT Produsen Contoh perso-1 2 0 0 0")

	// One that was void for good is not made anew: somebody asks again.
	o.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
		_, err := letter.CancelForGood(ctx, tx, made, paperoffice.As(request.Persuratan, "salah nama"))
		if err != nil {
			return err
		}
		_, err = letter.Ask(ctx, tx, letter.Asked{Kind: letter.BlankReceipt, RequestID: r.ID, Dated: day}, letter.BlankCount{BroughtOn: day, Quantity: 2, Listed: 2}, paperoffice.As(request.Operator, ""))
		return err
	})
	require.Eventually(t, func() bool {
		return count(o.DB, `SELECT count(*) FROM document WHERE kind = 'blank_receipt' AND state = 'awaiting_signature'`) == 1
	}, patience, 50*time.Millisecond)
	require.Equal(t, 2, count(o.DB, `SELECT count(*) FROM document WHERE kind = 'blank_receipt'`))
}
