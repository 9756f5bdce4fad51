// Package fleet runs the office's daemons as processes of one machine: it
// writes their configurations, starts them, starts a dead one again as systemd
// would, and stops them all.
package fleet

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"dukcapil.go.id/sifilma/deploy/local"
)

// Member is one process of the fleet.
type Member struct {
	Name string
	Argv []string // Argv[0] is the path of the program
	Env  []string // added to this process's environment
	// Adjust changes the command before each start, for a process that must
	// run in another namespace.
	Adjust func(*exec.Cmd) error
}

// Bounds of a process's life.
const (
	restartAfter = 200 * time.Millisecond // before a dead process is started again
	restartMost  = 5 * time.Second        // the longest wait, after many deaths
	stopWithin   = 15 * time.Second       // then a process is killed
	settledAfter = 10 * time.Second       // a process that lived so long starts with a short wait again
)

// Fleet is a set of running members.
type Fleet struct {
	dir string // logs in dir/log, process ids in dir/fleet.json
	log func(string)

	mu    sync.Mutex
	now   map[string]local.Process
	order []*runner
}

type runner struct {
	member Member
	cancel context.CancelFunc
	done   chan struct{}
}

// New makes an empty fleet that keeps its logs and process list in dir. Lines
// for people go to log.
func New(dir string, log func(string)) (*Fleet, error) {
	if err := os.MkdirAll(filepath.Join(dir, "log"), 0o750); err != nil {
		return nil, fmt.Errorf("fleet: %w", err)
	}
	return &Fleet{dir: dir, log: log, now: map[string]local.Process{}}, nil
}

// Start adds a member and keeps it running until Stop.
func (f *Fleet) Start(m Member) {
	ctx, cancel := context.WithCancel(context.Background())
	r := &runner{member: m, cancel: cancel, done: make(chan struct{})}
	f.mu.Lock()
	f.order = append(f.order, r)
	f.mu.Unlock()
	go f.keep(ctx, r)
}

func (f *Fleet) keep(ctx context.Context, r *runner) {
	defer close(r.done)
	wait := restartAfter
	for ctx.Err() == nil {
		began := time.Now()
		err := f.once(ctx, r.member)
		if ctx.Err() != nil {
			return
		}
		f.log(fmt.Sprintf("%s berhenti (%v); dijalankan lagi", r.member.Name, err))
		if time.Since(began) > settledAfter {
			wait = restartAfter
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
		wait = min(2*wait, restartMost)
	}
}

func (f *Fleet) once(ctx context.Context, m Member) error {
	path := filepath.Join(f.dir, "log", m.Name+".log")
	out, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = out.Close() }()
	cmd := exec.Command(m.Argv[0], m.Argv[1:]...)
	cmd.Env = append(os.Environ(), m.Env...)
	cmd.Stdout, cmd.Stderr = out, out
	if m.Adjust != nil {
		if err := m.Adjust(cmd); err != nil {
			return err
		}
	}
	// A group of its own: Ctrl-C in a terminal reaches this process only, which
	// stops the fleet in order.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return err
	}
	f.note(m.Name, cmd.Process.Pid)
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait() }()
	defer f.note(m.Name, 0)
	select {
	case err := <-exited:
		return err
	case <-ctx.Done():
	}
	_ = cmd.Process.Signal(syscall.SIGTERM)
	select {
	case err = <-exited:
	case <-time.After(stopWithin):
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		err = fmt.Errorf("killed after %s: %w", stopWithin, <-exited)
	}
	_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // whatever it left behind
	return err
}

// note writes the process list, for a person who looks.
func (f *Fleet) note(name string, pid int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.now, name)
	if pid != 0 {
		if p, ok := local.Identify(pid); ok {
			f.now[name] = p
		}
	}
	body, err := json.MarshalIndent(f.now, "", "  ")
	if err != nil {
		return
	}
	path := filepath.Join(f.dir, "fleet.json")
	if err := os.WriteFile(path+".new", body, 0o600); err != nil {
		return // the list is for people; the processes run without it
	}
	_ = os.Rename(path+".new", path) // likewise
}

// Stop ends the members, the last started first, and returns when none is left.
func (f *Fleet) Stop() {
	f.mu.Lock()
	order := f.order
	f.order = nil
	f.mu.Unlock()
	for i := len(order) - 1; i >= 0; i-- {
		order[i].cancel()
		<-order[i].done
	}
}
