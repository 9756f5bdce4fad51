package line_test

import (
	"context"
	"fmt"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/daemons/perso-station/internal/line"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/perso/persotest"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/test/virtualsam/card"
)

// TestOutageIsSaidOnce: the station looks at a waiting card again and again, and
// its log stays calm.
func TestOutageIsSaidOnce(t *testing.T) {
	t.Parallel()
	b := newBench(t, 1)
	b.network.Cut()
	var commands atomic.Int64
	b.reader.hook = func(int) (lose, after bool) {
		commands.Add(1)
		return false, false
	}
	b.reader.insert(b.chip(b.Serials[0]))
	require.Eventually(t, func() bool { return commands.Load() > 50 }, 20*time.Second, time.Millisecond, "looks at the card")
	require.EqualValues(t, 1, b.held.Load())
	b.network.Resume()
	got := b.waitFor("clear", func(s line.ReaderStatus) bool { return s.Outcome != "" })
	require.Equal(t, "clear", got.Outcome, got.Reason)
}

// TestRestoredDatabaseGivesNoNumberTwice: a backup brings the office back to
// before its first card, again and again. The station begins no card until people
// say so; then numbers go on in a new epoch, and a card that the office has
// forgotten fails when it is seen again.
func TestRestoredDatabaseGivesNoNumberTwice(t *testing.T) {
	t.Parallel()
	b := newBench(t, 3)
	given := map[string]bool{}
	for i, epoch := range []string{"0001", "0002", "0003"} {
		chip := b.chip(b.Serials[i])
		b.reader.insert(chip)
		got := b.waitFor("clear", func(s line.ReaderStatus) bool { return s.Outcome != "" })
		require.Equal(t, "clear", got.Outcome, got.Reason)
		b.judge(chip, b.Serials[i])
		c := b.Card(t, b.Serials[i])
		require.Equal(t, "3671"+epoch, c.PCID[:8])
		require.False(t, given[c.PCID] || given[c.ManifestNo])
		given[c.PCID], given[c.ManifestNo] = true, true
		b.stop()
		b.start() // nothing was lost: nothing changes
		b.stop()
		exec := func(queries ...string) {
			b.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
				for _, q := range queries {
					if _, err := tx.Exec(ctx, q); err != nil {
						return err
					}
				}
				return nil
			})
		}
		// What a backup from before knows of it.
		exec(`SET LOCAL session_replication_role = replica`, `DELETE FROM perso_attempt`, `DELETE FROM card_number`,
			fmt.Sprintf(`UPDATE card SET state = 'listed', chip_id = NULL, pcid = NULL, manifest_no = NULL, attempt = 0, work_order_id = NULL WHERE serial = '%s'`, b.Serials[i]))
		require.ErrorIs(t, b.reconcile(), line.ErrOlder)
		require.ErrorIs(t, b.reconcile(), line.ErrOlder, "and goes on refusing")
		b.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
			epoch, err := perso.RaiseEpoch(ctx, tx, 0)
			if err != nil {
				return err
			}
			return tx.ExecOne(ctx, `INSERT INTO restoration (id, restored_to, raised_by, reason, epoch, tickets_from, tickets_to, papers_gap, papers)
				VALUES (gen_random_uuid(), now(), 'uji', 'uji', $1, 1, 1, 1, '[]')`, epoch)
		})
		b.start()
		var lost int
		require.NoError(t, b.DB.Get(t.Context(), &lost, `SELECT count(*) FROM lost_attempt WHERE last = 'proven'`))
		require.Equal(t, i+1, lost, "the office knows what the journal knows")
		got = b.outcome(chip)
		require.Equal(t, "failed", got.Outcome, got.Reason)
		require.Contains(t, got.Reason, "pemulihan")
		b.removeCard()
		exec(`SET LOCAL session_replication_role = replica`, `UPDATE work_order SET remaining = remaining + 2, state = 'released'`)
	}
}

