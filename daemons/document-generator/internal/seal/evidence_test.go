package seal

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/letter"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/pkg/sealed"
)

// Whatever an applicant calls a file, a bundle takes it.
func TestNamesOfSentFiles(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"Daftar Kartu.XLSX":                 "berkas/01-daftar-kartu.xlsx",
		"daftar":                            "berkas/01-daftar-kartu",
		"daftar.":                           "berkas/01-daftar-kartu.",
		"daftar.a b":                        "berkas/01-daftar-kartu",
		"daftar." + strings.Repeat("x", 97): "berkas/01-daftar-kartu",
	} {
		got := sentName(1, request.File{Kind: request.FileCardList, Name: name})
		require.Equal(t, want, got, name)
		require.True(t, sealed.ValidName(got), name)
	}
}

// Whoever opens a bundle reads the office's words, of every kind of paper and of file.
func TestEvidenceIsNamedInIndonesian(t *testing.T) {
	t.Parallel()
	kinds := []string{request.FileLetter, request.FilePurchaseOrder, request.FilePKS, request.FileCardList}
	for kind := range letter.KindLabels {
		kinds = append(kinds, kind)
	}
	given := map[string]string{}
	for _, kind := range kinds {
		name := evidenceName(kind)
		require.NotEmpty(t, evidenceNames[kind], kind)
		require.Empty(t, given[name], "%s and %s", kind, given[name])
		require.NotContains(t, name, "_")
		require.True(t, sealed.ValidName("naskah/01-"+name+"-bertanda-tangan.pdf"), name)
		given[name] = kind
	}
	require.Equal(t, "surat-balasan", evidenceName(letter.ReplyLetter))
}
