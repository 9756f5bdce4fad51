package line_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/test/virtualsam/card"
)

// A card that failed before is refused like others, and told from a blank that is only
// not for today: it must not go back among those.
func TestAFailedCardIsToldFromABlank(t *testing.T) {
	t.Parallel()
	b := newBench(t, 2)
	chip := b.chip(b.Serials[0])
	chip.SetFault(card.Fault{MemoryFailureAt: card.StepCONF})
	require.Equal(t, "failed", b.outcome(chip).Outcome)
	b.removeCard()
	again := b.outcome(chip)
	require.Equal(t, "refused", again.Outcome)
	require.True(t, again.Dead)
	b.removeCard()
	unlisted := b.outcome(b.chip("SAM-TIDAK-TERDAFTAR"))
	require.Equal(t, "refused", unlisted.Outcome)
	require.False(t, unlisted.Dead)
}
