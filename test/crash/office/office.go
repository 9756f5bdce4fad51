// Package office stands the whole office up for a crash run: two processes of
// each daemon, started by `sifilma up`, each with lines of its own to PostgreSQL
// and RabbitMQ that can be cut, slowed and swallowed.
package office

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"dukcapil.go.id/sifilma/deploy/local"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/schema"
	"dukcapil.go.id/sifilma/test/demo/story"
	"dukcapil.go.id/sifilma/test/harness"
)

// Daemons of the office, and how many processes of each there are.
var Daemons = []string{"intake", "validator", "scheduler", "perso-station", "document-generator", "portal"}

const (
	copies    = 2
	readers   = 4
	upWithin  = 4 * time.Minute
	endWithin = 90 * time.Second
	smallDisk = "size=24m"
)

// Script is what the office tells those who play its people.
type Script struct {
	story.Script
	Addresses map[string][]string `json:"addresses"`
}

// Office is the running one.
type Office struct {
	Script
	// Lines by name of the instance.
	Postgres, Rabbit map[string]*harness.Relay
	// Small is the small disk of one process, SmallOf: the journal of a station or
	// the spool of an intake lies there. Empty where this machine allows no mount.
	Small, SmallOf string

	cmd   *exec.Cmd
	ended chan error
	serve sync.Mutex // one service at a time goes down and up
}

// Instances are the names of all processes.
func Instances() (names []string) {
	for _, d := range Daemons {
		names = append(names, d)
		for n := 2; n <= copies; n++ {
			names = append(names, d+"-"+strconv.Itoa(n))
		}
	}
	return names
}

// folders are where instances keep what must be on a disk of theirs, below the
// run directory.
var folders = map[string]string{
	"perso-station": "station", "perso-station-2": "station-2", "intake": "spool-intake", "intake-2": "spool-intake-2",
}

// Journal is the path of a station's journal.
func (of *Office) Journal(name string) (path string, ok bool) {
	if !strings.HasPrefix(name, "perso-station") {
		return "", false
	}
	return filepath.Join(of.Dir, folders[name], "journal.jsonl"), true
}

// Open starts everything in an empty run directory dir and waits until all is
// ready; the seed says whose disk is small. What the office prints goes to out.
func Open(ctx context.Context, bin, dir string, seed uint64, out io.Writer) (*Office, error) {
	of := &Office{Postgres: map[string]*harness.Relay{}, Rabbit: map[string]*harness.Relay{}, ended: make(chan error, 1)}
	names := slices.Sorted(maps.Keys(folders))
	of.SmallOf = names[rand.New(rand.NewPCG(seed, 2)).IntN(len(names))] //nolint:gosec // repeatable
	of.Small = filepath.Join(dir, folders[of.SmallOf])
	if err := Clean(ctx, dir); err != nil {
		return nil, err
	}
	services, err := local.Start(ctx, local.Options{Dir: dir, Readers: readers})
	if err != nil {
		return nil, err
	}
	if err := of.mount(); err != nil {
		return nil, errors.Join(err, local.StopDir(ctx, dir))
	}
	ways, err := of.lay(services)
	if err == nil {
		err = of.up(ctx, bin, dir, ways, out)
	}
	if err != nil {
		return nil, errors.Join(err, of.Close(ctx), local.StopDir(context.WithoutCancel(ctx), dir))
	}
	return of, nil
}

// Clean ends and removes what an earlier run left in dir.
func Clean(ctx context.Context, dir string) error {
	for _, folder := range folders {
		_ = unix.Unmount(filepath.Join(dir, folder), unix.MNT_DETACH) // of a killed run, or not there
	}
	return local.CleanDir(ctx, dir)
}

func (of *Office) mount() error {
	if err := os.MkdirAll(of.Small, 0o700); err != nil {
		return err
	}
	if err := unix.Mount("tmpfs", of.Small, "tmpfs", 0, smallDisk); err != nil {
		fmt.Printf("disk penuh dilewati: tmpfs tidak dapat dipasang di sini (%v)\n", err)
		of.Small = ""
	}
	return nil
}

// lay puts a relay into every line.
func (of *Office) lay(s *local.Services) (file string, err error) {
	type way struct {
		Postgres string `json:"postgres"`
		Rabbit   string `json:"rabbit"`
	}
	ways := map[string]way{}
	at := func(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
	for _, name := range Instances() {
		if of.Postgres[name], err = harness.NewRelay(at(s.Postgres.Port)); err != nil {
			return "", err
		}
		if of.Rabbit[name], err = harness.NewRelay(at(s.Rabbit.Port)); err != nil {
			return "", err
		}
		ways[name] = way{of.Postgres[name].Address(), of.Rabbit[name].Address()}
	}
	body, err := json.Marshal(ways)
	if err != nil {
		return "", err
	}
	file = filepath.Join(s.Dir, "ways.json")
	return file, os.WriteFile(file, body, 0o600)
}

func (of *Office) up(ctx context.Context, bin, dir, ways string, out io.Writer) error {
	cmd := exec.Command(filepath.Join(bin, "sifilma"), "up", "-dir", dir, "-readers", strconv.Itoa(readers),
		"-copies", strconv.Itoa(copies), "-ways", ways, "-play", "-")
	// A shorter patience than the office's own, so that a lost bell costs a run
	// no more than a minute.
	cmd.Env = append(os.Environ(), "SIFILMA_SWEEPER_DEADLINE=45s", "SIFILMA_SWEEPER_EVERY=5s", "SIFILMA_API_RATE_PER_SECOND=50")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Stderr = out
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	of.cmd = cmd
	said := make(chan error, 1)
	go func() {
		said <- of.listen(stdout, out)
		_, _ = io.Copy(out, stdout)
		of.ended <- cmd.Wait()
	}()
	select {
	case err = <-said:
	case <-ctx.Done():
		err = ctx.Err()
	case <-time.After(upWithin):
		err = fmt.Errorf("kantor tidak siap dalam %s", upWithin)
	}
	if err != nil {
		return err
	}
	// The token's module reads this process's environment.
	s, err := local.Load(dir)
	if err != nil {
		return err
	}
	return os.Setenv("SOFTHSM2_CONF", s.HSM.Config)
}

// listen passes on what the office says until it tells the script.
func (of *Office) listen(r io.Reader, out io.Writer) error {
	lines := bufio.NewReader(r)
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			return fmt.Errorf("kantor berhenti sebelum siap: %w", err)
		}
		if strings.HasPrefix(line, "{") {
			return json.Unmarshal([]byte(line), &of.Script)
		}
		_, _ = io.WriteString(out, line)
	}
}

