package letter_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/blob"
	"dukcapil.go.id/sifilma/pkg/letter"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/test/paperoffice"
)

// bringIn tries to issue a paper by a scan with this content.
func bringIn(t *testing.T, o *paperoffice.Office, d letter.Document, content string) error {
	t.Helper()
	return o.DB.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		ref, err := blob.Put(ctx, tx, "scan.pdf", "application/pdf", strings.NewReader(content))
		if err == nil {
			_, err = letter.Issue(ctx, tx, d, ref.ID.String(), monday, paperoffice.As(request.Persuratan, ""))
		}
		return err
	})
}

// TestAScanIsOnePapersOwn: never that of another one, also not of the one that it replaces,
// nor what nobody signed; what is refused leaves no trace.
func TestAScanIsOnePapersOwn(t *testing.T) {
	t.Parallel()
	o := paperoffice.New(t, paperoffice.Plan{Cards: 1})
	r := o.Done(t)
	reply := attach(t, o, first(makePaper(t, o, draft(letter.ReplyLetter, r.ID, r.ID))))
	completion := attach(t, o, first(makePaper(t, o, draft(letter.CompletionLetter, r.ID, r.ID))))
	refused := func(d letter.Document, content string, want letter.ScanUsedError) {
		t.Helper()
		var used *letter.ScanUsedError
		require.ErrorAs(t, bringIn(t, o, d, content), &used)
		require.Equal(t, want, *used)
		require.Equal(t, d, now(t, o, d))
	}
	about := func(d letter.Document, same, signed bool) letter.ScanUsedError {
		return letter.ScanUsedError{Kind: d.Kind, Number: *d.Number, Dated: d.Dated, Same: same, Signed: signed}
	}

	refused(completion, "%PDF", about(completion, true, false)) // both are alike, and its own is named
	require.NoError(t, bringIn(t, o, reply, "%PDF signed"))
	refused(completion, "%PDF signed", about(reply, false, true))
	o.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
		_, err := letter.AskReplacement(ctx, tx, now(t, o, reply), paperoffice.As(request.Persuratan, "salah nama"))
		return err
	})
	n := draft(letter.ReplyLetter, r.ID, r.ID)
	n.Replaces = reply.ID
	next := attach(t, o, first(makePaper(t, o, n)))
	refused(next, "%PDF signed", about(reply, false, true))
	require.NoError(t, bringIn(t, o, next, "%PDF signed anew"))
	refused(completion, "%PDF signed", about(reply, false, true)) // also of one that counts no more
	require.NoError(t, bringIn(t, o, completion, "%PDF of both"))
	require.Equal(t, "Surat balasan permohonan nomor 7", (&letter.ScanUsedError{Kind: letter.ReplyLetter, Number: "7"}).Paper())
	require.Equal(t, "Lembar harian tanggal 23 November 2026", (&letter.ScanUsedError{Kind: letter.DaySheet, Dated: &monday}).Paper())
}

// TestAScanIsOnePapersOwnAtOnce: of papers that get the same scan at the same moment, one is
// issued.
func TestAScanIsOnePapersOwnAtOnce(t *testing.T) {
	t.Parallel()
	o := paperoffice.New(t, paperoffice.Plan{Cards: 1})
	r := o.Done(t)
	for _, content := range []string{"%PDF a", "%PDF b", "%PDF c"} {
		papers := []letter.Document{
			attach(t, o, first(makePaper(t, o, draft(letter.ReplyLetter, r.ID, r.ID)))),
			attach(t, o, first(makePaper(t, o, draft(letter.CompletionLetter, r.ID, r.ID)))),
		}
		errs := make([]error, len(papers))
		var all sync.WaitGroup
		for i, d := range papers {
			all.Go(func() { errs[i] = bringIn(t, o, d, content) })
		}
		all.Wait()
		issued := 0
		var used *letter.ScanUsedError
		for i, err := range errs {
			if err == nil {
				issued++
				continue
			}
			require.True(t, errors.As(err, &used), "%v", err)
			o.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
				_, err := letter.Cancel(ctx, tx, papers[i], paperoffice.As(request.Persuratan, "selesai"))
				return err
			})
		}
		require.Equal(t, 1, issued)
		r = o.Done(t)
	}
}
