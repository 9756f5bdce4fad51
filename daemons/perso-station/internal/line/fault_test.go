package line_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/daemons/perso-station/internal/line"
	"dukcapil.go.id/sifilma/pkg/cardsecret"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/register"
	"dukcapil.go.id/sifilma/pkg/register/registertest"
	"dukcapil.go.id/sifilma/pkg/smartcard"
	"dukcapil.go.id/sifilma/test/virtualsam/card"
)

var writeSteps = []card.Step{
	card.StepMarker, card.StepStatus, card.StepPCID, card.StepManifest, card.StepCONF, card.StepPutKey, card.StepOpenSAM,
}

// accepted counts what a chip took, by step, from its own account.
func (b *bench) accepted(chip string) map[card.Step]int {
	out := map[card.Step]int{}
	for _, l := range b.writes.Since(0) {
		if l.Chip == chip && l.Accepted() {
			out[l.Step]++
		}
	}
	return out
}

// values are the distinct digests of what a chip took at a step.
func (b *bench) values(chip string, step card.Step) []string {
	seen := map[string]bool{}
	var out []string
	for _, l := range b.writes.Since(0) {
		if l.Chip == chip && l.Step == step && l.Accepted() && !seen[l.Digest] {
			seen[l.Digest] = true
			out = append(out, l.Digest)
		}
	}
	return out
}

func TestClearRefusalFailsTheCard(t *testing.T) {
	t.Parallel()
	b := newBench(t, 2*len(writeSteps))
	for i, step := range writeSteps {
		for j, fault := range []card.Fault{{MemoryFailureAt: step}, {MemoryFullAt: step}} {
			serial := b.Serials[2*i+j]
			chip := b.chip(serial)
			chip.SetFault(fault)
			got := b.outcome(chip)
			require.Equal(t, "failed", got.Outcome, "%s: %s", step, got.Reason)
			require.Equal(t, "sisihkan", got.Instruction)
			require.Contains(t, got.Reason, []string{"6581", "6A84"}[j])
			c := b.Card(t, serial)
			require.Equal(t, perso.Failed, c.State)
			require.Equal(t, got.Reason, c.Reason)
			b.removeCard()
			// The same blank, healed or not, is not taken again.
			chip.SetFault(card.Fault{})
			got = b.outcome(chip)
			require.Equal(t, "refused", got.Outcome)
			require.Equal(t, perso.WhyLabels[perso.FailedEarlier], got.Reason)
			b.removeCard()
		}
	}
	remaining, _ := b.Remaining(t)
	require.Equal(t, 0, remaining, "a failed card leaves the line")
	tally, err := perso.Counts(t.Context(), b.DB, b.RequestID)
	require.NoError(t, err)
	require.Equal(t, 2*len(writeSteps), tally.AwaitingReplacement)
	b.numbersAreUnique()
}

// numbersAreUnique checks that each number was given once and belongs to its card.
func (b *bench) numbersAreUnique() {
	b.t.Helper()
	var wrong int
	require.NoError(b.t, b.DB.Get(context.Background(), &wrong, `
		SELECT count(*) FROM card c WHERE pcid IS NOT NULL AND
		  ((SELECT card_id FROM card_number WHERE kind='pcid' AND value=c.pcid) IS DISTINCT FROM c.id OR
		   (SELECT card_id FROM card_number WHERE kind='manifest' AND value=c.manifest_no) IS DISTINCT FROM c.id)`))
	require.Zero(b.t, wrong)
}

// settle brings a card to clear, whatever it is in, as the office would: put it
// in again; if the station proposes to resume, two people decide so. It returns
// whether people were needed.
func (b *bench) settle(chip *card.Chip, serial string) (people bool) {
	b.t.Helper()
	chip.SetFault(card.Fault{})
	got := b.outcome(chip)
	if got.Outcome == "in_doubt" {
		// The station may first see the doubt and prove the card at a second look.
		b.waitFor("a finding", func(line.ReaderStatus) bool {
			return b.proposal(serial) != "" || b.Card(b.t, serial).State == perso.Clear
		})
		if b.proposal(serial) == perso.DecideResume {
			people = true
			b.Resolve(b.t, b.Card(b.t, serial).ID, perso.DecideResume)
		}
		got = b.waitFor("clear", func(s line.ReaderStatus) bool { return s.Outcome == "clear" })
	}
	require.Equal(b.t, "clear", got.Outcome, got.Reason)
	require.Equal(b.t, perso.Clear, b.Card(b.t, serial).State)
	b.removeCard()
	return people
}

