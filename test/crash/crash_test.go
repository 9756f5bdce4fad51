package main

import (
	"bufio"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/deploy/local"
	"dukcapil.go.id/sifilma/test/crash/office"
	"dukcapil.go.id/sifilma/test/harness"
)

const (
	minutes  = "2"
	patience = 14 * time.Minute // for a run that hangs, not a measure
)

var lastLine = regexp.MustCompile(`^crash: minutes=2 kills=[1-9]\d* requests=[1-9]\d* cards=[1-9]\d* lost=0 doubled=0 stuck=0$`)

// TestTwoMinutes breaks the office for two minutes, with a seed of its own each
// time, and demands that nothing is lost, doubled or stuck. The logs of a run
// that failed stay where they are until the next run.
func TestTwoMinutes(t *testing.T) {
	t.Parallel()
	dir := runDir(t)
	bin := t.TempDir()
	root, err := harness.Root()
	require.NoError(t, err)
	build := exec.Command("go", "build", "-race", "-buildvcs=false", "-o", bin+"/", "./daemons/...", "./test/virtualsam", "./test/crash")
	build.Dir = root
	out, err := build.CombinedOutput()
	require.NoError(t, err, string(out))

	cmd := exec.Command(filepath.Join(bin, "crash"))
	cmd.Env = append(os.Environ(), "SIFILMA_RUN_DIR="+dir, "SIFILMA_PORT_BASE=", "SIFILMA_CRASH_MINUTES="+minutes, "SIFILMA_CRASH_CALM=",
		"GORACE=halt_on_error=1 exitcode=66")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	cmd.Stderr = cmd.Stdout
	require.NoError(t, cmd.Start())
	late := time.AfterFunc(patience, func() { _ = cmd.Process.Signal(syscall.SIGTERM) })
	defer late.Stop()
	var lines []string
	for s := bufio.NewScanner(stdout); s.Scan(); {
		lines = append(lines, s.Text())
	}
	err = cmd.Wait()
	for _, line := range lines {
		if strings.HasPrefix(line, "SIFILMA_CRASH_SEED=") || strings.HasPrefix(line, "crash: ") {
			t.Log(line)
		}
	}
	told := strings.Join(lines[max(0, len(lines)-60):], "\n")
	require.NoError(t, err, told)
	require.Regexp(t, lastLine, lines[len(lines)-1], told)
	races, err := raced(dir)
	require.NoError(t, err)
	require.Empty(t, races, "data races")
}

// raced lists the logs that tell of a data race in a daemon, which was started
// again after it.
func raced(dir string) (found []string, err error) {
	logs, err := filepath.Glob(filepath.Join(dir, "crash", "log", "*.log"))
	if err == nil && len(logs) == 0 {
		err = errors.New("no logs")
	}
	for _, path := range logs {
		text, e := os.ReadFile(path)
		if err = errors.Join(err, e); strings.Contains(string(text), "WARNING: DATA RACE") {
			found = append(found, path)
		}
	}
	return found, err
}

// runDir is a run directory of this process below that of the test run.
func runDir(t *testing.T) string {
	t.Helper()
	base := os.Getenv("SIFILMA_TEST_RUN")
	if base == "" {
		root, err := harness.Root()
		require.NoError(t, err)
		base = filepath.Join(root, ".run", "test")
	}
	dir, err := office.Private(base, "crash")
	require.NoError(t, err)
	t.Cleanup(func() {
		if !t.Failed() {
			require.NoError(t, office.Sweep(dir))
			return
		}
		t.Logf("logs are in %s", filepath.Join(dir, "crash", "log"))
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := local.StopDir(ctx, filepath.Join(dir, "crash")); err != nil {
			t.Errorf("stopping %s: %v", dir, err)
		}
	})
	return dir
}
