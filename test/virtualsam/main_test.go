package main

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"dukcapil.go.id/sifilma/test/virtualsam/control"
	"dukcapil.go.id/sifilma/test/virtualsam/control/client"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestReaderFlag(t *testing.T) {
	t.Parallel()
	var r readers
	require.NoError(t, r.Set("Perso A 00 00=127.0.0.1:35963"))
	require.NoError(t, r.Set("a=b=[::1]:35964"))
	require.Equal(t, readers{{"Perso A 00 00", "127.0.0.1:35963"}, {"a=b", "[::1]:35964"}}, r)
	for _, bad := range []string{"", "A", "=x:1", "A=", "a=b=other:1"} {
		require.Error(t, r.Set(bad), bad)
	}
}

// TestRunStops stops the program with a card waiting for a driver that is not
// there and a client connected; goleak sees that nothing stays behind.
func TestRunStops(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("", "vsam") // t.TempDir can be too long for a socket
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	socket, path := filepath.Join(dir, "control"), filepath.Join(dir, "write.log")
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	run1, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- run(run1, socket, path, readers{{"A", "127.0.0.1:1"}}, zerolog.Nop()) }()

	var c *client.Client
	require.Eventually(t, func() bool {
		c, err = client.Dial(ctx, socket)
		return err == nil
	}, 5*time.Second, 5*time.Millisecond)
	defer func() { _ = c.Close() }()
	key := control.Secret("404142434445464748494A4B4C4D4E4F")
	require.NoError(t, c.Make(ctx, control.Make{ID: "1", Serial: "S", KVN: "30", ENC: key, MAC: key, DEK: key}))
	require.NoError(t, c.Insert(ctx, "A", "1"))
	require.Error(t, run(ctx, socket, path, readers{{"A", "127.0.0.1:1"}}, zerolog.Nop()), "the socket is taken")

	stop()
	require.NoError(t, <-ended)
	_, _, err = c.List(ctx)
	require.Error(t, err)
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
}
