// Command validator checks what was submitted: it returns a request with
// findings that name the cell or the field, or passes it on.
package main

import (
	"context"
	"errors"

	"dukcapil.go.id/sifilma/daemons/validator/internal/judge"
	"dukcapil.go.id/sifilma/pkg/daemon"
	"dukcapil.go.id/sifilma/pkg/daemon/ground"
	"dukcapil.go.id/sifilma/pkg/rabbit"
	"dukcapil.go.id/sifilma/schema"
)

// Config is the validator's configuration; configs/validator.yaml explains it.
type Config struct {
	daemon.Common `yaml:",inline"`
	ground.Config `yaml:",inline"`
	// Batch is how many submissions are judged in one transaction.
	Batch int `yaml:"batch"`
}

// Validate checks what the sections cannot check alone.
func (c *Config) Validate() error {
	if c.Batch < 1 || c.Batch > 100 {
		return errors.New("batch must be 1 to 100")
	}
	return nil
}

func defaults() Config { return Config{Batch: 8} }

func main() { daemon.Main("validator", defaults, wire) }

func wire(ctx context.Context, env *daemon.Env, cfg *Config) error {
	g, err := ground.Stand(env, cfg.Config, schema.Version())
	if err != nil {
		return err
	}
	if err := g.DB.WaitReady(ctx); err != nil {
		return err
	}

	g.Hear(rabbit.QueueValidator, judge.New(env.Office, env.Status.Doing, env.Registry).Hear, rabbit.Batch(cfg.Batch))
	env.Status.Func("waiting", func(ctx context.Context) (any, error) { return judge.Backlog(ctx, g.DB) })
	g.Serve()
	return nil
}
