// Package up runs the whole office on one machine: private services, a migrated
// database, keys, accounts, and every daemon as a process of its own. It can
// then run a program that plays the people of the office.
package up

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"dukcapil.go.id/sifilma/daemons/sifilma/internal/fleet"
	"dukcapil.go.id/sifilma/deploy/local"
)

// Options of a run.
type Options struct {
	Dir     string // run directory
	Readers int    // virtual readers
	Play    string // program that plays the people; empty for none, "-" prints its script instead
	Copies  int    // processes of each daemon
	Ways    string // JSON file: Way by name of instance, for whoever puts something between daemons and services
	Once    bool   // stop when Play ends, with its exit code
}

const (
	readyWithin = 90 * time.Second
	stopWithin  = 60 * time.Second
)

type office struct {
	Options
	bin      string // directory of the programs
	began    time.Time
	services *local.Services
	fleet    *fleet.Fleet
	ports    ports
	// releasePorts lets others choose the ports; nil before they are chosen.
	releasePorts func()
	secrets      map[string]string // password files by database role's daemon
	cast         Cast
}

func say(line string) { fmt.Println(line) }

// Run brings the office up, and down again when ctx ends or, with Once, when the
// play is over. It returns the exit code of the play.
func Run(ctx context.Context, o Options) (code int, err error) {
	dir, err := local.RunDir(o.Dir)
	if err != nil {
		return 1, err
	}
	//nolint:gosec // the database server runs as another user, who must pass through
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return 1, err
	}
	unlock, err := alone(dir)
	if err != nil {
		return 1, err
	}
	defer unlock()
	self, err := os.Executable()
	if err != nil {
		return 1, err
	}
	o.Dir, o.Copies = dir, max(o.Copies, 1)
	of := &office{Options: o, bin: filepath.Dir(self), began: time.Now(), secrets: map[string]string{}}
	released, err := of.guard(self)
	if err != nil {
		return 1, err
	}
	defer func() {
		down := context.WithoutCancel(ctx)
		if e := of.down(down); e != nil {
			err = errors.Join(err, e)
			return
		}
		released()
	}()
	if err := of.up(ctx); err != nil {
		if ctx.Err() != nil {
			return 130, nil
		}
		return 1, err
	}
	if o.Play != "-" { // who reads the script reads nothing else
		of.tell() // before the play, which may take long
	}
	if o.Play != "" {
		if code, err = of.play(ctx); err != nil {
			return 1, err
		}
	}
	if o.Once || ctx.Err() != nil {
		return code, nil
	}
	say("\nKantor tetap berjalan. Tekan Ctrl-C untuk menghentikan semuanya.")
	of.watchServices(ctx)
	return code, nil
}

// alone takes the run directory for this process.
func alone(dir string) (unlock func(), err error) {
	f, err := os.OpenFile(filepath.Join(dir, "up.lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("kantor di %s sudah berjalan; hentikan dulu (Ctrl-C atau make stop)", dir)
	}
	// The pid is for who wants to stop it; it holds while the lock is held.
	if err := f.Truncate(0); err != nil {
		_ = f.Close()
		return nil, err
	}
	_, err = fmt.Fprintln(f, os.Getpid())
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return func() { _ = f.Close() }, nil
}

// guard starts the sweeper: a process that ends everything if this one is
// killed. The returned function tells it that all is stopped.
func (of *office) guard(self string) (released func(), err error) {
	read, write, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self, "sweep", "-dir", of.Dir)
	cmd.Stdin = read
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	_ = read.Close()
	unix.CloseOnExec(int(write.Fd()))
	return func() {
		_, _ = io.WriteString(write, "done")
		_ = write.Close()
		_ = cmd.Wait()
	}, nil
}

func (of *office) up(ctx context.Context) error {
	say("Menyiapkan layanan di " + of.Dir)
	services, err := local.Start(ctx, local.Options{Dir: of.Dir, Readers: of.Readers, Log: func(m string) { say("  " + m) }})
	if err != nil {
		return err
	}
	of.services = services
	if n := services.EndPrograms(ctx, stopWithin); n > 0 {
		say(fmt.Sprintf("  %d proses sisa kantor sebelumnya dihentikan.", n))
	}
	if err := of.prepare(ctx); err != nil {
		return err
	}
	if of.fleet, err = fleet.New(of.Dir, func(m string) { say("  " + m) }); err != nil {
		return err
	}
	if err := of.startDaemons(); err != nil {
		return err
	}
	if err := of.waitReady(ctx); err != nil {
		return err
	}
	say(fmt.Sprintf("Semua daemon siap (%.1f detik).", time.Since(of.began).Seconds()))
	return nil
}

func (of *office) down(ctx context.Context) error {
	say("\nMenghentikan kantor ...")
	ctx, cancel := context.WithTimeout(ctx, stopWithin)
	defer cancel()
	if of.fleet != nil {
		of.fleet.Stop()
	}
	if of.releasePorts != nil {
		of.releasePorts()
	}
	if of.services == nil {
		return local.StopDir(ctx, of.Dir)
	}
	return of.services.Stop(ctx)
}

// play runs the program that plays the people. It gets what it needs to know
// on standard input: nothing secret is written to a file.
func (of *office) play(ctx context.Context) (code int, err error) {
	if of.Play == "-" {
		script, err := of.script()
		if err != nil {
			return 1, err
		}
		_, err = io.Copy(os.Stdout, io.MultiReader(script, strings.NewReader("\n")))
		return 0, err
	}
	cmd := exec.CommandContext(ctx, of.Play)
	cmd.Env = append(os.Environ(), of.services.Mark("play"))
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	script, err := of.script()
	if err != nil {
		return 1, err
	}
	cmd.Stdin = script
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 5 * time.Second
	err = cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode(), nil
	}
	if err != nil && ctx.Err() == nil {
		return 1, fmt.Errorf("%s: %w", of.Play, err)
	}
	return 0, nil
}
