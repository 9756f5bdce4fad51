package content

import (
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/handover"
	"dukcapil.go.id/sifilma/pkg/perso"
)

// What a BAST says of the rest is so on its day: how much of it is not personalised yet,
// and not which handover it is when one that nobody outside has seen was taken back.
func TestAHandoverAmongOthers(t *testing.T) {
	t.Parallel()
	for want, f := range map[string]facts{
		"": {handed: handover.Handover{Ordinal: 1, Quantity: 100}, whole: 100, tally: perso.Tally{Clear: 100}},
		", sebagai penyerahan ke-1 dari jumlah seluruhnya 100 (seratus) keping dengan sisa 40 (empat puluh) keping,": {
			handed: handover.Handover{Ordinal: 1, Quantity: 60}, whole: 100, tally: perso.Tally{Clear: 100}},
		", sebagai penyerahan ke-1 dari jumlah seluruhnya 100 (seratus) keping dengan sisa 40 (empat puluh) keping yang belum selesai dipersonalisasi,": {
			handed: handover.Handover{Ordinal: 1, Quantity: 60}, whole: 100, tally: perso.Tally{Clear: 60}},
		", sebagai penyerahan ke-2 dari jumlah seluruhnya 100 (seratus) keping dengan sisa 30 (tiga puluh) keping, yaitu 25 (dua puluh lima) keping yang belum selesai dipersonalisasi dan 5 (lima) keping yang sudah selesai,": {
			handed: handover.Handover{Ordinal: 2, Quantity: 10}, whole: 100, earlier: 60, tally: perso.Tally{Clear: 75}},
		", sebagai penyerahan ke-2 dari jumlah seluruhnya 100 (seratus) keping tanpa sisa,": {
			handed: handover.Handover{Ordinal: 2, Quantity: 40}, whole: 100, earlier: 60, tally: perso.Tally{Clear: 100}},
		", sebagai penyerahan bertahap dari jumlah seluruhnya 100 (seratus) keping dengan sisa 40 (empat puluh) keping yang belum selesai dipersonalisasi,": {
			handed: handover.Handover{Ordinal: 2, Quantity: 60}, whole: 100, unnumbered: true, tally: perso.Tally{Clear: 60}},
	} {
		require.Equal(t, want, f.handoverNote())
	}
	alone := facts{handed: handover.Handover{Ordinal: 2, Quantity: 100}, whole: 100, unnumbered: true, tally: perso.Tally{Clear: 100}}
	require.Empty(t, alone.handoverNote(), "the first was taken back, and this has all")
}
