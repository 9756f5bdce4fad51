package feeder_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/daemons/perso-station/internal/feeder"
	"dukcapil.go.id/sifilma/daemons/perso-station/internal/line"
)

// Each command runs as it is written, without a shell; one that fails says why, and one
// that does not end is killed with what it has started.
func TestCommands(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name+" $(touch x)") }
	all := []feeder.Config{{
		Reader: "R", Next: []string{"/usr/bin/touch", file("next")}, Good: []string{"/usr/bin/touch", file("good")},
		Reject: []string{"/bin/sh", "-c", "echo macet >&2; exit 3"}, Doubt: []string{"/bin/sh", "-c", "sleep 600 & sleep 600"}, Timeout: 300 * time.Millisecond,
	}}
	require.NoError(t, feeder.Validate(all))
	require.Nil(t, feeder.For(all, "another"))
	f := feeder.For(all, "R")
	require.NoError(t, f.Next(t.Context()))
	require.NoError(t, f.Bin(t.Context(), line.GoodBin))
	for _, name := range []string{"next", "good"} {
		_, err := os.Stat(file(name))
		require.NoError(t, err)
	}
	require.ErrorContains(t, f.Bin(t.Context(), line.RejectBin), "macet")
	require.ErrorContains(t, f.Bin(t.Context(), line.DoubtBin), "killed after 300ms")
	require.Error(t, f.Bin(t.Context(), "other"))
}

func TestFeedersAreChecked(t *testing.T) {
	t.Parallel()
	good := feeder.Config{Reader: "R", Next: []string{"/a"}, Good: []string{"/a"}, Reject: []string{"/a"}, Doubt: []string{"/a"}}
	require.NoError(t, feeder.Validate([]feeder.Config{good}))
	require.Error(t, feeder.Validate([]feeder.Config{good, good}), "twice")
	for name, spoil := range map[string]func(*feeder.Config){
		"no reader": func(c *feeder.Config) { c.Reader = " " }, "no command": func(c *feeder.Config) { c.Doubt = nil },
		"no whole path": func(c *feeder.Config) { c.Next = []string{"feed"} }, "negative": func(c *feeder.Config) { c.Timeout = -1 },
	} {
		c := good
		spoil(&c)
		require.Error(t, feeder.Validate([]feeder.Config{c}), name)
	}
}
