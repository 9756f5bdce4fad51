package line_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

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
