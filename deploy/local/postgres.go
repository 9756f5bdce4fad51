package local

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"syscall"
	"time"

	_ "github.com/lib/pq" // the driver that asks whether the server answers
	"golang.org/x/sys/unix"
)

// Postgres is the private PostgreSQL server.
type Postgres struct {
	Host         string  `json:"host"`
	Port         int     `json:"port"`
	User         string  `json:"user"` // superuser, owner of the databases
	PasswordFile string  `json:"password_file"`
	Process      Process `json:"process"`
	Ready        bool    `json:"ready"`
}

func (p Postgres) running() bool { return p.Ready && p.Process.Alive() }

// URL is the connection URL of a database for the superuser, password included;
// it must not be logged.
func (p Postgres) URL(database string) (string, error) {
	password, err := readSecret(p.PasswordFile)
	if err != nil {
		return "", fmt.Errorf("kata sandi PostgreSQL: %w", err)
	}
	return p.RoleURL(database, p.User, password), nil
}

// RoleURL is the connection URL of a database for a role; an empty password is
// left out, to be given by a password file.
func (p Postgres) RoleURL(database, role, password string) string {
	u := url.URL{Scheme: "postgres", Host: net.JoinHostPort(p.Host, strconv.Itoa(p.Port)), Path: "/" + database,
		User: url.User(role), RawQuery: "sslmode=disable"}
	if password != "" {
		u.User = url.UserPassword(role, password)
	}
	return u.String()
}

func (s *Services) startPostgres(ctx context.Context) error {
	if err := s.runPostgres(ctx); err != nil {
		return fmt.Errorf("PostgreSQL: %w (lihat %s; akhirnya: %s)", err, s.logFile("postgres"), lastWords(s.logFile("postgres")))
	}
	return nil
}

func (s *Services) runPostgres(ctx context.Context) error {
	bin, err := postgresBin(filepath.Join(s.postgresData(), "PG_VERSION"))
	if err != nil {
		return err
	}
	account, err := postgresAccount()
	if err != nil {
		return err
	}
	password, file, err := s.secret("postgres", letters, 32)
	if err != nil {
		return err
	}
	if err := s.update(func() {
		s.Postgres.Host, s.Postgres.User, s.Postgres.PasswordFile = "127.0.0.1", "postgres", file
	}); err != nil {
		return err
	}
	if !s.Postgres.Process.Alive() {
		if err := s.spawnPostgres(ctx, bin, account, password); err != nil {
			return err
		}
	}
	s.logf("PostgreSQL: menunggu siap di porta %d", s.Postgres.Port)
	if err := await(ctx, s.Postgres.Process, time.Minute, s.pingPostgres); err != nil {
		return err
	}
	s.logf("PostgreSQL: siap")
	return s.update(func() { s.Postgres.Ready = true })
}

func (s *Services) spawnPostgres(ctx context.Context, bin string, account *syscall.Credential, password string) error {
	data := s.postgresData()
	s.sweep(ctx, "postgres", data)
	if _, err := os.Stat(filepath.Join(data, "PG_VERSION")); errors.Is(err, os.ErrNotExist) {
		s.logf("PostgreSQL: menyiapkan basis data baru")
		if err := s.initPostgres(ctx, bin, account, password); err != nil {
			return err
		}
	}
	// The sweep has ended every server of this directory. A lock file that is
	// still there could name a pid that now belongs to another.
	if err := os.Remove(filepath.Join(data, "postmaster.pid")); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := writeOwned(filepath.Join(data, "postgresql.conf"), s.postgresConf(), account); err != nil {
		return err
	}
	// "all" leaves replication out, by which a backup is taken.
	hba := "host all all 127.0.0.1/32 scram-sha-256\nhost replication postgres 127.0.0.1/32 scram-sha-256\n"
	if err := writeOwned(filepath.Join(data, "pg_hba.conf"), hba, account); err != nil {
		return err
	}
	cmd := exec.Command(filepath.Join(bin, "postgres"), "-D", data)
	cmd.Dir = data
	cmd.Env = baseEnv()
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: account}
	p, err := s.spawn(cmd, "postgres", s.logFile("postgres"))
	if err != nil {
		return err
	}
	return s.update(func() { s.Postgres.Process, s.Postgres.Ready = p, false })
}

func (s *Services) postgresData() string { return filepath.Join(s.Data, "postgres", "data") }

