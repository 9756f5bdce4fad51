package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os/signal"
	"strings"
	"syscall"

	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/config"
	"dukcapil.go.id/sifilma/pkg/form"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/schema"
)

// command does what the arguments ask for instead of the daemon, if they do: then it
// returns true and the exit code.
func command(args []string, stdout, stderr io.Writer) (code int, asked bool) {
	if code, asked = tryProfile(args, stdout, stderr); asked {
		return code, asked
	}
	return orderStation(args, stdout, stderr)
}

// orderFlags ask for a change of the station's mode instead of the daemon.
var orderFlags = map[string]perso.Mode{"-pause": perso.Paused, "-drain": perso.Draining, "-resume": perso.Running}

// orderStation tells the station what somebody wants if the arguments ask for it: then
// it returns true and the exit code. The station need not run: it will find the wish.
func orderStation(args []string, stdout, stderr io.Writer) (code int, ordered bool) {
	if len(args) == 0 {
		return 0, false
	}
	if explain(args, stdout) {
		return 0, true
	}
	mode, ordered := orderFlags[args[0]]
	if !ordered {
		return 0, false
	}
	fs := flag.NewFlagSet("perso-station "+args[0], flag.ContinueOnError)
	fs.SetOutput(stderr)
	w := perso.Wish{Mode: mode}
	fs.StringVar(&w.By, "by", "", "`nama` Anda")
	fs.StringVar(&w.Reason, "reason", "", "`alasan`; wajib bila stasiun dijeda atau dikosongkan")
	path := fs.String("config", "", "berkas konfigurasi stasiun")
	if err := fs.Parse(args[1:]); err != nil {
		return 2, true
	}
	cfg := defaults()
	err := config.Load(*path, &cfg)
	if err == nil && fs.NArg() > 0 {
		err = fmt.Errorf("argumen %q tidak dikenal", fs.Arg(0))
	}
	if err != nil {
		_, _ = fmt.Fprintln(stderr, "perso-station:", err)
		return 2, true
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	s, err := stand(ctx, &cfg, w)
	var faults form.Faults
	switch {
	case errors.As(err, &faults):
		for _, f := range faults {
			_, _ = fmt.Fprintf(stderr, "perso-station: -%s: %s\n", strings.TrimPrefix(f.Pointer, "/"), f.Detail)
		}
		return 2, true
	case err != nil:
		_, _ = fmt.Fprintln(stderr, "perso-station:", err)
		return 1, true
	}
	_, _ = fmt.Fprintf(stdout, "%s: %s, %s\n", cfg.Station, strings.ToLower(s.Label), s.By)
	return 0, true
}

// stand keeps the wish where the station looks before it begins a card.
func stand(ctx context.Context, cfg *Config, w perso.Wish) (s perso.Standing, err error) {
	office, err := clock.OpenOffice(cfg.OfficeClock)
	if err != nil {
		return s, err
	}
	w.OfficeAt = office.Now()
	db, err := postgres.Open(cfg.Postgres)
	if err != nil {
		return s, err
	}
	defer func() { _ = db.Close() }()
	db.Expect(schema.Version())
	err = db.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) (err error) {
		s, err = perso.Stand(ctx, tx, cfg.Station, w)
		return err
	})
	return s, err
}
