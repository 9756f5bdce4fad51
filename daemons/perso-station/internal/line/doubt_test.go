package line_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/configs"
	"dukcapil.go.id/sifilma/daemons/perso-station/internal/line"
	"dukcapil.go.id/sifilma/pkg/journal"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/perso/persotest"
	"dukcapil.go.id/sifilma/pkg/perso/recipe"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/test/virtualsam/card"
)

// moveTo goes on as another station, whose journal knows of nothing.
func (b *bench) moveTo(station string) {
	b.t.Helper()
	b.stop()
	b.station, b.journal = station, filepath.Join(b.t.TempDir(), station+".journal")
	b.start()
}

// observations are what stations said of a card, the first first.
func (b *bench) observations(serial string) []perso.Observation {
	b.t.Helper()
	all, err := perso.Observations(context.Background(), b.DB, b.Card(b.t, serial).ID, 100)
	require.NoError(b.t, err)
	for i, j := 0, len(all)-1; i < j; i, j = i+1, j-1 {
		all[i], all[j] = all[j], all[i]
	}
	return all
}

// steps are what an observation says that can be seen of each step.
func steps(t testing.TB, o perso.Observation) map[string]string {
	t.Helper()
	var read struct {
		Steps []struct{ Step, Seen string } `json:"steps"`
	}
	require.NoError(t, json.Unmarshal(o.Observed, &read))
	out := map[string]string{}
	for _, s := range read.Steps {
		out[s.Step] = s.Seen
	}
	return out
}

// writesOf is how many writes a chip was sent, whatever it made of them.
func (b *bench) writesOf(chip *card.Chip) (n int) {
	for _, l := range b.writes.Since(0) {
		if l.Chip == chip.State().ChipID {
			n++
		}
	}
	return n
}

// tries are what the database has counted against a chip, and the journal has noted.
func (b *bench) tries(chip *card.Chip) (counted, noted int) {
	b.t.Helper()
	counted, err := perso.AuthenticationFailures(context.Background(), b.DB, chip.State().ChipID)
	require.NoError(b.t, err)
	require.NoError(b.t, b.line.Journal.Replay(func(e journal.Entry) error {
		if e.Kind == "try" && e.Card == chip.State().ChipID {
			noted++
		}
		return nil
	}))
	return counted, noted
}

// TestAnotherStationReadsTheDoubt: a card that was torn off at any write is read by a
// station that has never seen it. Nothing is written and no key is used before two
// people have decided; then this station goes on with the same content, and the card
// counts once.
func TestAnotherStationReadsTheDoubt(t *testing.T) {
	t.Parallel()
	b := newBench(t, len(writeSteps))
	for i, c := range []struct {
		step card.Step
		done string // what the evidence says of the steps, in their order
	}{
		{card.StepMarker, "done not_done not_done unseen not_done not_done"},
		{card.StepStatus, "done done not_done unseen not_done not_done"},
		{card.StepPCID, "done done not_done unseen not_done not_done"},
		{card.StepManifest, "done done done unseen not_done not_done"},
		{card.StepCONF, "done done done unseen not_done not_done"},
		{card.StepPutKey, "done done done unseen done not_done"},
		{card.StepOpenSAM, "done done done unseen done not_done"},
	} {
		b.moveTo("uji-1")
		serial := b.Serials[i]
		chip := b.chip(serial)
		chip.SetFault(card.Fault{VanishAtStep: c.step, Executed: true})
		b.reader.insert(chip)
		b.waitFor("the card to be gone", func(s line.ReaderStatus) bool { return s.State == "empty" && b.Card(t, serial).State == perso.InDoubt })
		before := b.writesOf(chip)

		b.moveTo("uji-2")
		got := b.outcome(chip)
		require.Equal(t, "in_doubt", got.Outcome, "%s: %s", c.step, got.Reason)
		require.Equal(t, "sisihkan", got.Instruction)
		counted, noted := b.tries(chip)
		require.Equal(t, perso.DecideResume, b.proposal(serial), c.step)
		require.Equal(t, before, b.writesOf(chip), "reading writes nothing")
		require.Zero(t, noted, "no key is used to read")
		seen := b.observations(serial)
		require.Len(t, seen, 1, c.step)
		require.Equal(t, [2]string{"uji-2", "Pembaca Uji 00 00"}, [2]string{seen[0].Station, seen[0].Reader})
		read, all := steps(t, seen[0]), []string{}
		for _, s := range []string{"marker", "initialize", "numbers", "secret", "keys", "secure"} {
			all = append(all, read[s])
		}
		require.Equal(t, c.done, strings.Join(all, " "), c.step)
		b.line.Wake()
		require.Never(t, func() bool { return b.writesOf(chip) != before || len(b.observations(serial)) != 1 }, 10*b.lookEvery(), b.lookEvery())

		b.Resolve(t, b.CardIDs[i], perso.DecideResume)
		got = b.waitFor("clear", func(s line.ReaderStatus) bool { return s.Outcome == "clear" })
		require.Equal(t, serial, got.Serial)
		b.removeCard()
		b.judge(chip, serial)
		require.LessOrEqual(t, counted, perso.MaxAuthentications)
		remaining, _ := b.Remaining(t)
		require.Equal(t, len(writeSteps)-i-1, remaining, "counted once")
	}
}

