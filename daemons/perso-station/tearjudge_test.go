package main

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/journal"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/test/virtualsam/card"
	"dukcapil.go.id/sifilma/test/virtualsam/writelog"
)

// told is what the chip of a card tells of itself.
func (h *hall) told(serial string) (own []writelog.Line) {
	h.t.Helper()
	lines, err := h.sam.Log(h.t.Context(), 0)
	require.NoError(h.t, err)
	for _, l := range lines {
		if l.Serial == serial {
			own = append(own, l)
		}
	}
	return own
}

// took is what the chip of a card was written.
func (h *hall) took(serial string) (writes []writelog.Line) {
	h.t.Helper()
	for _, l := range h.told(serial) {
		if l.Accepted() {
			writes = append(writes, l)
		}
	}
	return writes
}

// noted is what the station's journal has about a chip. It is read from a copy: the
// journal belongs to the station.
func (h *hall) noted(chip string) (entries []journal.Entry) {
	h.t.Helper()
	from, err := os.Open(h.journal)
	require.NoError(h.t, err)
	defer func() { _ = from.Close() }()
	path := filepath.Join(h.t.TempDir(), "journal")
	to, err := os.Create(path)
	require.NoError(h.t, err)
	_, err = io.Copy(to, from)
	require.NoError(h.t, err)
	require.NoError(h.t, to.Close())
	book, err := journal.Open(path)
	require.NoError(h.t, err)
	defer func() { _ = book.Close() }()
	require.NoError(h.t, book.Replay(func(e journal.Entry) error {
		if e.Card == chip {
			entries = append(entries, e)
		}
		return nil
	}))
	return entries
}

// account holds database, journal and the chip's own account of a card that is at its
// end against each other.
func (h *hall) account(by cause, c *cell) {
	h.t.Helper()
	ctx := h.t.Context()
	hand, err := perso.Reload(ctx, h.DB, c.id)
	require.NoError(h.t, err)
	c.end = hand.Card.State
	refused, failures := 0, 0
	for _, l := range h.told(c.serial) {
		if l.Step == card.StepAuthFailed {
			refused++
		}
	}
	require.LessOrEqual(h.t, refused, perso.MaxAuthentications, c)
	failures, err = perso.AuthenticationFailures(ctx, h.DB, hand.Card.ChipID)
	require.NoError(h.t, err)
	require.LessOrEqual(h.t, failures, perso.MaxAuthentications, c)
	if c.end == perso.Failed {
		require.Equal(h.t, perso.MaxAuthentications, failures, "%s failed: %s", c, hand.Card.Reason)
	} else {
		require.Equal(h.t, perso.Clear, c.end, "%s: %s", c, hand.Card.Reason)
		require.Zero(h.t, failures, c)
		h.accountOfClear(c, hand)
	}
	if by.calm {
		require.Zero(h.t, c.decided, c)
		var doubts int
		require.NoError(h.t, h.DB.Get(ctx, &doubts, `
			SELECT count(*) FROM history WHERE machine = 'card' AND subject = $1 AND to_state = 'in_doubt'`, c.id))
		require.Zero(h.t, doubts, "%s: doubted because something of ours was away", c)
	}
	var attempts struct {
		Written int `db:"written"`
		Counted int `db:"counted"`
	}
	require.NoError(h.t, h.DB.Get(ctx, &attempts, `
		SELECT count(*) FILTER (WHERE writing_at IS NOT NULL) AS written, count(*) FILTER (WHERE counted) AS counted
		FROM perso_attempt WHERE card_id = $1`, c.id))
	require.Equal(h.t, 1, attempts.Counted, "%s: times that the order counted it", c)
	require.LessOrEqual(h.t, attempts.Written, 1, "%s: attempts that wrote", c)
}

