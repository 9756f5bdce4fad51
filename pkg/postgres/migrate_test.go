package postgres_test

import (
	"context"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/test/harness"
)

// files makes a folder of migrations from names and texts.
func files(pairs ...string) fstest.MapFS {
	m := fstest.MapFS{}
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i]] = &fstest.MapFile{Data: []byte(pairs[i+1])}
	}
	return m
}

const (
	first  = "CREATE TABLE a (n int); INSERT INTO a VALUES (1);"
	second = "CREATE TABLE b (n int);\nINSERT INTO b SELECT n FROM a;"
)

func TestMigrate(t *testing.T) {
	t.Parallel()
	d := harness.NewEmptyDatabase(t)
	db := d.Open(t, "")
	url := d.URL(t, "")
	ctx := t.Context()
	one := files("0001_a.sql", first)
	both := files("migrations/0001_a.sql", first, "migrations/0002_b.sql", second, "migrations/README.md", "x")

	db.Expect(1)
	require.ErrorContains(t, db.Check(ctx), "schema version is 0, this program needs 1")
	require.NoError(t, postgres.Migrate(ctx, url, one))
	require.NoError(t, db.Check(ctx))
	require.NoError(t, postgres.Migrate(ctx, url, one), "again: nothing to do")
	require.Equal(t, 1, number(t, db, `SELECT count(*) FROM a`))

	v, err := postgres.LatestVersion(both)
	require.NoError(t, err)
	db.Expect(v)
	require.ErrorContains(t, db.Check(ctx), "needs 2")
	ready := make(chan error, 1)
	go func() { ready <- db.WaitReady(ctx) }()
	results := make(chan error, 4)
	for range 4 { // several daemons start at once
		go func() { results <- postgres.Migrate(ctx, url, both) }()
	}
	for range 4 {
		require.NoError(t, <-results)
	}
	require.NoError(t, <-ready, "WaitReady saw the new version come")
	require.Equal(t, 1, number(t, db, `SELECT count(*) FROM b`))

	require.ErrorContains(t, postgres.Migrate(ctx, url, one), "newer than this program")
	changed := files("0001_a.sql", first+" ", "0002_b.sql", second)
	require.ErrorContains(t, postgres.Migrate(ctx, url, changed), "0001_a.sql was changed after it was applied")

	broken := files("0001_a.sql", first, "0002_b.sql", second, "0003_c.sql", "CREATE TABLE c (n int); SELECT 1/0;")
	require.ErrorContains(t, postgres.Migrate(ctx, url, broken), "0003_c.sql")
	require.Equal(t, 0, number(t, db, `SELECT count(*) FROM pg_tables WHERE tablename = 'c'`), "all of it or nothing")
	require.NoError(t, db.Check(ctx))
}

func TestMigrationNames(t *testing.T) {
	t.Parallel()
	for want, fs := range map[string]fstest.MapFS{
		"no migrations":      files("x.txt", ""),
		"gap":                files("0001_a.sql", first, "0003_c.sql", second),
		"should have number": files("0001_a.sql", first, "0001_b.sql", second),
		"NNNN_name.sql":      files("0001_a.sql", first, "2_b.sql", second),
	} {
		_, err := postgres.LatestVersion(fs)
		require.ErrorContains(t, err, want)
		require.ErrorContains(t, postgres.Migrate(t.Context(), "postgres://nobody@127.0.0.1:1/none", fs), want)
	}
}

func TestWaitingForAnAbsentServerEnds(t *testing.T) {
	t.Parallel()
	soon := func() context.Context {
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		t.Cleanup(cancel)
		return ctx
	}
	const nowhere = "postgres://nobody@127.0.0.1:1/none?sslmode=disable"
	require.ErrorIs(t, postgres.Migrate(soon(), nowhere, files("0001_a.sql", first)), context.DeadlineExceeded)
	db := open(t, postgres.Config{URL: nowhere})
	err := db.WaitReady(soon())
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorContains(t, err, "refused", "the last finding is in the error")
	require.True(t, postgres.Foreign(db.Check(t.Context())))
	runs := 0
	err = db.InTx(t.Context(), func(context.Context, *postgres.Tx) error { runs++; return nil })
	require.True(t, postgres.Foreign(err))
	require.Zero(t, runs)
}
