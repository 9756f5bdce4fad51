package register_test

import (
	"bytes"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/register"
	"dukcapil.go.id/sifilma/pkg/register/registertest"
	"dukcapil.go.id/sifilma/test/harness"
)

// TestDataGoesIntoTablesWithTheirTriggers: a dump of the data alone goes into a new
// schema, though pg_restore works without a search path.
func TestDataGoesIntoTablesWithTheirTriggers(t *testing.T) {
	t.Parallel()
	from, to := harness.NewDatabase(t), harness.NewDatabase(t)
	db, restored := from.Open(t, ""), to.Open(t, "")
	registertest.Put(t, db, card(1), card(2), card(3))
	right := card(1)
	right.Serial = "SAM90001"
	_, err := correct(t, db, "SAM00001", &right)
	require.NoError(t, err)
	_, err = correct(t, db, "SAM00002", nil)
	require.NoError(t, err)

	run := func(database *harness.Database, name string, args ...string) {
		cmd := exec.CommandContext(t.Context(), name, append(args, "--dbname="+database.URL(t, ""))...)
		var said bytes.Buffer
		cmd.Stderr = &said
		require.NoError(t, cmd.Run(), said.String())
	}
	file := filepath.Join(t.TempDir(), "data.dump")
	run(from, "pg_dump", "--format=custom", "--data-only", "--table=register_*", "--file="+file)
	run(to, "pg_restore", "--data-only", "--exit-on-error", file)
	for _, query := range []string{`SELECT count(*) FROM register_entry`, `SELECT count(*) FROM register_correction`, `SELECT count(*) FROM register_standing`} {
		require.Equal(t, count(t, db, query), count(t, restored, query), query)
	}
	past, err := register.Find(t.Context(), restored, register.Serial, "SAM90001")
	require.NoError(t, err)
	require.Equal(t, 2, past.Edition)
}

// TestFunctionsFindTheirTables: a function without a search path of its own fails
// under a caller that has none.
func TestFunctionsFindTheirTables(t *testing.T) {
	t.Parallel()
	db := harness.DB(t)
	var without []string
	require.NoError(t, db.Select(t.Context(), &without, `
		SELECT p.proname FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang
		WHERE l.lanname = 'plpgsql' AND p.pronamespace = current_schema()::regnamespace
		  AND NOT EXISTS (SELECT FROM unnest(p.proconfig) c WHERE c LIKE 'search_path=%')`))
	require.Empty(t, without, "write: CREATE FUNCTION … SET search_path = public, pg_temp")
}
