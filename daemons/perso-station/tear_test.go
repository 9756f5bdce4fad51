package main

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"dukcapil.go.id/sifilma/daemons/perso-station/internal/line"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/test/virtualsam/card"
)

// cause is what tears the work on a card while the card holds a command.
type cause struct {
	name     string
	executed bool // the card has done the command, and nobody has heard its answer
	// strike has it happen to the cards that are held, and lets them go on or takes them
	// out; mend, if set, gives back what was taken. Between them the station is looked at.
	strike func(h *hall, held []*cell) (mend func())
	// inside says that the card stays in its slot, and calm that nothing about it may be
	// in doubt and nobody has to touch it.
	inside, calm bool
}

// cell is one card that is torn at one command.
type cell struct {
	profile, reader, serial, id string

	n       int // the command
	held    bool
	torn    machine.State // right after the cause
	end     machine.State
	decided int // doubts that people decided
}

func (c *cell) String() string { return fmt.Sprintf("%s %s, command %d", c.profile, c.serial, c.n) }

// pull takes the cards out: what they hold goes no further.
func (h *hall) pull(held []*cell) {
	h.t.Helper()
	for _, c := range held {
		require.NoError(h.t, h.sam.Remove(h.t.Context(), c.reader), c)
	}
}

// release lets the cards go on.
func (h *hall) release(held []*cell) {
	h.t.Helper()
	for _, c := range held {
		require.NoError(h.t, h.sam.Release(h.t.Context(), c.serial), c)
	}
}

// waits has the station wait for what is away, with the card in its slot. A card that
// needs it no more may be clear: then that is recorded.
func (h *hall) waits(held []*cell) {
	h.t.Helper()
	for _, c := range held {
		s := h.waitFor(c.reader, "waiting, or clear", func(s line.ReaderStatus) bool { return s.State == "wait" || s.Outcome != "" })
		if s.Outcome != "" || s.Instruction == "ambil" {
			require.Equal(h.t, "clear", s.Outcome, "%s: %s", c, s.Reason)
			require.Equal(h.t, perso.Clear, h.Card(h.t, c.serial).State, "%s: given out before it is recorded", c)
		}
	}
}

// causes are all that a card can meet in the middle.
var causes = []cause{
	{name: "card vanishes before", strike: func(h *hall, held []*cell) func() { h.pull(held); return nil }},
	{name: "card vanishes after", executed: true, strike: func(h *hall, held []*cell) func() { h.pull(held); return nil }},
	{name: "child killed before", strike: func(h *hall, held []*cell) func() {
		for _, c := range held {
			h.killChild(c.reader)
		}
		h.pull(held)
		return nil
	}},
	{name: "child killed after", executed: true, inside: true, strike: func(h *hall, held []*cell) func() {
		for _, c := range held {
			h.killChild(c.reader)
		}
		h.release(held)
		return nil
	}},
	{name: "supervisor killed before", strike: func(h *hall, held []*cell) func() {
		h.kill()
		h.pull(held)
		h.start()
		return nil
	}},
	{name: "supervisor killed after", executed: true, inside: true, strike: func(h *hall, held []*cell) func() {
		h.kill()
		h.release(held)
		h.start()
		return nil
	}},
	{name: "Postgres gone", inside: true, calm: true, strike: func(h *hall, held []*cell) func() {
		h.network.Cut()
		h.release(held)
		h.waits(held)
		return h.network.Resume
	}},
	{name: "HSM gone", inside: true, calm: true, strike: func(h *hall, held []*cell) func() {
		back := h.tokenAway()
		h.release(held)
		h.waits(held)
		return back
	}},
	{name: "RabbitMQ gone", inside: true, calm: true, strike: func(h *hall, held []*cell) func() {
		h.bells.Cut()
		h.release(held)
		for _, c := range held {
			h.waitFor(c.reader, "clear without a broker", outcome)
		}
		return h.bells.Resume
	}},
	{name: "Postgres gone, supervisor killed", inside: true, strike: func(h *hall, held []*cell) func() {
		h.network.Cut()
		h.release(held)
		h.waits(held)
		h.kill()
		h.launch()
		h.answers("/livez")
		h.network.Resume()
		h.answers("/readyz")
		return nil
	}},
}

// tear puts a fresh card into each of some readers, holds each at its command, has the
// cause happen to all of them, and brings them to their end as people at a station do.
// What must hold right after the cause, and in the end, is checked.
func (h *hall) tear(by cause, cells []*cell) {
	h.t.Helper()
	ctx := h.t.Context()
	for _, c := range cells {
		h.waitFor(c.reader, "an empty slot", func(s line.ReaderStatus) bool { return s.Instruction == "masukkan" })
		h.makeFor(c.profile, c.serial, card.Fault{HoldAtAPDU: c.n, Executed: by.executed})
		require.NoError(h.t, h.sam.Insert(ctx, c.reader, c.serial))
	}
	for _, c := range cells {
		if c.held = h.heldOrClear(c.serial); !c.held { // nor is it ever to be
			require.NoError(h.t, h.sam.Fault(ctx, c.serial, card.Fault{}))
		}
	}
	held := slices.DeleteFunc(slices.Clone(cells), func(c *cell) bool { return !c.held })
	if len(held) > 0 {
		mend := by.strike(h, held)
		if mend != nil {
			mend()
		}
		for _, c := range held {
			h.afterwards(by, c)
		}
	}
	hands, ctx := errgroup.WithContext(ctx)
	for _, c := range cells {
		hands.Go(func() (err error) {
			if c.decided, err = h.feed(ctx, c.reader, c.serial, c.id, by.inside || !c.held); err != nil {
				return fmt.Errorf("%s, %s: %w", c, by.name, err)
			}
			return nil
		})
	}
	require.NoError(h.t, hands.Wait())
	for _, c := range cells {
		h.account(by, c)
	}
}