// TestAStaleReadingVoidsWhatWasDecided: what two people decided is carried out on the
// card that they decided on, and on no other state of it.
func TestAStaleReadingVoidsWhatWasDecided(t *testing.T) {
	t.Parallel()
	b := newBench(t, 1)
	serial := b.Serials[0]
	chip := b.chip(serial)
	chip.SetFault(card.Fault{VanishAtStep: card.StepCONF, Executed: true})
	b.reader.insert(chip)
	b.waitFor("the card to be gone", func(s line.ReaderStatus) bool { return s.State == "empty" && b.Card(t, serial).State == perso.InDoubt })
	b.moveTo("uji-2")
	b.outcome(chip)
	b.removeCard()
	b.Resolve(t, b.CardIDs[0], perso.DecideResume)
	// A station that was cut off says only now how it had seen the card before.
	b.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
		h, err := perso.Reload(ctx, tx, b.CardIDs[0])
		if err != nil {
			return err
		}
		_, err = perso.Observe(ctx, tx, h, perso.Finding{Proposal: perso.DecideResume, Observed: map[string]any{"marker": ""}}, b.as("uji-9"))
		return err
	})
	before := b.writesOf(chip)
	got := b.outcome(chip)
	require.Equal(t, "in_doubt", got.Outcome, got.Reason)
	b.line.Wake()
	require.Never(t, func() bool { return b.writesOf(chip) != before }, 10*b.lookEvery(), b.lookEvery(), "the decision was on another reading")
	b.Resolve(t, b.CardIDs[0], perso.DecideResume)
	b.waitFor("clear", func(s line.ReaderStatus) bool { return s.Outcome == "clear" })
	b.judge(chip, serial)
	require.Equal(t, 1, b.count(`SELECT count(*) FROM card_resolution WHERE voided_at IS NOT NULL`))
}

func (b *bench) as(station string) perso.Change {
	return perso.Change{Actor: perso.StationActor(station), OfficeAt: persotest.OfficeAt}
}

// TestKilledOnTheWayOutOfADoubt ends the station at each command of a card that is read
// and taken up again, and right after each commit on the way. Whatever was decided is
// asked again or goes on, with one content.
func TestKilledOnTheWayOutOfADoubt(t *testing.T) {
	t.Parallel()
	const most = 40
	b := newBench(t, most)
	for i := range most {
		serial := b.Serials[i]
		chip := b.chip(serial)
		chip.SetFault(card.Fault{VanishAtStep: card.StepPCID, Executed: true})
		b.reader.insert(chip)
		b.waitFor("the card to be gone", func(s line.ReaderStatus) bool { return s.State == "empty" && b.Card(t, serial).State == perso.InDoubt })
		b.moveTo("uji-2")
		b.outcome(chip)
		b.removeCard()
		b.Resolve(t, b.CardIDs[i], perso.DecideResume)
		switch i {
		case 0: // after the commit that takes it up, before the journal or the card hears of it
			b.stop()
			b.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
				h, err := perso.Reload(ctx, tx, b.CardIDs[i])
				if err == nil {
					_, err = perso.Resume(ctx, tx, h, b.as("uji-2"))
				}
				return err
			})
		default:
			crash, crashed := b.crash, make(chan struct{})
			b.reader.hook = func(n int) (lose, after bool) {
				if n != i {
					return false, false
				}
				crash()
				close(crashed)
				return true, i%2 == 0
			}
			b.reader.insert(chip)
			ended := false
			require.Eventually(t, func() bool {
				select {
				case <-crashed:
					return true
				default:
					ended = b.Card(t, serial).State == perso.Clear
					return ended
				}
			}, 20*time.Second, 2*time.Millisecond)
			if ended {
				require.Greater(t, i, 20, "every command of a whole run")
				return
			}
			b.stop()
		}
		b.start()
		require.Equal(t, perso.InDoubt, b.Card(t, serial).State, "command %d", i)
		b.settle(chip, serial)
		b.judge(chip, serial)
		counted, err := perso.AuthenticationFailures(t.Context(), b.DB, chip.State().ChipID)
		require.NoError(t, err)
		require.Zero(t, counted)
	}
	t.Fatal("no card came through")
}

