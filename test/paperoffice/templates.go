package paperoffice

import (
	"archive/zip"
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/configs"
	"dukcapil.go.id/sifilma/pkg/letter/template"
)

// Template is the shipped template of a kind of paper, with some texts of its parts
// replaced by others, in pairs.
func Template(t testing.TB, kind string, replace ...string) []byte {
	t.Helper()
	body, err := configs.Template(template.Name(kind))
	require.NoError(t, err)
	archive, err := zip.NewReader(bytes.NewReader(body), int64(len(body)))
	require.NoError(t, err)
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for _, f := range archive.File {
		r, err := f.Open()
		require.NoError(t, err)
		text, err := io.ReadAll(r)
		require.NoError(t, err)
		require.NoError(t, r.Close())
		one, err := w.Create(f.Name)
		require.NoError(t, err)
		_, err = io.WriteString(one, strings.NewReplacer(replace...).Replace(string(text)))
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return out.Bytes()
}
