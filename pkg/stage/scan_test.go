package stage_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/pkg/stage"
)

// TestTheLookBetweenSweepsReadsNoTableThrough: with years of requests behind the
// office it finds what is open, and new ones; what ended before any sweep saw it is
// found by the next whole one.
func TestTheLookBetweenSweepsReadsNoTableThrough(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	const many = 20_000
	swept, fresh, gone := r.submit("2026-03-02 09:00"), "", ""
	r.tx(func(ctx context.Context, tx *postgres.Tx) error {
		_, err := stage.Sweep(ctx, tx, at("2026-03-02 10:00"))
		return err
	})
	fresh, gone = r.submit("2026-03-02 11:00").ID, r.submit("2026-03-02 11:00").ID
	r.take(gone, request.Cancel, "2026-03-02 11:01")
	r.tx(func(ctx context.Context, tx *postgres.Tx) error {
		for _, q := range []string{
			`SET LOCAL session_replication_role = replica`,
			`INSERT INTO request (id, ticket, kind, institution_id, reference, title, sam_function, card_count, machine_type,
			                      letter_sender, letter_post, letter_number, letter_date, letter_subject, state, disposition_date, created_by, created_at)
			 SELECT gen_random_uuid(), 'T' || n, 'reader', i.id, 'R' || n, 'Uji', 'R', 1, 'uji', 'x', 'x', 'x', '2020-01-01', 'x', 'done', '2020-01-01', 'uji', '2020-01-01'
			 FROM institution i, generate_series(1, 20000) n`,
			`INSERT INTO request_stage (request_id, stage, status, standing, since, stage_office, stage_applicant, office, applicant, over, ended_on)
			 SELECT id, 'handover', 'on_time', '', '2020-01-01', 0, 0, 0, 0, 0, '2020-02-02' FROM request WHERE state = 'done'`,
		} {
			if _, err := tx.Exec(ctx, q); err != nil {
				return err
			}
		}
		return nil
	})
	r.tx(func(ctx context.Context, tx *postgres.Tx) error {
		_, err := tx.Exec(ctx, `ANALYZE request, request_stage`)
		return err
	})
	r.tx(func(ctx context.Context, tx *postgres.Tx) error {
		read := func() (rows int64) { // what the connection read before is in it too, until the server has taken note
			require.NoError(t, tx.Get(ctx, &rows, `SELECT coalesce(sum(seq_tup_read + coalesce(idx_tup_fetch, 0)), 0)::bigint FROM pg_stat_xact_user_tables
				WHERE relname IN ('request', 'request_stage')`))
			return rows
		}
		before := read()
		s, err := stage.SweepOpen(ctx, tx, at("2026-03-02 12:00"))
		require.NoError(t, err)
		require.Equal(t, 2, s.Open)
		require.Equal(t, 1, s.Written)
		require.Less(t, read()-before, int64(many/100))
		return nil
	})
	require.NotEmpty(t, r.row(swept.ID))
	require.NotEmpty(t, r.row(fresh))
	r.tx(func(ctx context.Context, tx *postgres.Tx) error {
		s, err := stage.Sweep(ctx, tx, at("2026-03-02 13:00"))
		require.Equal(t, [2]int{3, 1}, [2]int{s.Open, s.Written}, "with the one that is gone")
		return err
	})
	require.NotEmpty(t, r.row(gone))
}
