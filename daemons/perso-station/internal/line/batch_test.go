package line_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/daemons/perso-station/internal/line"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/test/virtualsam/card"
)

// TestEqualDoubtsStopTheLot: a batch whose cards all answer in one way that tells nothing
// would be in doubt to the last of them before anybody looks.
func TestEqualDoubtsStopTheLot(t *testing.T) {
	t.Parallel()
	b := newBench(t, 5)
	for i := range 3 {
		chip := b.chip(b.Serials[i])
		chip.SetFault(card.Fault{WrongKCV: true})
		require.Equal(t, "in_doubt", b.outcome(chip).Outcome)
		require.Equal(t, perso.InDoubt, b.Card(t, b.Serials[i]).State)
		b.removeCard()
	}
	next := b.chip(b.Serials[3])
	got := b.outcome(next)
	require.Equal(t, perso.WhyLabels[perso.LotStopped], got.Reason)
	require.Empty(t, b.accepted(next.State().ChipID))
	holds := b.openHolds()
	require.Len(t, holds, 1)
	require.Equal(t, perso.EqualFailuresHold, holds[0].Kind)
	require.Equal(t, b.CardIDs[2], holds[0].CardID)
}

// TestADoubtThatCameToAGoodEndIsNoFailure: what stops a lot is what is wrong with it.
func TestADoubtThatCameToAGoodEndIsNoFailure(t *testing.T) {
	t.Parallel()
	b := newBench(t, 4)
	for i := range 4 {
		chip := b.chip(b.Serials[i])
		chip.SetFault(card.Fault{AnswerAt: card.StepPCID, AnswerSW: 0x6F00, AnswerTimes: 1})
		require.Equal(t, "in_doubt", b.outcome(chip).Outcome, "card %d", i)
		b.removeCard()
		b.outcome(chip)
		b.Resolve(t, b.CardIDs[i], perso.DecideResume)
		b.waitFor("clear", func(s line.ReaderStatus) bool { return s.Outcome == "clear" })
		b.removeCard()
	}
	require.Empty(t, b.openHolds())
}

// TestANumberThatDoesNotFitTouchesNoCard: the templates of numbers and the places of a
// profile are approved apart. That they do not fit is said before a card is written, and
// once for the lot.
func TestANumberThatDoesNotFitTouchesNoCard(t *testing.T) {
	t.Parallel()
	b := plainBench(t, 3, `00D6004020{manifest:32}`, `00D6004004{manifest:4}`, `00B0004020`, `00B0004004`)
	chip := b.chip(b.Serials[0], plain)
	got := b.outcome(chip)
	require.Equal(t, "refused", got.Outcome, got.Reason)
	require.Contains(t, got.Reason, "tidak muat")
	require.Empty(t, b.accepted(chip.State().ChipID))
	require.Equal(t, perso.Numbered, b.Card(t, b.Serials[0]).State)
	b.removeCard()
	require.Equal(t, perso.WhyLabels[perso.LotStopped], b.outcome(b.chip(b.Serials[1], plain)).Reason)
	require.Len(t, b.openHolds(), 1)
}
