package line_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"strings"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/journal"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/test/virtualsam/card"
)

// content are the steps that put something on a card.
var content = []card.Step{card.StepMarker, card.StepPCID, card.StepManifest, card.StepCONF}

// agree holds the three accounts of a card against each other, wherever it stands: the
// database's, the journal's and its own.
func (b *bench) agree(chip *card.Chip, serial string, kind breed) {
	b.t.Helper()
	ctx, t := context.Background(), b.t
	c, state := b.Card(t, serial), chip.State()
	took := b.accepted(state.ChipID)
	h, err := perso.Reload(ctx, b.DB, c.ID)
	require.NoError(t, err)
	kinds := b.journalled(state.ChipID)

	// A card that was written is never one that can be written again from the start.
	if len(took) > 0 {
		require.Contains(t, []string{"clear", "failed", "in_doubt", "spoiled"}, string(c.State), serial)
		require.NotEmpty(t, h.Attempt.Sealed, serial)
		require.Contains(t, kinds[h.Attempt.ID], "intent", serial)
	} else {
		require.Contains(t, []string{"listed", "numbered", "failed", "in_doubt", "spoiled"}, string(c.State), serial)
	}
	// Nothing was put on it twice, and all of it is of its one attempt.
	for _, step := range content {
		require.LessOrEqual(t, len(b.values(state.ChipID, step)), 1, "%s: %s", serial, step)
	}
	require.LessOrEqual(t, took[card.StepPutKey], 1, serial)
	if took[card.StepMarker] > 0 {
		require.Equal(t, marker(h.Attempt.ID), state.Marker, serial)
		require.Equal(t, 1, b.countOf(`SELECT count(*) FROM perso_attempt WHERE card_id = $1 AND sealed IS NOT NULL`, c.ID))
	}
	if took[card.StepPCID] > 0 {
		require.Equal(t, []string{digestOf(t, c.PCID)}, b.values(state.ChipID, card.StepPCID), serial)
	}
	if took[card.StepManifest] > 0 {
		require.Equal(t, c.ManifestNo, state.Manifest, serial)
	}
	// Journal and database came to the same end, and so did the card.
	said := strings.Join(kinds[h.Attempt.ID], " ")
	proven, failed := strings.Contains(said, "proven"), strings.Contains(said, "failed")
	switch c.State {
	case perso.Clear:
		require.True(t, proven && !failed, "%s: %s", serial, said)
		require.Equal(t, kind.finished, state.LifeCycle, serial)
		require.Equal(t, "clear", h.Attempt.Outcome)
		for step, times := range kind.steps {
			require.Equal(t, times, took[step], "%s: %s", serial, step)
		}
		for _, step := range content {
			require.Len(t, b.values(state.ChipID, step), 1, "%s: %s", serial, step)
		}
	case perso.Failed:
		require.True(t, failed && !proven, "%s: %s", serial, said)
	default:
		require.False(t, proven || failed, "%s: %s", serial, said)
	}
	// A chip locks after a few failed tries; it is never brought near that.
	require.LessOrEqual(t, b.refusals(state.ChipID), perso.MaxAuthentications, serial)
	n, err := perso.AuthenticationFailures(ctx, b.DB, state.ChipID)
	require.NoError(t, err)
	require.LessOrEqual(t, n, perso.MaxAuthentications, serial)
	require.Zero(t, state.OpenFailures, serial)
}

// refusals are the failed authentications that a chip counts by its own account.
func (b *bench) refusals(chip string) (n int) {
	for _, l := range b.writes.Since(0) {
		if l.Chip == chip && l.Step == card.StepAuthFailed {
			n++
		}
	}
	return n
}

// journalled are the kinds of what the journal has of a chip, in order, by attempt.
func (b *bench) journalled(chip string) map[string][]string {
	b.t.Helper()
	text, err := os.ReadFile(b.journal)
	require.NoError(b.t, err)
	_, err = journal.Verify(strings.NewReader(string(text)))
	require.NoError(b.t, err)
	out := map[string][]string{}
	require.NoError(b.t, b.book.Replay(func(e journal.Entry) error {
		if e.Card == chip {
			out[e.Attempt] = append(out[e.Attempt], e.Kind)
		}
		return nil
	}))
	return out
}

// orderAddsUp checks that the work order has left what was not brought to an end, and
// that no chip has two cards.
func (b *bench) orderAddsUp() {
	b.t.Helper()
	remaining, _ := b.Remaining(b.t)
	tally, err := perso.Counts(context.Background(), b.DB, b.RequestID)
	require.NoError(b.t, err)
	require.Equal(b.t, len(b.Serials), remaining+tally.Clear+tally.Failed+tally.Spoiled, "%+v", tally)
	require.Zero(b.t, b.count(`SELECT count(*) FROM (SELECT 1 FROM card WHERE chip_id IS NOT NULL GROUP BY chip_id HAVING count(*) > 1) AS twice`))
}

func (b *bench) countOf(query string, args ...any) (n int) {
	b.t.Helper()
	require.NoError(b.t, b.DB.Get(context.Background(), &n, query, args...))
	return n
}

func digestOf(t require.TestingT, value string) string {
	raw, err := hex.DecodeString(value)
	require.NoError(t, err)
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:])
}
