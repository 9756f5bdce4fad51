// Command intake takes requests from the software of produsen and dinas: one
// multipart drop, checked before anything is written, then written as a whole,
// answered with a Kode Tiket. It serves an explanation of itself at /.
package main

import (
	"context"
	"runtime/debug"

	"dukcapil.go.id/sifilma/daemons/intake/internal/api"
	"dukcapil.go.id/sifilma/daemons/intake/internal/drop"
	"dukcapil.go.id/sifilma/pkg/daemon"
	"dukcapil.go.id/sifilma/pkg/daemon/ground"
	"dukcapil.go.id/sifilma/pkg/web/apidoc"
	"dukcapil.go.id/sifilma/schema"
)

// Config is the intake's configuration; configs/intake.yaml explains it.
type Config struct {
	daemon.Common `yaml:",inline"`
	ground.Config `yaml:",inline"`
	// SpoolDir is where drops lie while they are read; empty is a folder of this
	// process's own below the system's temporary folder.
	SpoolDir string `yaml:"spool_dir"`
	// DiskReserve is the room, in bytes, that must be free on the spool's disk: with
	// less, drops are refused; 0 watches nothing.
	DiskReserve int64       `yaml:"disk_reserve"`
	Limits      drop.Limits `yaml:"limits"`
	API         api.Config  `yaml:"api"`
}

func defaults() Config {
	return Config{Limits: drop.DefaultLimits(), API: api.Defaults()}
}

func main() {
	// What lives here is small and most of it dies with its drop: under load a
	// fifth of the time went into collecting. This trades some ten MB for it.
	debug.SetGCPercent(400)
	daemon.Main("intake", defaults, wire)
}

func wire(ctx context.Context, env *daemon.Env, cfg *Config) error {
	g, err := ground.Stand(env, cfg.Config, schema.Version())
	if err != nil {
		return err
	}
	spool, err := drop.OpenSpool(cfg.SpoolDir)
	if err != nil {
		return err
	}
	env.OnStop(spool.Close)
	disk, err := env.WatchDisk(spool.Dir(), cfg.DiskReserve)
	if err != nil {
		return err
	}
	env.AddCheck("spool", func(context.Context) error { return spool.Check() })
	if err := g.DB.WaitReady(ctx); err != nil {
		return err
	}

	surface, err := api.New(cfg.API, cfg.Limits, g.DB, spool, disk, env.Office, env.Machine, env.Registry)
	if err != nil {
		return err
	}
	surface.Mount(env.Router)
	doc, err := apidoc.New(schema.OpenAPI(), apidoc.Options{
		Server: "intake", PublicURL: cfg.API.PublicURL, Others: map[string]string{"portal": cfg.API.PortalURL},
	})
	if err != nil {
		return err
	}
	doc.Mount(env.Router)
	env.Status.Func("drops", surface.InHand)

	g.Serve()
	env.Go("prune", surface.Prune)
	env.Go("writer", surface.Write)
	return nil
}
