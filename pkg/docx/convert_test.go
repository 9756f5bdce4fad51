package docx_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/docx"
)

// minimalPDF is the least file that counts as a PDF with one page.
func minimalPDF() []byte {
	var b bytes.Buffer
	var offsets []int
	b.WriteString("%PDF-1.4\n")
	for i, object := range []string{
		"<</Type/Catalog/Pages 2 0 R>>",
		"<</Type/Pages/Kids[3 0 R]/Count 1>>",
		"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Resources<<>>>>",
	} {
		offsets = append(offsets, b.Len())
		fmt.Fprintf(&b, "%d 0 obj%sendobj\n", i+1, object)
	}
	start := b.Len()
	b.WriteString("xref\n0 4\n0000000000 65535 f \n")
	for _, offset := range offsets {
		fmt.Fprintf(&b, "%010d 00000 n \n", offset)
	}
	fmt.Fprintf(&b, "trailer<</Size 4/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n", start)
	return b.Bytes()
}

// fakeSoffice is a stand-in whose faults the documents choose by their content;
// the real program has its own test below.
const fakeSoffice = `#!/bin/sh
here=$(dirname "$0")
files=
while [ $# -gt 0 ]; do
  case "$1" in
    --outdir) out=$2; shift 2 ;;
    --convert-to) shift 2 ;;
    -*) shift ;;
    *) files="$files $1"; shift ;;
  esac
done
mkdir -p "$out"
echo run >> "$here/runs"
env > "$here/env"
if [ -e "$here/down" ]; then echo "cannot start"; exit 0; fi
for f in $files; do
  target="$out/$(basename "${f%.*}").pdf"
  if grep -q HANG "$f"; then sleep 1000 & echo $! > "$here/child"; wait; fi
  if grep -q CRASH "$f"; then kill -9 $$; fi
  if grep -q JUNK "$f"; then echo junk > "$target"; continue; fi
  if grep -q EMPTY "$f"; then : > "$target"; continue; fi
  if grep -q NONE "$f"; then echo "Error: source file could not be loaded"; continue; fi
  cp "$here/good.pdf" "$target"
done
`

func fake(t *testing.T, cfg docx.ConverterConfig) (*docx.Converter, string) {
	dir := t.TempDir()
	program := filepath.Join(dir, "soffice")
	require.NoError(t, os.WriteFile(program, []byte(fakeSoffice), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "good.pdf"), minimalPDF(), 0o600))
	cfg.Soffice, cfg.WorkDir = program, dir
	return converter(t, cfg), dir
}

func converter(t *testing.T, cfg docx.ConverterConfig) *docx.Converter {
	c, err := docx.NewConverter(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	return c
}

func sources(texts ...string) []docx.Source {
	list := make([]docx.Source, len(texts))
	for i, text := range texts {
		list[i] = docx.Source{Name: fmt.Sprintf("paper %d", i+1), Bytes: []byte(text)}
	}
	return list
}

func runs(t *testing.T, dir string) int {
	b, err := os.ReadFile(filepath.Join(dir, "runs"))
	require.NoError(t, err)
	return strings.Count(string(b), "run")
}

func TestConvertBatches(t *testing.T) {
	t.Parallel()
	c, dir := fake(t, docx.ConverterConfig{Batch: 3})
	pdfs, err := c.Convert(t.Context(), sources("1", "2", "3", "4", "5", "6", "7"))
	require.NoError(t, err)
	require.Len(t, pdfs, 7)
	require.Equal(t, 3, runs(t, dir))
	for _, pdf := range pdfs {
		require.Equal(t, minimalPDF(), pdf)
	}
	none, err := c.Convert(t.Context(), nil)
	require.NoError(t, err)
	require.Empty(t, none)
}

func TestConvertNamesTheBadDocument(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"JUNK", "EMPTY", "NONE", "CRASH"} {
		t.Run(bad, func(t *testing.T) {
			t.Parallel()
			c, _ := fake(t, docx.ConverterConfig{})
			_, err := c.Convert(t.Context(), sources("good", bad, "good"))
			var source *docx.SourceError
			require.ErrorAs(t, err, &source)
			require.Equal(t, "paper 2", source.Name)
			require.NotErrorIs(t, err, docx.ErrUnavailable)

			pdfs, err := c.Convert(t.Context(), sources("good"))
			require.NoError(t, err, "the next batch is not harmed")
			require.Len(t, pdfs, 1)
		})
	}
}

func TestConvertAwayIsNoFaultOfThePaper(t *testing.T) {
	t.Parallel()
	missing := converter(t, docx.ConverterConfig{Soffice: filepath.Join(t.TempDir(), "none"), WorkDir: t.TempDir()})
	_, err := missing.Convert(t.Context(), sources("good"))
	require.ErrorIs(t, err, docx.ErrUnavailable)

	c, dir := fake(t, docx.ConverterConfig{})
	down := filepath.Join(dir, "down")
	require.NoError(t, os.WriteFile(down, nil, 0o600))
	_, err = c.Convert(t.Context(), sources("good", "good"))
	require.ErrorIs(t, err, docx.ErrUnavailable)
	require.NoError(t, os.Remove(down))
	_, err = c.Convert(t.Context(), sources("good", "good"))
	require.NoError(t, err, "it returns")
}