// Down says that the office itself ended, which it must not.
func (of *Office) Down() <-chan error { return of.ended }

// Process is the present process of an instance.
func (of *Office) Process(name string) (local.Process, bool) {
	body, err := os.ReadFile(filepath.Join(of.Dir, "fleet.json"))
	if err != nil {
		return local.Process{}, false
	}
	now := map[string]local.Process{}
	if json.Unmarshal(body, &now) != nil {
		return local.Process{}, false
	}
	p, ok := now[name]
	return p, ok && p.Alive()
}

// Service is one of the two services.
type Service string

// Services.
const (
	Postgres Service = "postgres"
	RabbitMQ Service = "rabbitmq"
)

// Restart ends a service by a signal, leaves it away for a while, and starts it
// again.
func (of *Office) Restart(ctx context.Context, which Service, sig syscall.Signal, away time.Duration) error {
	of.serve.Lock()
	defer of.serve.Unlock()
	if ctx.Err() != nil {
		return nil // another service took until the end
	}
	_, err := of.restart(ctx, which, sig, func(*local.Services) error {
		_ = Pause(ctx, away) // at the end of the run it comes back at once
		return nil
	})
	return err
}

// EmptyBroker has the broker come back from a new disk: queues and messages are
// gone, and every session with them.
func (of *Office) EmptyBroker(ctx context.Context) error {
	of.serve.Lock()
	defer of.serve.Unlock()
	s, err := of.restart(ctx, RabbitMQ, syscall.SIGKILL, func(s *local.Services) error {
		return os.RemoveAll(filepath.Join(s.Data, "rabbitmq", "mnesia"))
	})
	if err != nil {
		return err
	}
	// As whoever sets a broker up does.
	all := map[string]string{"configure": ".*", "write": ".*", "read": ".*"}
	return errors.Join(
		s.Rabbit.API(ctx, http.MethodPut, "/vhosts/sifilma", map[string]any{}, nil),
		s.Rabbit.API(ctx, http.MethodPut, "/permissions/sifilma/"+url.PathEscape(s.Rabbit.User), all, nil),
	)
}

// restart ends a service, has meanwhile done while it is away, and starts it; the
// caller holds serve.
func (of *Office) restart(ctx context.Context, which Service, sig syscall.Signal, meanwhile func(*local.Services) error) (*local.Services, error) {
	s, err := local.Load(of.Dir)
	if err != nil {
		return nil, err
	}
	p := s.Postgres.Process
	if which == RabbitMQ {
		p = s.Rabbit.Process
	}
	p.Signal(sig, false)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Minute)
	defer cancel()
	// Start leaves alone what still lives, so it must be seen dead, also when the
	// run is over meanwhile.
	for p.Alive() {
		if err := Pause(ctx, 50*time.Millisecond); err != nil {
			return nil, fmt.Errorf("%s tidak berhenti: %w", which, err)
		}
	}
	if err := meanwhile(s); err != nil {
		return nil, err
	}
	return local.Start(ctx, local.Options{Dir: of.Dir, Readers: readers})
}

// DB is the database as its owner sees it, past all relays.
func (of *Office) DB() (*postgres.DB, error) {
	s, err := local.Load(of.Dir)
	if err != nil {
		return nil, err
	}
	db, err := postgres.Open(postgres.Config{URL: s.Postgres.RoleURL("sifilma", s.Postgres.User, ""), PasswordFile: s.Postgres.PasswordFile, MaxOpen: 4})
	if err != nil {
		return nil, err
	}
	db.Expect(schema.Version())
	return db, nil
}

// Close ends everything.
func (of *Office) Close(ctx context.Context) error {
	var err error
	if of.cmd != nil {
		_ = of.cmd.Process.Signal(syscall.SIGTERM)
		select {
		case err = <-of.ended:
		case <-time.After(endWithin):
			_ = of.cmd.Process.Kill() // its sweeper ends the rest
			err = fmt.Errorf("kantor tidak berhenti dalam %s", endWithin)
		}
	}
	for _, lines := range []map[string]*harness.Relay{of.Postgres, of.Rabbit} {
		for _, r := range lines {
			if r != nil {
				r.Close()
			}
		}
	}
	if of.Small != "" {
		err = errors.Join(err, unix.Unmount(of.Small, unix.MNT_DETACH))
	}
	return err
}

// Pause waits d or until ctx ends.
func Pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
