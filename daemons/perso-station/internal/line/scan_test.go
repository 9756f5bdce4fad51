package line_test

import (
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/configs"
	"dukcapil.go.id/sifilma/daemons/perso-station/internal/line"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/perso/persotest"
	"dukcapil.go.id/sifilma/pkg/perso/recipe"
	"dukcapil.go.id/sifilma/test/virtualsam/card"
)

const slotName = "Pembaca Uji 00 00"

// barcodeBench is a bench whose cards are told by the serial that a scanner reads.
func barcodeBench(t *testing.T, n int) *bench {
	t.Helper()
	b := newBench(t, n)
	file, err := configs.Profile("gp-scp03-sam")
	require.NoError(t, err)
	persotest.Approve(t, b.DB, recipe.Profile,
		strings.NewReplacer(`"version": 1`, `"version": 2`, `"from": "chip", "object": "cin"`, `"from": "barcode"`).Replace(string(file)))
	return b
}

// nameless is a chip that does not hold the serial printed on it.
func (b *bench) nameless(serial string) *card.Chip {
	return b.chip(serial, func(c *card.Config) { c.Serial = "0000" })
}

// A scan is of the next card in its reader, or of the one that waits there.
func TestAScanTellsTheSerial(t *testing.T) {
	t.Parallel()
	b := barcodeBench(t, 3)
	b.line.Scanned("Pembaca Lain", b.Serials[1])
	b.line.Scanned(slotName, " "+strings.ToLower(b.Serials[0])+"\n")
	b.line.Scanned(slotName, b.Serials[0]) // twice the same is once
	first := b.nameless(b.Serials[0])
	got := b.outcome(first)
	require.Equal(t, "clear", got.Outcome, got.Reason)
	require.Equal(t, b.Serials[0], got.Serial)
	b.judge(first, b.Serials[0])
	b.removeCard()

	second := b.nameless(b.Serials[1])
	b.reader.insert(second)
	got = b.waitFor("the scan", func(s line.ReaderStatus) bool { return s.Instruction == "pindai" })
	require.Equal(t, perso.WhyLabels[perso.ScanAwaited], got.Reason)
	require.Empty(t, got.Outcome)
	require.Empty(t, b.accepted(second.State().ChipID))
	b.line.Scanned(slotName, b.Serials[1])
	b.waitFor("clear", func(s line.ReaderStatus) bool { return s.Outcome == "clear" && s.Serial == b.Serials[1] })
	b.judge(second, b.Serials[1])
	b.removeCard()
	// Its chip has its serial now, for ever: it needs no scan, and takes no other.
	require.Equal(t, perso.WhyLabels[perso.AlreadyDone], b.outcome(second).Reason)
	b.removeCard()
	b.line.Scanned(slotName, b.Serials[2])
	require.Equal(t, perso.WhyLabels[perso.ScanDiffers], b.outcome(second).Reason)
	b.removeCard()
	require.Equal(t, perso.Listed, b.Card(t, b.Serials[2]).State)
}

// Where it is not certain which serial a card has, nothing is written.
func TestAnAmbiguousScanWritesNothing(t *testing.T) {
	t.Parallel()
	b := barcodeBench(t, 3)
	chip := b.nameless(b.Serials[0])
	b.line.Scanned(slotName, b.Serials[0])
	b.line.Scanned(slotName, b.Serials[1])
	got := b.outcome(chip)
	require.Equal(t, perso.WhyLabels[perso.ScanTwice], got.Reason)
	b.line.Scanned(slotName, b.Serials[0])
	require.Never(t, func() bool { return b.line.Readers()[0].Count != got.Count }, 20*b.lookEvery(), b.lookEvery(), "only anew")
	b.removeCard()
	require.Empty(t, b.accepted(chip.State().ChipID))
	require.Equal(t, perso.Listed, b.Card(t, b.Serials[0]).State)
	require.Equal(t, "clear", b.outcome(chip).Outcome, "the scan after it is of the next card")
	b.removeCard()
	other := b.nameless("SAM77777777")
	b.line.Scanned(slotName, b.Serials[0])
	require.Equal(t, perso.WhyLabels[perso.OtherChip], b.outcome(other).Reason)
	b.removeCard()
	b.line.Scanned(slotName, "SAM99999999")
	require.Equal(t, perso.WhyLabels[perso.Unlisted], b.outcome(other).Reason)
	require.Empty(t, b.accepted(other.State().ChipID))
}

// A card in doubt is read again without a scan: its chip is known.
func TestDoubtNeedsNoScan(t *testing.T) {
	t.Parallel()
	b := barcodeBench(t, 1)
	chip := b.nameless(b.Serials[0])
	chip.SetFault(card.Fault{MuteAtStep: card.StepCONF})
	b.line.Scanned(slotName, b.Serials[0])
	b.reader.insert(chip)
	b.waitFor("the doubt", func(s line.ReaderStatus) bool {
		return s.Outcome == "in_doubt" && b.proposal(b.Serials[0]) == perso.DecideResume
	})
	b.Resolve(t, b.CardIDs[0], perso.DecideResume)
	b.waitFor("clear", func(s line.ReaderStatus) bool { return s.Outcome == "clear" })
	b.judge(chip, b.Serials[0])
}

// A scan waits its time and no longer, and is handed out once.
func TestAScanWaitsItsTime(t *testing.T) {
	t.Parallel()
	now := clock.NewFake(persotest.OfficeAt)
	l := line.New(line.Parts{Machine: now, ScanWithin: 30 * time.Second, Log: zerolog.Nop()})
	take := func() string {
		serial, twice := l.TakeScan("R")
		require.False(t, twice)
		return serial
	}
	l.Scanned("R", "SAM1")
	now.Advance(29 * time.Second)
	require.Equal(t, "SAM1", take())
	require.Empty(t, take())
	l.Scanned("R", "SAM1")
	now.Advance(30 * time.Second)
	require.Empty(t, take())
	l.Scanned("R", "SAM1")
	now.Advance(20 * time.Second)
	l.Scanned("R", "SAM2")
	now.Advance(15 * time.Second)
	require.Equal(t, "SAM2", take(), "the first was over")
	l.Scanned("R", " ")
	require.Empty(t, take())
}
