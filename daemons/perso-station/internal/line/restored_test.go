package line_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/daemons/perso-station/internal/line"
	"dukcapil.go.id/sifilma/pkg/journal"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/postgres"
)

// A card is in hand while the database is restored to a moment before its request
// came in: there is no row of the card any more. The line puts it aside and can be
// stopped.
func TestRestoredUnderTheHand(t *testing.T) {
	t.Parallel()
	b := newBench(t, 1)
	var gone atomic.Bool
	b.reader.hook = func(int) (lose, after bool) {
		if b.count(`SELECT count(*) FROM card WHERE state = 'writing'`) == 1 && gone.CompareAndSwap(false, true) {
			b.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
				for _, statement := range []string{
					`SET LOCAL session_replication_role = replica`, // past the triggers, as a restore goes
					`DELETE FROM perso_attempt`, `DELETE FROM card_number`, `DELETE FROM card`,
				} {
					if _, err := tx.Exec(ctx, statement); err != nil {
						return err
					}
				}
				return nil
			})
		}
		return false, false
	}
	b.reader.insert(b.chip(b.Serials[0]))
	require.Eventually(t, gone.Load, 20*time.Second, time.Millisecond)
	done := make(chan struct{})
	go func() { b.stop(); close(done) }()
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		t.Fatal("the line does not stop")
	}
}

// The restored database has not heard of an attempt that another station began and
// this one took up: it is as good a proof as one that was begun here, and both
// stations' words on it are kept.
func TestTakenUpAttemptIsNoticed(t *testing.T) {
	t.Parallel()
	b := newBench(t, 1)
	attempt := uuid.Must(uuid.NewV7()).String()
	require.NoError(t, b.line.Journal.Append(journal.Entry{Kind: "resumed", Card: "4B54", Attempt: attempt}))
	require.ErrorIs(t, b.line.Reconcile(t.Context()), line.ErrOlder)
	b.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
		epoch, err := perso.RaiseEpoch(ctx, tx, 0)
		if err != nil {
			return err
		}
		if err := perso.NoteLost(ctx, tx, perso.LostAttempt{ID: attempt, ChipID: "4B54", Station: "perso-lain", Last: "in_doubt", At: time.Now()}); err != nil {
			return err
		}
		return tx.ExecOne(ctx, `INSERT INTO restoration (id, restored_to, raised_by, reason, epoch, tickets_from, tickets_to, papers_gap, papers)
			VALUES (gen_random_uuid(), now(), 'uji', 'uji', $1, 1, 1, 1, '[]')`, epoch)
	})
	require.NoError(t, b.line.Reconcile(t.Context()))
	require.NoError(t, b.line.Reconcile(t.Context()), "once")
	require.Equal(t, 2, b.count(`SELECT count(*) FROM lost_attempt WHERE chip_id = '4B54'`))
	require.Equal(t, 1, b.count(`SELECT count(*) FROM lost_attempt WHERE last = 'resumed'`))
}
