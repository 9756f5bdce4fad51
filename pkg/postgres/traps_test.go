package postgres_test

import (
	"bytes"
	"context"
	"database/sql"
	"database/sql/driver"
	"os"
	"strings"
	"testing"

	"github.com/lib/pq"
	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/test/harness"
)

// insertItem is a statement with an effect that shows how often it ran.
const insertItem = `INSERT INTO item (id) SELECT max(id) + 1 FROM item`

// naivePool is lib/pq behind database/sql, as anybody would use it.
func naivePool(t *testing.T, cfg postgres.Config) *sql.DB {
	t.Helper()
	pc, err := pq.NewConfig(cfg.URL)
	require.NoError(t, err)
	password, err := os.ReadFile(cfg.PasswordFile)
	require.NoError(t, err)
	pc.ConnectTimeout = 0 // a busy machine is not what is looked at
	pc.Password = strings.TrimSpace(string(password))
	connector, err := pq.NewConnectorConfig(pc)
	require.NoError(t, err)
	pool := sql.OpenDB(connector)
	t.Cleanup(func() { _ = pool.Close() })
	require.NoError(t, pool.PingContext(t.Context()))
	return pool
}

// The answer of the server is lost on its way. What the library makes of that
// depends on where: a lone statement runs twice without a word, and a COMMIT
// that took place is told as a failure. test/README.md lists the other traps.
func TestTrapE7LostAnswer(t *testing.T) {
	t.Parallel()
	inserting := func(sent []byte) bool { return bytes.Contains(sent, []byte(insertItem)) }
	naive := func(t *testing.T, loses func(sent []byte) bool) (pool *sql.DB, items func() int) {
		t.Helper()
		cfg := fresh(t)
		proxy, addr := startCommitProxy(t, harness.NewEmptyDatabase(t).Address(), answerLost)
		proxy.match = loses
		direct := open(t, cfg)
		pool = naivePool(t, via(t, cfg, addr))
		proxy.armed.Store(true)
		t.Cleanup(func() { require.False(t, proxy.armed.Load(), "an answer was lost") })
		return pool, func() int { return number(t, direct, `SELECT count(*) - 10 FROM item`) }
	}
	t.Run("naive lone statement", func(t *testing.T) {
		t.Parallel()
		pool, items := naive(t, inserting)
		_, err := pool.ExecContext(t.Context(), insertItem)
		require.NoError(t, err)
		require.Equal(t, 2, items(), "it ran twice, and nobody is told")
	})
	t.Run("naive statement of a transaction", func(t *testing.T) {
		t.Parallel()
		pool, items := naive(t, inserting)
		tx, err := pool.BeginTx(t.Context(), nil)
		require.NoError(t, err)
		_, err = tx.ExecContext(t.Context(), insertItem)
		require.ErrorIs(t, err, driver.ErrBadConn)
		require.Error(t, tx.Commit())
		require.Zero(t, items())
	})
	t.Run("naive commit", func(t *testing.T) {
		t.Parallel()
		pool, items := naive(t, isCommit)
		tx, err := pool.BeginTx(t.Context(), nil)
		require.NoError(t, err)
		_, err = tx.ExecContext(t.Context(), insertItem)
		require.NoError(t, err)
		require.ErrorIs(t, tx.Commit(), driver.ErrBadConn)
		require.Equal(t, 1, items(), "the failure is none")
	})

	// TestLostCommit has the commit, TestServerRefusesWritesOutsideInTx the lone
	// statement: there is none.
	t.Run("ours statement of a transaction", func(t *testing.T) {
		t.Parallel()
		cfg := fresh(t)
		proxy, addr := startCommitProxy(t, harness.NewEmptyDatabase(t).Address(), answerLost)
		proxy.match = func(sent []byte) bool { return sent[0] == 'B' } // bind and execute
		db := open(t, via(t, cfg, addr))
		runs, rang := 0, 0
		insert := func() error {
			return db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
				runs++
				tx.OnCommit(func() { rang++ })
				return tx.ExecOne(ctx, insertItem)
			})
		}
		require.NoError(t, insert()) // and prepares the statement
		proxy.armed.Store(true)
		require.NoError(t, insert())
		require.False(t, proxy.armed.Load(), "an answer was lost")
		require.Equal(t, 3, runs, "the second one ran again")
		require.Equal(t, 2, rang)
		require.Equal(t, 12, number(t, open(t, cfg), `SELECT count(*) FROM item`))
	})
}
