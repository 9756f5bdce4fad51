package content

import (
	"archive/zip"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/configs"
	"dukcapil.go.id/sifilma/pkg/docx"
	"dukcapil.go.id/sifilma/pkg/letter/template"
)

// drafts are the Word files of every kind, as people download them.
func drafts(t *testing.T) []docx.Source {
	t.Helper()
	w := New(Defaults())
	sources := make([]docx.Source, 0, len(template.Kinds()))
	for _, kind := range template.Kinds() {
		source, err := configs.Template(template.Name(kind))
		require.NoError(t, err)
		body, err := w.fill(source, made80(kind, 60, director), draftNote)
		require.NoError(t, err)
		sources = append(sources, docx.Source{Name: "draft-" + template.Name(kind), Bytes: body})
	}
	return sources
}

// TestDraftsSaySoOnEveryPage: nobody takes a Word file, which anybody can change, for the
// paper, whichever of its pages is in hand.
func TestDraftsSaySoOnEveryPage(t *testing.T) {
	t.Parallel()
	sources := drafts(t)
	for i, pdf := range printAll(t, sources) {
		pages := pagesText(t, pdf)
		for n, page := range pages {
			require.Equal(t, 1, strings.Count(page, draftNote), "%s, page %d", sources[i].Name, n+1)
			require.Contains(t, page, fmt.Sprintf("Halaman %d dari %d", n+1, len(pages)))
		}
	}
}

// kept is what the office's templates have beside words, and have when they were filled
// and when LibreOffice saved the result again.
var kept = map[string]*regexp.Regexp{
	"tables": regexp.MustCompile(`<w:tbl>`), "rows": regexp.MustCompile(`<w:tr[ >]`), "repeated heads": regexp.MustCompile(`<w:tblHeader(?: w:val="(?:true|1)")?/>`),
	"sections": regexp.MustCompile(`<w:sectPr[ >]`), "own first pages": regexp.MustCompile(`<w:titlePg(?: w:val="(?:true|1)")?/>`),
	"pages across": regexp.MustCompile(`w:orient="landscape"`), "numbered clauses": regexp.MustCompile(`<w:numId w:val="[1-9]`),
}

// counted says how many of each a Word file has.
func counted(t *testing.T, file []byte) map[string]int {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(file), int64(len(file)))
	require.NoError(t, err)
	r, err := z.Open("word/document.xml")
	require.NoError(t, err)
	body, err := io.ReadAll(r)
	require.NoError(t, err)
	n := map[string]int{}
	for what, pattern := range kept {
		n[what] = len(pattern.FindAll(body, -1))
	}
	return n
}

// TestDraftsAreSavedAgain: LibreOffice opens the Word file of every kind, and saves it with
// all its words, tables, heads, sections and clauses.
func TestDraftsAreSavedAgain(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	args := []string{"-env:UserInstallation=file://" + filepath.Join(dir, "profile"), "--headless", "--norestore", "--nolockcheck",
		"--convert-to", "docx:MS Word 2007 XML", "--outdir", filepath.Join(dir, "saved")}
	sources := drafts(t)
	for _, s := range sources {
		path := filepath.Join(dir, s.Name+".docx")
		require.NoError(t, os.WriteFile(path, s.Bytes, 0o600))
		args = append(args, path)
	}
	cmd := exec.CommandContext(t.Context(), "soffice", args...)
	cmd.Env = append(os.Environ(), "HOME="+dir)
	said, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", said)
	for _, s := range sources {
		saved, err := os.ReadFile(filepath.Join(dir, "saved", s.Name+".docx"))
		require.NoError(t, err, "%s", said)
		require.Equal(t, counted(t, s.Bytes), counted(t, saved), s.Name)
		before, err := docx.Text(s.Bytes)
		require.NoError(t, err)
		after, err := docx.Text(saved)
		require.NoError(t, err)
		for line := range strings.Lines(before) {
			if strings.Contains(line, "Halaman ") { // the numbers are as of the last printing
				continue
			}
			require.Contains(t, after, strings.TrimSpace(line), s.Name)
		}
	}
}
