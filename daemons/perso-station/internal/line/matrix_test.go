package line_test

import (
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/daemons/perso-station/internal/line"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/test/virtualsam/card"
)

// The tear matrix: for each profile, each cause and each command of a card's whole
// course, the card comes to exactly one of clear, failed, in_doubt and spoiled, or was
// not written at all; and database, journal and the card's own account agree, at once
// and in the end. The causes that strike one card are here; those that strike the whole
// station are in blackout_test.go.

// breed is a kind of card, with the profile that it is written by.
type breed struct {
	name     string
	bench    func(t *testing.T, n int) *bench
	chip     func(b *bench, serial string) *card.Chip
	commands int // of a whole course, that nothing disturbs
	first    int // the first of them that writes
	finished string
	steps    map[card.Step]int // what a finished card took
}

var breeds = []breed{
	{
		name: "gp-scp03-sam", commands: 29, first: 12, finished: "0F",
		steps: map[card.Step]int{card.StepMarker: 1, card.StepPutKey: 1, card.StepStatus: 2},
		bench: func(t *testing.T, n int) *bench { return newBench(t, n) },
		chip:  func(b *bench, serial string) *card.Chip { return b.chip(serial) },
	},
	{
		name: "gp-scp02-sam", commands: 29, first: 12, finished: "0F",
		steps: map[card.Step]int{card.StepMarker: 1, card.StepPutKey: 1, card.StepStatus: 2},
		bench: desBench,
		chip:  func(b *bench, serial string) *card.Chip { return b.chip(serial, b.des) },
	},
	{
		name: "iso7816-raw", commands: 19, first: 6, finished: "01",
		steps: map[card.Step]int{card.StepMarker: 1, card.StepStatus: 1},
		bench: func(t *testing.T, n int) *bench { return plainBench(t, n) },
		chip:  func(b *bench, serial string) *card.Chip { return b.chip(serial, plain) },
	},
}

// cause is what strikes one card at a command.
type cause struct {
	name string
	// executed: the card has done the command; only its answer is lost.
	executed bool
	// put arms it for command n of the chip's next insertion. struck tells that it has
	// struck, over that the station has come to terms with it; then right puts things right.
	put func(b *bench, chip *card.Chip, n int, executed bool) (struck func() bool, over func(line.ReaderStatus) bool, right func())
}

var causes = []cause{
	{"card vanishes before", false, vanishes},
	{"card vanishes after", true, vanishes},
	{"child killed before", false, childKilled},
	{"child killed after", true, childKilled},
	{"station killed before", false, stationKilled},
	{"station killed after", true, stationKilled},
}

func vanishes(_ *bench, chip *card.Chip, n int, executed bool) (struck func() bool, over func(line.ReaderStatus) bool, right func()) {
	chip.SetFault(card.Fault{VanishAtAPDU: n, Executed: executed})
	return func() bool { return chip.State().Fault.VanishAtAPDU == 0 },
		func(s line.ReaderStatus) bool { return s.State == "empty" },
		func() {}
}

// childKilled has a card answer nothing more, so that its child is killed; the next
// child finds the card in the slot.
func childKilled(b *bench, chip *card.Chip, n int, executed bool) (struck func() bool, over func(line.ReaderStatus) bool, right func()) {
	chip.SetFault(card.Fault{MuteAtAPDU: n, Executed: executed})
	serial := chip.State().Serial
	return func() bool { return chip.State().Fault.MuteAtAPDU == 0 },
		func(s line.ReaderStatus) bool {
			return s.Outcome == "clear" || s.Outcome == "in_doubt" && b.proposal(serial) != ""
		},
		b.removeCard
}

func stationKilled(b *bench, _ *card.Chip, n int, executed bool) (struck func() bool, over func(line.ReaderStatus) bool, right func()) {
	var dead atomic.Bool
	crash := b.crash
	b.reader.onEach(func(now int) (lose, after bool) {
		if now != n {
			return false, false
		}
		crash()
		dead.Store(true)
		return true, executed
	})
	return dead.Load, func(line.ReaderStatus) bool { return true }, func() {
		b.stop()
		b.start()
	}
}

// onEach has each command asked about; see fakeReader.hook.
func (r *fakeReader) onEach(hook func(n int) (lose, after bool)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.hook = hook
}

func TestTearMatrix(t *testing.T) {
	t.Parallel()
	for _, kind := range breeds {
		for _, c := range causes {
			t.Run(kind.name+"/"+c.name, func(t *testing.T) {
				t.Parallel()
				tearRow(t, kind, c)
			})
		}
	}
}

// tearRow tears a card at each command of its course in turn, and lets the last one be.
func tearRow(t *testing.T, kind breed, c cause) {
	b := kind.bench(t, kind.commands+1)
	ends := map[machine.State]int{}
	for i, serial := range b.Serials {
		n := i + 1
		chip := kind.chip(b, serial)
		struck, over, right := c.put(b, chip, n, c.executed)
		b.reader.insert(chip)
		require.Eventually(t, func() bool {
			s := b.shown()
			return struck() && over(s) || s.Outcome == "clear"
		}, patience, 2*time.Millisecond, "command %d: %+v", n, b.line.Readers())
		if n > kind.commands {
			require.False(t, struck(), "a course has so many commands")
			break
		}
		require.True(t, struck(), "command %d", n)
		right()
		b.agree(chip, serial, kind)
		state := b.Card(t, serial).State
		ends[state]++
		b.reader.onEach(nil)
		if n < kind.first {
			require.NotEqual(t, perso.InDoubt, state, "command %d: nothing was written", n)
		}
		b.finishTorn(chip, serial, n)
		b.agree(chip, serial, kind)
	}
	t.Logf("%d commands, torn at each: %v", kind.commands, ends)
	require.Greater(t, ends[perso.InDoubt], (kind.commands-kind.first)/2)
	b.numbersAreUnique()
	b.orderAddsUp()
}

// shown is what the bench's slot shows; nothing while the station is down.
func (b *bench) shown() line.ReaderStatus {
	all := b.line.Readers()
	if i := slices.IndexFunc(all, func(s line.ReaderStatus) bool { return s.Name == b.reader.name }); i >= 0 {
		return all[i]
	}
	return line.ReaderStatus{}
}

// finishTorn brings a card to its end. Of each three doubts people give one up.
func (b *bench) finishTorn(chip *card.Chip, serial string, n int) {
	b.t.Helper()
	c := b.Card(b.t, serial)
	switch {
	case c.State == perso.Clear:
		if b.shown().State != "empty" {
			b.removeCard()
		}
	case c.State == perso.InDoubt && n%3 == 0:
		chip.SetFault(card.Fault{})
		b.outcome(chip)
		b.waitFor("a finding", func(s line.ReaderStatus) bool { return b.proposal(serial) != "" || s.Outcome == "clear" })
		if b.proposal(serial) != "" { // else the card itself has proven it
			b.Resolve(b.t, c.ID, perso.DecideSpoil)
			b.waitFor("set aside", func(s line.ReaderStatus) bool { return s.Reason == perso.WhyLabels[perso.SetAside] })
			require.Equal(b.t, perso.Spoiled, b.Card(b.t, serial).State)
		}
		b.removeCard()
	default:
		b.settle(chip, serial)
	}
}
