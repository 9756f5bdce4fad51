package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"dukcapil.go.id/sifilma/deploy/local"
)

// endOffice asks the `sifilma up` of a run directory to stop and waits for it:
// otherwise it would start again what is stopped beneath it. Who holds up.lock
// is alive, and its pid is in it.
func endOffice(ctx context.Context, dir string) error {
	dir, err := local.RunDir(dir)
	if err != nil {
		return err
	}
	f, err := os.Open(filepath.Join(dir, "up.lock"))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for asked := false; ; {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return nil
		} else if !errors.Is(err, unix.EWOULDBLOCK) {
			return err
		}
		if body, err := os.ReadFile(f.Name()); err == nil && !asked {
			if pid, err := strconv.Atoi(strings.TrimSpace(string(body))); err == nil && pid > 1 {
				if err := unix.Kill(pid, unix.SIGTERM); err != nil {
					return fmt.Errorf("menghentikan kantor: %w", err)
				}
				asked = true
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("kantor di %s tidak berhenti", dir)
		case <-time.After(100 * time.Millisecond):
		}
	}
}
