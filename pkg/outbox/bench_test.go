package outbox_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/lib/pq"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/outbox"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/rabbit"
	"dukcapil.go.id/sifilma/test/harness"
)

// BenchmarkHop is one stage of the line with everything on: relay with
// confirms, schema check, one transaction per batch with compare-and-set and
// the next messages, acknowledgement, relay of those. Beside it stands the
// broker's own floor: publishing the same events with confirms, nothing else.
func BenchmarkHop(b *testing.B) {
	db, cfg := harness.DB(b), harness.Rabbit(b)
	ctx := context.Background()
	exec := func(query string, args ...any) {
		require.NoError(b, db.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
			_, err := tx.Exec(ctx, query, args...)
			return err
		}))
	}
	exec(`CREATE TABLE work (id uuid PRIMARY KEY, version bigint NOT NULL)`)
	exec(`INSERT INTO work SELECT gen_random_uuid(), 1 FROM generate_series(1, $1)`, b.N)
	exec(`INSERT INTO outbox (id, type, subject, version) SELECT gen_random_uuid(), 'request.submitted', id, 1 FROM work`)
	broker := rabbit.New(cfg, zerolog.Nop())
	broker.Consume(db, rabbit.QueueValidator, hop)
	run, stop := context.WithCancel(ctx)
	defer stop()
	relay := outbox.NewRelay(db, broker, zerolog.Nop())
	ended := make(chan struct{}, 2)
	go func() { _ = broker.Run(run); ended <- struct{}{} }()
	require.NoError(b, broker.WaitPublish(ctx))
	b.ResetTimer()
	go func() { _ = relay.Run(run); ended <- struct{}{} }()
	// Asking often would be a load of its own.
	for broker.Consumers()[0].Done < int64(b.N) {
		<-time.After(10 * time.Millisecond)
	}
	for left := 1; left > 0; {
		require.NoError(b, db.Get(ctx, &left, `SELECT count(*) FROM outbox WHERE sent_at IS NULL`))
		<-time.After(10 * time.Millisecond)
	}
	b.StopTimer()
	var undone int
	require.NoError(b, db.Get(ctx, &undone, `SELECT count(*) FROM work WHERE version <> 2`))
	require.Zero(b, undone)
	hops := float64(b.N) / b.Elapsed().Seconds()
	floor := publishFloor(b, broker)
	b.ReportMetric(hops, "hops/s")
	b.ReportMetric(floor, "floor-msgs/s")
	b.ReportMetric(hops/floor, "hops/floor")
	stop()
	<-ended
	<-ended
}

func hop(ctx context.Context, tx *postgres.Tx, events []rabbit.Event) error {
	ids, versions := make([]string, len(events)), make([]int64, len(events))
	for i, e := range events {
		ids[i], versions[i] = e.Subject, e.Version
	}
	var moved []string
	if err := tx.Select(ctx, &moved, `
		UPDATE work SET version = work.version + 1
		FROM unnest($1::uuid[], $2::bigint[]) AS e (id, version)
		WHERE work.id = e.id AND work.version = e.version
		RETURNING work.id`, pq.Array(ids), pq.Array(versions)); err != nil {
		return err
	}
	next := make([]outbox.Message, len(moved))
	for i, id := range moved {
		next[i] = outbox.Message{Type: rabbit.RequestDone, Subject: id, Version: 2}
	}
	return outbox.Put(ctx, tx, next...)
}

// publishFloor publishes b.N events with the sliding window alone.
func publishFloor(b *testing.B, broker *rabbit.Broker) float64 {
	b.Helper()
	done := make(chan rabbit.Outcome, b.N)
	began := time.Now()
	for range b.N {
		require.NoError(b, broker.Publish(context.Background(), rabbit.Event{
			ID: uuid.NewString(), Type: rabbit.RequestDone, Subject: uuid.NewString(), Version: 1, Time: began,
		}, func(o rabbit.Outcome) { done <- o }))
	}
	for range b.N {
		require.Equal(b, rabbit.Sent, <-done)
	}
	return float64(b.N) / time.Since(began).Seconds()
}
