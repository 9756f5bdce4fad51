package line_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/configs"
	"dukcapil.go.id/sifilma/daemons/perso-station/internal/keyring"
	"dukcapil.go.id/sifilma/daemons/perso-station/internal/line"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/perso/keybook"
	"dukcapil.go.id/sifilma/pkg/perso/persotest"
	"dukcapil.go.id/sifilma/pkg/perso/recipe"
	"dukcapil.go.id/sifilma/pkg/pkcs11"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/test/virtualsam/card"
)

// The tests of this file that take the token away are not parallel: the token library
// is one for the whole process.

// recordKeys puts the bench's keys into the book, as a ceremony does.
func (b *bench) recordKeys(labels ...string) {
	b.t.Helper()
	for _, label := range labels {
		key, err := b.token.FindKey(b.t.Context(), label)
		require.NoError(b.t, err)
		kcv, err := key.KCV(b.t.Context())
		require.NoError(b.t, err)
		b.Must(b.t, func(ctx context.Context, tx *postgres.Tx) error {
			_, err := keybook.Record(ctx, tx, keybook.Entry{
				Label: label, Algorithm: key.Algorithm().String(), Bits: 8 * key.Size(), KCV: fmt.Sprintf("%X", kcv), Origin: keybook.Generated,
				TokenLabel: "uji", TokenSerial: "1", Place: "uji", RecordedBy: "uji", OfficeAt: persotest.OfficeAt,
			})
			return err
		})
	}
}

func (b *bench) labels() []string {
	k := b.profile.Keys
	return []string{k.Transport.Master, k.Final.Master, k.SecretWrap}
}

// failures is how many authentications of a chip are counted as failed.
func (b *bench) failures(chip *card.Chip) int {
	b.t.Helper()
	n, err := perso.AuthenticationFailures(b.t.Context(), b.DB, chip.State().ChipID)
	require.NoError(b.t, err)
	return n
}

// Four readers have a card in hand, each at another step, when the token is pulled.
// All hold and say so; nothing is concluded about the cards. When the token is back
// all four are finished, with no hand and no failed authentication.
func TestTokenPulledUnderFourReaders(t *testing.T) {
	b := newBench(t, 4)
	b.recordKeys(b.labels()...)
	at := []int{7, 12, 15, 18} // commands, of different steps
	var reached sync.WaitGroup
	away := filepath.Join(t.TempDir(), "away")
	ctx, cancel := context.WithCancel(context.Background())
	var served sync.WaitGroup
	chips := make([]*card.Chip, len(at))
	goOn := make(chan struct{})
	reached.Add(len(at))
	for i, n := range at {
		chips[i] = b.chip(b.Serials[i])
		reader := newFakeReader(fmt.Sprintf("Pembaca Banyak %d", i))
		reader.hook = func(now int) (lose, after bool) {
			if now == n {
				reached.Done()
				<-goOn
			}
			return false, false
		}
		served.Go(func() { b.line.Serve(ctx, reader) })
		reader.insert(chips[i])
	}
	defer served.Wait()
	defer cancel()
	reached.Wait()
	require.NoError(t, os.Rename(b.hsm.Dir, away))
	close(goOn)
	states := func(want func(line.ReaderStatus) bool) func() bool {
		return func() bool {
			n := 0
			for _, s := range b.line.Readers() {
				if strings.HasPrefix(s.Name, "Pembaca Banyak") && want(s) {
					n++
				}
			}
			return n == len(at)
		}
	}
	require.Eventually(t, states(func(s line.ReaderStatus) bool { return s.State == "wait" && s.Reason != "" }), 20*time.Second, 2*time.Millisecond)
	require.ErrorIs(t, b.line.CheckKeys(t.Context()), pkcs11.ErrTokenGone, "readyz says so")
	for _, c := range b.CardIDs {
		got, err := perso.Get(t.Context(), b.DB, c)
		require.NoError(t, err)
		require.NotContains(t, []string{"failed", "in_doubt", "spoiled"}, string(got.State))
	}
	require.NoError(t, os.Rename(away, b.hsm.Dir))
	require.Eventually(t, states(func(s line.ReaderStatus) bool { return s.Outcome == "clear" }), 30*time.Second, 2*time.Millisecond)
	require.NoError(t, b.line.CheckKeys(t.Context()))
	for i, chip := range chips {
		b.judge(chip, b.Serials[i])
		require.Zero(t, b.failures(chip))
	}
}