func (b *bench) proposal(serial string) perso.Decision {
	b.t.Helper()
	c := b.Card(b.t, serial)
	if c.State != perso.InDoubt {
		return ""
	}
	h, err := perso.Reload(context.Background(), b.DB, c.ID)
	require.NoError(b.t, err)
	return h.Attempt.Proposal
}

// judge holds a finished card against its own account of what was written.
func (b *bench) judge(chip *card.Chip, serial string) {
	b.t.Helper()
	state := chip.State()
	took := b.accepted(state.ChipID)
	require.Equal(b.t, 1, took[card.StepMarker], serial)
	require.Equal(b.t, 1, took[card.StepPutKey], serial)
	require.Equal(b.t, 2, took[card.StepStatus], serial)
	for _, step := range []card.Step{card.StepMarker, card.StepPCID, card.StepManifest} {
		require.Len(b.t, b.values(state.ChipID, step), 1, "%s: %s", serial, step)
	}
	require.Equal(b.t, "0F", state.LifeCycle)
	require.Zero(b.t, state.OpenFailures)
	c := b.Card(b.t, serial)
	require.Equal(b.t, c.ManifestNo, state.Manifest)
	h, err := perso.Reload(context.Background(), b.DB, c.ID)
	require.NoError(b.t, err)
	require.Equal(b.t, marker(h.Attempt.ID), state.Marker)
	require.Equal(b.t, "clear", h.Attempt.Outcome)
	file, err := cardsecret.Open(b.file(serial), b.Recipient)
	require.NoError(b.t, err, "what the produsen gets")
	require.Equal(b.t, []string{serial, c.PCID, c.ManifestNo}, []string{file.Serial, file.PCID, file.ManifestNo})
}

// TestACardThatCannotBeConnectedAtOnceIsTriedAgain: a station that works alone has
// nobody to take the card out and put it in again.
func TestACardThatCannotBeConnectedAtOnceIsTriedAgain(t *testing.T) {
	t.Parallel()
	b := newBench(t, 1)
	b.reader.refuse = []error{smartcard.ErrReaderBusy, smartcard.ErrCardGone, errors.New("uji: PC/SC error")}
	got := b.outcome(b.chip(b.Serials[0]))
	require.Equal(t, "clear", got.Outcome, got.Reason)
	require.Empty(t, b.reader.refuse)
}

// TestACardThatHoldsTheReaderIsTakenOut: a driver that waits for the answer of a mute card
// holds it after the child was killed, until somebody takes the card out.
func TestACardThatHoldsTheReaderIsTakenOut(t *testing.T) {
	t.Parallel()
	b := newBench(t, 1)
	b.reader.mu.Lock()
	b.reader.refuse = slices.Repeat([]error{smartcard.ErrReaderBusy}, 1_000_000)
	b.reader.mu.Unlock()
	chip := b.chip(b.Serials[0])
	b.reader.insert(chip)
	got := b.waitFor("a word for people", func(s line.ReaderStatus) bool { return s.Instruction == "sisihkan" })
	require.Contains(t, got.Reason, "keluarkan kartu")
	require.Empty(t, got.Outcome)
	b.reader.mu.Lock()
	b.reader.refuse = nil
	b.reader.mu.Unlock()
	b.removeCard()
	require.Equal(t, "clear", b.outcome(chip).Outcome)
}

