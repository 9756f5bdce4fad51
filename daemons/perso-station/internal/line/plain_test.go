package line_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/configs"
	"dukcapil.go.id/sifilma/daemons/perso-station/internal/line"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/perso/persotest"
	"dukcapil.go.id/sifilma/pkg/perso/recipe"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/test/virtualsam/card"
)

const noFirstCard = `"first_card": false`

// ownType has two people put a shipped profile, changed by pairs of old and new, in
// force as the next edition, and a SAM type of its own for all requests.
func (b *bench) ownType(name, keyCode string, pairs ...string) {
	b.t.Helper()
	file, err := configs.Profile(name)
	require.NoError(b.t, err)
	text := string(file)
	for i := 0; i < len(pairs); i += 2 {
		require.Contains(b.t, text, pairs[i])
		text = strings.ReplaceAll(text, pairs[i], pairs[i+1])
	}
	persotest.Approve(b.t, b.DB, recipe.Profile, strings.Replace(text, `"version": 2`, `"version": 3`, 1))
	persotest.Approve(b.t, b.DB, recipe.SAMType,
		fmt.Sprintf(`{"code": "sam-ktpel", "version": 2, "name": "SAM uji", "default": true, "uses": [], "profile": %q, "key_code": %q}`, name, keyCode))
}

// plainBench is a bench whose request needs cards without GlobalPlatform, of a list
// that says which chip each card has.
func plainBench(t *testing.T, n int, pairs ...string) *bench {
	t.Helper()
	b := newBench(t, n)
	b.ownType("iso7816-raw", "ktpel", append([]string{`"first_card": true`, noFirstCard}, pairs...)...)
	b.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
		for _, serial := range b.Serials {
			if _, err := tx.Exec(ctx, `UPDATE listed_card SET uid = $2 WHERE serial = $1`, serial, uid(serial)); err != nil {
				return err
			}
		}
		return nil
	})
	return b
}

func uid(serial string) string { return strings.ToUpper(fmt.Sprintf("%x", card.SeedChipID(serial))) }

func plain(c *card.Config) { c.Protocol, c.Keys, c.KVN = card.Plain, card.Keys{}, 0 }

