package outage

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"dukcapil.go.id/sifilma/deploy/local"
	"dukcapil.go.id/sifilma/pkg/postgres"
	crash "dukcapil.go.id/sifilma/test/crash/office"
	"dukcapil.go.id/sifilma/test/harness"
)

const readers = 2

// daemons of the office; each runs twice.
var daemons = []string{"intake", "validator", "scheduler", "perso-station", "document-generator", "portal"}

// member is one process of the office, with lines of its own to the services.
type member struct {
	name      string
	address   string
	primary   *harness.Relay // to PostgreSQL
	secondary *harness.Relay // to the standby of PostgreSQL
	rabbit    *harness.Relay
}

// office is the running whole.
type office struct {
	t        *testing.T
	dir      string
	services *local.Services
	standby  int // its port
	members  []*member
	script   crash.Script
	bin      string // of the programs
	ticket   string // of the request that goes through all of it

	stopStandby func() // once there is one; after the daemons
	client      http.Client
}

// programs builds the daemons and what plays around them.
func programs(t *testing.T) string {
	t.Helper()
	root, err := harness.Root()
	require.NoError(t, err)
	dir := t.TempDir()
	cmd := exec.Command("go", "build", "-buildvcs=false", "-o", dir+"/", "./daemons/...", "./test/virtualsam", "./test/demo")
	cmd.Dir = root
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	return dir
}

// start runs services of the test's own.
func start(t *testing.T) *office {
	t.Helper()
	dir, err := os.MkdirTemp("/var/tmp", "sifilma-outage-")
	require.NoError(t, err)
	require.NoError(t, os.Chmod(dir, 0o755))
	of := &office{t: t, dir: dir, client: http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if t.Failed() {
			of.showLogs()
		}
		require.NoError(t, local.CleanDir(ctx, dir))
	})
	t.Cleanup(func() {
		if of.stopStandby != nil {
			of.stopStandby()
		}
	})
	of.bringUp()
	return of
}

// bringUp starts the services that are not up.
func (of *office) bringUp() {
	of.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var err error
	of.services, err = local.Start(ctx, local.Options{Dir: of.dir, Readers: readers})
	require.NoError(of.t, err)
}

// kill ends a service as a power cut would.
func (of *office) kill(p local.Process) {
	of.t.Helper()
	p.Signal(syscall.SIGKILL, false)
	require.Eventually(of.t, func() bool { return !p.Alive() }, patience, tick)
}

// open starts the daemons, two of each.
func (of *office) open() {
	t := of.t
	t.Helper()
	free, release, err := local.FreePorts(of.services.Postgres.Port+50, 1)
	require.NoError(t, err)
	t.Cleanup(release)
	of.standby, of.bin = free[0], programs(t)
	type way struct {
		Postgres string `json:"postgres"`
		Rabbit   string `json:"rabbit"`
	}
	ways := map[string]way{}
	for _, d := range daemons {
		for _, name := range []string{d, d + "-2"} {
			m := &member{name: name, primary: harness.Proxy(t, hostPort(of.services.Postgres.Port)),
				secondary: harness.Proxy(t, hostPort(of.standby)), rabbit: harness.Proxy(t, hostPort(of.services.Rabbit.Port))}
			of.members = append(of.members, m)
			ways[name] = way{m.primary.Address() + "," + m.secondary.Address(), m.rabbit.Address()}
		}
	}
	body, err := json.Marshal(ways)
	require.NoError(t, err)
	file := filepath.Join(of.dir, "ways.json")
	require.NoError(t, os.WriteFile(file, body, 0o600))

	cmd := exec.Command(filepath.Join(of.bin, "sifilma"), "up", "-dir", of.dir, "-readers", strconv.Itoa(readers), "-copies", "2", "-ways", file, "-play", "-")
	cmd.Env = append(os.Environ(), "SIFILMA_SWEEPER_DEADLINE=10s", "SIFILMA_SWEEPER_EVERY=1s")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	cmd.Stderr = os.Stderr
	require.NoError(t, cmd.Start())
	said, ended := make(chan []byte, 1), make(chan error, 1)
	var text strings.Builder
	go func() {
		lines := bufio.NewReader(stdout)
		for {
			line, err := lines.ReadString('\n')
			text.WriteString(line)
			if err != nil || strings.HasPrefix(line, "{") {
				said <- []byte(line)
				break
			}
		}
		_, _ = io.Copy(io.Discard, lines)
		ended <- cmd.Wait()
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case err := <-ended:
			require.NoError(t, err)
		case <-time.After(patience):
			_ = cmd.Process.Kill()
			t.Error("the office does not stop")
		}
	})
	require.NoError(t, json.Unmarshal(<-said, &of.script), text.String())
	for i, m := range of.members {
		m.address = of.script.Addresses[daemons[i/2]][i%2]
	}
}

// process is the present process of a member.
func (of *office) process(m *member) local.Process {
	of.t.Helper()
	now := map[string]local.Process{}
	body, err := os.ReadFile(filepath.Join(of.dir, "fleet.json"))
	require.NoError(of.t, err)
	require.NoError(of.t, json.Unmarshal(body, &now))
	return now[m.name]
}

// page is what a readyz tells.
type page struct {
	Ready  bool
	State  string
	Checks map[string]struct {
		OK    bool
		Error string
	}
}

