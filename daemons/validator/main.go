// Command validator checks what was submitted: it returns a request with
// findings that name the cell or the field, or passes it on.
package main

import (
	"context"
	"errors"

	"dukcapil.go.id/sifilma/daemons/validator/internal/judge"
	"dukcapil.go.id/sifilma/pkg/daemon"
	"dukcapil.go.id/sifilma/pkg/outbox"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/rabbit"
	"dukcapil.go.id/sifilma/schema"
)

// Config is the validator's configuration; configs/validator.yaml explains it.
type Config struct {
	daemon.Common `yaml:",inline"`
	Postgres      postgres.Config `yaml:"postgres"`
	Rabbit        rabbit.Config   `yaml:"rabbit"`
	// Batch is how many submissions are judged in one transaction.
	Batch int `yaml:"batch"`
}

// Validate checks what the sections cannot check alone.
func (c *Config) Validate() error {
	if c.Rabbit.URL == "" {
		return errors.New("rabbit.url is missing")
	}
	if c.Batch < 1 || c.Batch > 100 {
		return errors.New("batch must be 1 to 100")
	}
	return nil
}

func defaults() Config { return Config{Rabbit: rabbit.Config{Name: "validator"}, Batch: 8} }

func main() { daemon.Main("validator", defaults, wire) }

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

	broker.Consume(db, rabbit.QueueValidator, judge.New(env.Office, env.Status.Doing, env.Registry).Hear, rabbit.Batch(cfg.Batch))
	env.Status.Func("waiting", func(ctx context.Context) (any, error) { return judge.Backlog(ctx, db) })
	env.Status.Func("queue", func(ctx context.Context) (any, error) { return broker.Depth(ctx, rabbit.QueueValidator) })
	env.Status.Func("outbox", func(ctx context.Context) (any, error) { return outbox.Pending(ctx, db) })
	env.Status.Func("consumers", func(context.Context) (any, error) { return broker.Consumers(), nil })

	env.Go("broker", broker.Run)
	env.Go("relay", outbox.NewRelay(db, broker, env.Log).Run)
	return nil
}
