package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/daemon"
	"dukcapil.go.id/sifilma/test/harness"
)

func checkConfig(t *testing.T, path string) (code int, says string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = daemon.Run("perso-station", []string{"-check-config", "-config", path}, &out, &errs, nil, defaults,
		func(context.Context, *daemon.Env, *Config) error { panic("must not be wired") })
	return code, out.String() + errs.String()
}

func TestShippedConfigurationIsValid(t *testing.T) {
	t.Parallel()
	code, says := checkConfig(t, harness.Shipped(t, "perso-station"))
	require.Equal(t, 0, code, says)
}

func TestConfigurationFaultsAreFound(t *testing.T) {
	t.Parallel()
	shipped, err := os.ReadFile("../../configs/perso-station.yaml")
	require.NoError(t, err)
	for name, c := range map[string]struct{ old, new, says string }{
		"softhsm in production": {"allow_softhsm: true", "allow_softhsm: false", "allow_softhsm"},
		"station name":          {"station: perso-1\n", "station: Perso 1\n", "station"},
		"no profile":            {"profile: gp-scp03-sam", "profile: ''", "profile is missing"},
		"profile file":          {"profile: gp-scp03-sam", "profile: ./nowhere.json", "name of one in the database"},
		"numbers of its own":    {"look: 2s", "look: 2s\nnumbers: {pcid: x}", "numbers"},
		"reader pattern":        {"readers: []", "readers: ['[']", "readers"},
		"no broker":             {"url: amqp://sifilma@127.0.0.1:5672/sifilma", "url: ''", "rabbit: url is missing"},
		"signal without time":   {"signal_timeout: 2s", "signal_timeout: 0s", "signal_timeout"},
		"idle before it began":  {"idle_after: 30m", "idle_after: -1m", "idle_after"},
		"unknown key":           {"look: 2s", "lok: 2s", "lok"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Contains(t, string(shipped), c.old)
			path := filepath.Join(t.TempDir(), "station.yaml")
			require.NoError(t, os.WriteFile(path, []byte(strings.Replace(string(shipped), c.old, c.new, 1)), 0o600))
			code, says := checkConfig(t, path)
			require.Equal(t, 2, code)
			require.Contains(t, says, c.says)
		})
	}
}