// afterwards waits until the station has come to something about the card, and checks
// that it is one thing, and right.
func (h *hall) afterwards(by cause, c *cell) {
	h.t.Helper()
	s := h.waitFor(c.reader, "what became of "+c.String(), func(s line.ReaderStatus) bool {
		if by.inside {
			return s.Outcome != ""
		}
		return s.Instruction == "masukkan"
	})
	c.torn = h.Card(h.t, c.serial).State
	require.Contains(h.t, []machine.State{perso.Listed, perso.Numbered, perso.InDoubt, perso.Clear, perso.Failed}, c.torn, "%s: %+v", c, s)
	if c.torn == perso.Listed || c.torn == perso.Numbered {
		require.Empty(h.t, h.took(c.serial), "%s: a card that was written is %s", c, c.torn)
	}
	if by.calm {
		require.Equal(h.t, "clear", s.Outcome, "%s: %s", c, s.Reason)
		require.Equal(h.t, perso.Clear, c.torn, c)
	}
}

// fresh is the serial of the hall's next card.
func (h *hall) fresh() string {
	h.used++
	return h.Serials[h.used-1]
}

// cells are the hall's next cards, one for each reader, to be torn at the given commands.
func (h *hall) cells(profile string, at ...int) (cells []*cell) {
	for i, n := range at {
		serial := h.fresh()
		cells = append(cells, &cell{profile: profile, reader: h.lease.Readers[i].Name, serial: serial, id: h.CardIDs[h.used-1], n: n})
	}
	return cells
}

// TestTornCards has each cause happen on real PC/SC, the causes spread over the
// profiles, to cards in the middle of being written; the long test does all of it. The
// last cards of each order are done, so that somebody is told, under the last cause.
func TestTornCards(t *testing.T) {
	for i, profile := range tearProfiles {
		t.Run(profile, func(t *testing.T) {
			var own []cause
			for j, by := range causes {
				if j%len(tearProfiles) == i {
					own = append(own, by)
				}
			}
			h, script := newTearHall(t, profile, 3, 1+3*len(own))
			marker := slices.Index(script, card.StepMarker) + 1
			middle := max(slices.Index(script, card.StepPutKey), slices.Index(script, card.StepCONF)) + 1
			secured := len(script) - slices.Index(backwards(script), card.StepStatus)
			for _, by := range own {
				h.tear(by, h.cells(profile, marker, middle, secured))
			}
			h.balance()
		})
	}
}

// A station that ends again and again after the card has taken its keys, each time in the
// middle of the proof, has not had a single try refused: the card is not given up.
func TestAStationThatEndsAgainAndAgain(t *testing.T) {
	h := newHall(t, 1, 1)
	h.writesBy(scp03)
	h.ownToken()
	h.start()
	reader, serial, each := h.lease.Readers[0].Name, h.Serials[0], card.Fault{HoldAtAPDU: 1}
	h.makeFor(scp03, serial, each)
	require.NoError(t, h.sam.Insert(t.Context(), reader, serial))
	for range perso.MaxAuthentications + 1 {
		h.stepTo(reader, serial, "open_sam")
		h.kill()
		require.NoError(t, h.sam.Fault(t.Context(), serial, card.Fault{}))
		require.NoError(t, h.sam.Release(t.Context(), serial))
		h.start()
		h.waitFor(reader, "doubt", func(s line.ReaderStatus) bool { return s.Outcome == "in_doubt" })
		require.NoError(t, h.sam.Fault(t.Context(), serial, each))
		h.decide(h.CardIDs[0])
	}
	h.stepTo(reader, serial, "open_sam")
	require.NoError(t, h.sam.Fault(t.Context(), serial, card.Fault{}))
	require.NoError(t, h.sam.Release(t.Context(), serial))
	got := h.waitFor(reader, "clear", func(s line.ReaderStatus) bool { return s.Outcome == "clear" })
	require.Equal(t, serial, got.Serial)
	h.judge()
}

func backwards(script []card.Step) []card.Step {
	turned := slices.Clone(script)
	slices.Reverse(turned)
	return turned
}

// newTearHall starts a station that writes cards by a profile, and walks one through.
func newTearHall(t *testing.T, profile string, readers, cards int) (h *hall, script []card.Step) {
	t.Helper()
	h = newHall(t, cards, readers)
	h.writesBy(profile)
	h.ownToken()
	h.start()
	script = h.walk(profile, h.lease.Readers[0].Name, h.fresh())
	return h, script
}
