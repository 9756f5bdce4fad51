package outbox_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/outbox"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/rabbit"
	"dukcapil.go.id/sifilma/test/harness"
)

func TestRolledBackChangeIsNotAnnounced(t *testing.T) {
	t.Parallel()
	db := harness.DB(t)
	broken := errors.New("broken")
	err := db.InTx(context.Background(), func(ctx context.Context, tx *postgres.Tx) error {
		require.NoError(t, outbox.Put(ctx, tx, messages(rabbit.RequestDone, 2)...))
		return broken
	})
	require.ErrorIs(t, err, broken)
	require.Zero(t, pending(t, db))
	select {
	case <-db.Bell("outbox").C():
		t.Fatal("the bell rang without a commit")
	default:
	}
	put(t, db)
	put(t, db, messages(rabbit.RequestDone, 2)...)
	require.Equal(t, 2, pending(t, db))
	select {
	case <-db.Bell("outbox").C():
	default:
		t.Fatal("the bell did not ring")
	}
}

func TestPutRefusesWhatNoConsumerWouldTake(t *testing.T) {
	t.Parallel()
	db := harness.DB(t)
	id := uuid.NewString()
	for name, m := range map[string]outbox.Message{
		"unknown type":     {Type: "request.renamed", Subject: id, Version: 1},
		"no subject":       {Type: rabbit.RequestDone, Version: 1},
		"negative version": {Type: rabbit.RequestDone, Subject: id, Version: -1},
		"bad request":      {Type: rabbit.RequestDone, Subject: id, Version: 1, Request: "17"},
		"state":            {Type: rabbit.RequestDone, Subject: id, Version: 1, Data: map[string]any{"cards": []string{"1"}}},
		"hidden version":   {Type: rabbit.RequestDone, Subject: id, Version: 1, Data: map[string]any{"version": 2}},
	} {
		err := db.InTx(context.Background(), func(ctx context.Context, tx *postgres.Tx) error {
			return outbox.Put(ctx, tx, messages(rabbit.RequestDone, 1)[0], m)
		})
		require.ErrorContains(t, err, "outbox: message", name)
	}
	require.Zero(t, pending(t, db))
}

func TestPendingTellsCountAndAge(t *testing.T) {
	t.Parallel()
	db := harness.DB(t)
	backlog, err := outbox.Pending(context.Background(), db)
	require.NoError(t, err)
	require.Equal(t, outbox.Backlog{}, backlog)
	put(t, db, messages(rabbit.RequestDone, 3)...)
	age(t, db, `UPDATE outbox SET created_at = now() - interval '1 hour' WHERE id = (SELECT id FROM outbox ORDER BY id LIMIT 1)`)
	backlog, err = outbox.Pending(context.Background(), db)
	require.NoError(t, err)
	require.Equal(t, 3, backlog.Count)
	require.InDelta(t, time.Hour, backlog.Oldest, float64(time.Minute))
}

func TestPruneKeepsWhatIsUnsentOrYoung(t *testing.T) {
	t.Parallel()
	db := harness.DB(t)
	age(t, db, `INSERT INTO outbox (id, type, subject, version, sent_at)
		SELECT gen_random_uuid(), 'request.done', gen_random_uuid(), 1, now() - interval '8 days' FROM generate_series(1, 12000)`)
	age(t, db, `INSERT INTO outbox (id, type, subject, version, created_at, sent_at) VALUES
		(gen_random_uuid(), 'request.done', gen_random_uuid(), 1, now() - interval '9 days', now() - interval '1 day'),
		(gen_random_uuid(), 'request.done', gen_random_uuid(), 1, now() - interval '9 days', NULL)`)
	gone, err := outbox.Prune(context.Background(), db, 7*24*time.Hour)
	require.NoError(t, err)
	require.EqualValues(t, 12000, gone)
	require.Equal(t, 2, scan[int](t, db, `SELECT count(*) FROM outbox`))
}

func TestReplayRingsAgain(t *testing.T) {
	t.Parallel()
	db, cfg := harness.DB(t), harness.Rabbit(t)
	work := newRequests(t, db)
	mended := make(chan struct{})
	b := rabbit.New(cfg, zerolog.Nop())
	b.Consume(db, rabbit.QueueValidator, func(ctx context.Context, tx *postgres.Tx, events []rabbit.Event) error {
		select {
		case <-mended:
			return work.handle(ctx, tx, events)
		default:
			return errors.New("the rule is wrong")
		}
	})
	start(t, b.Run)
	start(t, outbox.NewRelay(db, b, zerolog.Nop()).Run)
	work.submit(t, 1, 1)
	var open []rabbit.ShelfRow
	require.Eventually(t, func() bool {
		var err error
		open, err = rabbit.OpenShelf(context.Background(), db)
		return err == nil && len(open) == 1
	}, soon, tick)
	close(mended)
	replay := func(ctx context.Context, tx *postgres.Tx) error {
		return outbox.Replay(ctx, tx, open[0].ID, "Operator KI")
	}
	require.NoError(t, db.InTx(context.Background(), replay))
	work.settled(t, 1)
	open2, err := rabbit.OpenShelf(context.Background(), db)
	require.NoError(t, err)
	require.Empty(t, open2)
	require.ErrorIs(t, db.InTx(context.Background(), replay), postgres.ErrStale, "replayed once")
	row, err := rabbit.Shelved(context.Background(), db, open[0].ID)
	require.NoError(t, err)
	require.True(t, row.Replayed)
	require.Zero(t, row.Replays, "none before this one")

	age(t, db, `INSERT INTO shelf (id, consumer, type, subject, reason, payload, attempts, opened_at)
		SELECT gen_random_uuid(), consumer, type, subject, 'failed: again', payload, 5, now() FROM shelf`)
	age(t, db, `INSERT INTO shelf (id, consumer, type, subject, reason, payload, attempts, opened_at)
		VALUES (gen_random_uuid(), 'validator', 'request.done', gen_random_uuid(), 'invalid', '{}', 1, now())`)
	open, err = rabbit.OpenShelf(context.Background(), db)
	require.NoError(t, err)
	require.Len(t, open, 2)
	require.Equal(t, 1, open[0].Replays)
	require.ErrorIs(t, db.InTx(context.Background(), func(ctx context.Context, tx *postgres.Tx) error {
		return outbox.Replay(ctx, tx, open[1].ID, "Operator KI")
	}), outbox.ErrNotReplayable)
	n, err := rabbit.CountShelf(context.Background(), db)
	require.NoError(t, err)
	require.Equal(t, 2, n, "what could not be replayed stays open")
}

func age(t *testing.T, db *postgres.DB, query string, args ...any) {
	t.Helper()
	require.NoError(t, db.InTx(context.Background(), func(ctx context.Context, tx *postgres.Tx) error {
		_, err := tx.Exec(ctx, query, args...)
		return err
	}))
}
