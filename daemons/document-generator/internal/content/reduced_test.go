package content

import (
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/perso"
)

func taken(number string, was ...perso.ReducedCard) perso.Reduction {
	return perso.Reduction{Letter: perso.Letter{Number: number, Date: clock.MustParseDate("2026-11-24"), SignerPost: "Direktur"}, Cards: was}
}

// What the completion letter says adds up: asked for is made, or taken off.
func TestFailuresInTheCompletionLetter(t *testing.T) {
	t.Parallel()
	failed, spoiled, listed := perso.ReducedCard{Was: perso.Failed}, perso.ReducedCard{Was: perso.Spoiled}, perso.ReducedCard{Was: perso.Listed}
	for name, c := range map[string]struct {
		tally  perso.Tally
		off    []perso.Reduction
		failed int
		note   string
	}{
		"all well":                 {perso.Tally{Clear: 5}, nil, 0, ""},
		"replaced":                 {perso.Tally{Clear: 5, Failed: 1, Spoiled: 1}, nil, 2, ", seluruhnya telah diganti dengan kartu pengganti"},
		"taken off":                {perso.Tally{Clear: 3}, []perso.Reduction{taken("7", failed, spoiled)}, 2, "; 2 (dua) keping dikurangi dari permohonan berdasarkan Surat Direktur Nomor 7 tanggal 24 November 2026"},
		"some of each":             {perso.Tally{Clear: 3, Failed: 1}, []perso.Reduction{taken("7", failed)}, 2, ", 1 (satu) keping di antaranya telah diganti dengan kartu pengganti; 1 (satu) keping dikurangi dari permohonan berdasarkan Surat Direktur Nomor 7 tanggal 24 November 2026"},
		"replaced, and not wanted": {perso.Tally{Clear: 3, Failed: 1}, []perso.Reduction{taken("7", listed)}, 1, ", seluruhnya telah diganti dengan kartu pengganti; 1 (satu) keping dikurangi dari permohonan berdasarkan Surat Direktur Nomor 7 tanggal 24 November 2026"},
		"by two letters":           {perso.Tally{Clear: 3}, []perso.Reduction{taken("7", listed), taken("8", failed)}, 1, "; 1 (satu) keping dikurangi dari permohonan berdasarkan Surat Direktur Nomor 7 tanggal 24 November 2026; 1 (satu) keping dikurangi dari permohonan berdasarkan Surat Direktur Nomor 8 tanggal 24 November 2026"},
	} {
		n, note := failures(c.tally, c.off)
		require.Equal(t, c.failed, n, name)
		require.Equal(t, c.note, note, name)
	}
}
