package content

import (
	"slices"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/configs"
	"dukcapil.go.id/sifilma/pkg/docx"
	"dukcapil.go.id/sifilma/pkg/letter"
	"dukcapil.go.id/sifilma/pkg/letter/template"
)

// TestTheListOfTagsIsTrue: what people are told they may write into a template is what
// is filled in, no more and no less.
func TestTheListOfTagsIsTrue(t *testing.T) {
	t.Parallel()
	cfg := Defaults()
	cfg.Copies = []string{"Direktur FPDDK"}
	w := New(cfg)
	for _, kind := range template.Kinds() {
		values, tables := w.values(made80(kind, 1, letter.Signatory{Name: "A", NIP: "1", Rank: "B", Form: letter.Plt}))
		filled := []string{"@verification_qr"}
		for name := range values {
			filled = append(filled, name)
		}
		filled = append(filled, "draft_note")
		for table, rows := range tables {
			filled = append(filled, "#"+table)
			require.NotEmpty(t, rows, "%s: %s", kind, table)
			for column := range rows[0] {
				filled = append(filled, table+"."+column)
			}
		}
		slices.Sort(filled)
		var told []string
		for _, tag := range template.Tags(kind) {
			told = append(told, tag.Name)
		}
		slices.Sort(told)
		require.Equal(t, slices.Compact(filled), told, kind)
	}
}

func TestSamplesAreHard(t *testing.T) {
	t.Parallel()
	require.Equal(t, 80, utf8.RuneCountInString(eighty("PT Produsen Contoh")))
	w := New(Defaults())
	for _, kind := range template.Kinds() {
		body, err := configs.Template(template.Name(kind))
		require.NoError(t, err)
		made, err := w.Samples(kind, body)
		require.NoError(t, err)
		require.Len(t, made, 2)
		first, err := docx.Text(made[0])
		require.NoError(t, err)
		require.Contains(t, first, "CONTOH — bukan naskah dinas")
		require.NotContains(t, first, "NIP.")
		require.Contains(t, first, eighty("PT Produsen Contoh"))
		if kind == letter.BAST || kind == letter.DestructionReport {
			require.Contains(t, first, "SAMCONTOH000250")
		}
		switch kind {
		case letter.DestructionReport:
		case letter.DaySheet:
			require.Contains(t, first, "PSAM-2026-000249-0")
			require.Contains(t, first, eighty("Kepala Subdirektorat"))
		case letter.BlankReceipt:
			require.Contains(t, first, eighty("Petugas Penerima"))
			require.Contains(t, first, eighty("PT Bank Contoh Nusantara")+" dan "+eighty("PT Asuransi Contoh Sejahtera"))
		default:
			if kind == letter.ActivationReply { // of one lembaga
				require.Contains(t, first, "READERCONTOH000250")
			} else {
				require.Contains(t, first, eighty("PT Bank Contoh Nusantara")+" dan "+eighty("PT Asuransi Contoh Sejahtera"))
			}
			require.Contains(t, first, "a.n. Direktur Jenderal")
			second, err := docx.Text(made[1])
			require.NoError(t, err)
			require.Contains(t, second, "Plt. Direktur")
		}
	}
}
