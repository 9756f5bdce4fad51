package card

import (
	"context"
	"testing"
	"time"

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

// A command that is held shows, does its work before or after the hold and once, and
// can be asked about meanwhile; one whose connection ends goes no further.
func TestHold(t *testing.T) {
	t.Parallel()
	for _, executed := range []bool{false, true} {
		chip, log := newChip(t)
		h := dial(t, chip, oldKeys, 0x03)
		require.False(t, chip.Release(), "there is none yet")
		held := func() bool { return chip.State().Held }
		chip.SetFault(Fault{HoldAtAPDU: 2, Executed: executed})
		require.Equal(t, "9000", h.send(unhex("80CA004500"))[len("4508")+16:], "the first goes through")
		answered := make(chan string, 1)
		go func() { answered <- h.storeDGI(dgiMarker, marker, false) }()
		require.Eventually(t, held, 10*time.Second, time.Millisecond)
		require.Equal(t, executed, chip.State().Marker != "")
		require.Zero(t, chip.State().Fault.HoldAtAPDU, "it strikes once")
		select {
		case <-answered:
			t.Fatal("answered while it is held")
		default:
		}
		require.True(t, chip.Release())
		require.Equal(t, "9000", <-answered)
		require.False(t, held() || chip.Release())
		require.Equal(t, []string{"marker 9000"}, log.steps())

		ctx, gone := context.WithCancel(t.Context())
		require.Equal(t, Answered, chip.Transmit(append(unhex("8050000008"), make([]byte, 8)...)).Fate)
		chip.SetFault(Fault{HoldAtAPDU: 1, Executed: executed})
		fate := make(chan Fate, 1)
		go func() {
			fate <- chip.TransmitWithin(ctx, append(unhex("8482010010"), make([]byte, 16)...)).Fate // a wrong host cryptogram
		}()
		require.Eventually(t, held, 10*time.Second, time.Millisecond)
		gone()
		require.Equal(t, Vanish, <-fate)
		require.False(t, held())
		require.Equal(t, map[bool]int{true: 1}[executed], chip.State().AuthFailures)
	}
}