func TestConvertKillsTheWholeGroup(t *testing.T) {
	t.Parallel()
	c, dir := fake(t, docx.ConverterConfig{Timeout: 3 * time.Second})
	_, err := c.Convert(t.Context(), sources("HANG"))
	var source *docx.SourceError
	require.ErrorAs(t, err, &source)
	require.Contains(t, source.Reason, "within")
	requireDead(t, dir)
}

func TestConvertCancelled(t *testing.T) {
	t.Parallel()
	c, dir := fake(t, docx.ConverterConfig{})
	ctx, cancel := context.WithCancelCause(t.Context())
	go func() {
		for ctx.Err() == nil { // until the hanging child runs
			if b, err := os.ReadFile(filepath.Join(dir, "child")); err == nil && len(b) > 0 {
				cancel(errors.New("stop"))
			}
		}
	}()
	_, err := c.Convert(ctx, sources("HANG"))
	require.ErrorIs(t, err, context.Canceled)
	requireDead(t, dir)
	_, err = c.Convert(t.Context(), sources("good"))
	require.NoError(t, err)
}

// requireDead waits until the hanging grandchild is gone.
func requireDead(t *testing.T, dir string) {
	b, err := os.ReadFile(filepath.Join(dir, "child"))
	require.NoError(t, err)
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		if errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
			return true
		}
		// A killed orphan may stay a zombie where nobody reaps it.
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		return err != nil || strings.Contains(string(stat), ") Z ")
	}, 5*time.Second, 10*time.Millisecond)
}

func TestConvertHidesTheEnvironment(t *testing.T) {
	t.Setenv("SIFILMA_SECRET", "hidden")
	c, dir := fake(t, docx.ConverterConfig{})
	_, err := c.Convert(t.Context(), sources("good"))
	require.NoError(t, err)
	env, err := os.ReadFile(filepath.Join(dir, "env"))
	require.NoError(t, err)
	require.NotContains(t, string(env), "hidden")
}

// TestConvertReal runs LibreOffice itself: a good batch, and a document it cannot load.
func TestConvertReal(t *testing.T) {
	t.Parallel()
	c := converter(t, docx.ConverterConfig{WorkDir: t.TempDir()})
	paper := realWord(t, par(run("Berita acara"))+`<w:p><w:pPr><w:pageBreakBefore/></w:pPr>`+run("Lampiran")+`</w:p>`)
	pdfs, err := c.Convert(t.Context(), []docx.Source{{Name: "a", Bytes: paper}, {Name: "b", Bytes: paper}})
	require.NoError(t, err)
	require.Len(t, pdfs, 2)
	for _, pdf := range pdfs {
		pages, err := docx.PageCount(pdf)
		require.NoError(t, err)
		require.Equal(t, 2, pages)
	}
	_, err = c.Convert(t.Context(), []docx.Source{{Name: "good", Bytes: paper}, {Name: "cut", Bytes: paper[:len(paper)/2]}})
	var source *docx.SourceError
	require.ErrorAs(t, err, &source)
	require.Equal(t, "cut", source.Name)
}

// realWord is word with the package relationship that LibreOffice needs.
func realWord(t *testing.T, body string) []byte {
	return word(t, body, entry{"_rels/.rels", `<?xml version="1.0" encoding="UTF-8"?>` +
		`<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="rId1" ` +
		`Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" Target="word/document.xml"/></Relationships>`})
}

func TestPageCount(t *testing.T) {
	t.Parallel()
	n, err := docx.PageCount(minimalPDF())
	require.NoError(t, err)
	require.Equal(t, 1, n)
	good := minimalPDF()
	for _, bad := range [][]byte{nil, []byte("PK\x03\x04"), []byte("%PDF-1.4\n"), good[:len(good)/2]} {
		_, err := docx.PageCount(bad)
		require.Error(t, err)
	}
}

// TestConverterSweepsWhatKilledOnesLeft: a directory whose lock nobody holds goes,
// that of a living converter stays.
func TestConverterSweepsWhatKilledOnesLeft(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first, err := docx.NewConverter(docx.ConverterConfig{WorkDir: dir})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, first.Close()) })
	dead := filepath.Join(dir, "sifilma-soffice-dead")
	require.NoError(t, os.MkdirAll(filepath.Join(dead, "profile-1"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dead, "lock"), nil, 0o600))
	second, err := docx.NewConverter(docx.ConverterConfig{WorkDir: dir})
	require.NoError(t, err)
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 2)
	require.NoDirExists(t, dead)
	require.NoError(t, second.Close())
	entries, err = os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 1)
}

func TestJoin(t *testing.T) {
	t.Parallel()
	both, err := docx.Join([][]byte{minimalPDF(), minimalPDF()})
	require.NoError(t, err)
	pages, err := docx.PageCount(both)
	require.NoError(t, err)
	require.Equal(t, 2, pages)
	one, err := docx.Join([][]byte{minimalPDF()})
	require.NoError(t, err)
	require.Equal(t, minimalPDF(), one)
	_, err = docx.Join([][]byte{minimalPDF(), []byte("junk")})
	require.Error(t, err)
}