// initPostgres creates the cluster beside its place and renames it, so that an
// interrupted creation is simply done again.
func (s *Services) initPostgres(ctx context.Context, bin string, account *syscall.Credential, password string) error {
	home := filepath.Join(s.Data, "postgres")
	if err := os.RemoveAll(home); err != nil {
		return err
	}
	if err := os.Mkdir(home, 0o700); err != nil {
		return err
	}
	if account != nil {
		if err := os.Chown(home, int(account.Uid), int(account.Gid)); err != nil {
			return err
		}
	}
	pwfile := filepath.Join(home, "pw")
	if err := writeOwned(pwfile, password+"\n", account); err != nil {
		return err
	}
	next := filepath.Join(home, "new")
	cmd := exec.CommandContext(ctx, filepath.Join(bin, "initdb"), "-D", next, "-U", "postgres", "-E", "UTF8",
		"--locale=C.UTF-8", "--auth=scram-sha-256", "--pwfile="+pwfile)
	cmd.Dir = home
	cmd.Env = append(baseEnv(), s.mark("postgres"))
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: account, Setpgid: true}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w: %s", err, lastLine(string(out)))
	}
	if err := os.Remove(pwfile); err != nil {
		return err
	}
	return os.Rename(next, s.postgresData())
}

// postgresConf keeps all durability settings at their safe defaults. Statements
// and parameters stay out of the log, because parameters carry secrets.
func (s *Services) postgresConf() string {
	return strings.Join([]string{
		"listen_addresses = '127.0.0.1'",
		"port = " + strconv.Itoa(s.Postgres.Port),
		"unix_socket_directories = ''",
		"password_encryption = 'scram-sha-256'",
		"max_connections = 300",
		"shared_buffers = '256MB'",
		"dynamic_shared_memory_type = posix",
		"max_wal_size = '1GB'",
		"min_wal_size = '80MB'",
		"timezone = 'UTC'",
		"log_timezone = 'UTC'",
		"lc_messages = 'C.UTF-8'",
		"log_destination = 'stderr'",
		"logging_collector = off",
		"log_line_prefix = '%m [%p] %q%u@%d '",
		"log_statement = 'none'",
		"log_min_duration_statement = -1",
		"log_min_error_statement = panic",
		"log_parameter_max_length = 0",
		"log_parameter_max_length_on_error = 0",
		"",
	}, "\n")
}

func (s *Services) pingPostgres(ctx context.Context) error {
	dsn, err := s.Postgres.URL("postgres")
	if err != nil {
		return err
	}
	// The driver's handshake does not heed ctx, and whoever sits on our port may
	// never answer.
	db, err := sql.Open("postgres", dsn+"&connect_timeout=2")
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	return db.PingContext(ctx)
}

func (s *Services) stopPostgres(ctx context.Context) {
	if p := s.Postgres.Process; p.Alive() {
		s.logf("PostgreSQL: menghentikan")
		// SIGINT is PostgreSQL's fast shutdown, SIGQUIT the immediate one.
		end(ctx, p, 8*time.Second, unix.SIGINT, unix.SIGQUIT)
	}
	cwd := ""
	if s.Data != "" {
		cwd = s.postgresData()
	}
	s.sweep(context.WithoutCancel(ctx), "postgres", cwd)
	s.save.Lock()
	defer s.save.Unlock()
	s.Postgres.Process, s.Postgres.Ready = Process{}, false
}

// postgresBin finds the server programs: those of the version that made the
// cluster, or the newest when there is none yet.
func postgresBin(versionFile string) (string, error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	if err != nil || len(found) == 0 {
		return "", errors.New("program server tidak ditemukan; jalankan deploy/local/install.sh")
	}
	version := func(path string) int {
		n, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(path)))) // a name that is no number sorts first
		return n
	}
	sort.Slice(found, func(i, j int) bool { return version(found[i]) > version(found[j]) })
	text, err := os.ReadFile(versionFile)
	if errors.Is(err, os.ErrNotExist) {
		return filepath.Dir(found[0]), nil
	}
	if err != nil {
		return "", err
	}
	made := strings.TrimSpace(string(text))
	for _, path := range found {
		if strconv.Itoa(version(path)) == made {
			return filepath.Dir(path), nil
		}
	}
	return "", fmt.Errorf("basis data dibuat oleh PostgreSQL %s, yang tidak terpasang", made)
}

func writeOwned(path, text string, account *syscall.Credential) error {
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return err
	}
	if account == nil {
		return nil
	}
	return os.Chown(path, int(account.Uid), int(account.Gid))
}

func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return lines[len(lines)-1]
}
