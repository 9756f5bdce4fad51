//go:build long

package planted

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/test/crash/office"
	"dukcapil.go.id/sifilma/test/harness"
)

var (
	verdict = regexp.MustCompile(`(?m)^crash: minutes=\S+ kills=\d+ requests=\d+ cards=\d+ lost=(\d+) doubled=(\d+) stuck=(\d+)$`)
	fault   = regexp.MustCompile(`(?m)^(hilang|ganda|macet): .*$`)
)

// TestEachDefectIsCaught plants one defect after the other; a run of the crash
// must end with something lost, doubled or stuck.
func TestEachDefectIsCaught(t *testing.T) {
	for _, d := range defects {
		t.Run(d.name, func(t *testing.T) {
			tree := scratch(t)
			for _, e := range d.edits {
				e.plant(t, tree)
			}
			bin := filepath.Join(tree, "bin")
			build := exec.Command("go", "build", "-buildvcs=false", "-o", bin+"/", "./daemons/...", "./test/virtualsam", "./test/crash")
			build.Dir = tree
			out, err := build.CombinedOutput()
			require.NoError(t, err, string(out))

			for i, seed := range d.seeds {
				if caught := crash(t, tree, seed); caught != "" {
					fmt.Printf("planted %s seed=%s try=%d caught=%s\n", d.name, seed, i+1, caught)
					return
				}
			}
			t.Errorf("not noticed with any of the seeds %v", d.seeds)
		})
	}
}

// crash runs the planted tree and returns the first thing that the judge found
// and its verdict; empty when it found nothing. Whether a short run meets the
// defect is a matter of luck, for it takes a blow in the right millisecond.
func crash(t *testing.T, tree, seed string) (caught string) {
	t.Helper()
	run := filepath.Join(tree, "run")
	defer func() {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
		defer cancel()
		require.NoError(t, office.Clean(ctx, filepath.Join(run, "crash")))
	}()
	cmd := exec.Command(filepath.Join(tree, "bin", "crash"))
	cmd.Env = append(os.Environ(), "SIFILMA_RUN_DIR="+run, "SIFILMA_PORT_BASE=", "SIFILMA_CRASH_SEED="+seed,
		"SIFILMA_CRASH_MINUTES=2.5", "SIFILMA_CRASH_QUIET=150s", "SIFILMA_CRASH_CALM=")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := cmd.CombinedOutput()
	text := string(out[max(0, len(out)-6000):])
	m := verdict.FindStringSubmatch(text)
	require.NotNil(t, m, "no verdict:\n%s", text)
	if m[1] == "0" && m[2] == "0" && m[3] == "0" {
		return ""
	}
	var exit *exec.ExitError
	require.ErrorAs(t, err, &exit, text)
	return fmt.Sprintf("%s (lost=%s doubled=%s stuck=%s)", fault.Find(out), m[1], m[2], m[3])
}

// scratch is a copy of the files of this tree that git does not ignore, where
// the database's user can come.
func scratch(t *testing.T) string {
	t.Helper()
	root, err := harness.Root()
	require.NoError(t, err)
	tree, err := os.MkdirTemp("/var/tmp", "sifilma-planted-")
	require.NoError(t, err)
	require.NoError(t, os.Chmod(tree, 0o755))
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(tree)) })
	list := exec.Command("git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	list.Dir = root
	out, err := list.Output()
	require.NoError(t, err)
	for path := range strings.SplitSeq(strings.TrimRight(string(out), "\x00"), "\x00") {
		body, err := os.ReadFile(filepath.Join(root, path))
		if os.IsNotExist(err) {
			continue // removed, not yet committed
		}
		require.NoError(t, err)
		to := filepath.Join(tree, path)
		require.NoError(t, os.MkdirAll(filepath.Dir(to), 0o755))
		require.NoError(t, os.WriteFile(to, body, 0o600))
	}
	return tree
}

// plant makes the edit; code that is no longer there needs another one.
func (e edit) plant(t *testing.T, tree string) {
	t.Helper()
	path := filepath.Join(tree, e.file)
	body, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, 1, bytes.Count(body, []byte(e.old)), "%s has changed; plant the defect anew: %q", e.file, e.old)
	require.NoError(t, os.WriteFile(path, bytes.Replace(body, []byte(e.old), []byte(e.now), 1), 0o600))
}