// TestRestoreIsNoticedByAStationThatRuns: a station that was never stopped begins
// no card with a database that was restored, until its journal is compared.
func TestRestoreIsNoticedByAStationThatRuns(t *testing.T) {
	t.Parallel()
	b := newBench(t, 2)
	first := b.chip(b.Serials[0])
	require.Equal(t, "clear", b.outcome(first).Outcome)
	b.removeCard()
	attempts := func() int { return b.count(`SELECT count(*) FROM perso_attempt`) }
	require.Equal(t, 1, attempts())
	b.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
		// Of the claim the restored database knows, of the intent it does not.
		for _, q := range []string{`SET LOCAL session_replication_role = replica`,
			`UPDATE perso_attempt SET sealed = NULL, outcome = '', ended_at = NULL, writing_at = NULL`,
			`UPDATE card SET state = 'claimed' WHERE state = 'clear'`,
			`UPDATE number_counter SET timeline = timeline - 1`} {
			if _, err := tx.Exec(ctx, q); err != nil {
				return err
			}
		}
		return nil
	})
	require.ErrorIs(t, b.line.Watch(t.Context()), line.ErrChanged)
	second := b.chip(b.Serials[1])
	b.reader.insert(second)
	got := b.waitFor("waiting", func(s line.ReaderStatus) bool { return s.State == "wait" && s.Reason != "" })
	require.Contains(t, got.Reason, "dipulihkan")
	require.Equal(t, 1, attempts())
	require.ErrorIs(t, b.line.Reconcile(t.Context()), line.ErrOlder)
	require.ErrorIs(t, b.line.Check(t.Context()), line.ErrOlder)
	b.removeCard() // the station compares with no card in hand
	b.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
		epoch, err := perso.RaiseEpoch(ctx, tx, 0)
		if err != nil {
			return err
		}
		return tx.ExecOne(ctx, `INSERT INTO restoration (id, restored_to, raised_by, reason, epoch, tickets_from, tickets_to, papers_gap, papers)
			VALUES (gen_random_uuid(), now(), 'uji', 'uji', $1, 1, 1, 1, '[]')`, epoch)
	})
	require.NoError(t, b.line.Reconcile(t.Context()))
	require.NoError(t, b.line.Check(t.Context()))
	b.reader.insert(second)
	got = b.waitFor("clear", func(s line.ReaderStatus) bool { return s.Outcome != "" })
	require.Equal(t, "clear", got.Outcome, got.Reason)
	require.Equal(t, 1, b.count(`SELECT count(*) FROM lost_attempt WHERE last = 'proven'`))
}

// TestResultInTheJournalIsRecorded: the database goes away before the result is
// recorded and the station ends while it waits. The next one knows the result
// from the journal, without the card.
func TestResultInTheJournalIsRecorded(t *testing.T) {
	t.Parallel()
	b := newBench(t, 2)
	for i, c := range []struct {
		fault card.Fault
		ends  perso.Card
	}{{card.Fault{}, perso.Card{State: perso.Clear}}, {card.Fault{MemoryFailureAt: card.StepOpenSAM}, perso.Card{State: perso.Failed}}} {
		chip := b.chip(b.Serials[i])
		chip.SetFault(c.fault)
		// The database is cut when the last session of the card is open.
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
		require.Equal(t, perso.Writing, b.Card(t, b.Serials[i]).State)
		b.start()
		require.Equal(t, c.ends.State, b.Card(t, b.Serials[i]).State)
	}
	remaining, _ := b.Remaining(t)
	require.Zero(t, remaining)
}

// sessionsCounted tells whether the second authentication of a chip is counted
// in the database, so that nothing more is needed of it before the end.
func (b *bench) sessionsCounted(chip *card.Chip) bool {
	n, err := perso.AuthenticationFailures(context.Background(), b.DB, chip.State().ChipID)
	return err == nil && n == 1
}

