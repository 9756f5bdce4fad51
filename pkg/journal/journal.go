// Package journal is the local, append-only journal of a perso station. It
// carries the card in hand through an outage of the database: what must be
// known after a crash is on this disk before the next command goes to the card.
//
// A journal is a text file with one JSON object on each line:
//
//	{"seq":2,"prev":"<hash of line 1>","at":"...","kind":"...","card":"...","attempt":"...","data":{...},"hash":"<hash of this line>"}
//
// "hash" is the SHA-256, in hex, of the line up to the comma before it; "prev"
// repeats the hash of the line before (64 zeros in the first), so a line that
// was changed, removed or put in shows. The end of the chain is given by
// [Journal.Head] for whoever keeps it elsewhere; only that can show that lines
// are missing at the end.
//
// One station holds a journal at a time. A line that was being written when the
// machine went down is set aside at the next opening; any other damage refuses
// the journal.
//
// A journal holds identifiers and hashes. Keys, CONF and other card secrets do
// not belong in it, also not encrypted.
package journal

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

var (
	// ErrLocked means that another process holds the journal.
	ErrLocked = errors.New("journal: in use by another process")
	// ErrBroken means that an earlier write failed, so that nothing more can
	// be promised: the journal must be opened again.
	ErrBroken = errors.New("journal: an earlier write failed")
	// ErrFull means that the disk has too little room for the next entries.
	ErrFull = errors.New("journal: disk nearly full")
	// ErrClosed means that the journal was closed.
	ErrClosed = errors.New("journal: closed")
	// ErrEntry means that the entry cannot be written as it is; the journal
	// is unharmed.
	ErrEntry = errors.New("journal: entry not acceptable")
)

// Head is the end of a chain: the number and hash of the last line. Both are
// zero for an empty journal.
type Head struct {
	Seq  uint64
	Hash string
}

// Journal is an open journal. Its methods may be called from any goroutine.
type Journal struct {
	path string
	torn int64

	mu   sync.Mutex
	file *os.File
	sync func() error // the file's, but where a test watches it
	size int64
	head Head
	err  error
	// mendable says that it was a write that failed, not a sync: what is on the
	// disk is known up to size.
	mendable bool
}

// TornSuffix is added to a journal's path for the file that collects lines cut
// off by a crash.
const TornSuffix = ".torn"

// Open opens the journal at path, creating it if need be, checks it from end to
// end and locks it. A line that was never finished is moved to the file at path
// plus TornSuffix; Torn tells. The errors are ErrLocked, a *[CorruptError], and
// those of the file system.
func Open(path string) (*Journal, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	j := &Journal{path: path, file: file, sync: file.Sync}
	if err := j.load(); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return j, nil
}

func (j *Journal) load() error {
	if info, err := j.file.Stat(); err != nil {
		return fmt.Errorf("journal: %w", err)
	} else if !info.Mode().IsRegular() {
		return fmt.Errorf("journal: %s is not a regular file", j.path)
	}
	if err := syscall.Flock(int(j.file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return fmt.Errorf("%w: %s", ErrLocked, j.path)
		}
		return fmt.Errorf("journal: lock: %w", err)
	}
	// Also when the file was there: the process that created it may have
	// died before it got here.
	if err := syncDir(filepath.Dir(j.path)); err != nil {
		return err
	}
	result, err := scan(j.file, func(Entry) error { return nil })
	if err != nil {
		var corrupt *CorruptError
		if errors.As(err, &corrupt) {
			corrupt.Path = j.path
		}
		return err
	}
	j.head, j.size, j.torn = result.head, result.size, int64(len(result.torn))
	if j.torn == 0 {
		return nil
	}
	if err := keepTorn(j.path+TornSuffix, result.torn); err != nil {
		return fmt.Errorf("journal: cannot set the unfinished line aside: %w", err)
	}
	if err := j.file.Truncate(j.size); err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	if err := j.file.Sync(); err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	return nil
}

