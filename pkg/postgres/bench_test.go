package postgres_test

import (
	"context"
	"database/sql"
	"testing"

	_ "github.com/lib/pq" // the peer of the benchmark
	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/test/harness"
)

// BenchmarkInsert compares one insert per transaction through InTx, which also takes
// the transaction id before COMMIT, with database/sql and lib/pq used plainly.
func BenchmarkInsert(b *testing.B) {
	d := harness.NewEmptyDatabase(b)
	db := d.Open(b, "")
	require.NoError(b, db.InTx(b.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		_, err := tx.Exec(ctx, `CREATE TABLE t (a int, b text)`)
		return err
	}))
	const insert = `INSERT INTO t (a, b) VALUES ($1, $2)`
	b.Run("InTx", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			require.NoError(b, db.InTx(b.Context(), func(ctx context.Context, tx *postgres.Tx) error {
				return tx.ExecOne(ctx, insert, i, "x")
			}))
		}
	})
	plain, err := sql.Open("postgres", d.URL(b, ""))
	require.NoError(b, err)
	defer func() { _ = plain.Close() }()
	b.Run("plain lib/pq", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			tx, err := plain.BeginTx(b.Context(), nil)
			require.NoError(b, err)
			_, err = tx.ExecContext(b.Context(), insert, i, "x")
			require.NoError(b, err)
			require.NoError(b, tx.Commit())
		}
	})
	b.Run("read/DB", func(b *testing.B) {
		var n int
		for b.Loop() {
			require.NoError(b, db.Get(b.Context(), &n, `SELECT $1::int`, 1))
		}
	})
	b.Run("read/plain lib/pq", func(b *testing.B) {
		var n int
		for b.Loop() {
			require.NoError(b, plain.QueryRowContext(b.Context(), `SELECT $1::int`, 1).Scan(&n))
		}
	})
}
