package report

import (
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/perso"
)

func TestRemarkOfAReducedCard(t *testing.T) {
	t.Parallel()
	off := func(was string, state perso.CardRow) perso.CardRow {
		state.State = perso.Reduced
		state.Reduction = &perso.TakenOff{LetterNumber: "7", LetterDate: clock.MustParseDate("2026-11-24"), Was: perso.Failed, WasLabel: was}
		return state
	}
	require.Equal(t, "Gagal: kartu menolak; dikurangi dari permohonan menurut surat nomor 7 tanggal 24 November 2026",
		remark(off("Gagal", perso.CardRow{Reason: "kartu menolak"})))
	listed := off("Menunggu", perso.CardRow{})
	listed.Reduction.Was = perso.Listed
	require.Equal(t, "Dikurangi dari permohonan menurut surat nomor 7 tanggal 24 November 2026", remark(listed))
}