// A token that was made anew, with other keys under the same labels, never meets a
// card: it is not asked to authenticate, and a card in doubt is not called spoiled
// because its secret does not open. The old token back, the line goes on.
func TestOtherKeysUnderTheSameLabelsTouchNoCard(t *testing.T) {
	b := newBench(t, 2)
	b.recordKeys(b.labels()...)
	doubt, fresh := b.chip(b.Serials[0]), b.chip(b.Serials[1])
	b.reader.hook = func(n int) (lose, after bool) { return n == 16, true }
	require.Equal(t, "in_doubt", b.outcome(doubt).Outcome)
	b.reader.mu.Lock()
	b.reader.hook = nil
	b.reader.mu.Unlock()
	b.removeCard()

	away := filepath.Join(t.TempDir(), "away")
	require.NoError(t, os.Rename(b.hsm.Dir, away))
	require.Error(t, b.token.Reopen(t.Context()))
	other := b.hsm.Double(t)
	require.NoError(t, b.token.Reopen(t.Context()))
	require.ErrorIs(t, b.line.CheckKeys(t.Context()), pkcs11.ErrKeyNotFound, "an empty token")
	for _, label := range b.labels() {
		_, err := b.token.GenerateAES(t.Context(), label, 256, keyUse)
		require.NoError(t, err)
	}
	err := b.line.CheckKeys(t.Context())
	require.ErrorIs(t, err, keyring.ErrWrongKey)
	require.ErrorContains(t, err, "KCV")

	took := len(b.accepted(fresh.State().ChipID))
	b.reader.insert(fresh)
	got := b.waitFor("waiting", func(s line.ReaderStatus) bool { return s.State == "wait" && s.Reason != "" && s.Serial != "" })
	require.Contains(t, got.Reason, "Kunci di HSM bukan yang tercatat")
	require.Zero(t, b.failures(fresh))
	require.Len(t, b.accepted(fresh.State().ChipID), took)
	b.removeCard()
	require.Equal(t, perso.DecideResume, b.proposalAfter(doubt), "what the wrong token cannot open is not judged")
	b.removeCard()

	require.NoError(t, os.Rename(other.Dir, filepath.Join(t.TempDir(), "other")))
	require.NoError(t, os.Rename(away, b.hsm.Dir))
	b.settle(doubt, b.Serials[0])
	b.judge(doubt, b.Serials[0])
	require.Equal(t, "clear", b.outcome(fresh).Outcome)
	b.judge(fresh, b.Serials[1])
	require.Zero(t, b.failures(fresh))
}

// proposalAfter inserts a card in doubt and returns what is proposed once the station
// has looked at it.
func (b *bench) proposalAfter(chip *card.Chip) perso.Decision {
	b.t.Helper()
	b.reader.insert(chip)
	b.waitFor("a look", func(s line.ReaderStatus) bool { return s.Serial != "" && (s.State == "wait" || s.Outcome != "") })
	return b.proposal(b.Serials[0])
}

// A token that comes back with another PIN is not asked twice with the same one, however
// many cards wait and however often readyz looks; the right PIN in the file is enough.
func TestWrongPINIsTriedOnce(t *testing.T) {
	b := newBench(t, 1)
	chip := b.chip(b.Serials[0]) // while its keys can be asked for
	require.NoError(t, os.WriteFile(b.pinFile+".right", []byte(b.hsm.PIN), 0o600))
	require.NoError(t, os.WriteFile(b.pinFile, []byte("salah-sekali"), 0o600))
	first := b.token.Reopen(t.Context())
	require.ErrorIs(t, first, pkcs11.ErrPIN)
	require.NotContains(t, first.Error(), "not tried again", "this was the one try")
	b.reader.insert(chip)
	b.waitFor("waiting", func(s line.ReaderStatus) bool { return s.State == "wait" && s.Serial != "" })
	for range 20 {
		err := b.line.CheckKeys(t.Context())
		require.ErrorContains(t, err, "not tried again")
		require.NotContains(t, err.Error(), "salah-sekali")
	}
	require.NoError(t, os.Rename(b.pinFile+".right", b.pinFile))
	got := b.waitFor("clear", func(s line.ReaderStatus) bool { return s.Outcome != "" })
	require.Equal(t, "clear", got.Outcome, got.Reason)
	require.NoError(t, b.line.CheckKeys(t.Context()))
}

