package local

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

const (
	stateName = "services.json"
	lockName  = "services.lock"
)

func (s *Services) file() string { return filepath.Join(s.Dir, stateName) }

// load reads services.json; a missing file is an empty, stopped Services.
func load(dir string) (*Services, error) {
	s := &Services{Dir: dir}
	text, err := os.ReadFile(s.file())
	if errors.Is(err, os.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return nil, fmt.Errorf("membaca catatan layanan: %w", err)
	}
	if err := json.Unmarshal(text, s); err != nil {
		return nil, fmt.Errorf("catatan layanan %s rusak: %w", s.file(), err)
	}
	s.Dir = dir // a moved run directory is still this one
	return s, nil
}

// update changes the state under its lock and writes it, because the services
// start side by side.
func (s *Services) update(change func()) error {
	s.save.Lock()
	defer s.save.Unlock()
	change()
	return s.writeLocked()
}

func (s *Services) write() error { return s.update(func() {}) }

func (s *Services) writeLocked() error {
	text, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return fmt.Errorf("menulis catatan layanan: %w", err)
	}
	next := s.file() + ".new"
	if err := os.WriteFile(next, append(text, '\n'), 0o600); err != nil {
		return fmt.Errorf("menulis catatan layanan: %w", err)
	}
	if err := os.Rename(next, s.file()); err != nil {
		return fmt.Errorf("menulis catatan layanan: %w", err)
	}
	return nil
}

// lockDir serialises start and stop over all processes of this machine. The
// kernel drops the lock when its holder dies.
func lockDir(ctx context.Context, dir string) (unlock func(), err error) {
	f, err := os.OpenFile(filepath.Join(dir, lockName), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("mengunci folder kerja: %w", err)
	}
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return func() { _ = f.Close() }, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) {
			_ = f.Close()
			return nil, fmt.Errorf("mengunci folder kerja: %w", err)
		}
		if err := pause(ctx, 50*time.Millisecond); err != nil {
			_ = f.Close()
			return nil, fmt.Errorf("menunggu proses lain yang memulai atau menghentikan layanan: %w", err)
		}
	}
}

// pause waits d or until ctx ends.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
