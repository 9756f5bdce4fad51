package ground_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/daemon"
	"dukcapil.go.id/sifilma/pkg/daemon/ground"
	"dukcapil.go.id/sifilma/pkg/outbox"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/rabbit"
	"dukcapil.go.id/sifilma/schema"
	"dukcapil.go.id/sifilma/test/harness"
)

type config struct {
	daemon.Common `yaml:",inline"`
	ground.Config `yaml:",inline"`
}

// What operators watch is there, and right: what waits in the outbox and since
// when, what lies on the shelf, how often a message has failed.
func TestTheBacklogIsMeasured(t *testing.T) {
	t.Parallel()
	base := harness.NewDatabase(t)
	db := base.Open(t, "")
	surroundings := harness.Daemon{Postgres: base.Config(t, "sifilma_validator"), Rabbit: harness.Rabbit(t)}
	addr := make(chan string, 1)
	surroundings.Start(t, time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC), func(args []string, log io.Writer, signals <-chan os.Signal) int {
		return daemon.Run("validator", args, io.Discard, log, signals, func() config { return config{} },
			func(_ context.Context, env *daemon.Env, cfg *config) error {
				_, err := ground.Stand(env, cfg.Config, schema.Version()) // and no relay that sends
				addr <- env.Addr()
				return err
			})
	})
	at := <-addr
	require.NoError(t, db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		if err := outbox.Put(ctx, tx, outbox.Message{Type: rabbit.RequestDone, Subject: uuid.NewString(), Version: 1},
			outbox.Message{Type: rabbit.RequestDone, Subject: uuid.NewString(), Version: 1}); err != nil {
			return err
		}
		for _, statement := range []string{
			`UPDATE outbox SET created_at = now() - interval '1 hour'`,
			`INSERT INTO shelf (id, consumer, type, subject, reason, payload, attempts, opened_at)
			 VALUES (gen_random_uuid(), 'scheduler', 'request.held', gen_random_uuid(), 'failed: x', '{}', 5, now())`,
			`INSERT INTO delivery_attempt (consumer, message_id, attempts, last_error, at)
			 VALUES ('validator', gen_random_uuid(), 3, 'x', now()), ('validator', gen_random_uuid(), 1, 'x', now())`,
		} {
			if _, err := tx.Exec(ctx, statement); err != nil {
				return err
			}
		}
		return nil
	}))
	for _, want := range []string{
		`sifilma_outbox_rows 2`, `sifilma_outbox_oldest_seconds 36\d\d`, `sifilma_shelf_open\{consumer="scheduler"\} 1`,
		`sifilma_delivery_attempts_most\{consumer="validator"\} 3`, `sifilma_rabbit_blocked\{link="publish"\} 0`,
		`sifilma_postgres_connections_limit \d+`,
	} {
		line := regexp.MustCompile(`(?m)^` + want)
		require.Eventually(t, func() bool { return line.MatchString(get(t, at, "/metrics")) }, 20*time.Second, 50*time.Millisecond, want)
	}
	require.Contains(t, get(t, at, "/api/v1/status"), `"outbox":{"count":2`)
}

func get(t *testing.T, addr, path string) string {
	resp, err := http.Get(fmt.Sprintf("http://%s%s", addr, path))
	if err != nil {
		return err.Error()
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return string(body)
}
