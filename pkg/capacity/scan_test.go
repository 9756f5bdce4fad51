package capacity_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/capacity"
	"dukcapil.go.id/sifilma/pkg/postgres"
)

// TestATickReadsNoTableThrough: what each tick of the scheduler asks stays cheap when
// years of orders, commands and requests lie behind the office, and a long queue before
// it.
func TestATickReadsNoTableThrough(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	const many = 20_000
	o.tx(t, func(ctx context.Context, tx *postgres.Tx) error {
		for _, q := range []string{
			`SET LOCAL session_replication_role = replica`,
			`INSERT INTO request (id, ticket, kind, institution_id, reference, title, sam_function, card_count, machine_type,
			                      letter_sender, letter_post, letter_number, letter_date, letter_subject, state, disposition_date, created_by, created_at)
			 SELECT gen_random_uuid(), 'T' || n, 'reader', i.id, 'R' || n, 'Uji', 'R', 1, 'uji', 'x', 'x', 'x', '2020-01-01', 'x', CASE n % 2 WHEN 0 THEN 'done' ELSE 'scheduled' END, '2020-01-01', 'uji', '2020-01-01'
			 FROM institution i, generate_series(1, 20000) n`,
			`INSERT INTO capacity_day (day, capacity) SELECT date '2000-01-01' + n, 10 FROM generate_series(1, 2000) n`,
			`INSERT INTO work_order (id, request_id, day, slots, capacity, remaining, state)
			 SELECT gen_random_uuid(), (SELECT id FROM request LIMIT 1), date '2000-01-01' + 1 + n / 10, int4range(n % 10 + 1, n % 10 + 2), 10, 1, CASE n % 2 WHEN 0 THEN 'closed' ELSE 'planned' END
			 FROM generate_series(0, 19999) n`,
			`INSERT INTO day_command (id, verb, day, reason, ordered_by, ordered_at, done_at, outcome)
			 SELECT gen_random_uuid(), 'close', '2020-01-01', 'x', 'x', '2020-01-01', '2020-01-01', 'x' FROM generate_series(1, 20000)`,
			`INSERT INTO schedule_run (job, window_start, effects)
			 SELECT j, timestamptz '2000-01-01' + make_interval(days => n), '{"released": 1}' FROM generate_series(1, 5000) n, (VALUES ('release'), ('close'), ('replan')) AS x (j)`,
		} {
			if _, err := tx.Exec(ctx, q); err != nil {
				return err
			}
		}
		return nil
	})
	o.tx(t, func(ctx context.Context, tx *postgres.Tx) error {
		_, err := tx.Exec(ctx, `ANALYZE request, work_order, day_command, schedule_run, plan_due`)
		return err
	})
	in := o.input(t, o.day.At(9, 0))
	o.tx(t, func(ctx context.Context, tx *postgres.Tx) error {
		for name, do := range map[string]func() error{
			"Pending":  func() error { _, err := capacity.Pending(ctx, tx); return err },
			"WaitsNow": func() error { _, err := capacity.WaitsNow(ctx, tx); return err },
			"Settle":   func() error { _, err := capacity.Settle(ctx, tx, in.OfficeAt); return err },
			"Ahead":    func() error { _, err := capacity.Ahead(ctx, tx, in, 5); return err },
		} {
			read := func() (rows int64) {
				require.NoError(t, tx.Get(ctx, &rows, `SELECT coalesce(sum(seq_tup_read + coalesce(idx_tup_fetch, 0)), 0)::bigint FROM pg_stat_xact_user_tables
					WHERE relname IN ('request', 'work_order', 'day_command', 'schedule_run', 'plan_due')`))
				return rows
			}
			before := read()
			require.NoError(t, do(), name)
			require.Less(t, read()-before, int64(many/100), "%s reads a table through", name)
		}
		return nil
	})
}
