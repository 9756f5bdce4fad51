package harness

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/rabbit"
)

// Daemon is the surroundings in which a test runs a daemon: its database login,
// its virtual host, and an office clock that stands until the test steps it.
type Daemon struct {
	Postgres postgres.Config
	Rabbit   rabbit.Config
	Addr     string // of its HTTP server; a free port when empty
	More     string // further lines of its YAML configuration

	clock string
	log   SyncedLog
}

// WriteConfig writes the daemon's configuration, with the office clock at
// officeAt, and returns its path.
func (d *Daemon) WriteConfig(t testing.TB, officeAt time.Time) (path string) {
	t.Helper()
	dir := t.TempDir()
	d.clock = filepath.Join(dir, "clock")
	d.Step(t, officeAt)
	path = filepath.Join(dir, "daemon.yaml")
	require.NoError(t, os.WriteFile(path, fmt.Appendf(nil,
		"http: {addr: %q}\noffice_clock: %q\npostgres: {url: %q, password_file: %q}\nrabbit: {url: %q, password_file: %q}\n%s\n",
		cmp.Or(d.Addr, "127.0.0.1:0"), "file:"+d.clock, d.Postgres.URL, d.Postgres.PasswordFile, d.Rabbit.URL, d.Rabbit.PasswordFile, d.More), 0o600))
	return path
}

// Start runs a daemon until the test ends; run is its daemon.Run with arguments,
// log and signals left to give. The office clock stands at officeAt. The test
// fails when the daemon does not end well. An exit before that is on the
// channel.
func (d *Daemon) Start(t testing.TB, officeAt time.Time, run func(args []string, log io.Writer, signals <-chan os.Signal) int) (early <-chan int) {
	t.Helper()
	path := d.WriteConfig(t, officeAt)
	signals, code := make(chan os.Signal, 2), make(chan int, 2)
	go func() {
		c := run([]string{"-config", path}, &d.log, signals)
		code <- c
		code <- c
	}()
	t.Cleanup(func() {
		signals <- syscall.SIGTERM
		if c := <-code; c != 0 || t.Failed() {
			t.Errorf("the daemon ended with %d:\n%s", c, d.Log())
		}
	})
	return code
}

// Log is what the daemon has logged so far.
func (d *Daemon) Log() string { return d.log.String() }

// Step sets the daemon's office clock.
func (d *Daemon) Step(t testing.TB, officeAt time.Time) {
	t.Helper()
	require.NoError(t, clock.StepOffice(d.clock, officeAt))
}

// SyncedLog keeps what a daemon logs while a test reads it.
type SyncedLog struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write is for the logger.
func (l *SyncedLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

// String is what was logged so far.
func (l *SyncedLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

var secretFile = regexp.MustCompile(`/etc/sifilma/[a-z0-9/-]+`)

// Shipped is a daemon's configuration as it is shipped, on a machine that has
// the secrets that it names; it returns its path.
func Shipped(t testing.TB, daemon string) (path string) {
	t.Helper()
	root, err := Root()
	require.NoError(t, err)
	text, err := os.ReadFile(filepath.Join(root, "configs", daemon+".yaml"))
	require.NoError(t, err)
	dir := t.TempDir()
	text = secretFile.ReplaceAllFunc(text, func(name []byte) []byte {
		file := filepath.Join(dir, string(name))
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o700))
		require.NoError(t, os.WriteFile(file, []byte("secret\n"), 0o600))
		return []byte(file)
	})
	path = filepath.Join(dir, daemon+".yaml")
	require.NoError(t, os.WriteFile(path, text, 0o600)) //nolint:gosec // the daemon's name is the test's own
	return path
}
