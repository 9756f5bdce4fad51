package e2e

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/deploy/local"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/test/demo/story"
	"dukcapil.go.id/sifilma/test/harness"
)

// patience bounds one whole demo; it is for a run that hangs, not a measure.
const patience = 8 * time.Minute

var programs = sync.OnceValues(func() (string, error) {
	root, err := harness.Root()
	if err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp("", "sifilma-e2e-bin-")
	if err != nil {
		return "", err
	}
	cmd := exec.Command("go", "build", "-race", "-buildvcs=false", "-o", dir+"/", "./daemons/...", "./test/virtualsam", "./test/demo")
	cmd.Dir = root
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w\n%s", err, out)
	}
	return dir, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if dir, err := programs(); err == nil {
		_ = os.RemoveAll(dir)
	}
	os.Exit(code)
}

// runDir is a run directory that the database server's user can reach. What
// runs in it is ended at the test's end, whatever happened.
func runDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/var/tmp", "sifilma-e2e-")
	require.NoError(t, err)
	require.NoError(t, os.Chmod(dir, 0o755))
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if t.Failed() {
			showLogs(t, dir)
		}
		if err := local.CleanDir(ctx, dir); err != nil {
			t.Errorf("cleaning %s: %v", dir, err)
		}
	})
	return dir
}

func showLogs(t *testing.T, dir string) {
	logs, _ := filepath.Glob(filepath.Join(dir, "log", "*.log"))
	for _, path := range logs {
		text, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		t.Logf("end of %s:\n%s", filepath.Base(path), text[max(0, len(text)-12_000):])
	}
}

// office is a running `sifilma up`.
type office struct {
	t     *testing.T
	dir   string
	cmd   *exec.Cmd
	lines chan string
	done  chan error
	text  strings.Builder
}

// start runs `sifilma up` with the demo in dir.
func start(t *testing.T, dir string, args ...string) *office {
	t.Helper()
	bin, err := programs()
	require.NoError(t, err)
	cmd := exec.Command(filepath.Join(bin, "sifilma"), append([]string{"up", "-dir", dir, "-play", filepath.Join(bin, "demo")}, args...)...)
	cmd.Env = append(os.Environ(), "SIFILMA_PORT_BASE=", "GORACE=halt_on_error=1 exitcode=66")
	if _, err := os.Stat(tempDir(dir)); err == nil {
		cmd.Env = append(cmd.Env, "TMPDIR="+tempDir(dir))
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	cmd.Stderr = cmd.Stdout
	require.NoError(t, cmd.Start())
	o := &office{t: t, dir: dir, cmd: cmd, lines: make(chan string, 1000), done: make(chan error, 1)}
	go func() {
		s := bufio.NewScanner(out)
		for s.Scan() {
			o.lines <- s.Text()
		}
		close(o.lines)
		o.done <- cmd.Wait()
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		for range o.lines { // drained until the process has ended
		}
		if t.Failed() {
			t.Logf("output of the run:\n%s", o.text.String())
		}
	})
	return o
}

// next returns the next line of output, or false at its end.
func (o *office) next() (string, bool) {
	o.t.Helper()
	select {
	case line, ok := <-o.lines:
		if ok {
			o.text.WriteString(line + "\n")
		}
		return line, ok
	case <-time.After(patience):
		o.t.Fatalf("no output for %s; so far:\n%s", patience, o.text.String())
		return "", false
	}
}

// until reads on until a line matches, and fails if the run ends before.
func (o *office) until(pattern string) []string {
	o.t.Helper()
	re := regexp.MustCompile(pattern)
	for {
		line, ok := o.next()
		if !ok {
			o.t.Fatalf("the run ended before %q:\n%s", pattern, o.text.String())
		}
		if m := re.FindStringSubmatch(line); m != nil {
			return m
		}
	}
}

// wait reads to the end and returns how the run ended.
func (o *office) wait() error {
	o.t.Helper()
	for {
		if _, ok := o.next(); !ok {
			return <-o.done
		}
	}
}

