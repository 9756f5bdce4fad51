package daemon

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestDiskIsLowBelowItsReserveAndGoodAgainAbove(t *testing.T) {
	t.Parallel()
	d, err := NewDisk("/spool", 16000, prometheus.NewRegistry())
	require.NoError(t, err)
	free, fault := uint64(0), error(nil)
	d.statfs = func(path string, buf *syscall.Statfs_t) error {
		require.Equal(t, "/spool", path)
		buf.Bsize, buf.Bavail, buf.Bfree = 10, free/10, 1<<40 // what root alone may use does not count
		return fault
	}
	for _, step := range []struct {
		free uint64
		low  bool
	}{{16000, false}, {15990, true}, {16000, true}, {16990, true}, {17000, false}, {16000, false}, {0, true}, {17000, false}} {
		free = step.free
		err := d.Refuse()
		require.Equal(t, step.low, err != nil, "%d bytes", free)
		if step.low {
			require.ErrorIs(t, err, ErrDiskLow)
		}
		require.Equal(t, step.low, d.Low())
	}
	fault = syscall.EIO
	require.ErrorIs(t, d.Refuse(), syscall.EIO, "a disk that does not answer promises nothing")
}

func TestDiskWithoutReserveIsNeverLow(t *testing.T) {
	t.Parallel()
	d, err := NewDisk("/nonexistent", 0, prometheus.NewRegistry())
	require.NoError(t, err)
	require.NoError(t, d.Refuse())
	require.False(t, (*Disk)(nil).Low())
	_, err = NewDisk("/", -1, prometheus.NewRegistry())
	require.Error(t, err)
}

// A real small disk fills up and is emptied again; readyz and the log tell, once
// each.
func TestDiskThatFillsUpShowsInReadyz(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=4m"); err != nil {
		// Without the right to mount, a real disk that is too small by any measure must do.
		require.ErrorIs(t, err, unix.EPERM)
		d, err := NewDisk(dir, 1<<60, prometheus.NewRegistry())
		require.NoError(t, err)
		require.ErrorIs(t, d.Refuse(), ErrDiskLow)
		return
	}
	t.Cleanup(func() { require.NoError(t, unix.Unmount(dir, unix.MNT_DETACH)) })
	var disk *Disk
	d := start(t, func(ctx context.Context, env *Env, cfg *testConfig) (err error) {
		disk, err = env.WatchDisk(dir, 1<<20)
		return err
	})
	d.ready(t)
	ballast := filepath.Join(dir, "ballast")
	require.NoError(t, os.WriteFile(ballast, make([]byte, 3<<20+1<<19), 0o600))
	for range 3 {
		require.ErrorIs(t, disk.Refuse(), ErrDiskLow)
		status, body := d.get(t, "/readyz")
		require.Equal(t, 503, status)
		require.Contains(t, body, `"disk"`)
	}
	_, metrics := d.get(t, "/metrics")
	require.Contains(t, metrics, "sifilma_disk_free_bytes")
	require.NoError(t, os.Remove(ballast))
	require.False(t, disk.Low())
	d.ready(t)
	require.Equal(t, 1, strings.Count(d.log.String(), "check became bad"))
	require.Equal(t, 1, strings.Count(d.log.String(), "check is good again"))
	d.signals <- syscall.SIGTERM
	require.Equal(t, 0, d.wait(t))
}
