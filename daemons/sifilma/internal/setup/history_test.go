package setup_test

import (
	"context"
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/daemons/sifilma/internal/setup"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/schema"
	"dukcapil.go.id/sifilma/test/harness"
)

// before gives the migrations up to a version.
func before(t *testing.T, version string) fs.FS {
	t.Helper()
	some := fstest.MapFS{}
	all := schema.Migrations()
	require.NoError(t, fs.WalkDir(all, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || d.Name() >= version {
			return err
		}
		body, err := fs.ReadFile(all, path)
		some[d.Name()] = &fstest.MapFile{Data: body}
		return err
	}))
	return some
}

// TestTheTimelineIsRolledWithoutLoss: a database with a year of steps, made
// before the timeline had months, keeps every step and every rule.
func TestTheTimelineIsRolledWithoutLoss(t *testing.T) {
	t.Parallel()
	database := harness.NewEmptyDatabase(t)
	owner := database.Config(t, "")
	require.NoError(t, postgres.MigrateAs(t.Context(), owner, before(t, "0009")))
	db := database.Open(t, "")
	exec := func(q string, args ...any) error {
		return db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
			_, err := tx.Exec(ctx, q, args...)
			return err
		})
	}
	require.NoError(t, exec(`INSERT INTO transition VALUES ('card', '', 'list', 'listed', true), ('card', 'listed', 'bind', 'bound', true)`))
	const subjects = 365
	// One subject a day for a year, and one that is no UUIDv7.
	for i := range subjects {
		ms := time.Now().AddDate(0, 0, -i).UnixMilli()
		subject := fmt.Sprintf("%08x-%04x-7000-8000-%012x", ms>>16, ms&0xffff, i)
		require.NoError(t, exec(`INSERT INTO history (id, machine, subject, request_id, version, from_state, verb, to_state, actor, role, reason, detail, office_at)
			VALUES (gen_random_uuid(), 'card', $1, $1, 1, '', 'list', 'listed', 'uji', 'sistem', 'alasan', '{"a":1}', now()),
			       (gen_random_uuid(), 'card', $1, $1, 2, 'listed', 'bind', 'bound', 'uji', 'sistem', '', '{}', now())`, subject))
	}
	require.NoError(t, exec(`INSERT INTO history (id, machine, subject, version, from_state, verb, to_state, actor, role, office_at)
		VALUES (gen_random_uuid(), 'card', 'ffffffff-ffff-4fff-8fff-ffffffffffff', 1, '', 'list', 'listed', 'uji', 'sistem', now())`))
	digest := func() (sum string) {
		require.NoError(t, db.Get(t.Context(), &sum, `SELECT md5(string_agg(h::text, '|' ORDER BY id)) FROM history h WHERE machine = 'card'`)) // the set-up adds steps of its own
		return sum
	}
	kept := digest()

	require.NoError(t, setup.Migrate(t.Context(), owner))
	require.Equal(t, kept, digest(), "every column of every step")
	var n int
	require.NoError(t, db.Get(t.Context(), &n, `SELECT count(*) FROM history_rest`))
	require.Equal(t, 1, n, "only what is no UUIDv7")
	require.NoError(t, db.Get(t.Context(), &n, `SELECT count(*) FROM pg_inherits WHERE inhparent = 'history'::regclass`))
	require.GreaterOrEqual(t, n, 12+1+3)

	// The rules hold over the months.
	var subject string
	require.NoError(t, db.Get(t.Context(), &subject, `SELECT subject FROM history ORDER BY subject LIMIT 1`))
	again := `INSERT INTO history (id, machine, subject, version, from_state, verb, to_state, actor, role, office_at)
		VALUES (gen_random_uuid(), 'card', $1, $2, $3, 'bind', 'bound', 'uji', 'sistem', now())`
	require.ErrorContains(t, exec(again, subject, 2, "listed"), "duplicate key", "no version twice, however long ago the first was")
	require.True(t, postgres.IsForeignKey(exec(again, subject, 3, "clear"), "known_step"), "no step that the machine does not know")
	require.ErrorContains(t, exec(`UPDATE history SET reason = ''`), "never changed")
	require.ErrorContains(t, exec(`DELETE FROM history WHERE subject = $1`, subject), "never changed")
	validator := database.Open(t, "sifilma_validator")
	require.NoError(t, validator.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		_, err := tx.Exec(ctx, again, subject, 3, "listed")
		return err
	}), "daemons write as before")

	// A step is looked up in the month of its subject, whatever the number of months.
	var plan []string
	require.NoError(t, db.Select(t.Context(), &plan, `EXPLAIN SELECT at FROM history WHERE machine = 'card' AND subject = '`+subject+`' AND version = 1`))
	text := strings.Join(plan, "\n")
	require.Equal(t, 1, strings.Count(text, "Scan"), text)
	plan = nil
	require.NoError(t, db.Select(t.Context(), &plan, `EXPLAIN SELECT * FROM history WHERE request_id = '`+subject+`' ORDER BY id`))
	require.NotContains(t, strings.Join(plan, "\n"), "Sort Key: history.id\n        ->  Seq Scan on history_2026", "the request's steps come by their index")
}
