package local

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// marker is set in the environment of every service process and inherited by
// its children, so that leftovers can be told from strangers after a crash.
const marker = "SIFILMA_LOCAL_SERVICE"

// Process identifies one process beyond its pid: by start time and boot, so that
// a pid given to somebody else in the meantime does not match.
type Process struct {
	PID     int    `json:"pid"`
	Started uint64 `json:"started"` // clock ticks after boot, /proc/PID/stat field 22
	Boot    string `json:"boot"`    // kernel boot id
}

// Identify returns the identity of a living process, false when there is none.
func Identify(pid int) (Process, bool) {
	started, zombie, err := procStat(pid)
	if err != nil || zombie {
		return Process{}, false
	}
	return Process{PID: pid, Started: started, Boot: bootID()}, true
}

// Alive reports whether this very process still runs (a zombie does not).
func (p Process) Alive() bool {
	if p.PID == 0 {
		return false
	}
	now, ok := Identify(p.PID)
	return ok && now == p
}

// Signal sends sig to the process, and to its process group when group is set;
// it does nothing when the process is gone.
func (p Process) Signal(sig syscall.Signal, group bool) {
	if !p.Alive() {
		return
	}
	if group {
		_ = syscall.Kill(-p.PID, sig)
	}
	_ = syscall.Kill(p.PID, sig)
}

func bootID() string {
	text, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}

// procStat reads the start time and zombie state of pid.
func procStat(pid int) (started uint64, zombie bool, err error) {
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return 0, false, err
	}
	// The command name, in parentheses, may itself hold spaces and parentheses.
	_, rest, ok := strings.Cut(string(text[bytes.LastIndexByte(text, ')'):]), ") ")
	fields := strings.Fields(rest)
	if !ok || len(fields) < 20 {
		return 0, false, fmt.Errorf("unexpected content of /proc/%d/stat", pid)
	}
	started, err = strconv.ParseUint(fields[19], 10, 64)
	return started, fields[0] == "Z" || fields[0] == "X", err
}

// spawn starts a service in a session of its own, so that a Ctrl-C in the
// terminal reaches only those who are meant to stop first. Its output goes to
// logPath.
func (s *Services) spawn(cmd *exec.Cmd, service, logPath string) (Process, error) {
	log, err := os.OpenFile(logPath, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return Process{}, err
	}
	defer func() { _ = log.Close() }()
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Env = append(cmd.Env, s.mark(service))
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setsid = true
	if err := cmd.Start(); err != nil {
		return Process{}, err
	}
	p, ok := Identify(cmd.Process.Pid)
	go func() { _ = cmd.Wait() }() // reap it if it ends while we live
	if !ok {
		return Process{}, fmt.Errorf("%s berhenti segera setelah dimulai; lihat %s", service, logPath)
	}
	return p, nil
}

func (s *Services) mark(service string) string { return marker + "=" + s.Dir + "#" + service }

// Mark is the environment entry for a program that works on these services, such
// as a daemon. Stop and EndPrograms find the program and its children by it, also
// when whoever started them was killed.
func (s *Services) Mark(program string) string { return s.mark("program/" + program) }

// EndPrograms ends all programs started with Mark: politely, and after grace by
// force. It returns how many there were.
func (s *Services) EndPrograms(ctx context.Context, grace time.Duration) int {
	prefix := []byte(s.mark("program/"))
	programs := func() []Process {
		return find(func(pid string) bool { return bytes.Contains(environ(pid), prefix) })
	}
	first := programs()
	for _, p := range first {
		p.Signal(unix.SIGTERM, false)
	}
	for _, p := range first {
		began := time.Now()
		waitGone(ctx, p, grace)
		grace -= min(grace, time.Since(began))
	}
	killAll(context.WithoutCancel(ctx), programs)
	return len(first)
}

// baseEnv is the environment services start with: nothing of the caller's that
// could point them to other instances.
func baseEnv() []string {
	path := os.Getenv("PATH")
	if path == "" {
		path = "/usr/bin:/bin"
	}
	return []string{"PATH=" + path + ":/usr/local/sbin:/usr/sbin:/sbin", "LC_ALL=C.UTF-8", "TZ=UTC"}
}

// sweep kills the processes of a service that no record names any more: those
// that carry its marker, and those that work in the directory cwd (PostgreSQL
// overwrites the environment of its backends with their titles).
func (s *Services) sweep(ctx context.Context, service, cwd string) {
	want := []byte(s.mark(service) + "\x00")
	killAll(ctx, func() []Process {
		return find(func(pid string) bool {
			if bytes.Contains(environ(pid), want) {
				return true
			}
			at, err := os.Readlink(filepath.Join("/proc", pid, "cwd"))
			return cwd != "" && err == nil && at == cwd
		})
	})
}

// killAll kills what list finds until it finds nothing.
func killAll(ctx context.Context, list func() []Process) {
	deadline := time.Now().Add(5 * time.Second)
	for time.Now().Before(deadline) {
		left := list()
		if len(left) == 0 {
			return
		}
		for _, p := range left {
			p.Signal(unix.SIGKILL, false)
		}
		if pause(ctx, 20*time.Millisecond) != nil {
			return
		}
	}
}

// find lists the living processes, other than this one, that match.
func find(match func(pid string) bool) []Process {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var found []Process
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == os.Getpid() || !match(e.Name()) {
			continue
		}
		if p, ok := Identify(pid); ok {
			found = append(found, p)
		}
	}
	return found
}

// environ is the environment a process was started with, each entry ended by a
// zero byte; empty where it is not ours to read.
func environ(pid string) []byte {
	env, err := os.ReadFile(filepath.Join("/proc", pid, "environ"))
	if err != nil {
		return nil
	}
	return append(env, 0)
}

// end asks a process to stop by the given signals in turn, waiting grace after
// each, and kills it in the end. When ctx ends it kills at once.
func end(ctx context.Context, p Process, grace time.Duration, signals ...syscall.Signal) {
	for _, sig := range signals {
		p.Signal(sig, false)
		if waitGone(ctx, p, grace) {
			return
		}
	}
	p.Signal(unix.SIGKILL, true)
	waitGone(context.WithoutCancel(ctx), p, 5*time.Second)
}

// lastWords are the last lines of a service's log, on one line.
func lastWords(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(text[max(0, len(text)-2000):])), "\n")
	return strings.Join(lines[max(0, len(lines)-4):], " | ")
}

func waitGone(ctx context.Context, p Process, limit time.Duration) bool {
	deadline := time.Now().Add(limit)
	for p.Alive() {
		if time.Now().After(deadline) || pause(ctx, 10*time.Millisecond) != nil {
			return !p.Alive()
		}
	}
	return true
}

// errEnded says that a service ended before it answered.
var errEnded = errors.New("proses berhenti sebelum siap")

// await polls ready until it answers nil, the process dies, or the limit passes.
func await(ctx context.Context, p Process, limit time.Duration, ready func(context.Context) error) error {
	deadline := time.Now().Add(limit)
	for {
		try, cancel := context.WithTimeout(ctx, 5*time.Second)
		err := ready(try)
		cancel()
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case !p.Alive():
			return errEnded
		case time.Now().After(deadline):
			return fmt.Errorf("belum siap setelah %s: %w", limit, err)
		}
		if err := pause(ctx, 50*time.Millisecond); err != nil {
			return err
		}
	}
}
