// Command intake takes requests from the software of produsen and dinas: one
// multipart drop, checked before anything is written, then written as a whole,
// answered with a Kode Tiket. It serves an explanation of itself at /.
package main

import (
	"context"
	"errors"

	"dukcapil.go.id/sifilma/daemons/intake/internal/api"
	"dukcapil.go.id/sifilma/daemons/intake/internal/drop"
	"dukcapil.go.id/sifilma/pkg/daemon"
	"dukcapil.go.id/sifilma/pkg/outbox"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/rabbit"
	"dukcapil.go.id/sifilma/schema"
)

// Config is the intake's configuration; configs/intake.yaml explains it.
type Config struct {
	daemon.Common `yaml:",inline"`
	Postgres      postgres.Config `yaml:"postgres"`
	Rabbit        rabbit.Config   `yaml:"rabbit"`
	// SpoolDir is where drops lie while they are read; empty is a folder of this
	// process's own below the system's temporary folder.
	SpoolDir string      `yaml:"spool_dir"`
	Limits   drop.Limits `yaml:"limits"`
	API      api.Config  `yaml:"api"`
}

// Validate checks what the sections cannot check alone.
func (c *Config) Validate() error {
	if c.Rabbit.URL == "" {
		return errors.New("rabbit.url is missing")
	}
	return nil
}

func defaults() Config {
	return Config{Rabbit: rabbit.Config{Name: "intake"}, Limits: drop.DefaultLimits(), API: api.Defaults()}
}

func main() { daemon.Main("intake", defaults, wire) }

func wire(ctx context.Context, env *daemon.Env, cfg *Config) error {
	db, err := postgres.Open(cfg.Postgres)
	if err != nil {
		return err
	}
	env.OnStop(db.Close)
	db.Expect(schema.Version())
	spool, err := drop.OpenSpool(cfg.SpoolDir)
	if err != nil {
		return err
	}
	env.OnStop(spool.Close)
	broker := rabbit.New(cfg.Rabbit, env.Log)
	env.AddCheck("postgres", db.Check)
	env.AddCheck("rabbitmq", broker.Check)
	env.AddCheck("spool", func(context.Context) error { return spool.Check() })
	if err := db.WaitReady(ctx); err != nil {
		return err
	}

	surface, err := api.New(cfg.API, cfg.Limits, db, spool, env.Office, env.Machine, env.Registry)
	if err != nil {
		return err
	}
	surface.Mount(env.Router)
	env.Status.Func("drops", surface.InHand)
	env.Status.Func("outbox", func(ctx context.Context) (any, error) { return outbox.Pending(ctx, db) })

	env.Go("broker", broker.Run)
	env.Go("relay", outbox.NewRelay(db, broker, env.Log).Run)
	env.Go("prune", surface.Prune)
	return nil
}
