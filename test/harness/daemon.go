package harness

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
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
	More     string // further lines of its YAML configuration

	clock string
	log   syncedLog
}

// Start runs a daemon until the test ends; run is its daemon.Run with arguments,
// log and signals left to give. The office clock stands at officeAt. The test
// fails when the daemon does not end well.
func (d *Daemon) Start(t testing.TB, officeAt time.Time, run func(args []string, log io.Writer, signals <-chan os.Signal) int) {
	t.Helper()
	dir := t.TempDir()
	d.clock = filepath.Join(dir, "clock")
	d.Step(t, officeAt)
	path := filepath.Join(dir, "daemon.yaml")
	require.NoError(t, os.WriteFile(path, fmt.Appendf(nil,
		"http: {addr: \"127.0.0.1:0\"}\noffice_clock: %q\npostgres: {url: %q, password_file: %q}\nrabbit: {url: %q, password_file: %q}\n%s\n",
		"file:"+d.clock, d.Postgres.URL, d.Postgres.PasswordFile, d.Rabbit.URL, d.Rabbit.PasswordFile, d.More), 0o600))
	signals, code := make(chan os.Signal, 2), make(chan int, 1)
	go func() { code <- run([]string{"-config", path}, &d.log, signals) }()
	t.Cleanup(func() {
		signals <- syscall.SIGTERM
		if c := <-code; c != 0 || t.Failed() {
			t.Errorf("the daemon ended with %d:\n%s", c, d.log.String())
		}
	})
}

// Step sets the daemon's office clock.
func (d *Daemon) Step(t testing.TB, officeAt time.Time) {
	t.Helper()
	require.NoError(t, clock.StepOffice(d.clock, officeAt))
}

// Logged says whether the daemon's log holds a text.
func (d *Daemon) Logged(text string) bool { return strings.Contains(d.log.String(), text) }

type syncedLog struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *syncedLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *syncedLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