// readyz asks a member; a member that does not answer is not ready.
func (of *office) readyz(m *member) (p page) {
	res, err := of.client.Get(m.address + "/readyz")
	if err != nil {
		return page{State: err.Error()}
	}
	defer func() { _ = res.Body.Close() }()
	_ = json.NewDecoder(res.Body).Decode(&p) // what is no page is not ready
	p.Ready = p.Ready && res.StatusCode == http.StatusOK
	return p
}

// allReady waits until each member says that it is ready, and returns the
// longest time that it took since a moment, and who took it.
func (of *office) allReady(since time.Time) (longest time.Duration, who string) {
	of.t.Helper()
	var mu sync.Mutex
	var all sync.WaitGroup
	for _, m := range of.members {
		all.Go(func() {
			var last string
			limit := time.Now().Add(patience)
			for p := of.readyz(m); !p.Ready; p = of.readyz(m) {
				last = fmt.Sprintf("%+v", p)
				if time.Now().After(limit) {
					of.t.Errorf("%s is not ready: %s", m.name, last)
					return
				}
				<-time.After(tick)
			}
			mu.Lock()
			defer mu.Unlock()
			if took := time.Since(since); took > longest {
				longest, who = took, m.name+", before that "+last
			}
		})
	}
	all.Wait()
	if of.t.Failed() {
		of.t.FailNow()
	}
	return longest, who
}

// allBad waits until each member says that a check is bad, and none but the
// named ones.
func (of *office) allBad(names ...string) {
	of.t.Helper()
	for _, m := range of.members {
		require.Eventually(of.t, func() bool {
			p := of.readyz(m)
			for _, name := range names {
				if p.Checks[name].OK || p.Checks[name].Error == "" {
					return false
				}
			}
			return !p.Ready
		}, patience, tick, "%s does not tell that %v is away", m.name, names)
		res, err := of.client.Get(m.address + "/livez")
		require.NoError(of.t, err)
		_ = res.Body.Close()
		require.Equal(of.t, http.StatusOK, res.StatusCode, "it lives all the same")
	}
}

// logOf is what a member has logged.
func (of *office) logOf(name string) string {
	of.t.Helper()
	body, err := os.ReadFile(filepath.Join(of.dir, "log", name+".log"))
	require.NoError(of.t, err)
	return string(body)
}

func (of *office) showLogs() {
	for _, m := range of.members {
		body, err := os.ReadFile(filepath.Join(of.dir, "log", m.name+".log"))
		if err == nil {
			of.t.Logf("end of %s.log:\n%s", m.name, body[max(0, len(body)-2500):])
		}
	}
}

// meter is what a member did up to a moment.
type meter struct {
	at    time.Time
	lines int
	calls int
	cpu   time.Duration
}

func (of *office) read(m *member) meter {
	of.t.Helper()
	return meter{
		at: time.Now(), lines: strings.Count(of.logOf(m.name), "\n"),
		calls: m.primary.Calls() + m.secondary.Calls() + m.rabbit.Calls(), cpu: cpuOf(of.process(m).PID),
	}
}

// cpuOf is the processor time of a process (fields 14 and 15 of proc(5) stat).
func cpuOf(pid int) time.Duration {
	body, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(body[strings.LastIndexByte(string(body), ')')+2:]))
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	const ticksPerSecond = 100 // USER_HZ
	return time.Duration(user+system) * time.Second / ticksPerSecond
}

// Bounds of what a member may do in an outage of some seconds. What they catch
// is a loop without a pause: thousands of attempts, a processor for itself.
const (
	mostLines       = 25
	callsPerSecond  = 25 // to both servers of PostgreSQL and to RabbitMQ, with those of readyz
	callsToBegin    = 150
	mostOfProcessor = 0.3
)

// quietly runs an outage and asserts that nobody floods its log, knocks at
// closed doors all the time, or runs in circles.
func (of *office) quietly(t *testing.T, outage func()) {
	t.Helper()
	before := map[string]meter{}
	for _, m := range of.members {
		before[m.name] = of.read(m)
	}
	outage()
	var worst []string
	for _, m := range of.members {
		was, is := before[m.name], of.read(m)
		took := is.at.Sub(was.at).Seconds()
		lines, calls, cpu := is.lines-was.lines, is.calls-was.calls, (is.cpu - was.cpu).Seconds()
		worst = append(worst, fmt.Sprintf("%s: %d lines, %d calls, %.2f s of processor in %.1f s", m.name, lines, calls, cpu, took))
		if lines > mostLines {
			t.Errorf("%s logged %d lines", m.name, lines)
		}
		if calls > callsToBegin+int(took*callsPerSecond) {
			t.Errorf("%s connected %d times", m.name, calls)
		}
		if cpu > mostOfProcessor*took {
			t.Errorf("%s used %.2f s of processor in %.1f s", m.name, cpu, took)
		}
	}
	t.Log(strings.Join(worst, "\n"))
}

// db is the database as its owner sees it, past all relays.
func (of *office) db(t *testing.T, port int) *postgres.DB {
	t.Helper()
	p := of.services.Postgres
	p.Port = port
	db, err := postgres.Open(postgres.Config{URL: p.RoleURL("sifilma", p.User, ""), PasswordFile: p.PasswordFile, MaxOpen: 2})
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// eventually waits until a query gives a number.
func eventually(t *testing.T, db *postgres.DB, want int, query string, args ...any) {
	t.Helper()
	require.Eventually(t, func() bool {
		var n int
		return db.Get(t.Context(), &n, query, args...) == nil && n == want
	}, patience, tick, query)
}

func (of *office) signal(m *member, sig unix.Signal) { of.process(m).Signal(sig, false) }
