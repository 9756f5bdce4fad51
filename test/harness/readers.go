package harness

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"dukcapil.go.id/sifilma/deploy/local"
)

// Lease is the exclusive use of some virtual readers for one test.
type Lease struct {
	Socket  string         // PCSCLITE_CSOCK_NAME, set in this process
	Readers []local.Reader // independent of each other
	enter   func(*exec.Cmd) error
}

// Readers leases n virtual readers and waits for them while other tests have
// them. A test calls it once. The readers are empty at first.
func Readers(t testing.TB, n int) Lease {
	t.Helper()
	s := Services(t)
	all := s.PCSC.Primary()
	if n < 1 || n > len(all) {
		t.Fatalf("the test wants %d readers, the test run has %d", n, len(all))
	}
	if err := os.Setenv("PCSCLITE_CSOCK_NAME", s.PCSC.Socket); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(s.Data, "test-lease")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	// Whoever gathers readers holds the gate, so that two tests cannot each hold
	// half of what both want.
	gate := openLock(t, dir, "gate")
	defer func() { _ = gate.Close() }()
	waitLock(t, gate)
	lease := Lease{Socket: s.PCSC.Socket, enter: s.InReaderNamespace}
	free := make([]*os.File, len(all))
	for i := range all {
		free[i] = openLock(t, dir, strconv.Itoa(all[i].Driver))
	}
	for len(lease.Readers) < n {
		for i, f := range free {
			if f == nil || len(lease.Readers) == n || !tryLock(t, f) {
				continue
			}
			free[i] = nil
			lease.Readers = append(lease.Readers, all[i])
			t.Cleanup(func() { _ = f.Close() }) // closing unlocks
		}
		if len(lease.Readers) < n {
			wait(t)
		}
	}
	for _, f := range free {
		if f != nil {
			_ = f.Close()
		}
	}
	return lease
}

// Command is exec.CommandContext for a program that talks to the card side of
// the readers: it runs where their ports are.
func (l Lease) Command(ctx context.Context, t testing.TB, name string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(ctx, name, args...)
	if err := l.enter(cmd); err != nil {
		t.Fatal(err)
	}
	return cmd
}

func openLock(t testing.TB, dir, name string) *os.File {
	t.Helper()
	f, err := os.OpenFile(filepath.Join(dir, name), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func tryLock(t testing.TB, f *os.File) bool {
	t.Helper()
	err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if err != nil && !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) {
		t.Fatal(err)
	}
	return err == nil
}

func waitLock(t testing.TB, f *os.File) {
	t.Helper()
	for !tryLock(t, f) {
		wait(t)
	}
}

func wait(t testing.TB) {
	t.Helper()
	timer := time.NewTimer(20 * time.Millisecond)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-t.Context().Done():
		t.Fatal("the test ended while it waited for card readers")
	}
}
