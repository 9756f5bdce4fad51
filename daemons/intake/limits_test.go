package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/configs"
	"dukcapil.go.id/sifilma/pkg/config"
)

// A limit above what can be looked at is refused at the start, by its name.
func TestLimitsThatCannotBeKeptAreRefused(t *testing.T) {
	t.Parallel()
	shipped, err := configs.Files.ReadFile("intake.yaml")
	require.NoError(t, err)
	for _, c := range []struct{ old, fresh, refused string }{
		{"scan: 3145728", "scan: 3145728", ""},
		{"scan: 3145728", "scan: 16777216", ""},
		{"scan: 3145728", "scan: 16777217", "limits: scan is 16777217, above 16777216 (16 MB)"},
		{"card_list: 5242880", "card_list: 5242881", "limits: card_list is 5242881, above 5242880 (5 MB)"},
	} {
		require.Contains(t, string(shipped), c.old)
		path := filepath.Join(t.TempDir(), "intake.yaml")
		require.NoError(t, os.WriteFile(path, []byte(strings.Replace(string(shipped), c.old, c.fresh, 1)), 0o600))
		cfg := defaults()
		if err := config.Load(path, &cfg); c.refused == "" {
			require.NoError(t, err, c.fresh)
		} else {
			require.ErrorContains(t, err, c.refused)
		}
	}
}
