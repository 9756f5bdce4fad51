package ceremony_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/configs"
	"dukcapil.go.id/sifilma/daemons/sifilma/internal/ceremony"
	"dukcapil.go.id/sifilma/pkg/docx"
	"dukcapil.go.id/sifilma/pkg/perso/keybook"
	"dukcapil.go.id/sifilma/pkg/pkcs11"
)

// What the berita acara says; its template asks for nothing else.
func TestPaper(t *testing.T) {
	t.Parallel()
	template, err := configs.Template("keys/berita-acara-kunci")
	require.NoError(t, err)
	tags, err := docx.Tags(template)
	require.NoError(t, err)
	require.Equal(t, []string{"#keys", "#signers", "date_in_words", "keys.algorithm", "keys.kcv", "keys.label", "keys.no", "keys.origin", "keys.version",
		"place", "signers.no", "signers.role", "time", "token_label", "token_maker", "token_serial"}, tags)
	p := ceremony.Paper{
		At: time.Date(2026, 11, 23, 2, 30, 0, 0, time.UTC), Place: "Ruang Brankas, Jakarta", Operator: "Operator KI", Roles: []string{"Kustodian I", "Saksi"},
		Token: pkcs11.Info{Label: "sifilma", Serial: "8a1b", Model: "SoftHSM v2", Manufacturer: "SoftHSM project"},
		Keys: []ceremony.Key{
			{Label: "sam-final-master.v2", Kind: ceremony.Kinds["aes256"], KCV: "A1B2C3", Made: true, Origin: keybook.Components, Custodians: []string{"a", "b"}},
			{Label: "sam-secret-wrap", Kind: ceremony.Kinds["3tdea"], KCV: "D4E5F6", Origin: keybook.Generated},
		},
	}
	word, err := p.Word()
	require.NoError(t, err)
	text, err := docx.Text(word)
	require.NoError(t, err)
	for _, part := range []string{
		"BERITA ACARA\nUPACARA KUNCI HSM", "Pada hari ini Senin Tanggal Dua Puluh Tiga Bulan November", "pukul 09.30 WIB, bertempat di Ruang Brankas, Jakarta",
		"8a1b", "SoftHSM project, SoftHSM v2", "sam-final-master.v2\t2\tAES-256\tA1B2C3\tdigabung dari komponen 2 (dua) kustodian\n",
		"sam-secret-wrap\t1\t3TDEA\tD4E5F6\tdibuat di dalam token (sudah ada sebelumnya)", "Kustodian I", "Saksi", "Pelaksana: Operator KI",
	} {
		require.Contains(t, text, part)
	}
	require.NotContains(t, text, "{{")

	path := filepath.Join(t.TempDir(), "ba.pdf")
	require.NoError(t, p.Write(t.Context(), path))
	pdf, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, "%PDF-", string(pdf[:5]))
	require.ErrorContains(t, p.Write(t.Context(), path), "tidak dapat ditulis", "a record is not overwritten")
	if keep := os.Getenv("SIFILMA_KEEP_PAPER"); keep != "" {
		require.NoError(t, os.WriteFile(keep, pdf, 0o600))
	}
}
