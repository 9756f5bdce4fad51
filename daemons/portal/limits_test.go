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
func TestScansThatCannotBeLookedAtAreRefused(t *testing.T) {
	t.Parallel()
	shipped, err := configs.Files.ReadFile("portal.yaml")
	require.NoError(t, err)
	for size, refused := range map[string]string{
		"10485760": "", "16777216": "", "16777217": "portal: max_scan is 16777217, above 16777216 (16 MB)", "1000": "portal: max_scan is too small",
	} {
		require.Contains(t, string(shipped), "max_scan: 10485760")
		path := filepath.Join(t.TempDir(), "portal.yaml")
		require.NoError(t, os.WriteFile(path, []byte(strings.Replace(string(shipped), "max_scan: 10485760", "max_scan: "+size, 1)), 0o600))
		cfg := defaults()
		if err := config.Load(path, &cfg); refused == "" {
			require.NoError(t, err, size)
		} else {
			require.ErrorContains(t, err, refused)
		}
	}
}
