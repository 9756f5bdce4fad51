package line_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/daemons/perso-station/internal/line"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/test/virtualsam/card"
)

// hopper feeds the reader of a bench from a stack of cards, into bins.
type hopper struct {
	mu    sync.Mutex
	b     *bench
	stack []*card.Chip
	bins  []line.Bin
	nexts int
	jam   error // of the next bin
}

func (h *hopper) Next(context.Context) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.nexts++
	if len(h.stack) == 0 {
		return errors.New("uji: kosong")
	}
	h.b.reader.insert(h.stack[0])
	h.stack = h.stack[1:]
	return nil
}

func (h *hopper) Bin(_ context.Context, b line.Bin) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.jam; err != nil {
		h.jam = nil
		return err
	}
	h.bins = append(h.bins, b)
	h.b.reader.remove()
	return nil
}

func (h *hopper) binned() []line.Bin {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.bins)
}

// fed is a bench whose reader is fed from a stack.
func (b *bench) fed(h *hopper) {
	b.t.Helper()
	b.stop()
	h.b = b
	b.feeder = func(reader string) line.Feeder {
		if reader != slotName {
			return nil
		}
		return h
	}
	b.start()
}

// Cards come and go by themselves, each into the bin of what became of it; when the
// stack is empty the reader is paused with an alarm, and a card that somebody puts in
// has it go on.
func TestAFeederNeedsNoHands(t *testing.T) {
	t.Parallel()
	b := newBench(t, 5)
	broken, torn := b.chip(b.Serials[1]), b.chip(b.Serials[2])
	broken.SetFault(card.Fault{MemoryFailureAt: card.StepPCID})
	torn.SetFault(card.Fault{EmptyAtStep: card.StepCONF})
	good := b.chip(b.Serials[0])
	h := &hopper{stack: []*card.Chip{good, broken, b.chip("SAM99999999"), torn, good, b.chip(b.Serials[3])}}
	b.fed(h)
	b.waitFor("the end of the stack", func(s line.ReaderStatus) bool {
		return s.State == "wait" && len(h.binned()) == 6 && b.line.CheckFeeders(t.Context()) != nil
	})
	require.Equal(t, []line.Bin{line.GoodBin, line.RejectBin, line.RejectBin, line.DoubtBin, line.GoodBin, line.GoodBin}, h.binned())
	require.Equal(t, perso.InDoubt, b.Card(t, b.Serials[2]).State)
	require.ErrorContains(t, b.line.CheckFeeders(t.Context()), "kosong")
	require.Equal(t, 7, h.nexts, "a feeder that failed is not asked again")

	b.reader.insert(b.chip(b.Serials[4])) // by hand
	b.waitFor("the pause after it", func(line.ReaderStatus) bool { return len(h.binned()) == 7 && b.line.CheckFeeders(t.Context()) != nil })
	require.Equal(t, perso.Clear, b.Card(t, b.Serials[4]).State)
	require.Equal(t, 8, h.nexts)
}

// A card that a feeder cannot move stays recorded as what it is, and no other is pushed
// onto it; nor onto one that has left by itself.
func TestAJamPausesTheReader(t *testing.T) {
	t.Parallel()
	b := newBench(t, 2)
	h := &hopper{stack: []*card.Chip{b.chip(b.Serials[0]), b.chip(b.Serials[1])}, jam: errors.New("uji: macet")}
	b.fed(h)
	got := b.waitFor("the pause", func(s line.ReaderStatus) bool { return s.State == "wait" && b.line.CheckFeeders(t.Context()) != nil })
	require.Contains(t, got.Reason, "tidak memindahkan kartu")
	require.Equal(t, perso.Clear, b.Card(t, b.Serials[0]).State)
	b.reader.remove() // a person takes it out
	require.Never(t, func() bool { return h.mu.TryLock() && func() bool { defer h.mu.Unlock(); return h.nexts != 1 }() }, 20*b.lookEvery(), b.lookEvery())
	vanishing := b.chip(b.Serials[1])
	vanishing.SetFault(card.Fault{VanishAtAPDU: 3})
	b.reader.insert(vanishing)
	got = b.waitFor("the pause again", func(s line.ReaderStatus) bool {
		return s.State == "wait" && vanishing.State().Fault.VanishAtAPDU == 0 && b.line.CheckFeeders(t.Context()) != nil
	})
	require.Contains(t, got.Reason, "keluar sendiri")
	require.Empty(t, h.binned())
}

// A card that waits for the office is held in the reader, not thrown away.
func TestAWaitingCardIsNotBinned(t *testing.T) {
	t.Parallel()
	b := newBench(t, 2)
	b.withLot(`{"first_card": true}`)
	h := &hopper{stack: []*card.Chip{b.chip(b.Serials[0]), b.chip(b.Serials[1])}}
	b.fed(h)
	b.waitFor("the second card waits", func(s line.ReaderStatus) bool { return s.Reason == perso.WhyLabels[perso.FirstCardWaits] })
	require.Equal(t, []line.Bin{line.GoodBin}, h.binned())
	require.NoError(t, b.lift(b.openHolds()[0], request.Operator))
	b.waitFor("the end of the stack", func(line.ReaderStatus) bool { return len(h.binned()) == 2 })
}
