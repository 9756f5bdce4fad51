// Command perso-station personalises SAM cards without hands: whatever card of a
// released work order comes into one of its readers is identified, written,
// verified and recorded. With "-reader NAME" it is the child process of one
// reader and nothing else; with "-try PROFILE/EDITION" it runs a profile once on a
// test card; with "-pause", "-drain" or "-resume" it tells the station what people want.
package main

import (
	"context"
	"os"
	"path/filepath"

	"github.com/rs/zerolog"

	"dukcapil.go.id/sifilma/daemons/perso-station/internal/console"
	"dukcapil.go.id/sifilma/daemons/perso-station/internal/feeder"
	"dukcapil.go.id/sifilma/daemons/perso-station/internal/line"
	"dukcapil.go.id/sifilma/daemons/perso-station/internal/readers"
	"dukcapil.go.id/sifilma/daemons/perso-station/internal/scanner"
	"dukcapil.go.id/sifilma/pkg/daemon"
	"dukcapil.go.id/sifilma/pkg/daemon/ground"
	"dukcapil.go.id/sifilma/pkg/pkcs11"
	"dukcapil.go.id/sifilma/pkg/rabbit"
	"dukcapil.go.id/sifilma/schema"
)

func main() {
	harden()
	if code, child := readers.Child(context.Background(), os.Args); child {
		os.Exit(code)
	}
	if code, asked := command(os.Args[1:], os.Stdout, os.Stderr); asked {
		os.Exit(code)
	}
	daemon.Main("perso-station", defaults, wire)
}

func wire(ctx context.Context, env *daemon.Env, cfg *Config) error {
	g, err := ground.Stand(env, cfg.Config, schema.Version())
	if err != nil {
		return err
	}
	book, err := cfg.openJournal()
	if err != nil {
		return err
	}
	env.OnStop(book.Close)
	disk, err := env.WatchDisk(filepath.Dir(cfg.Journal), cfg.DiskReserve)
	if err != nil {
		return err
	}
	token, err := pkcs11.Open(cfg.Token)
	if err != nil {
		return err
	}
	env.OnStop(token.Close)
	desk := console.New(console.Parts{
		Config: cfg.Console, Station: cfg.Station, DB: g.DB, Journal: book, Memory: cfg.Journal + ".failures", Build: daemon.BuildID(),
		Findings: env.Findings, Office: env.Office, Machine: env.Machine, Log: env.Log, Registry: env.Registry,
	})
	tests, err := cfg.testCards()
	if err != nil {
		return err
	}
	work := line.New(line.Parts{
		Station: cfg.Station, DB: g.DB, Profile: cfg.Profile, Token: token, Journal: book, Disk: disk,
		Office: env.Office, Machine: env.Machine, Log: env.Log, Look: cfg.Look, ScanWithin: cfg.ScanWithin, TestCards: tests,
		Feeder:   func(reader string) line.Feeder { return feeder.For(cfg.Feeders, reader) },
		Registry: env.Registry, Observer: desk, Orders: desk,
	})
	hands := &readers.Supervisor{
		Rule: cfg.readers(), Line: work, Log: env.Log,
	}
	desk.Watch(work, hands.Away)
	scans := &scanner.Desk{Ports: cfg.Scanners, Scanned: work.Scanned, Clock: env.Machine, Log: env.Log}
	env.AddCheck("scanners", scans.Check)
	env.AddCheck("feeders", work.CheckFeeders)
	env.AddCheck("profile", work.CheckProfile)
	env.AddCheck("hsm", work.CheckKeys)
	env.AddCheck("readers", hands.Check)
	env.AddCheck("numbers", work.Check)
	env.AddCheck("journal", func(context.Context) error { return book.Ready() })
	env.Status.Set("station", cfg.Station)
	env.Status.Func("profile", func(ctx context.Context) (any, error) { return work.ProfileLabel(ctx) })
	env.Status.Func("readers", func(context.Context) (any, error) { return work.Readers(), nil })
	g.Hear(rabbit.StationQueue(cfg.Station), work.Hear)
	if err := desk.Mount(env.Router); err != nil {
		return err
	}
	g.Serve()
	env.Go("signal", desk.Signal)
	env.Go("alarms", desk.Guard)
	env.Go("beat", desk.Beat)
	env.Go("scanners", scans.Run)
	env.Go("line", func(ctx context.Context) error { return run(ctx, g.DB, work, hands, *zerolog.Ctx(ctx)) })
	return nil
}
