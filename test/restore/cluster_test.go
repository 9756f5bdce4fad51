//go:build long

package restore_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/test/harness"
)

// place is a folder that PostgreSQL can reach, with the programs and scripts of
// an office's machine in it. PostgreSQL refuses root and then runs as its own
// account.
type place struct {
	dir     string
	account *syscall.Credential
	bin     string // of PostgreSQL
}

func newPlace(t *testing.T) *place {
	t.Helper()
	dir, err := os.MkdirTemp("/var/tmp", "sifilma-pulih-")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	p := &place{dir: dir}
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin")
	require.NoError(t, err)
	require.NotEmpty(t, found)
	p.bin = found[len(found)-1]
	root, err := harness.Root()
	require.NoError(t, err)
	for _, script := range []string{"wal.sh", "backup.sh", "restore.sh"} {
		body, err := os.ReadFile(filepath.Join(root, "deploy", "backup", script))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(dir, script), body, 0o755))
	}
	if os.Geteuid() == 0 {
		u, err := user.Lookup("postgres")
		require.NoError(t, err)
		uid, err := strconv.Atoi(u.Uid)
		require.NoError(t, err)
		gid, err := strconv.Atoi(u.Gid)
		require.NoError(t, err)
		p.account = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		require.NoError(t, os.Chown(dir, uid, gid))
	}
	return p
}

// run runs a program as PostgreSQL's account and returns what it printed.
func (p *place) run(t *testing.T, env []string, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = p.dir
	cmd.Env = append([]string{"PATH=" + p.bin + ":/usr/bin:/bin", "LC_ALL=C.UTF-8", "HOME=" + p.dir}, env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: p.account}
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s %s: %s", name, strings.Join(args, " "), out)
	return string(out)
}

// server is a cluster that runs.
type server struct {
	*place
	data string
	port int
}

// start starts the cluster in data until the test ends.
func (p *place) start(t *testing.T, data string) *server {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s := &server{place: p, data: data, port: l.Addr().(*net.TCPAddr).Port}
	require.NoError(t, l.Close())
	options := fmt.Sprintf("-c listen_addresses=127.0.0.1 -c port=%d -c unix_socket_directories='' -c archive_mode=on -c archive_command='%s/wal.sh %%p %%f %s/cadangan/wal'",
		s.port, p.dir, p.dir)
	p.run(t, nil, "pg_ctl", "-D", data, "-w", "-t", "120", "-l", data+".log", "-o", options, "start")
	t.Cleanup(func() { s.stop(t) })
	return s
}

// stop ends the server, if it runs; what it wrote is archived before.
func (s *server) stop(t *testing.T) {
	t.Helper()
	if _, err := os.Stat(filepath.Join(s.data, "postmaster.pid")); err == nil {
		s.run(t, nil, "pg_ctl", "-D", s.data, "-m", "fast", "-w", "stop")
	}
}

func (s *server) url() string {
	return fmt.Sprintf("postgres://postgres@127.0.0.1:%d/sifilma?sslmode=disable", s.port)
}

func (s *server) env() []string {
	return []string{"PGHOST=127.0.0.1", "PGPORT=" + strconv.Itoa(s.port), "PGUSER=postgres", "PGDATABASE=sifilma"}
}

func (s *server) open(t *testing.T) *postgres.DB {
	t.Helper()
	db, err := postgres.Open(postgres.Config{URL: s.url()})
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close() })
	return db
}
