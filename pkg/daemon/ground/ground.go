// Package ground is what every daemon of the line stands on: the database, the
// sessions with the broker, and the relay that takes messages from one to the
// other; with their readiness checks, metrics and lines on the status page.
//
//	g, err := ground.Stand(env, cfg.Config, schema.Version())
//	...
//	g.Hear(rabbit.QueueValidator, judge.Hear)
//	g.Serve()
package ground

import (
	"cmp"
	"context"

	"dukcapil.go.id/sifilma/pkg/daemon"
	"dukcapil.go.id/sifilma/pkg/outbox"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/rabbit"
)

// Config is the part of the configuration that says where database and broker
// are. Embed it with `yaml:",inline"`.
type Config struct {
	Postgres postgres.Config `yaml:"postgres"`
	Rabbit   rabbit.Config   `yaml:"rabbit"`
}

// Ground is a daemon's database and broker.
type Ground struct {
	DB     *postgres.DB
	Broker *rabbit.Broker

	env *daemon.Env
}

// Stand opens the database, which must be at the given version of the schema,
// and makes the broker. It waits for neither: they may be away for as long as
// they like.
func Stand(env *daemon.Env, cfg Config, schemaVersion int) (*Ground, error) {
	db, err := postgres.Open(cfg.Postgres)
	if err != nil {
		return nil, err
	}
	env.OnStop(db.Close)
	db.Expect(schemaVersion)
	cfg.Rabbit.Name = cmp.Or(cfg.Rabbit.Name, env.Name)
	g := &Ground{DB: db, Broker: rabbit.New(cfg.Rabbit, env.Log), env: env}
	env.AddCheck("postgres", db.Check)
	env.AddCheck("rabbitmq", g.Broker.Check)
	env.Registry.MustRegister(db, newBacklog(db))
	env.Status.Func("outbox", func(ctx context.Context) (any, error) { return outbox.Pending(ctx, db) })
	return g, nil
}

// Hear has a handler answer the messages of a queue; see rabbit.Broker.Consume.
// It must be called before Serve.
func (g *Ground) Hear(queue string, h rabbit.Handler, opts ...rabbit.ConsumeOption) {
	g.Broker.Consume(g.DB, queue, h, opts...)
	g.env.Status.Func("queue", func(ctx context.Context) (any, error) { return g.Broker.Depth(ctx, queue) })
	g.env.Status.Func("consumers", func(context.Context) (any, error) { return g.Broker.Consumers(), nil })
}

// Serve starts broker and relay. What a daemon starts after it is stopped before
// it, so that its last messages still leave.
func (g *Ground) Serve() {
	g.env.Go("broker", g.Broker.Run)
	g.env.Go("relay", outbox.NewRelay(g.DB, g.Broker, g.env.Log).Run)
}
