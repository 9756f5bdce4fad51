package card

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRefusalsOfACardsOwn(t *testing.T) {
	t.Parallel()
	chip, log := newChip(t)
	h := dial(t, chip, oldKeys, 0x33)
	before := chip.State()
	for fault, want := range map[Fault]string{{SecurityAt: StepPCID}: "6982", {ConditionsAt: StepPCID}: "6985"} {
		chip.SetFault(fault)
		require.Equal(t, want, h.storeDGI(dgiPCID, pcid, false))
		require.Equal(t, "9000", h.send(unhex("80CA004500"))[len("4508")+16:], "the session lives on")
		chip.SetFault(Fault{})
		require.Equal(t, before, chip.State(), "nothing was written")
	}
	require.Equal(t, "9000", h.storeDGI(dgiPCID, pcid, false))
	require.Len(t, log.entries, 3)
}

func TestEmptyAnswer(t *testing.T) {
	t.Parallel()
	chip, log := newChip(t)
	chip.SetFault(Fault{EmptyAtAPDU: 2})
	require.Equal(t, Answered, chip.Transmit(unhex("00F7000000")).Fate)
	a := chip.Transmit(unhex("00F7000000"))
	require.Equal(t, Empty, a.Fate)
	require.Empty(t, a.Data)
	require.Equal(t, Answered, chip.Transmit(unhex("00F7000000")).Fate, "the card stays, and struck once")

	for _, executed := range []bool{false, true} {
		h := dial(t, chip, oldKeys, 0x03)
		chip.SetFault(Fault{EmptyAtStep: StepMarker, Executed: executed})
		require.Empty(t, h.storeDGI(dgiMarker, marker, false))
		require.Equal(t, executed, chip.State().Marker != "")
	}
	require.Equal(t, []string{"marker 9000"}, log.steps())
}

func TestReadBackThatLies(t *testing.T) {
	t.Parallel()
	chip, _ := newChip(t)
	h := dial(t, chip, oldKeys, 0x33)
	require.Equal(t, "9000", h.storeDGI(dgiMarker, marker, false))
	require.Equal(t, "9000", h.storeDGI(dgiPCID, pcid, false))
	require.Equal(t, "9000", h.storeDGI(dgiManifest, []byte("MN-1"), false))
	asks := map[Step]string{
		StepMarker: "80CADF0100", StepPCID: "80CADF0200", StepManifest: "80CADF0400",
		StepStatus: "80F28002024F0000", StepPutKey: "80CA00E000",
	}
	truth := map[Step]string{}
	for step, ask := range asks {
		truth[step] = h.send(unhex(ask))
	}
	before := chip.State()
	for liar := range asks {
		chip.SetFault(Fault{LieAbout: liar})
		for step, ask := range asks {
			got := h.send(unhex(ask))
			require.Len(t, got, len(truth[step]))
			require.Equal(t, step != liar, got == truth[step], "%s, lying about %s", step, liar)
		}
	}
	chip.SetFault(Fault{})
	require.Equal(t, before, chip.State())
}
