// Command scheduler plans cards on the calendar, releases the work orders of
// each hari kerja, closes the days, and finds the requests that are done. It
// hears the doorbells of decisions and cards, and a cron clock, and rings bells
// again that were lost.
package main

import (
	"context"
	"errors"

	"dukcapil.go.id/sifilma/daemons/scheduler/internal/planner"
	"dukcapil.go.id/sifilma/daemons/scheduler/internal/sweeper"
	"dukcapil.go.id/sifilma/pkg/audit"
	"dukcapil.go.id/sifilma/pkg/daemon"
	"dukcapil.go.id/sifilma/pkg/outbox"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/rabbit"
	"dukcapil.go.id/sifilma/schema"
)

// Config is the scheduler's configuration; configs/scheduler.yaml explains it.
type Config struct {
	daemon.Common `yaml:",inline"`
	Postgres      postgres.Config `yaml:"postgres"`
	Rabbit        rabbit.Config   `yaml:"rabbit"`
	Planner       planner.Config  `yaml:"planner"`
	Sweeper       sweeper.Config  `yaml:"sweeper"`
}

// Validate checks what the sections cannot check alone.
func (c *Config) Validate() error {
	if c.Rabbit.URL == "" {
		return errors.New("rabbit.url is missing")
	}
	return nil
}

func defaults() Config {
	return Config{Planner: planner.Defaults(), Sweeper: sweeper.Defaults(), Rabbit: rabbit.Config{Name: "scheduler"}}
}

func main() { daemon.Main("scheduler", defaults, wire) }

func wire(ctx context.Context, env *daemon.Env, cfg *Config) error {
	db, err := postgres.Open(cfg.Postgres)
	if err != nil {
		return err
	}
	env.OnStop(db.Close)
	db.Expect(schema.Version())
	broker := rabbit.New(cfg.Rabbit, env.Log)
	env.AddCheck("postgres", db.Check)
	env.AddCheck("rabbitmq", broker.Check)
	if err := db.WaitReady(ctx); err != nil {
		return err
	}

	p, err := planner.New(cfg.Planner, db, env.Office, env.Log, env.Status)
	if err != nil {
		return err
	}
	s, err := sweeper.New(cfg.Sweeper, db, broker, env.Log, env.Machine)
	if err != nil {
		return err
	}
	broker.Consume(db, rabbit.QueueScheduler, p.Hear)
	broker.ConsumeShelf(db)
	env.Status.Func("queue", func(ctx context.Context) (any, error) { return broker.Depth(ctx, rabbit.QueueScheduler) })
	env.Status.Func("outbox", func(ctx context.Context) (any, error) { return outbox.Pending(ctx, db) })
	env.AddCheck("cron", p.Check)

	env.Go("broker", broker.Run)
	env.Go("relay", outbox.NewRelay(db, broker, env.Log).Run)
	env.Go("cron", p.Tick)
	env.Go("sweeper", s.Run)
	env.Go("keeper", planner.NewKeeper(cfg.Planner, db, audit.NewSealer(db, 1000), env.Log).Run)
	return nil
}
