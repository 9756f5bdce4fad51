// Package local runs the parts SI-FILMA stands on as private instances for one
// machine: PostgreSQL, RabbitMQ, a PC/SC host with virtual readers, and a
// SoftHSM token. Everything lives below one run directory, listens on loopback
// only, and never touches the services of the system.
//
// The instances outlive the process that started them, so that a demo or a test
// can be killed and started again; services.json in the run directory records
// what runs, with process start times, so that a recycled pid is never signalled.
package local

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// DefaultDir is the run directory used when neither Options.Dir nor
// SIFILMA_RUN_DIR names one.
const DefaultDir = ".run"

// Options says where and how the services run.
type Options struct {
	// Dir is the run directory; empty means SIFILMA_RUN_DIR, then DefaultDir.
	Dir string
	// PortBase is the first port to try; 0 means SIFILMA_PORT_BASE, then a number
	// derived from Dir so that two clones on one machine do not meet.
	PortBase int
	// Readers is the number of virtual reader drivers, each with two slots; 0 means 2.
	Readers int
	// Log receives progress lines in Indonesian; nil discards them.
	Log func(message string)
}

// Services describes the running instances. It is what services.json holds.
type Services struct {
	// Dir is the absolute run directory.
	Dir string `json:"dir"`
	// Data holds the files of the services: Dir itself, or a short place outside
	// when Dir cannot carry them (see placeData).
	Data string `json:"data"`
	// UID owns the services; another user cannot start or stop them.
	UID int `json:"uid"`

	Postgres Postgres `json:"postgres"`
	Rabbit   Rabbit   `json:"rabbit"`
	PCSC     PCSC     `json:"pcsc"`
	HSM      HSM      `json:"hsm"`

	log  func(string)
	save sync.Mutex
}

// Start brings up whatever is not up yet and returns when all services answer.
// It may be called again at any time, also by several processes at once.
func Start(ctx context.Context, o Options) (*Services, error) {
	dir, err := RunDir(o.Dir)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // the user postgres passes through
		return nil, fmt.Errorf("membuat folder kerja: %w", err)
	}
	unlock, err := lockDir(ctx, dir)
	if err != nil {
		return nil, err
	}
	defer unlock()

	s, err := load(dir)
	if err != nil {
		return nil, err
	}
	s.log = o.Log
	if s.Running() {
		s.logf("Layanan lokal sudah berjalan.")
		return s, nil
	}
	for try := 1; ; try++ {
		err := s.tryStart(ctx, o)
		if err == nil {
			break
		}
		if try == tries || !errors.Is(err, errEnded) {
			return nil, err
		}
		s.logf("Dicoba lagi: %v", err)
	}
	s.logf("Layanan lokal siap.")
	return s, nil
}

// tries is how often services that end before they answer are started: a
// stranger can take a port between its choice and the moment they bind it.
const tries = 3

func (s *Services) tryStart(ctx context.Context, o Options) error {
	release, err := s.prepare(o)
	if err != nil {
		return err
	}
	defer release()
	return s.start(ctx)
}

// start runs what does not run, side by side. When one fails, those that this
// call started are stopped again.
func (s *Services) start(ctx context.Context) error {
	all, each := errgroup.WithContext(ctx)
	var undo []func(context.Context)
	for _, service := range []struct {
		running bool
		start   func(context.Context) error
		stop    func(context.Context)
	}{
		{s.Postgres.running(), s.startPostgres, s.stopPostgres},
		{s.Rabbit.running(), s.startRabbit, s.stopRabbit},
		{s.PCSC.running(), s.startPCSC, s.stopPCSC},
		{s.HSM.Ready, s.startHSM, func(context.Context) {}},
	} {
		if !service.running {
			all.Go(func() error { return service.start(each) })
			undo = append(undo, service.stop)
		}
	}
	failed := all.Wait()
	if failed == nil {
		return nil
	}
	var stopping sync.WaitGroup
	for _, stop := range undo {
		stopping.Go(func() { stop(context.WithoutCancel(ctx)) })
	}
	stopping.Wait()
	return errors.Join(failed, s.write())
}

// Load reads what runs in dir without starting anything. The caller checks
// Running.
func Load(dir string) (*Services, error) {
	dir, err := RunDir(dir)
	if err != nil {
		return nil, err
	}
	return load(dir)
}

// Running reports whether every service was ready once and its process still lives.
func (s *Services) Running() bool {
	return s.Postgres.running() && s.Rabbit.running() && s.PCSC.running() && s.HSM.Ready
}