// accountOfClear: one set of content, which is the database's; an intent in the journal
// before the first write, and a proof as the last word on it.
func (h *hall) accountOfClear(c *cell, hand perso.Hand) {
	h.t.Helper()
	marker := strings.ReplaceAll(hand.Attempt.ID, "-", "")
	manifest := []byte(hand.Card.ManifestNo)
	keys, lives := 1, []string{"07", "0F"}
	if c.profile == plain {
		manifest = append(manifest, make([]byte, 32-len(manifest))...)
		keys, lives = 0, []string{""}
	}
	want := map[card.Step]string{card.StepMarker: digest(unhex(marker)), card.StepPCID: digest(unhex(hand.Card.PCID)), card.StepManifest: digest(manifest)}
	got := map[card.Step]map[string]bool{}
	var states []string
	keysets := 0
	took := h.took(c.serial)
	for _, l := range took {
		switch l.Step {
		case card.StepPutKey:
			keysets++
		case card.StepStatus:
			states = append(states, l.Value)
		}
		if got[l.Step] == nil {
			got[l.Step] = map[string]bool{}
		}
		got[l.Step][l.Digest] = true
	}
	for step, value := range want {
		require.Equal(h.t, map[string]bool{value: true}, got[step], "%s: the chip's %s", c, step)
	}
	require.Equal(h.t, keys, keysets, c)
	require.Equal(h.t, lives, states, c)
	chip := h.chip(c.serial)
	require.Equal(h.t, strings.ToUpper(marker), chip.Marker, c)
	require.Equal(h.t, hand.Card.ManifestNo, chip.Manifest, c)
	require.Zero(h.t, chip.OpenFailures, c)
	require.True(h.t, chip.HasPCID && chip.HasCONF, c)

	var intent time.Time
	last := ""
	for _, e := range h.noted(hand.Card.ChipID) {
		switch e.Kind {
		case "intent":
			require.True(h.t, intent.IsZero(), "%s: a second intent for the chip", c)
			require.Equal(h.t, hand.Attempt.ID, e.Attempt, c)
			intent = e.At
		case "proven", "failed", "in_doubt":
			last = e.Kind
		}
	}
	require.False(h.t, intent.IsZero(), "%s: no intent in the journal", c)
	require.False(h.t, took[0].Time.Before(intent), "%s: written before the intent was in the journal", c)
	require.Equal(h.t, "proven", last, "%s: the journal's last word", c)

	var numbers []string
	require.NoError(h.t, h.DB.Select(h.t.Context(), &numbers, `SELECT value FROM card_number WHERE card_id = $1`, c.id))
	require.ElementsMatch(h.t, []string{hand.Card.PCID, hand.Card.ManifestNo}, numbers, c)
}

func digest(value []byte) string {
	sum := sha256.Sum256(value)
	return hex.EncodeToString(sum[:])
}

func unhex(text string) []byte {
	value, err := hex.DecodeString(text)
	if err != nil {
		panic(err) // it is the office's own
	}
	return value
}

// balance holds the accounts of all cards of a hall against each other: no value is on two chips, and the order has counted each
// card that is at its end.
func (h *hall) balance() {
	h.t.Helper()
	ctx := h.t.Context()
	lines, err := h.sam.Log(ctx, 0)
	require.NoError(h.t, err)
	require.Empty(h.t, writelog.Judge(lines))
	remaining, _ := h.Remaining(h.t)
	require.Equal(h.t, len(h.Serials)-h.used, remaining)
	tally, err := perso.Counts(ctx, h.DB, h.RequestID)
	require.NoError(h.t, err)
	require.Equal(h.t, h.used, tally.Clear+tally.Failed+tally.Spoiled, "%+v", tally)
	var unsent int
	require.Eventually(h.t, func() bool {
		return h.DB.Get(ctx, &unsent, `SELECT count(*) FROM outbox WHERE sent_at IS NULL`) == nil && unsent == 0
	}, patience, patienceStep, "messages that were not sent")
	h.noSecrets()
}
