package clock

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// Office is the civil clock of the office.
type Office interface {
	// Now returns the instant in UTC.
	Now() time.Time
}

// Today returns the civil date of the office clock in Asia/Jakarta.
func Today(o Office) Date { return DateOf(o.Now()) }

// OpenOffice opens the office clock named by spec:
//
//	"real" (or "")  the time of the machine
//	"file:<path>"   the file holds one RFC 3339 instant
//
// A file clock looks at the file on every Now and reads it again when it was
// replaced or changed; between two writes it stands still. A step backwards is
// honoured, because whoever writes the file owns the time: use it on test and
// demonstration data only. If the file cannot be read later, the last instant stays.
func OpenOffice(spec string) (Office, error) {
	switch {
	case spec == "" || spec == "real":
		return realOffice{}, nil
	case strings.HasPrefix(spec, "file:"):
		f := &fileOffice{path: strings.TrimPrefix(spec, "file:")}
		if f.path == "" {
			return nil, errors.New(`clock: office clock "file:" names no file`)
		}
		if err := f.refresh(); err != nil {
			return nil, fmt.Errorf("clock: office clock: %w", err)
		}
		return f, nil
	}
	return nil, fmt.Errorf(`clock: office clock %q is neither "real" nor "file:<path>"`, spec)
}

type realOffice struct{}

// IsReal tells whether an office clock follows the machine's.
func IsReal(o Office) bool {
	_, ok := o.(realOffice)
	return ok
}

func (realOffice) Now() time.Time { return time.Now().UTC() }

type fileOffice struct {
	path string

	mu   sync.Mutex
	seen os.FileInfo // the file as it was when now was read
	now  time.Time
}

func (f *fileOffice) Now() time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	_ = f.refresh() // the last instant stays when the file cannot be read
	return f.now
}

// refresh reads the file when it is not the one seen last.
func (f *fileOffice) refresh() error {
	fi, err := os.Stat(f.path)
	if err != nil {
		return err
	}
	if f.seen != nil && os.SameFile(f.seen, fi) && f.seen.ModTime().Equal(fi.ModTime()) && f.seen.Size() == fi.Size() {
		return nil
	}
	b, err := os.ReadFile(f.path)
	if err != nil {
		return err
	}
	t, err := time.Parse(time.RFC3339Nano, strings.TrimSpace(string(b)))
	if err != nil {
		return fmt.Errorf("%s does not hold one RFC 3339 instant", f.path)
	}
	f.now, f.seen = t.UTC(), fi
	return nil
}

// StepOffice writes the instant of a "file:" office clock. The file is replaced
// by a rename, so a reader sees the old instant or the new one, never a part.
func StepOffice(path string, t time.Time) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return fmt.Errorf("clock: step office clock: %w", err)
	}
	_, err = tmp.WriteString(t.UTC().Format(time.RFC3339Nano) + "\n")
	if err == nil {
		err = tmp.Chmod(0o644)
	}
	if cerr := tmp.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		_ = os.Remove(tmp.Name())
		return fmt.Errorf("clock: step office clock: %w", err)
	}
	return nil
}

// FixedOffice is an office clock that stands where it was set. For tests.
type FixedOffice struct {
	mu  sync.Mutex
	now time.Time
}

// NewFixedOffice returns an office clock standing at t.
func NewFixedOffice(t time.Time) *FixedOffice { return &FixedOffice{now: t.UTC()} }

// Now returns the instant set last, in UTC.
func (f *FixedOffice) Now() time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.now
}

// Set moves the clock to t.
func (f *FixedOffice) Set(t time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.now = t.UTC()
}

// Advance moves the clock by d.
func (f *FixedOffice) Advance(d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.now = f.now.Add(d)
}