func TestMuteCardIsReadAgainInItsSlot(t *testing.T) {
	t.Parallel()
	for _, executed := range []bool{false, true} {
		t.Run(fmt.Sprintf("executed=%t", executed), func(t *testing.T) {
			t.Parallel()
			b := newBench(t, len(writeSteps))
			for i, step := range writeSteps {
				serial := b.Serials[i]
				chip := b.chip(serial)
				chip.SetFault(card.Fault{MuteAtStep: step, Executed: executed})
				b.reader.insert(chip)
				got := b.waitFor("the doubt to be read", func(s line.ReaderStatus) bool { return b.proposal(serial) != "" && s.Outcome == "in_doubt" })
				require.Equal(t, "sisihkan", got.Instruction)
				require.Equal(t, perso.DecideResume, b.proposal(serial), string(step))
				b.Resolve(t, b.CardIDs[i], perso.DecideResume)
				b.waitFor("clear", func(s line.ReaderStatus) bool { return s.Outcome == "clear" })
				b.removeCard()
				b.judge(chip, serial)
			}
			remaining, order := b.Remaining(t)
			require.Equal(t, 0, remaining, "each card counts once, also after a doubt")
			require.Equal(t, "closed", order)
		})
	}
}

func TestWrongCheckValueIsADoubt(t *testing.T) {
	t.Parallel()
	b := newBench(t, 1)
	chip := b.chip(b.Serials[0])
	chip.SetFault(card.Fault{WrongKCV: true})
	got := b.outcome(chip)
	require.Equal(t, "in_doubt", got.Outcome)
	require.Contains(t, got.Reason, "nilai uji kunci")
	require.Equal(t, perso.DecideResume, b.proposal(b.Serials[0]))
	b.Resolve(t, b.CardIDs[0], perso.DecideResume)
	b.waitFor("clear", func(s line.ReaderStatus) bool { return s.Outcome == "clear" })
	b.judge(chip, b.Serials[0])
}

func TestWrongKeysAreCountedAndStopped(t *testing.T) {
	t.Parallel()
	b := newBench(t, 2)
	alien := card.SeedChipID("alien")
	chip := b.chip(b.Serials[0], func(c *card.Config) { c.Keys = b.keys(b.profile.Keys.Transport.Master, alien) })
	got := b.outcome(chip)
	require.Equal(t, "refused", got.Outcome)
	require.Contains(t, got.Reason, "Kunci kartu")
	require.Equal(t, perso.Numbered, b.Card(t, b.Serials[0]).State)
	commands := b.reader.commands()
	b.line.Wake()
	require.Never(t, func() bool { return b.reader.commands() != commands }, 100*b.lookEvery(), b.lookEvery(), "no try by itself")
	b.removeCard()
	got = b.outcome(chip)
	require.Equal(t, "failed", got.Outcome)
	require.Contains(t, got.Reason, "tidak boleh dicoba lagi")
	b.removeCard()
	got = b.outcome(chip)
	require.Equal(t, "refused", got.Outcome)
	n, err := perso.AuthenticationFailures(t.Context(), b.DB, chip.State().ChipID)
	require.NoError(t, err)
	require.Equal(t, perso.MaxAuthentications, n)
	require.Zero(t, chip.State().AuthFailures, "the card's own counter was never touched")
	require.Empty(t, b.accepted(chip.State().ChipID))
	b.removeCard()
	// A good card after it is not held back.
	require.Equal(t, "clear", b.outcome(b.chip(b.Serials[1])).Outcome)
}

// TestPulledDuringAuthentication: a chip that may have counted a failure is
// counted; a card that cannot be tried any more can be replaced.
func TestPulledDuringAuthentication(t *testing.T) {
	t.Parallel()
	b := newBench(t, 2)
	pull := func(chip *card.Chip, n int) {
		chip.SetFault(card.Fault{VanishAtAPDU: n})
		b.reader.insert(chip)
		b.waitFor("the card to be gone", func(s line.ReaderStatus) bool {
			return s.State == "empty" && chip.State().Fault.VanishAtAPDU == 0
		})
	}
	const selects, externalAuthenticate = 9, 11
	early := b.chip(b.Serials[0])
	for range 3 {
		pull(early, selects)
	}
	require.Equal(t, "clear", b.outcome(early).Outcome, "the chip had not heard of it")
	b.removeCard()
	late := b.chip(b.Serials[1])
	for range 2 {
		pull(late, externalAuthenticate)
	}
	got := b.outcome(late)
	require.Equal(t, "failed", got.Outcome)
	require.Equal(t, perso.Failed, b.Card(t, b.Serials[1]).State)
	require.Empty(t, b.accepted(late.State().ChipID))
	b.removeCard()
	last := b.line.Readers()[0].Last
	require.Equal(t, "failed", last.Outcome)
	require.Equal(t, b.Serials[1], last.Serial)
}

