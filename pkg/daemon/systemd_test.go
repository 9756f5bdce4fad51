package daemon

import (
	"context"
	"net"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestServiceManagerHearsOfStartAndStop(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notify")
	l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	require.NoError(t, err)
	defer func() { _ = l.Close() }()
	require.NoError(t, l.SetReadDeadline(time.Now().Add(10*time.Second)))
	t.Setenv("NOTIFY_SOCKET", path)
	heard := func() string {
		buf := make([]byte, 100)
		n, err := l.Read(buf)
		require.NoError(t, err)
		return string(buf[:n])
	}
	d := start(t, func(context.Context, *Env, *testConfig) error { return nil })
	require.Equal(t, "READY=1", heard())
	d.signals <- syscall.SIGTERM
	require.Equal(t, "STOPPING=1", heard())
	require.Equal(t, 0, d.wait(t))
}
