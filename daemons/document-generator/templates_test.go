package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/blob"
	"dukcapil.go.id/sifilma/pkg/letter"
	"dukcapil.go.id/sifilma/pkg/letter/template"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/test/paperoffice"
)

func offer(t *testing.T, o *paperoffice.Office, kind string, file []byte) (e template.Edition) {
	t.Helper()
	sound, err := template.Read(kind, file)
	require.NoError(t, err)
	o.Must(t, func(ctx context.Context, tx *postgres.Tx) (err error) {
		e, err = template.Offer(ctx, tx, sound, paperoffice.As(request.Operator, "uji"))
		return err
	})
	return e
}

// settled waits until an edition is no longer waiting for its sample.
func settled(t *testing.T, o *paperoffice.Office, id string, until func(e template.Edition) bool) (e template.Edition) {
	t.Helper()
	require.Eventually(t, func() bool {
		var err error
		e, err = template.Get(context.Background(), o.DB, id)
		return err == nil && until(e)
	}, patience, 50*time.Millisecond)
	return e
}

func sampleOf(t *testing.T, o *paperoffice.Office, e template.Edition) []byte {
	t.Helper()
	r, _, err := blob.Open(t.Context(), o.DB, uuid.MustParse(*e.SampleBlob))
	require.NoError(t, err)
	pdf, err := io.ReadAll(r)
	require.NoError(t, err)
	require.NoError(t, r.Close())
	return pdf
}

func in(s machine.State) func(template.Edition) bool {
	return func(e template.Edition) bool { return e.State == s }
}

// TestAnEditedTemplate goes its whole way: offered, its sample printed by LibreOffice with
// what is hard, approved by another person; a paper that waits for its files takes it, one
// that is made keeps its own, and the one of before comes back.
func TestAnEditedTemplate(t *testing.T) {
	t.Parallel()
	o := paperoffice.New(t, paperoffice.Plan{Cards: 2})
	run(t, o, "desk: {look: 1s}\nsampler: {poll: 100ms}", "127.0.0.1:0")
	r := o.Done(t)
	papers(t, o, r, 3)
	h := o.Open(t, r, 1)
	before := papers(t, o, r, 4)[letter.BAST]
	first, err := template.OfPaper(t.Context(), o.DB, before.ID)
	require.NoError(t, err)
	require.Equal(t, 1, first.Edition)

	e := offer(t, o, letter.BAST, paperoffice.Template(t, letter.BAST, "BERITA ACARA", "BERITA ACARA BARU"))
	e = settled(t, o, e.ID, in(template.Proposed))
	pdf := sampleOf(t, o, e)
	require.Equal(t, pages(t, pdf), *e.SamplePages)
	require.GreaterOrEqual(t, *e.SamplePages, 7)
	text := pdfText(t, pdf)
	for _, words := range []string{"BERITA ACARA BARU", "CONTOH — bukan naskah dinas", "SAMCONTOH000250", "a.n. Direktur Jenderal", "Plt. Direktur", "NIP. 197001011995031001",
		"dengan Nama yang Sangat Panjang Sekali", "PT Asuransi Contoh Sejahtera"} {
		require.Contains(t, text, words)
	}
	o.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
		_, err := template.Approve(ctx, tx, template.Seen{ID: e.ID, Version: e.Version}, paperoffice.As(request.Kasubdit, "baik"))
		return err
	})
	// The paper of before is void, and made anew in its stead.
	o.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
		_, err := letter.Cancel(ctx, tx, before, paperoffice.As(request.Operator, "salah"))
		return err
	})
	var after letter.Document
	require.Eventually(t, func() bool {
		var err error
		after, err = letter.Living(context.Background(), o.DB, letter.BAST, h.ID)
		return err == nil && after.State == letter.AwaitingSignature
	}, patience, 50*time.Millisecond)
	made, _ := file(t, o, after, "pdf")
	require.Contains(t, pdfText(t, made), "BERITA ACARA BARU SERAH TERIMA")
	now, err := template.OfPaper(t.Context(), o.DB, after.ID)
	require.NoError(t, err)
	require.Equal(t, e.ID, now.ID)
	still, err := template.OfPaper(t.Context(), o.DB, before.ID)
	require.NoError(t, err)
	require.Equal(t, first.ID, still.ID, "a paper keeps the edition that it was made by")
}