// Stop ends all programs started with Mark, then all services, and leaves no
// process behind: politely first, then by force. It returns within about 30
// seconds, sooner when ctx ends.
func (s *Services) Stop(ctx context.Context) error {
	unlock, err := lockDir(ctx, s.Dir)
	if err != nil {
		return err
	}
	defer unlock()
	now, err := load(s.Dir)
	if err != nil {
		return err
	}
	now.log = s.log
	if err := now.owned(); err != nil {
		return err
	}
	return now.stop(ctx)
}

const programGrace = 15 * time.Second

func (s *Services) stop(ctx context.Context) error {
	s.EndPrograms(ctx, programGrace)
	var all sync.WaitGroup
	all.Go(func() { s.stopPostgres(ctx) })
	all.Go(func() { s.stopRabbit(ctx) })
	all.Go(func() { s.stopPCSC(ctx) })
	all.Wait()
	s.HSM.Ready = false
	return s.write()
}

// StopDir ends whatever runs in dir, also when the process that started it is
// gone. A directory where nothing was ever started is not an error.
func StopDir(ctx context.Context, dir string) error {
	dir, err := RunDir(dir)
	if err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(dir, stateName)); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return (&Services{Dir: dir}).Stop(ctx)
}

// CleanDir stops what runs in dir, and in run directories directly below it,
// then removes all of its data. It refuses a directory that is not a run directory.
func CleanDir(ctx context.Context, dir string) error {
	dir, err := RunDir(dir)
	if err != nil {
		return err
	}
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	ours := len(entries) == 0
	for _, e := range entries {
		if e.Name() == stateName || e.Name() == lockName {
			ours = true
			continue
		}
		if _, err := os.Stat(filepath.Join(dir, e.Name(), stateName)); err == nil && e.IsDir() {
			ours = true
			if err := CleanDir(ctx, filepath.Join(dir, e.Name())); err != nil {
				return err
			}
		}
	}
	if !ours {
		return fmt.Errorf("%s bukan folder kerja SI-FILMA; tidak dihapus", dir)
	}
	s, err := load(dir)
	if err != nil {
		return err
	}
	if err := s.owned(); err != nil {
		return err
	}
	if s.Data != "" {
		if err := s.stop(ctx); err != nil {
			return err
		}
	}
	if s.Data != "" && s.Data != dir {
		if err := os.RemoveAll(s.Data); err != nil {
			return err
		}
	}
	return os.RemoveAll(dir)
}

// RunDir resolves the run directory: dir, else SIFILMA_RUN_DIR, else DefaultDir,
// as an absolute path.
func RunDir(dir string) (string, error) {
	if dir == "" {
		dir = os.Getenv("SIFILMA_RUN_DIR")
	}
	if dir == "" {
		dir = DefaultDir
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("folder kerja: %w", err)
	}
	return dir, nil
}

// prepare settles the places and ports of everything that is about to start; the
// ports are kept for it until release.
func (s *Services) prepare(o Options) (release func(), err error) {
	if err := s.owned(); err != nil {
		return nil, err
	}
	s.UID = os.Geteuid()
	if err := s.placeData(); err != nil {
		return nil, err
	}
	for _, d := range []string{"log", "secret"} {
		if err := os.MkdirAll(filepath.Join(s.Data, d), 0o700); err != nil {
			return nil, fmt.Errorf("membuat folder kerja: %w", err)
		}
	}
	base := o.PortBase
	if text := os.Getenv("SIFILMA_PORT_BASE"); base == 0 && text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1024 || n > 65000 {
			return nil, fmt.Errorf("SIFILMA_PORT_BASE=%q: harus bilangan 1024 sampai 65000", text)
		}
		base = n
	}
	if base == 0 {
		base = portBase(s.Dir)
	}
	if o.Readers == 0 {
		o.Readers = 2
	}
	if !s.PCSC.Process.Alive() {
		if err := s.PCSC.plan(o.Readers); err != nil {
			return nil, err
		}
	}
	if release, err = s.choosePorts(base); err != nil {
		return nil, err
	}
	if err := s.write(); err != nil {
		release()
		return nil, err
	}
	return release, nil
}

func (s *Services) owned() error {
	if s.Data != "" && s.UID != os.Geteuid() {
		return fmt.Errorf("folder kerja %s dipakai oleh pengguna uid %d; jalankan sebagai pengguna itu, "+
			"atau pilih folder lain dengan SIFILMA_RUN_DIR", s.Dir, s.UID)
	}
	return nil
}

func (s *Services) logf(format string, args ...any) {
	if s.log != nil {
		s.log(fmt.Sprintf(format, args...))
	}
}

func (s *Services) logFile(service string) string {
	return filepath.Join(s.Data, "log", service+".log")
}
