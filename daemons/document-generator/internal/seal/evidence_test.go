package seal

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/pkg/sealed"
)

// Whatever an applicant calls a file, a bundle takes it.
func TestNamesOfSentFiles(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"Daftar Kartu.XLSX":                 "berkas/01-list.xlsx",
		"daftar":                            "berkas/01-list",
		"daftar.":                           "berkas/01-list.",
		"daftar.a b":                        "berkas/01-list",
		"daftar." + strings.Repeat("x", 97): "berkas/01-list",
	} {
		got := sentName(1, request.File{Kind: "list", Name: name})
		require.Equal(t, want, got, name)
		require.True(t, sealed.ValidName(got), name)
	}
}