// TestASampleWaitsForLibreOffice, visibly, and one that cannot be printed says so.
func TestASampleWaitsForLibreOffice(t *testing.T) {
	t.Parallel()
	o := paperoffice.New(t, paperoffice.Plan{Cards: 1})
	program := filepath.Join(t.TempDir(), "soffice")
	e := offer(t, o, letter.ReplyLetter, paperoffice.Template(t, letter.ReplyLetter, "Lampiran", "Berkas"))
	run(t, o, "libreoffice: {soffice: '"+program+"'}\nsampler: {poll: 100ms, retry: 100ms, retry_most: 100ms}", "127.0.0.1:0")
	e = settled(t, o, e.ID, func(e template.Edition) bool { return e.SampleTries > 1 })
	require.Equal(t, template.Offered, e.State)
	require.Contains(t, e.SampleProblem, "sedang tidak dapat dipakai")

	require.NoError(t, os.WriteFile(program, []byte("#!/bin/sh\nexec soffice \"$@\"\n"), 0o700))
	e = settled(t, o, e.ID, in(template.Proposed))
	require.Empty(t, e.SampleProblem)
	require.True(t, bytes.HasPrefix(sampleOf(t, o, e), []byte("%PDF")))
}

// TestATemplateThatLibreOfficeCannotPrint is told so, and does not hold up the next one.
func TestATemplateThatLibreOfficeCannotPrint(t *testing.T) {
	t.Parallel()
	o := paperoffice.New(t, paperoffice.Plan{Cards: 1})
	program := filepath.Join(t.TempDir(), "soffice") // takes texts, and no Word file
	require.NoError(t, os.WriteFile(program, []byte("#!/bin/sh\nfor a; do case \"$a\" in *.docx) exit 0;; esac; done\nexec soffice \"$@\"\n"), 0o700))
	e := offer(t, o, letter.ReplyLetter, paperoffice.Template(t, letter.ReplyLetter, "Lampiran", "Berkas"))
	other := offer(t, o, letter.BAST, paperoffice.Template(t, letter.BAST, "Pihak", "PIHAK"))
	run(t, o, "libreoffice: {soffice: '"+program+"'}\nsampler: {poll: 100ms}", "127.0.0.1:0")
	e = settled(t, o, e.ID, in(template.Unprintable))
	require.Contains(t, e.SampleProblem, "LibreOffice tidak dapat mencetak berkas ini")
	settled(t, o, other.ID, in(template.Unprintable))
}

// TestKilledWhileItPrintsASample: the next process prints it, once.
func TestKilledWhileItPrintsASample(t *testing.T) {
	t.Parallel()
	o := paperoffice.New(t, paperoffice.Plan{Cards: 1})
	work := t.TempDir()
	config := surroundings(t, o, fmt.Sprintf("libreoffice: {soffice: soffice, work_dir: %q}\nsampler: {poll: 100ms}", work), "").WriteConfig(t, paperoffice.At)
	e := offer(t, o, letter.BAST, paperoffice.Template(t, letter.BAST, "Pihak", "PIHAK"))
	daemon := start(t, config)
	require.Eventually(t, func() bool { return len(running(work)) > 0 }, patience, time.Millisecond)
	require.NoError(t, daemon.Process.Kill())
	require.Error(t, daemon.Wait())
	now, err := template.Get(t.Context(), o.DB, e.ID)
	require.NoError(t, err)
	require.Equal(t, template.Offered, now.State)
	daemon = start(t, config)
	t.Cleanup(func() {
		_ = daemon.Process.Signal(os.Interrupt)
		_ = daemon.Wait()
	})
	now = settled(t, o, e.ID, in(template.Proposed))
	require.Equal(t, 1, now.SampleTries)
	require.Equal(t, 1, count(o.DB, `SELECT count(*) FROM audit WHERE action = 'template.sample'`))
}

