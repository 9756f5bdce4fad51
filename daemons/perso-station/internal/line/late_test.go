package line_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/daemons/perso-station/internal/line"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/perso/persotest"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/test/virtualsam/card"
)

// TestAFinishedCardThatWasGivenUp: it stays spoiled, nothing is sent to it but what
// reads it, and people are told once.
func TestAFinishedCardThatWasGivenUp(t *testing.T) {
	t.Parallel()
	b := newBench(t, 2)
	for i, finished := range []bool{true, false} {
		chip := b.chip(b.Serials[i])
		b.crashAt(chip, map[bool]string{true: "0F", false: "07"}[finished])
		b.start()
		b.Resolve(t, b.CardIDs[i], perso.DecideSpoil)
		writes := b.writesOf(chip)
		counted, noted := b.tries(chip)
		for range 2 {
			got := b.outcome(chip)
			require.Equal(t, "refused", got.Outcome)
			require.Equal(t, "sisihkan", got.Instruction)
			require.Equal(t, finished, strings.Contains(got.Reason, "padahal sudah dinyatakan rusak"), got.Reason)
			b.removeCard()
		}
		require.Equal(t, perso.Spoiled, b.Card(t, b.Serials[i]).State)
		require.Equal(t, writes, b.writesOf(chip))
		countedNow, notedNow := b.tries(chip)
		require.Equal(t, [2]int{counted, noted}, [2]int{countedNow, notedNow})
		require.Equal(t, 1, b.count(`SELECT count(*) FROM card_observation WHERE contradicts`))
	}
}

// TestAFinishedCardThatFailedOrIsTakenOff: what ended otherwise than by two people is
// looked at in the same way.
func TestAFinishedCardThatFailedOrIsTakenOff(t *testing.T) {
	t.Parallel()
	b := newBench(t, 2)
	for i, state := range []string{"failed", "reduced"} {
		chip := b.chip(b.Serials[i])
		b.crashAt(chip, "0F")
		b.start()
		b.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
			if _, err := tx.Exec(ctx, `SET LOCAL session_replication_role = replica`); err != nil {
				return err
			}
			return tx.ExecOne(ctx, `UPDATE card SET state = $2 WHERE id = $1`, b.CardIDs[i], state)
		})
		for range 2 {
			got := b.outcome(chip)
			require.Equal(t, "refused", got.Outcome)
			require.Contains(t, got.Reason, map[string]string{"failed": "dinyatakan gagal", "reduced": "dinyatakan dikurangi"}[state])
			b.removeCard()
		}
		require.Equal(t, i+1, b.count(`SELECT count(*) FROM card_observation WHERE contradicts`))
	}
}

// cutOff writes a card to its end with the database away, and ends the station: only
// its journal knows.
func (b *bench) cutOff(i int) *card.Chip {
	b.t.Helper()
	chip := b.chip(b.Serials[i])
	b.reader.hook = func(int) (lose, after bool) {
		if chip.State().KVN == "31" && b.sessionsCounted(chip) {
			b.network.Cut()
		}
		return false, false
	}
	b.reader.insert(chip)
	b.waitFor("the station to hold", func(s line.ReaderStatus) bool { return s.State == "wait" && s.Serial != "" })
	b.stop()
	b.network.Resume()
	require.Equal(b.t, perso.Writing, b.Card(b.t, b.Serials[i]).State)
	return chip
}

// inDoubt is what people have made of a card meanwhile, with what another station read.
func (b *bench) inDoubt(i int, f perso.Finding) {
	b.t.Helper()
	b.Must(b.t, func(ctx context.Context, tx *postgres.Tx) error {
		h, err := perso.Reload(ctx, tx, b.CardIDs[i])
		if err != nil {
			return err
		}
		_, err = perso.Doubt(ctx, tx, h, f, b.as("uji-9"))
		return err
	})
}

// TestALateResultOfTheJournal comes when people have begun to decide, have decided, or
// another station has read the card.
func TestALateResultOfTheJournal(t *testing.T) {
	t.Parallel()
	b := newBench(t, 3)
	half := func(i int) {
		b.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
			c, err := perso.Get(ctx, tx, b.CardIDs[i])
			if err != nil {
				return err
			}
			_, err = perso.ProposeResolution(ctx, tx, perso.Seen{ID: c.ID, Version: c.Version}, perso.DecideSpoil, persotest.Person("operator", request.Operator, "hilang"))
			return err
		})
	}
	for i, c := range []struct {
		meanwhile   func(i int)
		state       perso.Card
		contradicts int
	}{
		{func(i int) { b.inDoubt(i, perso.Finding{}); half(i) }, perso.Card{State: perso.Clear}, 0},
		{func(i int) { b.inDoubt(i, perso.Finding{}); b.Resolve(t, b.CardIDs[i], perso.DecideSpoil) }, perso.Card{State: perso.Spoiled}, 1},
		{func(i int) { b.inDoubt(i, perso.Finding{Proposal: perso.DecideResume}) }, perso.Card{State: perso.InDoubt}, 2},
	} {
		b.cutOff(i)
		c.meanwhile(i)
		for range 2 { // as often as it starts
			b.start()
			require.Equal(t, c.state.State, b.Card(t, b.Serials[i]).State)
			require.Equal(t, c.contradicts, b.count(`SELECT count(*) FROM card_observation WHERE contradicts`))
			b.stop()
		}
		b.start()
	}
	require.Zero(t, b.count(`SELECT count(*) FROM card_resolution WHERE confirmed_by IS NULL AND voided_at IS NULL`), "no decision waits for nothing")
	remaining, _ := b.Remaining(t)
	require.Zero(t, remaining)
}

// TestTakenAwayWhileItWaits: the database is away when the card is finished, and people
// take it away before the station can say so. It says so at once, with the card out of
// its slot.
func TestTakenAwayWhileItWaits(t *testing.T) {
	t.Parallel()
	b := newBench(t, 2)
	for i, final := range []bool{false, true} {
		chip := b.chip(b.Serials[i])
		b.reader.hook = func(int) (lose, after bool) {
			if chip.State().KVN == "31" && b.sessionsCounted(chip) {
				b.network.Cut()
			}
			return false, false
		}
		b.reader.insert(chip)
		b.waitFor("the station to hold", func(s line.ReaderStatus) bool { return s.State == "wait" && s.Serial != "" })
		b.reader.mu.Lock()
		b.reader.hook = nil
		b.reader.mu.Unlock()
		b.inDoubt(i, perso.Finding{})
		if final {
			b.Resolve(t, b.CardIDs[i], perso.DecideSpoil)
		}
		b.reader.remove()
		b.network.Resume()
		want := map[bool]string{false: "clear", true: "refused"}[final]
		require.Eventually(t, func() bool {
			s := b.line.Readers()[0]
			return s.State == "empty" && s.Last != nil && s.Last.Serial == b.Serials[i] && s.Last.Outcome == want
		}, 20*time.Second, 2*time.Millisecond, "%+v", b.line.Readers()[0])
		require.Equal(t, map[bool]perso.Card{false: {State: perso.Clear}, true: {State: perso.Spoiled}}[final].State, b.Card(t, b.Serials[i]).State)
	}
	require.Equal(t, 1, b.count(`SELECT count(*) FROM card_observation WHERE contradicts`))
}
