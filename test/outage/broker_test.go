package outage

import (
	"context"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/deploy/local"
	"dukcapil.go.id/sifilma/pkg/outbox"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/rabbit"
	"dukcapil.go.id/sifilma/test/harness"
)

// TestTenThousandMessagesAndABrokerThatRestarts sends ten thousand messages
// through outbox, relay and consumers, two of each, and restarts the broker as
// they flow: killed after a third, stopped in order after a half. Each of them
// has its effect, and has it once.
func TestTenThousandMessagesAndABrokerThatRestarts(t *testing.T) {
	t.Parallel()
	of := start(t)
	const messages, chunk = 10_000, 500
	db := harness.DB(t)
	require.NoError(t, of.vhost(t.Context(), "ten-thousand"))
	inTx := func(fn func(ctx context.Context, tx *postgres.Tx) error) {
		t.Helper()
		require.NoError(t, db.InTx(t.Context(), fn))
	}
	inTx(func(ctx context.Context, tx *postgres.Tx) error {
		_, err := tx.Exec(ctx, `CREATE TABLE paid (id uuid PRIMARY KEY, version bigint NOT NULL, times int NOT NULL)`)
		return err
	})
	for range messages / chunk { // all are there before anything moves
		inTx(func(ctx context.Context, tx *postgres.Tx) error {
			all := make([]outbox.Message, chunk)
			for i := range all {
				all[i] = outbox.Message{Type: rabbit.RequestSubmitted, Subject: uuid.NewString(), Version: 1}
				if _, err := tx.Exec(ctx, `INSERT INTO paid VALUES ($1, 1, 0)`, all[i].Subject); err != nil {
					return err
				}
			}
			return outbox.Put(ctx, tx, all...)
		})
	}
	var heard atomic.Int64
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	defer running.Wait()
	defer stop()
	for _, name := range []string{"one", "two"} {
		log := zerolog.New(zerolog.NewTestWriter(t)).With().Timestamp().Str("process", name).Logger()
		b := rabbit.New(rabbit.Config{URL: of.services.Rabbit.URL("ten-thousand"), PasswordFile: of.services.Rabbit.PasswordFile, Name: name}, log)
		b.Consume(db, rabbit.QueueValidator, func(ctx context.Context, tx *postgres.Tx, events []rabbit.Event) error {
			for _, e := range events { // compare and set: the second bell does nothing
				if _, err := tx.Exec(ctx, `UPDATE paid SET times = times + 1, version = version + 1 WHERE id = $1 AND version = $2`, e.Subject, e.Version); err != nil {
					return err
				}
			}
			tx.OnCommit(func() { heard.Add(int64(len(events))) })
			return nil
		})
		running.Go(func() { _ = b.Run(ctx) })
		running.Go(func() { _ = outbox.NewRelay(db, b, log).Run(ctx) })
	}
	began := time.Now()
	for _, blow := range []struct {
		after int
		sig   syscall.Signal
	}{{messages / 3, syscall.SIGKILL}, {messages / 2, syscall.SIGTERM}} {
		require.Eventually(t, func() bool { return heard.Load() >= int64(blow.after) }, patience, time.Millisecond)
		at := heard.Load()
		end(t, of.services.Rabbit.Process, blow.sig)
		of.bringUp()
		up := time.Now()
		t.Logf("%s: %v at message %d, back at message %d", up.Format(time.TimeOnly), blow.sig, at, heard.Load())
		at = heard.Load()
		require.Eventually(t, func() bool { return heard.Load() > at || at >= messages }, patience, time.Millisecond)
		t.Logf("recovery: the first message came %.2f s after the return", time.Since(up).Seconds())
	}
	eventually(t, db, messages, `SELECT count(*) FROM paid WHERE times = 1`)
	eventually(t, db, 0, `SELECT count(*) FROM outbox WHERE sent_at IS NULL`)
	eventually(t, db, messages, `SELECT count(*) FROM paid`)
	eventually(t, db, 0, `SELECT count(*) FROM shelf`)
	t.Logf("%d messages, heard %d times, each with one effect, in %.1f s", messages, heard.Load(), time.Since(began).Seconds())
}

// end ends a service by a signal.
func end(t *testing.T, p local.Process, sig syscall.Signal) {
	t.Helper()
	p.Signal(sig, false)
	require.Eventually(t, func() bool { return !p.Alive() }, patience, tick)
}
