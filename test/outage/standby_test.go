package outage

import (
	"context"
	"database/sql"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/deploy/local"
)

// standby is a second PostgreSQL that follows the first one.
type standby struct {
	of   *office
	home string
	cred *syscall.Credential // PostgreSQL refuses to run as root
	bin  string
}

// newStandby copies the primary and starts the copy, and makes the primary wait
// for it at each commit, so that no commit is lost with the primary.
func newStandby(t *testing.T, of *office) {
	t.Helper()
	s := &standby{of: of, home: filepath.Join(of.services.Data, "standby")}
	exe, err := os.Readlink(filepath.Join("/proc", strconv.Itoa(of.services.Postgres.Process.PID), "exe"))
	require.NoError(t, err)
	s.bin = filepath.Dir(exe)
	require.NoError(t, os.Mkdir(s.home, 0o700))
	if os.Geteuid() == 0 {
		u, err := user.Lookup("postgres")
		require.NoError(t, err)
		uid, _ := strconv.Atoi(u.Uid)
		gid, _ := strconv.Atoi(u.Gid)
		require.NoError(t, os.Chown(s.home, uid, gid))
		s.cred = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid), Groups: []uint32{}}
	}
	hba := filepath.Join(of.services.Data, "postgres", "data", "pg_hba.conf")
	f, err := os.OpenFile(hba, os.O_APPEND|os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = f.WriteString("host replication all 127.0.0.1/32 scram-sha-256\n")
	require.NoError(t, err)
	require.NoError(t, f.Close())
	primary := of.db(t, of.services.Postgres.Port)
	setting(t, of, `SELECT pg_reload_conf()`)

	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	password, err := os.ReadFile(of.services.Postgres.PasswordFile)
	require.NoError(t, err)
	data := filepath.Join(s.home, "data")
	source := "host=127.0.0.1 port=" + strconv.Itoa(of.services.Postgres.Port) + " user=postgres password=" + strings.TrimSpace(string(password))
	cmd := exec.CommandContext(ctx, filepath.Join(s.bin, "pg_basebackup"), "-D", data, "-X", "stream", "-R", "-c", "fast", "-d", source)
	cmd.SysProcAttr, cmd.Dir = &syscall.SysProcAttr{Credential: s.cred}, s.home
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))

	server := exec.Command(filepath.Join(s.bin, "postgres"), "-D", data, "-p", strconv.Itoa(of.standby))
	server.SysProcAttr, server.Dir = &syscall.SysProcAttr{Credential: s.cred, Setpgid: true}, data
	server.Env = append(os.Environ(), of.services.Mark("standby"))
	log, err := os.Create(filepath.Join(of.dir, "log", "standby.log"))
	require.NoError(t, err)
	server.Stdout, server.Stderr = log, log
	require.NoError(t, server.Start())
	require.NoError(t, log.Close())
	ended := make(chan struct{})
	go func() { _ = server.Wait(); close(ended) }()
	of.stopStandby = func() {
		_ = server.Process.Signal(syscall.SIGQUIT)
		select {
		case <-ended:
		case <-time.After(patience):
			_ = server.Process.Kill()
			of.t.Error("the standby does not stop")
		}
	}
	eventually(t, primary, 1, `SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'`)
	setting(t, of, `ALTER SYSTEM SET synchronous_standby_names = '*'`)
	setting(t, of, `SELECT pg_reload_conf()`)
	eventually(t, primary, 1, `SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'`)
}

// setting runs what an administrator would run on the primary.
func setting(t *testing.T, of *office, statement string) {
	t.Helper()
	administer(t, of.services.Postgres, statement)
}

func administer(t *testing.T, p local.Postgres, statement string) {
	t.Helper()
	address, err := p.URL("postgres")
	require.NoError(t, err)
	db, err := sql.Open("postgres", address)
	require.NoError(t, err)
	defer func() { _ = db.Close() }()
	_, err = db.ExecContext(t.Context(), statement)
	require.NoError(t, err)
}

// failover: the primary dies and its standby is promoted. The daemons know both
// by their configuration, and find the one that takes writes.
func failover(t *testing.T, of *office) {
	newStandby(t, of)
	var had int
	require.NoError(t, of.db(t, of.services.Postgres.Port).Get(t.Context(), &had, `SELECT count(*) FROM history`))
	of.quietly(t, func() {
		of.kill(of.services.Postgres.Process)
		of.allBad("postgres") // the standby answers, and is not taken for a primary
		promoted := of.services.Postgres
		promoted.Port = of.standby
		administer(t, promoted, `SELECT pg_promote()`) // returns when it is done
		recovered(t, of, time.Now())
	})
	db := of.db(t, of.standby)
	var have int
	require.NoError(t, db.Get(t.Context(), &have, `SELECT count(*) FROM history`))
	require.GreaterOrEqual(t, have, had, "nothing that was committed is lost")
	ticket := of.drop(t)
	eventually(t, db, 1, `SELECT count(*) FROM request WHERE ticket = $1 AND state = 'validated'`, ticket)
}
