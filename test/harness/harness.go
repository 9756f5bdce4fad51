// Package harness gives a test real parts of its own: a database from a migrated
// template, a virtual host of the broker, a SoftHSM token, leased card readers,
// and a TCP proxy that misbehaves on command. What a test takes is removed when
// the test ends; what a killed test run left behind is removed by the next one.
//
// The servers themselves are the private instances of one run directory, started
// by "make test" or "make services": SIFILMA_TEST_RUN, by default .run/test of
// this repository.
package harness

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"dukcapil.go.id/sifilma/deploy/local"
)

// Services returns the running services of the test run, or fails the test with
// the command that starts them.
func Services(t testing.TB) *local.Services {
	t.Helper()
	s, err := running()
	if err != nil {
		t.Fatalf("%v\nRun this first, in the root of the repository:\n\n\tmake services\n", err)
	}
	return s
}

var running = sync.OnceValues(func() (*local.Services, error) {
	dir := os.Getenv("SIFILMA_TEST_RUN")
	if dir == "" {
		root, err := Root()
		if err != nil {
			return nil, err
		}
		dir = filepath.Join(root, ".run", "test")
	}
	s, err := local.Load(dir)
	if err != nil {
		return nil, err
	}
	if !s.Running() {
		return nil, fmt.Errorf("the services of the test run in %s are not running", dir)
	}
	return s, nil
})

// Root returns the root of the repository: the nearest directory above the
// working directory that holds go.mod.
func Root() (string, error) {
	dir, err := os.Getwd()
	for err == nil {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", fmt.Errorf("no go.mod above %s", dir)
		}
		dir = up
	}
	return "", err
}

// owner names this process in the names of what it takes, so that the next run
// can tell what belongs to nobody any more.
var owner = sync.OnceValue(func() string {
	p, _ := local.Identify(os.Getpid())
	return fmt.Sprintf("%d_%d", p.PID, p.Started)
})

var taken atomic.Int64

// freshName returns a name that no other test on this machine has.
func freshName() string { return fmt.Sprintf("t_%s_%d", owner(), taken.Add(1)) }

// orphan reports whether a name made by freshName (or by owner, with the same
// prefix) belongs to a process that is gone.
func orphan(name string) bool {
	parts := strings.Split(name, "_")
	if len(parts) < 3 || parts[0] != "t" {
		return false
	}
	pid, err := strconv.Atoi(parts[1])
	if err != nil {
		return false
	}
	p, alive := local.Identify(pid)
	return !alive || strconv.FormatUint(p.Started, 10) != parts[2]
}
