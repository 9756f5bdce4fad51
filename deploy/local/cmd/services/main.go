// Command services starts, stops, shows or removes the private services of one
// run directory, or opens psql on them.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"dukcapil.go.id/sifilma/deploy/local"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "Gagal:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 0 {
		return errors.New("pemakaian: services start|stop|status|clean|psql [-dir FOLDER] [-readers N]")
	}
	flags := flag.NewFlagSet("services", flag.ContinueOnError)
	dir := flags.String("dir", "", "folder kerja (bawaan: SIFILMA_RUN_DIR, lalu .run)")
	readers := flags.Int("readers", 2, "jumlah pembaca kartu virtual")
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer cancel()
	began := time.Now()
	say := func(message string) { fmt.Printf("[%5.1f dtk] %s\n", time.Since(began).Seconds(), message) }
	switch args[0] {
	case "start":
		s, err := local.Start(ctx, local.Options{Dir: *dir, Readers: *readers, Log: say})
		if err != nil {
			return err
		}
		show(s)
		return nil
	case "stop":
		if err := endOffice(ctx, *dir); err != nil {
			return err
		}
		return local.StopDir(ctx, *dir)
	case "clean":
		if err := endOffice(ctx, *dir); err != nil {
			return err
		}
		return local.CleanDir(ctx, *dir)
	case "status":
		s, err := local.Load(*dir)
		if err != nil {
			return err
		}
		show(s)
		if !s.Running() {
			return errors.New("tidak semua layanan berjalan")
		}
		return nil
	case "psql":
		s, err := local.Load(*dir)
		if err != nil {
			return err
		}
		return psql(s, flags.Args())
	}
	return fmt.Errorf("perintah tidak dikenal: %s", args[0])
}

// psql becomes psql on the office's database, as its superuser.
func psql(s *local.Services, args []string) error {
	path, err := exec.LookPath("psql")
	if err != nil {
		return err
	}
	password, err := os.ReadFile(s.Postgres.PasswordFile)
	if err != nil {
		return err
	}
	p := s.Postgres
	environment := append(os.Environ(), "PGPASSWORD="+strings.TrimSpace(string(password)))
	return syscall.Exec(path, append([]string{"psql", "-h", p.Host, "-p", strconv.Itoa(p.Port), "-U", p.User, "-d", "sifilma"}, args...), environment)
}

func show(s *local.Services) {
	line := func(name string, alive bool, where string) {
		state := "berhenti"
		if alive {
			state = "berjalan"
		}
		fmt.Printf("%-11s %-9s %s\n", name, state, where)
	}
	line("PostgreSQL", s.Postgres.Process.Alive(), fmt.Sprintf("%s:%d", s.Postgres.Host, s.Postgres.Port))
	line("RabbitMQ", s.Rabbit.Process.Alive(), fmt.Sprintf("%s:%d, API %d", s.Rabbit.Host, s.Rabbit.Port, s.Rabbit.HTTPPort))
	line("pcscd", s.PCSC.Process.Alive(), s.PCSC.Socket)
	line("SoftHSM", s.HSM.Ready, s.HSM.Config)
}
