package drop

import (
	"io"
	"os"
	"sync"
)

// rollMemory is how much of a drop stays in memory before it goes to the disk:
// the files of most drops that are no scans, at a fraction of the time.
const rollMemory = 64 << 10 // bytes

var memories = sync.Pool{New: func() any { return new([rollMemory]byte) }}

// roll holds the files of one drop one after the other, in memory as long as
// they are small together, then in one file of the spool.
type roll struct {
	spool  *Spool
	size   int64
	memory *[rollMemory]byte
	file   *os.File
}

// Write appends; an error is a *spoolError.
func (r *roll) Write(p []byte) (int, error) {
	if r.file == nil && r.size+int64(len(p)) <= rollMemory {
		if r.memory == nil {
			r.memory = memories.Get().(*[rollMemory]byte)
		}
		copy(r.memory[r.size:], p)
		r.size += int64(len(p))
		return len(p), nil
	}
	if err := r.spill(); err != nil {
		return 0, err
	}
	n, err := r.file.WriteAt(p, r.size)
	if err != nil {
		return n, &spoolError{err}
	}
	r.size += int64(n)
	return n, nil
}

// spill moves what is in memory to the disk.
func (r *roll) spill() error {
	if r.file != nil {
		return nil
	}
	file, err := r.spool.create()
	if err != nil {
		return err
	}
	if r.memory != nil {
		if _, err := file.WriteAt(r.memory[:r.size], 0); err != nil {
			_ = file.Close() // it has no name: nothing stays
			return &spoolError{err}
		}
	}
	r.file = file
	r.forget()
	return nil
}

// cut takes back what was written from at on.
func (r *roll) cut(at int64) error {
	r.size = at
	if r.file == nil {
		return nil
	}
	if err := r.file.Truncate(at); err != nil {
		return &spoolError{err}
	}
	return nil
}

// ReadAt reads what was written.
func (r *roll) ReadAt(p []byte, at int64) (int, error) {
	if r.file != nil {
		return r.file.ReadAt(p, at)
	}
	if at >= r.size {
		return 0, io.EOF
	}
	n := copy(p, r.memory[at:r.size])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (r *roll) forget() {
	if r.memory != nil {
		memories.Put(r.memory)
		r.memory = nil
	}
}

// close gives memory and disk back.
func (r *roll) close() {
	r.size = 0
	r.forget()
	if r.file != nil {
		_ = r.file.Close() // it has no name: nothing can be lost
		r.file = nil
	}
}