// TestTriesOutliveARestore: the database forgets what a chip was tried with, the journal
// does not, also when the station is started anew.
func TestTriesOutliveARestore(t *testing.T) {
	t.Parallel()
	b := newBench(t, 1)
	chip := b.chip(b.Serials[0], func(c *card.Config) { c.Keys = b.keys(b.profile.Keys.Transport.Master, card.SeedChipID("alien")) })
	forget := func() {
		b.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
			_, err := tx.Exec(ctx, `DELETE FROM chip_authentication`)
			return err
		})
	}
	for n := 1; n <= perso.MaxAuthentications; n++ {
		require.Equal(t, "refused", b.outcome(chip).Outcome)
		b.removeCard()
		_, noted := b.tries(chip)
		require.Equal(t, n, noted)
		forget()
		b.stop()
		b.start()
	}
	got := b.outcome(chip)
	require.Equal(t, "failed", got.Outcome)
	require.Contains(t, got.Reason, "tidak boleh dicoba lagi")
	_, noted := b.tries(chip)
	require.Equal(t, perso.MaxAuthentications, noted)
	require.Empty(t, b.accepted(chip.State().ChipID))
}

// TestACardThatShowsNothing says which chip it is and refuses the rest: people can only
// give it up, and they read why. Shown again, it is another matter.
func TestACardThatShowsNothing(t *testing.T) {
	t.Parallel()
	b := newBench(t, 2)
	serial := b.Serials[0]
	chip := b.chip(serial)
	chip.SetFault(card.Fault{VanishAtStep: card.StepCONF, Executed: true})
	b.reader.insert(chip)
	b.waitFor("the card to be gone", func(s line.ReaderStatus) bool { return s.State == "empty" && b.Card(t, serial).State == perso.InDoubt })
	set := func(f func(n int) []byte) {
		b.reader.mu.Lock()
		defer b.reader.mu.Unlock()
		b.reader.instead = f
	}
	for _, silent := range []int{3, 5, 6} { // the serial, the state, the marker
		set(func(n int) []byte {
			if n == silent {
				return []byte{0x69, 0x85}
			}
			return nil
		})
		got := b.outcome(chip)
		require.Equal(t, [3]string{"in_doubt", "sisihkan", serial}, [3]string{got.Outcome, got.Instruction, got.Serial})
		require.Equal(t, perso.DecideSpoil, b.proposal(serial), silent)
		require.Contains(t, string(b.observations(serial)[0].Observed), "6985")
		b.removeCard()
	}
	// A blank that refuses is no card of ours, as ever.
	require.Equal(t, "refused", b.outcome(b.chip(b.Serials[1])).Outcome)
	b.removeCard()
	set(nil)
	b.outcome(chip)
	require.Equal(t, perso.DecideResume, b.proposal(serial))
	b.Resolve(t, b.CardIDs[0], perso.DecideResume)
	b.waitFor("clear", func(s line.ReaderStatus) bool { return s.Outcome == "clear" })
	b.judge(chip, serial)
}

