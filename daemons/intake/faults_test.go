package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// deafProxy stands before PostgreSQL and loses the answers to COMMIT when it is
// told to: the server commits, the client never hears of it.
type deafProxy struct {
	target   string
	listener net.Listener
	left     atomic.Int32 // answers to lose
	work     sync.WaitGroup
}

func newDeafProxy(t *testing.T, target string) *deafProxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p := &deafProxy{target: target, listener: l}
	p.work.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			p.work.Go(func() { p.serve(client) })
		}
	})
	t.Cleanup(func() { _ = l.Close() })
	return p
}

func (p *deafProxy) address() string { return p.listener.Addr().String() }

func (p *deafProxy) lose(n int32) { p.left.Store(n) }

func (p *deafProxy) serve(client net.Conn) {
	defer func() { _ = client.Close() }()
	server, err := net.Dial("tcp", p.target)
	if err != nil {
		return
	}
	defer func() { _ = server.Close() }()
	var deaf atomic.Bool
	p.work.Go(func() {
		defer func() { _ = client.Close() }()
		buf := make([]byte, 32<<10)
		for {
			n, err := server.Read(buf)
			if err != nil || deaf.Load() { // what the server says after COMMIT: it is done
				return
			}
			if _, err := client.Write(buf[:n]); err != nil {
				return
			}
		}
	})
	commit := []byte("Q\x00\x00\x00\x0bCOMMIT\x00") // the simple query on the wire
	buf := make([]byte, 32<<10)
	for {
		n, err := client.Read(buf)
		if err != nil {
			return
		}
		if left := p.left.Load(); left > 0 && bytes.Equal(buf[:n], commit) {
			deaf.Store(p.left.CompareAndSwap(left, left-1))
		}
		if _, err := server.Write(buf[:n]); err != nil {
			return
		}
		if deaf.Load() {
			_, _ = io.Copy(io.Discard, client)
			return
		}
	}
}

// disk is a small one of its own.
type disk struct {
	dir string
	all int64
}

func smallDisk(t *testing.T, size int64) *disk {
	t.Helper()
	d := &disk{dir: t.TempDir(), all: size}
	require.NoError(t, unix.Mount("tmpfs", d.dir, "tmpfs", 0, fmt.Sprintf("size=%d", size)))
	t.Cleanup(func() { require.NoError(t, unix.Unmount(d.dir, unix.MNT_DETACH)) })
	return d
}

// leave fills the disk until so many bytes are free.
func (d *disk) leave(t *testing.T, free int64) {
	t.Helper()
	name := filepath.Join(d.dir, "ballast")
	if free >= d.all {
		require.NoError(t, os.Remove(name))
		return
	}
	require.NoError(t, os.WriteFile(name, make([]byte, d.all-free), 0o600))
}

// empty fails the test when drops have left anything on the disk. The file that
// made it small does not count.
func (d *disk) empty(t *testing.T) {
	t.Helper()
	left, err := os.ReadDir(d.dir)
	require.NoError(t, err)
	var ballast int64
	for _, f := range left {
		require.Equal(t, "ballast", f.Name())
		info, err := f.Info()
		require.NoError(t, err)
		ballast = info.Size()
	}
	require.Eventually(t, func() bool { // a file without a name is gone with its last descriptor
		var now syscall.Statfs_t
		return syscall.Statfs(d.dir, &now) == nil && int64(now.Bavail)*now.Bsize >= d.all-ballast-(64<<10)
	}, 10*time.Second, time.Millisecond)
}
