package drop

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
)

const spoolPattern = "sifilma-drop-*"

// Spool is the private folder that drops pass through. A spool file has no name
// while it is in use, so that it is gone when the process is, however it ends.
type Spool struct {
	dir string
	own bool
}

// OpenSpool opens the folder, made when it is missing, and removes what an
// earlier process may have left. An empty dir is a folder of this process's own.
func OpenSpool(dir string) (*Spool, error) {
	if dir == "" {
		made, err := os.MkdirTemp("", "sifilma-intake-") // mode 0700
		if err != nil {
			return nil, fmt.Errorf("spool: %w", err)
		}
		return &Spool{dir: made, own: true}, nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("spool: %w", err)
	}
	left, err := filepath.Glob(filepath.Join(dir, spoolPattern))
	if err != nil {
		return nil, fmt.Errorf("spool: %w", err)
	}
	for _, name := range left {
		if err := os.Remove(name); err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, fmt.Errorf("spool: %w", err)
		}
	}
	return &Spool{dir: dir}, nil
}

// Dir is the folder.
func (s *Spool) Dir() string { return s.dir }

// Close removes a folder of this process's own.
func (s *Spool) Close() error {
	if !s.own {
		return nil
	}
	return os.RemoveAll(s.dir)
}

// Check reports whether the folder takes files.
func (s *Spool) Check() error {
	f, err := s.create()
	if err != nil {
		return err
	}
	return f.Close()
}

func (s *Spool) create() (*os.File, error) {
	f, err := os.CreateTemp(s.dir, spoolPattern) // mode 0600
	if err != nil {
		return nil, &spoolError{err}
	}
	if err := os.Remove(f.Name()); err != nil && !errors.Is(err, os.ErrNotExist) {
		_ = f.Close()
		return nil, &spoolError{err}
	}
	return f, nil
}

// spoolError is a fault of this machine's disk.
type spoolError struct{ err error }

func (e *spoolError) Error() string { return "spool: " + e.err.Error() }
func (e *spoolError) Unwrap() error { return e.err }

// tooLargeError says that a part is longer than its limit.
type tooLargeError struct{}

func (*tooLargeError) Error() string { return "drop: part too large" }

// File is a file of a drop in the spool.
type File struct {
	Kind      string // request.FileLetter and so on
	Name      string // as the client called it, made harmless
	MediaType string // as found by looking at the content
	Pointer   string // where errors about it point
	Size      int64
	SHA256    [sha256.Size]byte

	in *roll
	at int64
}

// Content reads the file from its beginning; each call gives a reader of its
// own.
func (f *File) Content() *io.SectionReader { return io.NewSectionReader(f.in, f.at, f.Size) }

// copying are the buffers through which parts are read.
var copying = sync.Pool{New: func() any { return new([32 << 10]byte) }}

// take adds a part of up to limit bytes to the roll.
func (r *roll) take(from io.Reader, kind string, limit int64) (*File, error) {
	sum := sha256.New()
	at := r.size
	buf := copying.Get().(*[32 << 10]byte)
	defer copying.Put(buf)
	n, err := io.CopyBuffer(io.MultiWriter(r, sum), io.LimitReader(from, limit+1), buf[:])
	if err == nil && n > limit {
		err = &tooLargeError{}
	}
	if err != nil {
		return nil, errors.Join(err, r.cut(at))
	}
	f := &File{Kind: kind, Size: n, in: r, at: at}
	sum.Sum(f.SHA256[:0])
	return f, nil
}
