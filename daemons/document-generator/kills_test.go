package main

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/letter"
	"dukcapil.go.id/sifilma/test/paperoffice"
)

// killing is a generator that works on an office while it or its LibreOffice is killed.
type killing struct {
	office   *paperoffice.Office
	work     string
	config   string
	daemon   *exec.Cmd
	requests []paperoffice.Request
}

// underFire finishes n requests together, each with a handover, and starts the generator.
func underFire(t *testing.T, n int) *killing {
	t.Helper()
	k := &killing{office: paperoffice.New(t, paperoffice.Plan{Cards: 3}), work: t.TempDir()}
	k.config = surroundings(t, k.office, fmt.Sprintf(
		"libreoffice: {soffice: soffice, work_dir: %q}\npress: {workers: 2, poll: 1s, retry: 100ms, retry_most: 1s}\ndesk: {look: 1s}", k.work), "").WriteConfig(t, paperoffice.At)
	for range n {
		r := k.office.Done(t)
		k.office.Open(t, r, 0)
		k.requests = append(k.requests, r)
	}
	k.daemon = start(t, k.config)
	t.Cleanup(func() {
		_ = k.daemon.Process.Signal(os.Interrupt)
		_ = k.daemon.Wait()
	})
	return k
}

// left is how many papers are not made.
func (k *killing) left() int {
	return 4*len(k.requests) - count(k.office.DB, `SELECT count(*) FROM document WHERE state IN ('awaiting_signature', 'issued')`)
}

// killGenerator ends it as a failing machine would, and starts it again.
func (k *killing) killGenerator(t *testing.T) {
	t.Helper()
	require.NoError(t, k.daemon.Process.Kill())
	require.Error(t, k.daemon.Wait())
	k.daemon = start(t, k.config)
}

// killLibreOffice ends whichever runs; none is no fault.
func (k *killing) killLibreOffice() (killed int) {
	for _, pid := range running(k.work) {
		if syscall.Kill(pid, syscall.SIGKILL) == nil {
			killed++
		}
	}
	return killed
}

// nothingMissingNothingTwice: each request has each paper once, with whole files that
// name it, and the numbers have no gap.
func (k *killing) nothingMissingNothingTwice(t *testing.T) {
	t.Helper()
	db := k.office.DB
	numbers := map[string]bool{}
	for _, r := range k.requests {
		made := papers(t, k.office, r, 4)
		list, err := letter.List(t.Context(), db, r.ID)
		require.NoError(t, err)
		require.Len(t, list, 4)
		for _, kind := range []string{letter.ReplyLetter, letter.CompletionLetter, letter.BAST} {
			d := made[kind]
			require.Equal(t, letter.AwaitingSignature, d.State, kind)
			require.False(t, numbers[*d.Number], *d.Number)
			numbers[*d.Number] = true
			pdf, _ := file(t, k.office, d, "pdf")
			text := pdfText(t, pdf)
			require.Contains(t, text, "Kode Tiket "+r.Ticket)
			require.Contains(t, text, *d.Number)
			if kind == letter.BAST {
				for _, serial := range r.Serials {
					require.Contains(t, text, serial)
				}
			}
		}
		sheet, _ := file(t, k.office, made[letter.ResultList], "xlsx")
		require.NotEmpty(t, sheet)
	}
	for n := 1; n <= 3*len(k.requests); n++ {
		require.True(t, numbers[fmt.Sprintf("400.8.2.15/%d/Dukcapil", n)], n)
	}
	all := 4 * len(k.requests)
	require.Equal(t, all, count(db, `SELECT count(*) FROM document`))
	require.Equal(t, all, count(db, `SELECT count(*) FROM audit WHERE action = 'document.made'`), "made once")
	require.Equal(t, len(k.requests), count(db, `SELECT count(*) FROM handover WHERE state = 'bast_drafted'`))
	require.Zero(t, count(db, `SELECT count(*) FROM shelf`))
	// Files of batches that were cut off are in no database.
	require.Equal(t, 7*len(k.requests), count(db, `SELECT count(*) FROM blob WHERE id NOT IN (SELECT file_blob FROM letter_template)`))
}

// TestPapersThroughKills: five requests finish together; the generator and LibreOffice
// are killed at work.
func TestPapersThroughKills(t *testing.T) {
	t.Parallel()
	k := underFire(t, 5)
	atWork := func() bool { return len(running(k.work)) > 0 }
	require.Eventually(t, atWork, patience, time.Millisecond)
	require.Positive(t, k.killLibreOffice())
	require.Eventually(t, atWork, patience, time.Millisecond, "it is tried again")
	k.killGenerator(t)
	require.Eventually(t, func() bool { return k.left() == 0 }, 2*patience, 50*time.Millisecond)
	k.nothingMissingNothingTwice(t)
}
