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

// TestEachDefectIsCaught plants one defect after the other; each run of the crash
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

			run := filepath.Join(tree, "run")
			t.Cleanup(func() {
				ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
				defer cancel()
				require.NoError(t, office.Clean(ctx, filepath.Join(run, "crash")))
			})
			cmd := exec.Command(filepath.Join(bin, "crash"))
			cmd.Env = append(os.Environ(), "SIFILMA_RUN_DIR="+run, "SIFILMA_PORT_BASE=", "SIFILMA_CRASH_SEED="+d.seed,
				"SIFILMA_CRASH_MINUTES=1.5", "SIFILMA_CRASH_QUIET=75s", "SIFILMA_CRASH_CALM=")
			cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
			out, err = cmd.CombinedOutput()
			text := string(out[max(0, len(out)-6000):])
			var exit *exec.ExitError
			require.ErrorAs(t, err, &exit, text)
			m := verdict.FindStringSubmatch(text)
			require.NotNil(t, m, "no verdict:\n%s", text)
			require.NotEqual(t, []string{"0", "0", "0"}, m[1:], "not noticed:\n%s", text)
			fmt.Printf("planted %s caught=%s (lost=%s doubled=%s stuck=%s)\n", d.name, fault.FindString(string(out)), m[1], m[2], m[3])
		})
	}
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
