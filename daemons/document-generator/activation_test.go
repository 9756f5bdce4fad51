package main

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/activation"
	"dukcapil.go.id/sifilma/pkg/letter"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/test/paperoffice"
)

// TestReadersAreToldInAReply: the readers that were accepted at once, and no other, in a
// letter of their own, numbered with the office's others.
func TestReadersAreToldInAReply(t *testing.T) {
	t.Parallel()
	o := paperoffice.New(t, paperoffice.Plan{Cards: 3})
	run(t, o, "", "127.0.0.1:0")
	r := o.Done(t)
	o.HandOver(t, r)
	lines := o.ReaderLines(t, r)
	o.Pair(t, lines)
	l := o.Asks(t, o.Lembaga(t), "021/BCN/XI/2026", lines)
	o.Judge(t, l)
	o.OnLetter(t, l, request.Kasubdit, "Alamat tidak jelas.", func(ctx context.Context, tx *postgres.Tx, l activation.Letter, c request.Change) error {
		return activation.Return(ctx, tx, l, []int{3}, c)
	})
	o.Accepted(t, l)
	all, err := activation.Lines(t.Context(), o.DB, l.ID)
	require.NoError(t, err)

	var paper letter.Document
	require.Eventually(t, func() bool {
		list, err := letter.Of(context.Background(), o.DB, letter.ActivationReply, []string{*all[0].ReplyID})
		if err != nil || len(list) != 1 {
			return false
		}
		paper = list[0]
		return paper.State == letter.AwaitingSignature
	}, patience, 50*time.Millisecond)
	require.Empty(t, paper.RequestID)
	pdf, name := file(t, o, paper, "pdf")
	require.Equal(t, "surat-balasan-aktivasi-"+l.Ticket+"-1.pdf", name)
	text := pdfText(t, pdf)
	for _, part := range []string{
		*paper.Number, "Yth. Direktur Utama", l.Lembaga, "Balasan Permohonan Aktivasi Perangkat Pembaca KTP-el", "Nomor 021/BCN/XI/2026 tanggal 23 November 2026",
		"sebanyak 2 (dua) unit disetujui", "diserahkan kepada PT Produsen Contoh", lines[0].Reader, lines[1].Reader, lines[0].SAM, lines[1].PCID[:16], "Kantor Cabang 2, Jl.", "Contoh No. 3, Kota Contoh",
		"Jumlah: 2 (dua) unit.", "Kode Tiket " + l.Ticket, "Keaslian naskah ini dapat diperiksa pada", "Direktur Jenderal Kependudukan dan Pencatatan Sipil",
	} {
		require.Contains(t, text, part)
	}
	require.NotContains(t, text, lines[2].Reader)
}
