package line_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/test/virtualsam/card"
)

func TestBlankBecomesClear(t *testing.T) {
	t.Parallel()
	b := newBench(t, 2)
	chip := b.chip(b.Serials[1]) // any order
	got := b.outcome(chip)
	require.Equal(t, "clear", got.Outcome, got.Reason)
	require.Equal(t, "ambil", got.Instruction)
	require.Equal(t, b.CardIDs[1], got.CardID)
	require.Equal(t, b.Serials[1], got.Serial)

	c := b.Card(t, b.Serials[1])
	require.Equal(t, perso.Clear, c.State)
	require.Equal(t, "36710001000000000000000000000001", c.PCID)
	require.Equal(t, "M-2026-01000001", c.ManifestNo)
	state := chip.State()
	require.Equal(t, "0F", state.LifeCycle)
	require.Equal(t, "31", state.KVN)
	require.True(t, state.HasPCID && state.HasCONF)
	require.Equal(t, c.ManifestNo, state.Manifest)

	b.removeCard()
	got = b.outcome(b.chip(b.Serials[0], func(cfg *card.Config) {
		cfg.ChipID = card.SeedChipID("another")
		cfg.KDD = card.SeedChipID(b.Serials[0])
	}))
	require.Equal(t, "clear", got.Outcome, got.Reason)
	remaining, order := b.Remaining(t)
	require.Equal(t, 0, remaining)
	require.Equal(t, "closed", order)
	done, err := perso.Complete(t.Context(), b.DB, b.RequestID)
	require.NoError(t, err)
	require.True(t, done)
}
