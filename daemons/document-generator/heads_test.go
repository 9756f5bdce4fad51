package main

import (
	"context"
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/audit"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/letter"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/test/paperoffice"
)

// sealed chains all audit rows and returns the end of the chain.
func (o signingOffice) sealed(t *testing.T) audit.Head {
	t.Helper()
	for n := 1; n > 0; {
		var err error
		n, err = audit.NewSealer(o.DB, 0).SealOnce(t.Context())
		require.NoError(t, err)
	}
	head, err := audit.HeadOf(t.Context(), o.DB)
	require.NoError(t, err)
	return head
}

// sheet asks for the sheet of the day with this head.
func (o signingOffice) sheet(t *testing.T, head audit.Head) (a letter.Asked) {
	t.Helper()
	day := clock.DateOf(paperoffice.At)
	o.Must(t, func(ctx context.Context, tx *postgres.Tx) (err error) {
		a, err = letter.Ask(ctx, tx, letter.Asked{Kind: letter.DaySheet, Dated: day}, letter.DayFacts{
			Day: day, At: paperoffice.At, HeadSeq: head.Seq, HeadHash: head.Hash.String(), Unsealed: 3,
			MadeBy: letter.Signature{Name: "Ani", Post: "Persuratan"}, KnownBy: letter.Signature{Post: "Kasubdit KI"},
		}, paperoffice.As(request.Operator, ""))
		return err
	})
	return a
}

// printed waits for a sheet and returns what its reader sees.
func (o signingOffice) printed(t *testing.T, a letter.Asked) string {
	t.Helper()
	var d letter.Document
	require.Eventually(t, func() (is bool) {
		var err error
		d, err = letter.Newest(context.Background(), o.DB, letter.DaySheet, a.ID)
		return err == nil && d.State == letter.Issued
	}, patience, 50*time.Millisecond)
	pdf, _ := file(t, o.Office, d, "pdf")
	return pdfText(t, pdf)
}

// Without a token a day sheet waits and says why, and other papers go on; with it, it is
// printed with a signature that holds as it stands on the paper. A sheet whose head is not
// on the chain is never signed.
func TestADaySheetIsNotPrintedUnsigned(t *testing.T) {
	t.Parallel()
	o := newSigningOffice(t)
	o.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
		return audit.Record(ctx, tx, audit.Entry{Actor: "a", Action: "x.y"}, audit.Entry{Actor: "b", Action: "x.y"})
	})
	head := o.sealed(t)
	good := o.sheet(t, head)
	forged := o.sheet(t, audit.Head{Seq: head.Seq, Hash: audit.Hash{1}})
	r := o.Request(t)
	o.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
		_, err := letter.Ask(ctx, tx, letter.Asked{Kind: letter.BlankReceipt, RequestID: r.ID, Dated: clock.DateOf(paperoffice.At)}, letter.BlankCount{
			BroughtOn: clock.DateOf(paperoffice.At), Quantity: 3, Listed: 3}, paperoffice.As(request.Operator, ""))
		return err
	})
	t.Run("without a token", func(t *testing.T) {
		run(t, o.Office, "desk: {look: 1s}\npress: {retry: 100ms}", "")
		papers(t, o.Office, r, 1)
		waiting, err := letter.Newest(t.Context(), o.DB, letter.DaySheet, good.ID)
		require.NoError(t, err)
		require.Equal(t, letter.Drafted, waiting.State)
	})
	run(t, o.Office, o.config()+"\ndesk: {look: 1s}", "")
	text := o.printed(t, good)
	signed, err := audit.SignedFor(t.Context(), o.DB, good.ID)
	require.NoError(t, err)
	id, err := signed.Verify(o.keys(t))
	require.NoError(t, err)
	require.Contains(t, text, "belum dirantai: 3. Ditandatangani dengan kunci "+id+" ")
	_, after, _ := strings.Cut(text, id+" ")
	typed, err := hex.DecodeString(strings.Join(strings.Fields(after)[:16], ""))
	require.NoError(t, err)
	fromPaper := audit.SignedHead{Head: head, Day: clock.DateOf(paperoffice.At), Unsealed: 3, At: paperoffice.At.Truncate(time.Minute), Signature: typed}
	_, err = fromPaper.Verify(o.keys(t))
	require.NoError(t, err)
	_, err = audit.SignedFor(t.Context(), o.DB, forged.ID)
	require.ErrorIs(t, err, audit.ErrNotSigned)
	unprinted, err := letter.Newest(t.Context(), o.DB, letter.DaySheet, forged.ID)
	require.NoError(t, err)
	require.Equal(t, letter.Drafted, unprinted.State)
}

// A day that is over has its signed head, whether anybody prints its sheet or not.
func TestADayThatIsOverIsSigned(t *testing.T) {
	t.Parallel()
	o := newSigningOffice(t)
	before := clock.DateOf(paperoffice.At).AddDays(-1)
	o.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
		if err := audit.Record(ctx, tx, audit.Entry{Actor: "a", Action: "x.y"}); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `SET LOCAL session_replication_role = replica`); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `UPDATE audit SET at = $1`, before.At(23, 59).UTC())
		return err
	})
	head := o.sealed(t)
	for range 2 {
		run(t, o.Office, o.config(), "")
	}
	var signed audit.SignedHead
	require.Eventually(t, func() bool {
		var err error
		signed, err = audit.SignedFor(context.Background(), o.DB, before.String())
		return err == nil
	}, patience, 50*time.Millisecond)
	require.Equal(t, head, signed.Head)
	require.Equal(t, before, signed.Day)
	_, err := signed.Verify(o.keys(t))
	require.NoError(t, err)
}