// Rotation: a next version of the final master comes into force. The order that began
// with the first one goes on with it, a card in doubt is finished with it, and the
// next order uses the new one; only then may the first be given up.
func TestRotationOfTheFinalMaster(t *testing.T) {
	t.Parallel()
	b := newBench(t, 4)
	old := b.profile.Keys.Final.Master
	next := keybook.Label(old, 2)
	_, err := b.token.GenerateAES(t.Context(), next, 256, keyUse)
	require.NoError(t, err)
	b.recordKeys(append(b.labels(), next)...)

	first, doubt, third := b.chip(b.Serials[0]), b.chip(b.Serials[1]), b.chip(b.Serials[2])
	require.Equal(t, "clear", b.outcome(first).Outcome)
	b.removeCard()
	b.reader.hook = func(n int) (lose, after bool) { return n == 16, true }
	require.Equal(t, "in_doubt", b.outcome(doubt).Outcome)
	b.reader.mu.Lock()
	b.reader.hook = nil
	b.reader.mu.Unlock()
	b.removeCard()

	file, err := configs.KeyCode("ktpel")
	require.NoError(t, err)
	persotest.Approve(t, b.DB, recipe.KeyCode, strings.NewReplacer(`"version": 1`, `"version": 2`, `"`+old+`"`, `"`+next+`"`, `"31"`, `"32"`).Replace(string(file)))
	require.Equal(t, "clear", b.outcome(third).Outcome, "the order that began keeps its keys")
	b.removeCard()
	b.settle(doubt, b.Serials[1])
	for i, chip := range []*card.Chip{first, doubt, third} {
		b.judge(chip, b.Serials[i])
		require.Equal(t, "31", chip.State().KVN)
	}
	require.ErrorAs(t, b.retire(old), new(*keybook.NeededError))

	b.nextOrder(b.Serials[3])
	fourth := b.chip(b.Serials[3])
	got := b.outcome(fourth)
	require.Equal(t, "clear", got.Outcome, got.Reason)
	require.Equal(t, "32", fourth.State().KVN)
	b.judge(fourth, b.Serials[3])
	b.replica(`UPDATE request SET state = 'done'`)
	require.NoError(t, b.retire(old))
}

// A key that was given up is not used, also by an order of before that somebody opens
// again behind the office's back.
func TestAKeyThatWasGivenUpTouchesNoCard(t *testing.T) {
	t.Parallel()
	b := newBench(t, 2)
	b.recordKeys(b.labels()...)
	require.Equal(t, "clear", b.outcome(b.chip(b.Serials[0])).Outcome)
	b.removeCard()
	b.replica(`UPDATE master_key SET retired_by = 'uji', retired_reason = 'uji', retired_at = now() WHERE label = '` + b.profile.Keys.Transport.Master + `'`)
	chip := b.chip(b.Serials[1])
	b.reader.insert(chip)
	got := b.waitFor("waiting", func(s line.ReaderStatus) bool { return s.State == "wait" && s.Serial != "" })
	require.Contains(t, got.Reason, "Kunci di HSM")
	require.ErrorIs(t, b.line.CheckKeys(t.Context()), keybook.ErrRetired)
	require.Zero(t, b.failures(chip))
	require.Empty(t, b.accepted(chip.State().ChipID))
}

func (b *bench) retire(label string) error {
	return b.DB.InTx(context.Background(), func(ctx context.Context, tx *postgres.Tx) error {
		return keybook.Retire(ctx, tx, label, "uji", "diganti", persotest.OfficeAt)
	})
}

// replica runs a statement past the triggers.
func (b *bench) replica(queries ...string) {
	b.t.Helper()
	b.Must(b.t, func(ctx context.Context, tx *postgres.Tx) error {
		var all error
		for _, q := range append([]string{`SET LOCAL session_replication_role = replica`}, queries...) {
			_, err := tx.Exec(ctx, q)
			all = errors.Join(all, err)
		}
		return all
	})
}

// nextOrder closes the order and releases one more, for one card.
func (b *bench) nextOrder(serial string) {
	b.t.Helper()
	n := len(b.Serials)
	b.replica(`UPDATE work_order SET state = 'closed', remaining = 0`, fmt.Sprintf(
		`INSERT INTO work_order (id, request_id, day, slots, capacity, remaining, state, released_at)
		 VALUES (gen_random_uuid(), '%s', '2026-03-02', int4range(%d, %d), 250, 1, 'released', now())`, b.RequestID, n+1, n+2))
	require.Equal(b.t, perso.Listed, b.Card(b.t, serial).State)
}

// What readyz says of the token is of the token: also while the database, which has the
// book of its keys, keeps silent.
func TestATokenIsJudgedWhileTheDatabaseIsSilent(t *testing.T) {
	b := newBench(t, 1)
	require.NoError(t, b.line.CheckKeys(t.Context()))
	b.network.Blackhole()
	defer b.network.Resume()
	check := func() error {
		ctx, cancel := context.WithTimeout(t.Context(), 8*time.Second)
		defer cancel()
		return b.line.CheckKeys(ctx)
	}
	require.NoError(t, check())
	away := filepath.Join(t.TempDir(), "away")
	require.NoError(t, os.Rename(b.hsm.Dir, away))
	defer func() { require.NoError(t, os.Rename(away, b.hsm.Dir)) }()
	require.ErrorIs(t, check(), pkcs11.ErrTokenGone)
}
