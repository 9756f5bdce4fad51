package main

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/letter"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/pkg/stock"
	"dukcapil.go.id/sifilma/test/paperoffice"
)

// destroy draws up a berita acara of the request's lost cards from from on, n of them.
func destroy(t *testing.T, o *paperoffice.Office, r paperoffice.Request, from, n int) (d stock.Destruction) {
	t.Helper()
	lost, err := stock.LostCards(t.Context(), o.DB, r.ID)
	require.NoError(t, err)
	var ids []string
	for _, card := range lost[from : from+n] {
		ids = append(ids, card.CardID)
	}
	o.Must(t, func(ctx context.Context, tx *postgres.Tx) (err error) {
		d, err = stock.Destroy(ctx, tx, r.ID, stock.Destruction{
			Destroyed: clock.MustParseDate("2026-11-20"), Method: "dipotong melalui chip.",
			First: stock.Signer{Name: "Ani Pelaksana", Post: "Operator KI"}, Second: stock.Signer{Name: "Budi Saksi", Post: "Kasubdit KI"},
		}, ids, paperoffice.As(request.Operator, "Chip menolak penulisan."))
		return err
	})
	return d
}

// TestCardsAreDestroyedUnderABeritaAcara: the paper names the cards, their causes and
// both signers, while the request is still in production.
func TestCardsAreDestroyedUnderABeritaAcara(t *testing.T) {
	t.Parallel()
	o := paperoffice.New(t, paperoffice.Plan{Cards: 6, Failed: 3, NoSignatories: true})
	run(t, o, "", "127.0.0.1:0")
	r := o.Request(t)
	d := destroy(t, o, r, 0, 2)
	paper := papers(t, o, r, 1)[letter.DestructionReport]
	require.Equal(t, letter.AwaitingSignature, paper.State)
	require.Equal(t, d.ID, paper.SubjectID)
	require.Equal(t, "400.8.2.15/1/Dukcapil", *paper.Number)
	require.Equal(t, "2026-11-20", paper.Dated.String(), "of the day on which they were destroyed")
	pdf, name := file(t, o, paper, "pdf")
	require.Equal(t, "berita-acara-kartu-rusak-"+r.Ticket+"-1.pdf", name)
	require.Equal(t, 2, pages(t, pdf))
	text := pdfText(t, pdf)
	for _, part := range []string{
		"BERITA ACARA KARTU RUSAK", "PEMUSNAHAN KARTU SAM PT PRODUSEN CONTOH", "Nomor : 400.8.2.15/1/Dukcapil",
		"Pada hari ini Jumat Tanggal Dua Puluh Bulan November Tahun Dua Ribu Dua Puluh Enam, kami yang bertanda tangan",
		"Ani Pelaksana", "Operator KI", "Budi Saksi", "Kasubdit KI", "Nomor 017/PCN/XI/2026 tanggal 9 November 2026",
		"sebanyak 2 (dua) keping, terdiri atas 2 (dua) keping gagal dan 0 (nol) keping rusak", "dengan cara dipotong melalui chip dan disaksikan", "Keterangan: Chip menolak penulisan;",
		d.Cards[0].Serial, d.Cards[1].Serial, "Gagal", "Kartu menolak penulisan (jawaban kartu 6581)", "Jumlah: 2 (dua) keping.", "Kode Tiket " + r.Ticket,
	} {
		require.Contains(t, text, part)
	}
	lost, err := stock.LostCards(t.Context(), o.DB, r.ID)
	require.NoError(t, err)
	require.NotContains(t, text, lost[2].Serial)
	word, _ := file(t, o, paper, "docx")
	require.NotEmpty(t, word)

	// The third card has a berita acara of its own.
	destroy(t, o, r, 2, 1)
	second := papers(t, o, r, 2)
	pdf, name = file(t, o, second[letter.DestructionReport], "pdf")
	require.Equal(t, "berita-acara-kartu-rusak-"+r.Ticket+"-2.pdf", name)
	require.Contains(t, pdfText(t, pdf), lost[2].Serial)
}

// TestAVoidBeritaAcaraIsNotMadeAnew: unlike other papers, for its cards stand in none.
func TestAVoidBeritaAcaraIsNotMadeAnew(t *testing.T) {
	t.Parallel()
	o := paperoffice.New(t, paperoffice.Plan{Cards: 3, Failed: 1, NoSignatories: true})
	run(t, o, "desk: {look: 1s}", "127.0.0.1:0")
	r := o.Request(t)
	d := destroy(t, o, r, 0, 1)
	first := papers(t, o, r, 1)[letter.DestructionReport]
	o.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
		c := paperoffice.As(request.Operator, "salah saksi")
		if _, err := letter.Cancel(ctx, tx, first, c); err != nil {
			return err
		}
		_, err := stock.Void(ctx, tx, d.ID, c)
		return err
	})
	again := destroy(t, o, r, 0, 1)
	paper := papers(t, o, r, 1)[letter.DestructionReport]
	require.Equal(t, again.ID, paper.SubjectID)
	require.Equal(t, "400.8.2.15/2/Dukcapil", *paper.Number, "the void one keeps its number")
	list, err := letter.List(t.Context(), o.DB, r.ID)
	require.NoError(t, err)
	require.Len(t, list, 2)
}
