package local

import (
	"context"
	"database/sql"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The run directory is as awkward as a clone can be: a space in its path and a
// parent that only its owner may enter.
func TestServicesLiveThroughAHardKill(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	private := filepath.Join(t.TempDir(), "folder pribadi")
	require.NoError(t, os.Mkdir(private, 0o700))
	dir := filepath.Join(private, ".run")
	t.Cleanup(func() { require.NoError(t, CleanDir(context.Background(), dir)) })

	s, err := Start(ctx, Options{Dir: dir, Log: func(m string) { t.Log(m) }})
	require.NoError(t, err)
	require.True(t, s.Running())
	require.NotEqual(t, dir, s.Data, "services cannot live below a path with a space")
	query(t, s, `CREATE TABLE kept (n int)`)
	query(t, s, `INSERT INTO kept VALUES (7)`)
	require.NoError(t, s.Rabbit.API(ctx, http.MethodPut, "/vhosts/kept", struct{}{}, nil))
	require.ErrorContains(t, s.Rabbit.API(ctx, http.MethodGet, "/users/guest", nil, nil), "404")
	first := *s.processes()

	again, err := Start(ctx, Options{Dir: dir})
	require.NoError(t, err)
	require.Equal(t, first, *again.processes(), "a second start leaves running services alone")

	program := exec.Command("sleep", "600")
	program.Env = append(os.Environ(), s.Mark("sleeper"))
	require.NoError(t, program.Start())
	ended := make(chan error, 1)
	go func() { ended <- program.Wait() }()

	for _, p := range first {
		require.NoError(t, syscall.Kill(p.PID, syscall.SIGKILL))
	}
	for _, p := range first {
		require.True(t, waitGone(ctx, p, time.Minute))
	}
	s, err = Start(ctx, Options{Dir: dir})
	require.NoError(t, err, "start after every service was killed")
	var n int
	require.NoError(t, open(t, s).QueryRow(`SELECT n FROM kept`).Scan(&n))
	require.Equal(t, 7, n)
	require.NoError(t, s.Rabbit.API(ctx, http.MethodGet, "/vhosts/kept", nil, nil))

	require.NoError(t, StopDir(ctx, dir))
	require.Error(t, <-ended, "a program that was left behind is ended by a signal")
	require.Empty(t, find(func(pid string) bool {
		return strings.Contains(string(environ(pid)), marker+"="+dir+"#")
	}))
	for _, p := range *s.processes() {
		require.False(t, p.Alive())
	}
	data := s.Data
	require.NoError(t, CleanDir(ctx, dir))
	require.NoDirExists(t, dir)
	require.NoDirExists(t, data)
}

func (s *Services) processes() *[4]Process {
	return &[4]Process{s.Postgres.Process, s.Rabbit.Process, s.Rabbit.Epmd, s.PCSC.Process}
}

func open(t *testing.T, s *Services) *sql.DB {
	t.Helper()
	dsn, err := s.Postgres.URL("postgres")
	require.NoError(t, err)
	db, err := sql.Open("postgres", dsn)
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func query(t *testing.T, s *Services, q string) {
	t.Helper()
	_, err := open(t, s).Exec(q)
	require.NoError(t, err)
}

func TestARecycledPIDIsNotOurProcess(t *testing.T) {
	t.Parallel()
	cmd := exec.Command("sleep", "600")
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	p, ok := Identify(cmd.Process.Pid)
	require.True(t, ok)
	require.True(t, p.Alive())
	stranger := p
	stranger.Started++
	require.False(t, stranger.Alive())
	stranger.Signal(syscall.SIGKILL, true)
	require.True(t, p.Alive(), "a signal went to a process that is not ours")
	p.Signal(syscall.SIGKILL, false)
	require.True(t, waitGone(t.Context(), p, 10*time.Second), "a zombie counts as gone")
}

func TestPortsInUseAreLeftOut(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	_, text, err := net.SplitHostPort(l.Addr().String())
	require.NoError(t, err)
	used, err := strconv.Atoi(text)
	require.NoError(t, err)
	free, release, err := FreePorts(used, 3, used+1)
	require.NoError(t, err)
	require.Len(t, free, 3)
	require.NotContains(t, free, used)
	require.NotContains(t, free, used+1)

	others, releaseOthers, err := FreePorts(used, 3)
	require.NoError(t, err)
	defer releaseOthers()
	for _, port := range free {
		require.NotContains(t, others, port, "chosen by another who has not bound it yet")
	}
	release()
	again, releaseAgain, err := FreePorts(free[0], 1)
	require.NoError(t, err)
	defer releaseAgain()
	require.Equal(t, free[:1], again)
}

// A stranger takes the ports between their choice and their use.
func TestServicesMoveFromPortsLostAtTheLastMoment(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	dir := filepath.Join(t.TempDir(), ".run")
	t.Cleanup(func() { require.NoError(t, CleanDir(context.Background(), dir)) })
	stolen := 0
	s, err := Start(ctx, Options{Dir: dir, Log: func(m string) {
		t.Log(m)
		if !strings.Contains(m, "menyiapkan basis data baru") { // said once, by one goroutine
			return
		}
		planned, err := Load(dir)
		require.NoError(t, err)
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(planned.Postgres.Port)))
		require.NoError(t, err)
		t.Cleanup(func() { _ = l.Close() })
		stolen = planned.Postgres.Port
	}})
	require.NoError(t, err)
	require.NotZero(t, stolen)
	require.NotEqual(t, stolen, s.Postgres.Port)
	query(t, s, `SELECT 1`)
}

func TestCleanRefusesAForeignFolder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "surat.txt"), nil, 0o600))
	require.ErrorContains(t, CleanDir(t.Context(), dir), "bukan folder kerja")
	require.FileExists(t, filepath.Join(dir, "surat.txt"))
}

func TestReaderPlan(t *testing.T) {
	t.Parallel()
	var p PCSC
	require.NoError(t, p.plan(2))
	require.Equal(t, []Reader{
		{Name: "Virtual PCD 1 00 00", Port: 35963, Driver: 1},
		{Name: "Virtual PCD 2 00 00", Port: 35965, Driver: 2},
	}, p.Primary())
	require.Error(t, p.plan(9), "pcscd has room for 16 slots")
}