// A profile of bare ISO 7816 commands runs end to end: the chip is found by the list's
// column, written command by command, read back, opened and closed.
func TestAPlainCardBecomesClear(t *testing.T) {
	t.Parallel()
	b := plainBench(t, 2)
	chip := b.chip(b.Serials[1], plain)
	got := b.outcome(chip)
	require.Equal(t, "clear", got.Outcome, got.Reason)
	require.Equal(t, b.Serials[1], got.Serial)
	b.judgePlain(chip, b.Serials[1])
	b.removeCard()
	require.Equal(t, perso.WhyLabels[perso.AlreadyDone], b.outcome(chip).Reason)
	b.removeCard()
	// A chip that no list names, and a closed one of somebody's, get no write.
	for name, c := range map[string]struct {
		chip *card.Chip
		why  perso.Why
	}{
		"unlisted": {b.chip("SAM99999999", plain), perso.SerialUnknown},
		"closed":   {b.chip(b.Serials[0], plain, func(c *card.Config) { c.LifeCycle = 1 }), perso.WrongLifeCycle},
		"marked":   {b.chip(b.Serials[0], plain, func(c *card.Config) { c.Marker = []byte("0123456789abcdef") }), perso.WrongLifeCycle},
	} {
		got := b.outcome(c.chip)
		require.Equal(t, perso.WhyLabels[c.why], got.Reason, name)
		require.Empty(t, b.accepted(c.chip.State().ChipID), name)
		b.removeCard()
	}
	// One chip on two rows is nobody's.
	b.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE listed_card SET uid = $1`, uid(b.Serials[0]))
		return err
	})
	twice := b.chip(b.Serials[0], plain)
	require.Equal(t, perso.WhyLabels[perso.SerialTwice], b.outcome(twice).Reason)
	require.Empty(t, b.accepted(twice.State().ChipID))
	require.Zero(t, b.count(`SELECT count(*) FROM chip_authentication`), "there is nothing to authenticate")
}

func (b *bench) judgePlain(chip *card.Chip, serial string) {
	b.t.Helper()
	state := chip.State()
	took := b.accepted(state.ChipID)
	require.Equal(b.t, 1, took[card.StepMarker], serial)
	require.Equal(b.t, 1, took[card.StepStatus], serial)
	for _, step := range []card.Step{card.StepMarker, card.StepPCID, card.StepManifest} {
		require.Len(b.t, b.values(state.ChipID, step), 1, "%s: %s", serial, step)
	}
	require.Equal(b.t, "01", state.LifeCycle)
	require.Zero(b.t, state.OpenFailures)
	c := b.Card(b.t, serial)
	require.Equal(b.t, perso.Clear, c.State)
	require.Equal(b.t, c.ManifestNo, state.Manifest)
	h, err := perso.Reload(context.Background(), b.DB, c.ID)
	require.NoError(b.t, err)
	require.Equal(b.t, marker(h.Attempt.ID), state.Marker)
}

// What shows nothing and must not be done twice can only be given up: nobody can say
// whether it was done.
func TestAnUnseenStepIsNotDoneTwice(t *testing.T) {
	t.Parallel()
	b := plainBench(t, 1, `"again": true`, `"again": false`)
	chip := b.chip(b.Serials[0], plain)
	chip.SetFault(card.Fault{VanishAtStep: card.StepCONF, Executed: true})
	b.reader.insert(chip)
	b.waitFor("the card to be gone", func(s line.ReaderStatus) bool {
		return s.State == "empty" && b.Card(t, b.Serials[0]).State == perso.InDoubt
	})
	b.outcome(chip)
	b.waitFor("a finding", func(line.ReaderStatus) bool { return b.proposal(b.Serials[0]) == perso.DecideSpoil })
	require.Equal(t, 1, b.accepted(chip.State().ChipID)[card.StepCONF])
}

// The classes of status words: what the card asks to be tried again is, so often and
// no more; a word may stop the whole lot.
func TestStatusWordsDecide(t *testing.T) {
	t.Parallel()
	words := `"status_words": { "6985": "wait", "6F01": "retry", "6F02": "stop", "6F03": "unknown", `
	b := plainBench(t, 6, `"status_words": { `, words, `"wait": "500ms"`, `"wait": "1ms"`, `"stop_after": 3`, `"stop_after": 50`)
	step := card.StepPCID
	for i, c := range []struct {
		sw      uint16
		times   int
		outcome string
		tries   int
	}{
		{0x6985, 2, "clear", 3}, {0x6F01, 2, "clear", 3}, {0x6F01, 0, "failed", 3}, {0x6A80, 0, "failed", 1}, {0x6F03, 1, "in_doubt", 1},
		{0x6F02, 0, "failed", 1},
	} {
		serial := b.Serials[i]
		chip := b.chip(serial, plain)
		chip.SetFault(card.Fault{AnswerAt: step, AnswerSW: c.sw, AnswerTimes: c.times})
		got := b.outcome(chip)
		require.Equal(t, c.outcome, got.Outcome, "%04X: %s", c.sw, got.Reason)
		tries := 0
		for _, l := range b.writes.Since(0) {
			if l.Chip == chip.State().ChipID && l.Step == step {
				tries++
			}
		}
		require.Equal(t, c.tries, tries, "%04X", c.sw)
		b.removeCard()
	}
	holds, err := perso.Holds(t.Context(), b.DB)
	require.NoError(t, err)
	require.Len(t, holds, 1)
	require.Equal(t, perso.StatusWordHold, holds[0].Kind)
	require.Equal(t, b.CardIDs[5], holds[0].CardID)
}

// OPEN SAM is never sent again by itself, whatever a profile says of the word: cards
// count the wrong ones.
func TestOpenSAMIsNotRepeated(t *testing.T) {
	t.Parallel()
	b := plainBench(t, 1, `"status_words": { `, `"status_words": { "6985": "retry", `)
	chip := b.chip(b.Serials[0], plain)
	chip.SetFault(card.Fault{AnswerAt: card.StepOpenSAM, AnswerSW: 0x6985})
	require.Equal(t, "failed", b.outcome(chip).Outcome)
	n := 0
	for _, l := range b.writes.Since(0) {
		if l.Step == card.StepOpenSAM {
			n++
		}
	}
	require.Equal(t, 1, n)
}
