// Command scheduler plans cards on the calendar, releases the work orders of
// each hari kerja, closes the days, finds the requests that are done, and keeps
// the clock of their stages. It hears the doorbells of decisions and cards, and a
// cron clock, and rings bells again that were lost.
package main

import (
	"context"

	"dukcapil.go.id/sifilma/configs"
	"dukcapil.go.id/sifilma/daemons/scheduler/internal/planner"
	"dukcapil.go.id/sifilma/daemons/scheduler/internal/stages"
	"dukcapil.go.id/sifilma/daemons/scheduler/internal/sweeper"
	"dukcapil.go.id/sifilma/pkg/audit"
	"dukcapil.go.id/sifilma/pkg/daemon"
	"dukcapil.go.id/sifilma/pkg/daemon/ground"
	"dukcapil.go.id/sifilma/pkg/rabbit"
	"dukcapil.go.id/sifilma/pkg/workday"
	"dukcapil.go.id/sifilma/schema"
)

// Config is the scheduler's configuration; configs/scheduler.yaml explains it.
type Config struct {
	daemon.Common `yaml:",inline"`
	ground.Config `yaml:",inline"`
	Planner       planner.Config `yaml:"planner"`
	Sweeper       sweeper.Config `yaml:"sweeper"`
	Stages        stages.Config  `yaml:"stages"`
}

func defaults() Config {
	return Config{Planner: planner.Defaults(), Sweeper: sweeper.Defaults(), Stages: stages.Defaults()}
}

func main() { daemon.Main("scheduler", defaults, wire) }

func wire(ctx context.Context, env *daemon.Env, cfg *Config) error {
	g, err := ground.Stand(env, cfg.Config, schema.Version())
	if err != nil {
		return err
	}
	if err := g.DB.WaitReady(ctx); err != nil {
		return err
	}

	days, err := holidays()
	if err != nil {
		return err
	}
	w, err := stages.New(cfg.Stages, days.Hours, g.DB, env.Office, env.Log, env.Machine, env.Registry)
	if err != nil {
		return err
	}
	p, err := planner.New(cfg.Planner, g.DB, env.Office, days.Hours.Fasts, env.Log, env.Status, w.Job())
	if err != nil {
		return err
	}
	w.Trust(p.Trusted)
	s, err := sweeper.New(cfg.Sweeper, g.DB, g.Broker, env.Log, env.Machine)
	if err != nil {
		return err
	}
	g.Hear(rabbit.QueueScheduler, p.Hear)
	g.Broker.ConsumeShelf(g.DB)
	env.AddCheck("cron", p.Check)

	g.Serve()
	env.Go("cron", p.Tick)
	env.Go("sweeper", s.Run)
	env.Go("stages", w.Run)
	env.Go("keeper", planner.NewKeeper(cfg.Planner, g.DB, audit.NewSealer(g.DB, 1000), env.Log, env.Machine, env.Registry).Run)
	return nil
}

// holidays are the shipped ones; the table of record is in the database, but the
// office hours and the months of Ramadan are here.
func holidays() (workday.Data, error) {
	body, err := configs.Holidays()
	if err != nil {
		return workday.Data{}, err
	}
	return workday.Parse(body)
}
