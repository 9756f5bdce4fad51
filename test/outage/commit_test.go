package outage

import (
	"context"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/postgres"
)

// TestAnIDGivenTwiceIsNobodysCommit crashes PostgreSQL while a transaction is
// under way. What it wrote had not reached the WAL on disk, so after the recovery
// its id goes to somebody else's transaction, which commits: nobody may take that
// for the commit of the first.
func TestAnIDGivenTwiceIsNobodysCommit(t *testing.T) {
	t.Parallel()
	of := start(t)
	p := of.services.Postgres
	db, err := postgres.Open(postgres.Config{URL: p.RoleURL("postgres", p.User, ""), PasswordFile: p.PasswordFile, MaxOpen: 4})
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close() })
	write := func(fn func(ctx context.Context, tx *postgres.Tx) error) error { return db.InTx(t.Context(), fn) }
	require.NoError(t, write(func(ctx context.Context, tx *postgres.Tx) error {
		_, err := tx.Exec(ctx, `CREATE TABLE said (id bigint PRIMARY KEY)`)
		return err
	}))
	id := 0
	// others go on until the id is theirs; false when it was never given again.
	others := func(xid string) (taken bool) {
		ours, err := strconv.Atoi(xid)
		require.NoError(t, err)
		for got := 0; got < ours; {
			id++
			require.NoError(t, write(func(ctx context.Context, tx *postgres.Tx) error {
				if err := tx.ExecOne(ctx, `INSERT INTO said VALUES ($1)`, id); err != nil {
					return err
				}
				return tx.Get(ctx, &got, `SELECT pg_current_xact_id()::text::bigint`)
			}))
			taken = taken || got == ours
		}
		return taken
	}
	for try := 1; ; try++ {
		require.LessOrEqual(t, try, 10, "no id was ever given again")
		id++
		mine, runs, taken := id, 0, false
		err := write(func(ctx context.Context, tx *postgres.Tx) error {
			if runs++; runs > 1 {
				return tx.ExecOne(ctx, `INSERT INTO said VALUES ($1)`, mine)
			}
			var m postgres.Mark
			if err := tx.Get(ctx, &m, `WITH i AS (INSERT INTO said VALUES ($1)) SELECT `+postgres.MarkColumns, mine); err != nil {
				return err
			}
			tx.Know(m) // so that the next statement is COMMIT
			of.kill(of.services.Postgres.Process)
			of.bringUp()
			taken = others(m.XID.String)
			return nil
		})
		var there int
		require.NoError(t, db.Get(t.Context(), &there, `SELECT count(*) FROM said WHERE id = $1`, mine))
		if !taken { // the WAL was faster: the server knows that it was not committed
			require.NoError(t, err)
			require.Equal(t, []int{2, 1}, []int{runs, there})
			continue
		}
		require.ErrorIs(t, err, postgres.ErrCommitUnknown)
		require.Equal(t, []int{1, 0}, []int{runs, there})
		t.Logf("the id was given again at try %d", try)
		return
	}
}
