package config

import (
	"path/filepath"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"
)

func TestAVariableThatNobodyReadsIsAnError(t *testing.T) {
	t.Parallel()
	examples := fstest.MapFS{"other.yaml": {Data: []byte("sweeper: {every: 15s}\n")}}
	cfg := defaults()
	for name, c := range map[string]struct{ variable, nearest string }{
		"own":                  {"SIFILMA_POSTGRES_URL=x", ""},
		"inlined":              {"SIFILMA_LOG_LEVEL=debug", ""},
		"not of the house":     {"POSTGRES_URLS=x", ""},
		"another daemon's":     {"SIFILMA_SWEEPER_EVERY=5s", ""},
		"of the tests":         {"SIFILMA_TEST_RUN=/x", ""},
		"of the crash run":     {"SIFILMA_CRASH_MINUTES=2", ""},
		"of make":              {"SIFILMA_RUN_DIR=.run", ""},
		"a letter too few":     {"SIFILMA_POSTGRES_MAX_OPN=3", "SIFILMA_POSTGRES_MAX_OPEN"},
		"a word of our own":    {"SIFILMA_STRICTLY=true", "SIFILMA_STRICT"},
		"nearly a tool":        {"SIFILMA_RUN_DIRECTORY=x", ""},
		"not the whole prefix": {"SIFILMA_CRASHED=1", ""},
	} {
		err := CheckEnviron([]string{"HOME=/", c.variable}, &cfg, examples)
		switch {
		case c.nearest != "":
			require.ErrorContains(t, err, "did you mean "+c.nearest+"?", name)
		case name == "nearly a tool" || name == "not the whole prefix":
			require.ErrorContains(t, err, "is no setting", name)
		default:
			require.NoError(t, err, name)
		}
	}
}

func TestEdits(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		a, b string
		n    int
	}{{"", "", 0}, {"", "abc", 3}, {"kitten", "sitting", 3}, {"flaw", "lawn", 2}, {"same", "same", 0}} {
		require.Equal(t, c.n, edits(c.a, c.b))
		require.Equal(t, c.n, edits(c.b, c.a))
	}
}

func TestFilesThatAreNotThereAreNamed(t *testing.T) {
	t.Parallel()
	cfg := defaults()
	require.NoError(t, CheckFiles(&cfg), "none is named")
	cfg.Postgres.PasswordFile = filepath.Join(t.TempDir(), "missing")
	err := CheckFiles(&cfg)
	require.ErrorContains(t, err, "postgres.password_file")
	require.ErrorContains(t, err, cfg.Postgres.PasswordFile)
}
