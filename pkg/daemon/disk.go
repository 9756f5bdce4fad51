package daemon

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"syscall"

	"github.com/prometheus/client_golang/prometheus"
)

// ErrDiskLow means that a disk has less room than its reserve: new work waits,
// and what is begun has the reserve to be finished in.
var ErrDiskLow = errors.New("disk is low")

// recovery is the part of the reserve that must be free on top of it before a
// low disk counts as good again, so that a disk at its limit does not flap.
const recovery = 16

// Disk watches the file system of one folder against a reserve. Its methods may
// be called from any goroutine; each asks the file system, which takes about a
// microsecond. The zero of *Disk, nil, is never low.
type Disk struct {
	dir     string
	reserve uint64
	free    prometheus.Gauge
	statfs  func(path string, buf *syscall.Statfs_t) error

	mu  sync.Mutex
	low bool
}

// NewDisk watches the file system that holds the folder dir; reserve is in
// bytes, and 0 watches nothing. What it finds is in the metric
// sifilma_disk_free_bytes.
func NewDisk(dir string, reserve int64, reg prometheus.Registerer) (*Disk, error) {
	if reserve < 0 {
		return nil, fmt.Errorf("disk: reserve of %s is negative", dir)
	}
	d := &Disk{dir: dir, reserve: uint64(reserve), statfs: syscall.Statfs}
	d.free = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "sifilma_disk_free_bytes", Help: "Room on the disk that is watched, for those without privileges.",
		ConstLabels: prometheus.Labels{"folder": dir},
	})
	if err := reg.Register(d.free); err != nil {
		return nil, fmt.Errorf("disk: %w", err)
	}
	return d, nil
}

// WatchDisk watches the file system of dir and shows it in /readyz as "disk";
// health logs when it becomes low and when it is good again.
func (e *Env) WatchDisk(dir string, reserve int64) (*Disk, error) {
	d, err := NewDisk(dir, reserve, e.Registry)
	if err != nil {
		return nil, err
	}
	e.AddCheck("disk", func(context.Context) error { return d.Refuse() })
	return d, nil
}

// Refuse says why no new work may begin, nil if it may: an error around
// ErrDiskLow, or that of a file system that does not answer, on which nothing
// can be promised either.
func (d *Disk) Refuse() error {
	if d == nil || d.reserve == 0 {
		return nil
	}
	var now syscall.Statfs_t
	if err := d.statfs(d.dir, &now); err != nil {
		return fmt.Errorf("disk: %s: %w", d.dir, err)
	}
	free := now.Bavail * uint64(now.Bsize)
	d.free.Set(float64(free))
	d.mu.Lock()
	defer d.mu.Unlock()
	need := d.reserve
	if d.low {
		need += d.reserve / recovery
	}
	if d.low = free < need; d.low {
		return fmt.Errorf("%w: %d MiB free at %s, %d MiB wanted", ErrDiskLow, free>>20, d.dir, (need+1<<20-1)>>20)
	}
	return nil
}

// Low says whether new work must wait.
func (d *Disk) Low() bool { return d.Refuse() != nil }
