// Command portal is where people see and decide: the JSON API for staff, and
// pages that show each request with its cards, papers and course.
package main

import (
	"context"

	"github.com/go-chi/chi/v5"

	"dukcapil.go.id/sifilma/daemons/portal/internal/api"
	"dukcapil.go.id/sifilma/daemons/portal/internal/pages"
	"dukcapil.go.id/sifilma/daemons/portal/internal/signin"
	"dukcapil.go.id/sifilma/daemons/portal/internal/upload"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/daemon"
	"dukcapil.go.id/sifilma/pkg/outbox"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/rabbit"
	"dukcapil.go.id/sifilma/pkg/web"
	"dukcapil.go.id/sifilma/schema"
)

func main() { daemon.Main("portal", defaults, wire) }

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
	if err := mount(env.Router, cfg.Portal, db, env.Office, env.Machine); err != nil {
		return err
	}
	env.Status.Func("outbox", func(ctx context.Context) (any, error) { return outbox.Pending(ctx, db) })

	env.Go("broker", broker.Run)
	env.Go("relay", outbox.NewRelay(db, broker, env.Log).Run)
	return nil
}

// mount builds the API and the pages on a router.
func mount(r chi.Router, cfg Portal, db *postgres.DB, office clock.Office, machine clock.Machine) error {
	spool, err := upload.NewSpool(cfg.Spool, cfg.MaxScan)
	if err != nil {
		return err
	}
	sameSite, err := web.CrossOrigin(cfg.origins()...)
	if err != nil {
		return err
	}
	door := signin.New(db, machine, cfg.secure())
	site := r.With(sameSite)
	api.New(db, office, door, spool).Mount(site)
	pages.New(db, office, door).Mount(site)
	return nil
}
