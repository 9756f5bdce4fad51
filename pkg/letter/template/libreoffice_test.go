package template_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/configs"
	"dukcapil.go.id/sifilma/pkg/docx"
	"dukcapil.go.id/sifilma/pkg/letter/template"
)

// TestATemplateSavedByLibreOfficeIsTaken: staff edit in Word or LibreOffice; what is
// only saved again there has every tag still, and nothing in it that is refused.
func TestATemplateSavedByLibreOfficeIsTaken(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	args := []string{"-env:UserInstallation=file://" + filepath.Join(dir, "profile"), "--headless", "--norestore", "--convert-to", "docx:MS Word 2007 XML", "--outdir", filepath.Join(dir, "out")}
	for _, kind := range template.Kinds() {
		body, err := configs.Template(template.Name(kind))
		require.NoError(t, err)
		name := filepath.Join(dir, template.Name(kind)+".docx")
		require.NoError(t, os.WriteFile(name, body, 0o600))
		args = append(args, name)
	}
	cmd := exec.CommandContext(t.Context(), "soffice", args...)
	cmd.Env = append(os.Environ(), "HOME="+dir)
	said, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", said)
	for _, kind := range template.Kinds() {
		saved, err := os.ReadFile(filepath.Join(dir, "out", template.Name(kind)+".docx"))
		require.NoError(t, err, "%s", said)
		require.NoError(t, template.Check(kind, saved), kind)
		body, err := configs.Template(template.Name(kind))
		require.NoError(t, err)
		before, err := docx.Tags(body)
		require.NoError(t, err)
		after, err := docx.Tags(saved)
		require.NoError(t, err)
		require.Equal(t, before, after, kind)
	}
}