// keepTorn appends an unfinished line to the file that collects them.
func keepTorn(path string, line []byte) (err error) {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	if _, err := file.Write(append(line, '\n')); err != nil {
		return err
	}
	if err := file.Sync(); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// syncDir makes the names in a directory durable.
func syncDir(dir string) (err error) {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	if err := d.Sync(); err != nil {
		return fmt.Errorf("journal: sync directory: %w", err)
	}
	return nil
}

// Torn gives the number of bytes that Open set aside: not 0 means that the
// machine went down while a line was being written. Whoever wrote that line was
// never told that it was kept.
func (j *Journal) Torn() int64 { return j.torn }

// Head gives the end of the chain.
func (j *Journal) Head() Head {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.head
}

// Append adds one entry and returns when it is on the disk. Seq and the chain
// are filled in, and At if it is zero. ErrEntry refuses the entry; after any
// other error the journal is broken, because what is on the disk is no longer
// known; Ready mends what can be mended.
func (j *Journal) Append(e Entry) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.err != nil {
		return j.err
	}
	if e.At.IsZero() {
		e.At = time.Now()
	}
	e.At = e.At.UTC()
	e.Seq = j.head.Seq + 1
	line, hash, err := encode(e, j.head)
	if err != nil {
		return err
	}
	if _, err := j.file.Write(line); err != nil {
		j.mendable = true
		return j.fail(err)
	}
	// Not tried again when it fails: the kernel may have dropped the pages and
	// would report success.
	if err := j.sync(); err != nil {
		return j.fail(err)
	}
	j.size += int64(len(line))
	j.head = Head{Seq: e.Seq, Hash: hash}
	return nil
}

func (j *Journal) fail(err error) error {
	j.err = fmt.Errorf("%w: %w", ErrBroken, err)
	return j.err
}

// spare is the room on the disk, in bytes, below which the journal is not
// ready: enough for the entries of many cards at once.
const spare = 64 << 10

// Ready says whether the next entries can be expected to be kept; ask before an
// undertaking that must not be left without them. A journal that is broken
// because a write found no room is mended: the line that was cut off goes to the
// file with TornSuffix, and the journal takes entries again. After a failed sync
// it stays broken until it is opened anew, because the kernel may show pages
// that are not on the disk.
func (j *Journal) Ready() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.err != nil && !j.mendable {
		return j.err
	}
	var disk syscall.Statfs_t
	if err := syscall.Fstatfs(int(j.file.Fd()), &disk); err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	if disk.Bavail*uint64(disk.Bsize) < spare {
		return errors.Join(ErrFull, j.err)
	}
	if j.err == nil {
		return nil
	}
	if err := j.mend(); err != nil {
		return errors.Join(j.err, err)
	}
	j.err, j.mendable = nil, false
	return nil
}

// mend takes off what a failed write left behind the last good line.
func (j *Journal) mend() error {
	info, err := j.file.Stat()
	if err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	if info.Size() > j.size {
		torn := make([]byte, info.Size()-j.size)
		if _, err := j.file.ReadAt(torn, j.size); err != nil {
			return fmt.Errorf("journal: %w", err)
		}
		if err := keepTorn(j.path+TornSuffix, torn); err != nil {
			return fmt.Errorf("journal: cannot set the unfinished line aside: %w", err)
		}
	}
	if err := j.file.Truncate(j.size); err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	if err := j.file.Sync(); err != nil {
		j.mendable = false
		return j.fail(err)
	}
	return nil
}

// Replay calls fn for each entry, from the first, that was in the journal when
// Replay was called, and checks the chain again. fn may append. An error of fn
// ends the replay and is returned.
func (j *Journal) Replay(fn func(Entry) error) error {
	j.mu.Lock()
	file, size, err := j.file, j.size, j.err
	j.mu.Unlock()
	if err != nil && !errors.Is(err, ErrBroken) {
		return err
	}
	result, err := scan(io.NewSectionReader(file, 0, size), fn)
	var corrupt *CorruptError
	if errors.As(err, &corrupt) && corrupt.Path == "" {
		corrupt.Path = j.path
	}
	if err == nil && result.size != size {
		return &CorruptError{Path: j.path, Line: result.head.Seq + 1, Reason: "file was changed while open"}
	}
	return err
}

// Close releases the journal.
func (j *Journal) Close() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if errors.Is(j.err, ErrClosed) {
		return nil
	}
	j.err = ErrClosed
	// Closing alone would leave the lock to a child of this process that is just being
	// started: until it runs its program it has all files that were open.
	unlock := syscall.Flock(int(j.file.Fd()), syscall.LOCK_UN)
	return errors.Join(unlock, j.file.Close())
}
