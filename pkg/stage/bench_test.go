package stage_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/stage"
	"dukcapil.go.id/sifilma/test/harness"
)

// BenchmarkSweep sweeps 2,000 open requests with 100,000 cards: on the next hari
// kerja, when each is written, and again when none is.
func BenchmarkSweep(b *testing.B) {
	db := harness.NewDatabase(b).Open(b, "")
	must := func(do func(ctx context.Context, tx *postgres.Tx) error) {
		require.NoError(b, db.InTx(b.Context(), do))
	}
	must(func(ctx context.Context, tx *postgres.Tx) error {
		for _, q := range []string{
			`SET LOCAL session_replication_role = replica`, // how they came here is not measured
			`INSERT INTO request (id, ticket, kind, institution_id, reference, title, sam_function, card_count, machine_type, letter_sender,
			                      letter_post, letter_number, letter_date, letter_subject, state, disposition_date, created_by, created_at)
			 SELECT (substr(uuid_floor(now())::text, 1, 14) || '7' || lpad(to_hex(i % 4096), 3, '0') || '-8' || lpad(to_hex(i), 3, '0') || '-000000000000')::uuid,
			        'T' || i, 'reader', gen_random_uuid(), 'R', 't', 'R', 50, 'uji', 'x', 'x', 'x', '2026-02-01', 'x',
			        CASE WHEN i % 10 = 0 THEN 'done' ELSE 'in_progress' END, '2026-03-01', 'uji', '2026-03-02' FROM generate_series(1, 2000) i`,
			`INSERT INTO request_fact SELECT id, 'letter_received', '{"counts_from":"2026-03-02"}', 'x', '2026-03-02' FROM request`,
			`INSERT INTO history (id, machine, subject, request_id, version, from_state, verb, to_state, actor, role, office_at)
			 SELECT gen_random_uuid(), 'request', r.id, r.id, n, '', 'x', s, 'x', 'x', '2026-03-02'::timestamptz + n * interval '1 hour'
			 FROM request r, unnest(ARRAY['submitted', 'validated', 'registered', 'approved', 'accepted', 'scheduled', 'in_progress']) WITH ORDINALITY AS step (s, n)`,
			`INSERT INTO card (id, request_id, serial, state) SELECT gen_random_uuid(), id, ticket || '-' || n, 'listed' FROM request, generate_series(1, 50) n`,
			`INSERT INTO history (id, machine, subject, request_id, version, from_state, verb, to_state, actor, role, office_at)
			 SELECT gen_random_uuid(), 'card', id, request_id, 1, '', 'x', 'x', 'x', 'x', now() FROM card`,
			`ANALYZE`,
		} {
			if _, err := tx.Exec(ctx, q); err != nil {
				return err
			}
		}
		return nil
	})
	sweep := func(at string, want int) {
		must(func(ctx context.Context, tx *postgres.Tx) error {
			s, err := stage.Sweep(ctx, tx, day(at).At(6, 0))
			require.Equal(b, want, s.Written, at)
			return err
		})
	}
	sweep("2026-03-02", 2000)
	today := day("2026-03-02")
	b.Run("next-day", func(b *testing.B) {
		for b.Loop() {
			for today = today.AddDays(1); today.Weekday() == 0 || today.Weekday() == 6; {
				today = today.AddDays(1)
			}
			sweep(today.String(), 2000)
		}
	})
	b.Run("unchanged", func(b *testing.B) {
		for b.Loop() {
			sweep(today.String(), 0)
		}
	})
}