func (o *office) stop() error {
	o.t.Helper()
	require.NoError(o.t, o.cmd.Process.Signal(syscall.SIGINT))
	return o.wait()
}

// queue puts requests of others into the plan, with so many cards each, as people
// would with the logins that the start tells. It returns the office time after that.
func (o *office) queue(cards ...int) time.Time {
	o.t.Helper()
	said := o.text.String()
	script := story.Script{Began: time.Now(), OfficeClock: filepath.Join(o.dir, "office-clock")}
	at := regexp.MustCompile(`Portal: (\S+)   Intake: (\S+)`).FindStringSubmatch(said)
	require.NotNil(o.t, at)
	script.Portal, script.Intake = at[1], at[2]
	key := regexp.MustCompile(`(?m)^Kunci API (.+): (\S+)$`).FindStringSubmatch(said)
	require.NotNil(o.t, key)
	script.Cast.Produsen, script.Cast.APIKey = key[1], key[2]
	pks := regexp.MustCompile(`(?m)^PKS (.+): (\S+)$`).FindStringSubmatch(said)
	require.NotNil(o.t, pks)
	script.Cast.Lembaga, script.Cast.PKS = pks[1], pks[2]
	roles := map[string]string{"pic-produsen": "produsen"} // the others are called by their roles
	for _, m := range logins.FindAllStringSubmatch(said, -1) {
		role := cmp.Or(roles[m[1]], m[1])
		script.Cast.Logins = append(script.Cast.Logins, story.Login{Username: m[1], Role: role, Password: m[2]})
	}
	require.Len(o.t, script.Cast.Logins, 7)
	ctx, cancel := context.WithTimeout(o.t.Context(), patience)
	defer cancel()
	for _, n := range cards {
		_, err := story.Queue(ctx, script, io.Discard, n)
		require.NoError(o.t, err)
	}
	office, err := clock.OpenOffice("file:" + script.OfficeClock)
	require.NoError(o.t, err)
	return office.Now()
}

// daemons are the processes of the fleet that run now.
func (o *office) daemons() map[string]local.Process {
	o.t.Helper()
	body, err := os.ReadFile(filepath.Join(o.dir, "fleet.json"))
	require.NoError(o.t, err)
	list := map[string]local.Process{}
	require.NoError(o.t, json.Unmarshal(body, &list))
	return list
}

// kill ends a daemon as a power cut would.
func (o *office) kill(daemon string) {
	o.t.Helper()
	p, ok := o.daemons()[daemon]
	if !ok {
		o.t.Logf("%s does not run at this moment", daemon)
		return
	}
	o.t.Logf("killing %s", daemon)
	_ = syscall.Kill(p.PID, syscall.SIGKILL)
}

// leftovers are processes whose command line or environment names dir.
func leftovers(t *testing.T, dir string) []string {
	t.Helper()
	var found []string
	entries, err := os.ReadDir("/proc")
	require.NoError(t, err)
	for _, e := range entries {
		command, err := os.ReadFile(filepath.Join("/proc", e.Name(), "cmdline"))
		if err != nil || len(command) == 0 {
			continue
		}
		environment, _ := os.ReadFile(filepath.Join("/proc", e.Name(), "environ"))
		if strings.Contains(string(command), dir) || strings.Contains(string(environment), dir) {
			found = append(found, e.Name()+" "+strings.ReplaceAll(string(command), "\x00", " "))
		}
	}
	return found
}

// logins are the accounts that the start tells.
var logins = regexp.MustCompile(`(?m)^ +(\S+) +((?:[a-z2-7]{6}-){3}[a-z2-7]{6}) `)

var lastLine = regexp.MustCompile(`(?m)^demo: ok request=(PSAM-\d{4}-\d{6}-\d) cards=(\d+)/(\d+) documents=(\d+) manifests=2 seconds=\d+$`)