func TestCardsThatAreNotOurs(t *testing.T) {
	t.Parallel()
	b := newBench(t, 4)
	registertest.Put(t, b.DB, register.Entry{Row: 1, Serial: "SAM88888888"})
	first := b.chip(b.Serials[0])
	require.Equal(t, "clear", b.outcome(first).Outcome)
	b.removeCard()
	for name, c := range map[string]struct {
		chip *card.Chip
		why  perso.Why
		does string
	}{
		"seen before":           {first, perso.AlreadyDone, "ambil"},
		"unlisted":              {b.chip("SAM99999999"), perso.Unlisted, "sisihkan"},
		"issued before day one": {b.chip("SAM88888888"), perso.IssuedEarlier, "sisihkan"},
		"chip of another":       {b.chip(b.Serials[1], sameChip(b.Serials[0])), perso.ChipTaken, "sisihkan"},
		"serial of another":     {b.chip(b.Serials[0], sameChip("different")), perso.OtherChip, "sisihkan"},
		"written by somebody":   {b.chip(b.Serials[2], func(c *card.Config) { c.Marker = make([]byte, 16) }), perso.WrongLifeCycle, "sisihkan"},
		"another kind of card":  {b.chip(b.Serials[3], sameChip("another kind"), func(c *card.Config) { c.KVN = 0x20 }), perso.WrongLifeCycle, "sisihkan"},
		"initialised elsewhere": {b.chip(b.Serials[3], func(c *card.Config) { c.LifeCycle = card.Initialized }), perso.WrongLifeCycle, "sisihkan"},
	} {
		before := len(b.writes.Since(0))
		got := b.outcome(c.chip)
		require.Equal(t, "refused", got.Outcome, name)
		require.Equal(t, perso.WhyLabels[c.why], got.Reason, name)
		require.Equal(t, c.does, got.Instruction, name)
		b.removeCard()
		require.Len(t, b.writes.Since(0), before, "%s: the card's own account has no write, taken or refused", name)
	}
	for _, serial := range b.Serials[1:] {
		require.Equal(t, perso.Listed, b.Card(t, serial).State, "a refusal writes nothing")
	}
}

func sameChip(seed string) func(*card.Config) {
	return func(c *card.Config) { c.ChipID = card.SeedChipID(seed) }
}

func TestSpoiledByTwoPeople(t *testing.T) {
	t.Parallel()
	b := newBench(t, 1)
	chip := b.chip(b.Serials[0])
	chip.SetFault(card.Fault{MuteAtStep: card.StepCONF})
	b.reader.insert(chip)
	b.waitFor("the doubt", func(s line.ReaderStatus) bool { return s.Outcome == "in_doubt" && b.proposal(b.Serials[0]) != "" })
	b.Resolve(t, b.CardIDs[0], perso.DecideSpoil)
	got := b.waitFor("set aside", func(s line.ReaderStatus) bool { return s.Reason == perso.WhyLabels[perso.SetAside] })
	require.Equal(t, "sisihkan", got.Instruction)
	remaining, order := b.Remaining(t)
	require.Zero(t, remaining)
	require.Equal(t, "closed", order)
	require.Zero(t, b.accepted(chip.State().ChipID)[card.StepCONF])
}

// TestCardWaitsForItsOrder: a card that is not planned is taken as soon as it is.
func TestCardWaitsForItsOrder(t *testing.T) {
	t.Parallel()
	b := newBench(t, 1)
	b.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE work_order SET remaining = 0`)
		return err
	})
	got := b.outcome(b.chip(b.Serials[0]))
	require.Equal(t, perso.WhyLabels[perso.NotScheduled], got.Reason)
	require.Never(t, func() bool { return b.line.Readers()[0].Count != got.Count }, 20*b.lookEvery(), b.lookEvery(),
		"what a waiting card shows does not flicker")
	b.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE work_order SET remaining = 1`)
		return err
	})
	b.line.Wake()
	b.waitFor("clear", func(s line.ReaderStatus) bool { return s.Outcome == "clear" })
}
