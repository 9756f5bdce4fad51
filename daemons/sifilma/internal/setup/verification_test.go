package setup_test

import (
	"context"
	"encoding/json"
	"io/fs"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/letter"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/schema"
	"dukcapil.go.id/sifilma/test/harness"
)

// TestPapersOfBeforeCanBeVerified: each gets a token of its own, and keeps whose
// signatures it wants.
func TestPapersOfBeforeCanBeVerified(t *testing.T) {
	t.Parallel()
	database := harness.NewEmptyDatabase(t)
	owner := database.Config(t, "")
	names, err := fs.Glob(schema.Migrations(), "*_verification.sql")
	require.NoError(t, err)
	require.Len(t, names, 1)
	require.NoError(t, postgres.MigrateAs(t.Context(), owner, before(t, names[0])))
	db := database.Open(t, "")
	require.NoError(t, db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		for _, q := range []string{
			// No requests and files behind them.
			`ALTER TABLE document DROP CONSTRAINT document_request_id_fkey, DROP CONSTRAINT document_pdf_blob_fkey`,
			`SET LOCAL session_replication_role = replica`,
			`INSERT INTO destruction (id, request_id, ordinal, destroyed, method, reason, first_name, first_post, second_name, second_post, drawn_by, office_at)
			 VALUES (gen_random_uuid(), gen_random_uuid(), 1, '2026-11-20', 'digunting', 'gagal', 'Ani', 'Operator', 'Budi', 'Kasubdit', 'ani', now())`,
			`INSERT INTO document (id, kind, subject_id, request_id, state, number, dated, signatory, pdf_blob, created_at)
			 SELECT gen_random_uuid(), 'reply_letter', gen_random_uuid(), gen_random_uuid(), 'awaiting_signature', n, '2026-11-20',
			        '{"name": "Pejabat", "post": "Dirjen", "nip": "1"}', gen_random_uuid(), now() FROM generate_series(1, 200) n`,
			`INSERT INTO document (id, kind, subject_id, request_id, state, number, dated, pdf_blob, created_at)
			 SELECT gen_random_uuid(), 'destruction_report', id, request_id, 'awaiting_signature', 'b', '2026-11-20', gen_random_uuid(), now() FROM destruction`,
			`INSERT INTO document (id, kind, subject_id, request_id, state, signatory, created_at)
			 VALUES (gen_random_uuid(), 'bast', gen_random_uuid(), gen_random_uuid(), 'drafted', '{"name": "Pejabat", "post": "Direktur"}', now())`,
		} {
			if _, err := tx.Exec(ctx, q); err != nil {
				return err
			}
		}
		return nil
	}))
	require.NoError(t, postgres.MigrateAs(t.Context(), owner, schema.Migrations()))

	var tokens []string
	require.NoError(t, db.Select(t.Context(), &tokens, `SELECT DISTINCT verification_token FROM document`))
	require.Len(t, tokens, 202)
	for _, token := range tokens {
		_, ok := letter.ParseToken(token)
		require.True(t, ok, token)
	}
	for kind, want := range map[string][]letter.Signature{
		letter.ReplyLetter:       {{Name: "Pejabat", Post: "Dirjen"}},
		letter.DestructionReport: {{Name: "Ani", Post: "Operator"}, {Name: "Budi", Post: "Kasubdit"}},
		letter.BAST:              {}, // its files are still to be made
	} {
		var all []string
		require.NoError(t, db.Select(t.Context(), &all, `SELECT DISTINCT signatures::text FROM document WHERE kind = $1`, kind))
		require.Len(t, all, 1)
		got := []letter.Signature{}
		require.NoError(t, json.Unmarshal([]byte(all[0]), &got))
		require.Equal(t, want, got, kind)
	}
}