// A chip that must not be authenticated any more cannot be written on, whatever is on it:
// the station proposes to give it up, and goes on proposing so.
func TestNoTriesLeftToResume(t *testing.T) {
	t.Parallel()
	b := newBench(t, 1)
	serial := b.Serials[0]
	chip := b.chip(serial)
	chip.SetFault(card.Fault{VanishAtStep: card.StepPutKey, Executed: true})
	b.reader.insert(chip)
	b.waitFor("the card to be gone", func(s line.ReaderStatus) bool { return s.State == "empty" && b.Card(t, serial).State == perso.InDoubt })
	b.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
		for range perso.MaxAuthentications {
			if _, err := perso.CountAuthentication(ctx, tx, chip.State().ChipID, persotest.OfficeAt); err != nil {
				return err
			}
		}
		return nil
	})
	_, noted := b.tries(chip)
	for range 2 {
		require.Equal(t, "in_doubt", b.outcome(chip).Outcome)
		require.Equal(t, perso.DecideSpoil, b.proposal(serial))
		b.removeCard()
	}
	_, now := b.tries(chip)
	require.Equal(t, noted, now)
}

// What was to be written cannot be opened any more: nobody can write the rest.
func TestASealThatIsBrokenCannotBeResumed(t *testing.T) {
	t.Parallel()
	b := newBench(t, 1)
	chip := b.chip(b.Serials[0])
	b.crashAt(chip, "07")
	b.start()
	b.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
		return tx.ExecOne(ctx, `UPDATE perso_attempt SET sealed = set_byte(sealed, octet_length(sealed) - 1, get_byte(sealed, octet_length(sealed) - 1) # 1)`)
	})
	for range 2 {
		b.outcome(chip)
		require.Equal(t, perso.DecideSpoil, b.proposal(b.Serials[0]))
		b.removeCard()
	}
	require.Contains(t, string(b.observations(b.Serials[0])[0].Observed), `"proof": "secret"`)
}

// A station of another profile reads a card in doubt, says what it sees, and leaves it.
func TestAStationOfAnotherProfileOnlyReads(t *testing.T) {
	t.Parallel()
	b := newBench(t, 1)
	serial := b.Serials[0]
	chip := b.chip(serial)
	chip.SetFault(card.Fault{VanishAtStep: card.StepCONF, Executed: true})
	b.reader.insert(chip)
	b.waitFor("the card to be gone", func(s line.ReaderStatus) bool { return s.State == "empty" && b.Card(t, serial).State == perso.InDoubt })
	file, err := configs.Profile("gp-scp03-sam")
	require.NoError(t, err)
	persotest.Approve(t, b.DB, recipe.Profile, strings.Replace(string(file), `"gp-scp03-sam"`, `"lain-sam"`, 1))
	persotest.Approve(t, b.DB, recipe.SAMType, `{"code": "lain", "version": 1, "name": "Kartu lain", "default": false, "profile": "lain-sam", "key_code": "ktpel", "uses": [{"kind": "rekam_cetak", "sam_function": "Cetak"}]}`)
	b.profileName = "lain-sam"
	b.moveTo("uji-lain")
	before := b.writesOf(chip)
	require.Equal(t, "in_doubt", b.outcome(chip).Outcome)
	require.Equal(t, perso.DecideResume, b.proposal(serial))
	b.Resolve(t, b.CardIDs[0], perso.DecideResume)
	b.line.Wake()
	got := b.waitFor("the way to another station", func(s line.ReaderStatus) bool { return strings.Contains(s.Reason, "gp-scp03-sam") })
	require.Equal(t, "sisihkan", got.Instruction)
	require.Equal(t, before, b.writesOf(chip))
	b.removeCard()
	b.profileName = ""
	b.moveTo("uji-3")
	require.Equal(t, "clear", b.outcome(chip).Outcome, "what was decided is carried out where it can be")
	b.judge(chip, serial)
}

// TestReadingsSurviveALostJournal: nothing of a doubt is known from the journal alone.
func TestReadingsSurviveALostJournal(t *testing.T) {
	t.Parallel()
	b := newBench(t, 1)
	chip := b.chip(b.Serials[0])
	b.crashAt(chip, "07")
	b.start()
	var observed string
	require.NoError(t, b.DB.Get(t.Context(), &observed, `SELECT observed ->> 'last_step' FROM perso_attempt`))
	require.Equal(t, "initialize", observed, "the journal knows the last step")
	b.stop()
	require.NoError(t, os.Remove(b.journal))
	b.start()
	b.outcome(chip)
	require.Equal(t, perso.DecideResume, b.proposal(b.Serials[0]))
	require.NoError(t, b.DB.Get(t.Context(), &observed, `SELECT observed ->> 'last_step' FROM perso_attempt`))
	require.Equal(t, "initialize", observed)
}