// TestLateResultIsProvenByTheCard: the station crashed after the card was
// finished, and its journal is lost too. Reading the card is proof enough.
func TestLateResultIsProvenByTheCard(t *testing.T) {
	t.Parallel()
	b := newBench(t, 1)
	chip := b.chip(b.Serials[0])
	b.crashAt(chip, "0F")
	require.NoError(t, os.Remove(b.journal))
	b.start()
	require.Equal(t, perso.InDoubt, b.Card(t, b.Serials[0]).State)
	require.False(t, b.settle(chip, b.Serials[0]), "no people are needed")
	b.judge(chip, b.Serials[0])
	require.Equal(t, 1, b.count(`SELECT count(*) FROM outbox WHERE type = 'card.resolved'`))
}

// crashAt inserts a chip and ends the station at the first command after the
// chip has reached a life cycle.
func (b *bench) crashAt(chip *card.Chip, lifeCycle string) {
	b.t.Helper()
	crashed := make(chan struct{})
	b.reader.hook = func(int) (lose, after bool) {
		if chip.State().LifeCycle != lifeCycle {
			return false, false
		}
		b.crash()
		close(crashed)
		return true, false
	}
	b.reader.insert(chip)
	select {
	case <-crashed:
	case <-time.After(20 * time.Second):
		require.FailNow(b.t, "the chip did not get so far")
	}
	b.stop()
}

func (b *bench) count(query string) (n int) {
	b.t.Helper()
	require.NoError(b.t, b.DB.Get(context.Background(), &n, query))
	return n
}

// TestPeopleCompleteAndTheStationProves: two people accept a card as finished;
// it is clear only when the station has proven it, and in doubt again if not.
func TestPeopleCompleteAndTheStationProves(t *testing.T) {
	t.Parallel()
	b := newBench(t, 2)
	for i, good := range []bool{true, false} {
		chip := b.chip(b.Serials[i])
		want := "0F"
		if !good {
			want = "07"
		}
		b.crashAt(chip, want)
		b.start()
		// The people believe what a finding says; here somebody else wrote it.
		b.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
			h, err := perso.Reload(ctx, tx, b.CardIDs[i])
			if err != nil {
				return err
			}
			_, err = perso.Observe(ctx, tx, h, perso.Finding{Proposal: perso.DecideComplete}, perso.Change{Actor: perso.StationActor("uji-2"), OfficeAt: persotest.OfficeAt})
			return err
		})
		b.Resolve(t, b.CardIDs[i], perso.DecideComplete)
		require.Equal(t, perso.Written, b.Card(t, b.Serials[i]).State)
		got := b.outcome(chip)
		if good {
			require.Equal(t, "clear", got.Outcome, got.Reason)
		} else {
			require.Equal(t, "in_doubt", got.Outcome, got.Reason)
			require.Equal(t, perso.DecideResume, b.proposal(b.Serials[i]))
		}
		b.removeCard()
	}
}

// TestHSMAwayInTheMiddleOfACard is not parallel: the token library is one for
// the whole process.
func TestHSMAwayInTheMiddleOfACard(t *testing.T) {
	b := newBench(t, 3)
	for i, when := range []card.Step{"", card.StepMarker, card.StepPutKey} {
		chip := b.chip(b.Serials[i])
		var gone atomic.Bool
		b.reader.hook = func(n int) (lose, after bool) {
			if took := b.accepted(chip.State().ChipID); when == "" && n == 9 || took[when] > 0 {
				if gone.CompareAndSwap(false, true) {
					require.NoError(b.t, os.Rename(b.pinFile, b.pinFile+".away"))
					require.Error(b.t, b.token.Reopen(context.Background()))
				}
			}
			return false, false
		}
		b.reader.insert(chip)
		b.waitFor("the station to hold", func(s line.ReaderStatus) bool { return gone.Load() && s.State == "wait" })
		require.NoError(t, os.Rename(b.pinFile+".away", b.pinFile))
		got := b.waitFor("clear", func(s line.ReaderStatus) bool { return s.Outcome != "" })
		require.Equal(t, "clear", got.Outcome, got.Reason)
		b.judge(chip, b.Serials[i])
		b.removeCard()
	}
}
