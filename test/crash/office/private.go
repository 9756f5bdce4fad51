package office

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"dukcapil.go.id/sifilma/deploy/local"
)

// Private makes a run directory of this process below base, named after what it
// is for. What a like one left there whose process is gone makes way.
func Private(base, what string) (dir string, err error) {
	old, err := filepath.Glob(filepath.Join(base, what+"-*"))
	if err != nil {
		return "", err
	}
	for _, dir := range old {
		var p local.Process
		if _, err := fmt.Sscanf(filepath.Base(dir), what+"-%d-%d", &p.PID, &p.Started); err != nil {
			continue
		}
		if now, alive := local.Identify(p.PID); alive && now.Started == p.Started {
			continue
		}
		if err := Sweep(dir); err != nil {
			return "", err
		}
	}
	self, ok := local.Identify(os.Getpid())
	if !ok {
		return "", errors.New("proses ini tidak dikenali")
	}
	dir = filepath.Join(base, fmt.Sprintf("%s-%d-%d", what, self.PID, self.Started))
	return dir, os.MkdirAll(dir, 0o755) //nolint:gosec // the user postgres passes through
}

// Sweep removes a directory of Private, whose office is in the folder "crash",
// with all that runs in it.
func Sweep(dir string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	return errors.Join(Clean(ctx, filepath.Join(dir, "crash")), os.RemoveAll(dir))
}