// TestATemplateThatEndsItsPrinter is given up after a few times: the next ones, and the
// papers that the same process makes, go on.
func TestATemplateThatEndsItsPrinter(t *testing.T) {
	t.Parallel()
	o := paperoffice.New(t, paperoffice.Plan{Cards: 1})
	e := offer(t, o, letter.ReplyLetter, paperoffice.Template(t, letter.ReplyLetter, "Lampiran", "Berkas"))
	for range 5 { // processes that died of it
		o.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
			_, err := template.SampleBegins(ctx, tx, e)
			return err
		})
	}
	run(t, o, "sampler: {poll: 100ms}", "127.0.0.1:0")
	e = settled(t, o, e.ID, in(template.Unprintable))
	require.Contains(t, e.SampleProblem, "5 kali tidak selesai dicetak")
	o.Must(t, func(ctx context.Context, tx *postgres.Tx) (err error) {
		e, err = template.OfferAgain(ctx, tx, template.Seen{ID: e.ID, Version: e.Version}, paperoffice.As(request.Operator, "dicoba lagi"))
		return err
	})
	settled(t, o, e.ID, in(template.Proposed))
}

// TestPapersThatWaitTakeTheTemplateInForce: numbered under one edition, made under the
// next, with the number that they have.
func TestPapersThatWaitTakeTheTemplateInForce(t *testing.T) {
	t.Parallel()
	o := paperoffice.New(t, paperoffice.Plan{Cards: 1})
	dir := t.TempDir()
	program, runs := filepath.Join(dir, "soffice"), filepath.Join(dir, "runs")
	require.NoError(t, os.WriteFile(program, []byte("#!/bin/sh\necho >> '"+runs+"'\n"), 0o700)) // makes nothing
	tried := func() int {
		b, _ := os.ReadFile(runs)
		return len(b)
	}
	run(t, o, "libreoffice: {soffice: '"+program+"'}\npress: {retry: 100ms, retry_most: 100ms}", "127.0.0.1:0")
	r := o.Done(t)
	require.Eventually(t, func() bool {
		return tried() > 0 && count(o.DB, `SELECT count(*) FROM document WHERE state = 'numbered'`) == 2
	}, patience, 50*time.Millisecond)
	e := offer(t, o, letter.ReplyLetter, paperoffice.Template(t, letter.ReplyLetter, "Lampiran", "Berkas"))
	o.Must(t, func(ctx context.Context, tx *postgres.Tx) (err error) {
		if e, err = template.Sampled(ctx, tx, e, []byte("%PDF"), 1, paperoffice.As(request.Generator, "")); err != nil {
			return err
		}
		e, err = template.Approve(ctx, tx, template.Seen{ID: e.ID, Version: e.Version}, paperoffice.As(request.Kasubdit, "baik"))
		return err
	})
	before := tried() // what was filled before is given up: a paper is tried in a batch, alone, and beside a text that cannot fail
	require.Eventually(t, func() bool { return tried() > before+6 }, patience, 50*time.Millisecond)
	require.NoError(t, os.WriteFile(program, []byte("#!/bin/sh\nexec soffice \"$@\"\n"), 0o700))
	reply := papers(t, o, r, 3)[letter.ReplyLetter]
	require.Equal(t, "400.8.2.15/1/Dukcapil", *reply.Number)
	made, err := template.OfPaper(t.Context(), o.DB, reply.ID)
	require.NoError(t, err)
	require.Equal(t, e.ID, made.ID)
	pdf, _ := file(t, o, reply, "pdf")
	require.Contains(t, pdfText(t, pdf), "Berkas : 1 (satu) berkas")
}
