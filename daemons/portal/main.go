// Command portal is where people see and decide: the JSON API for staff, and
// pages that show each request with its cards, papers and course.
package main

import (
	"context"
	"strings"

	"github.com/go-chi/chi/v5"

	"dukcapil.go.id/sifilma/configs"
	"dukcapil.go.id/sifilma/daemons/portal/internal/api"
	"dukcapil.go.id/sifilma/daemons/portal/internal/counter"
	"dukcapil.go.id/sifilma/daemons/portal/internal/decisions"
	"dukcapil.go.id/sifilma/daemons/portal/internal/masterdata"
	"dukcapil.go.id/sifilma/daemons/portal/internal/pages"
	"dukcapil.go.id/sifilma/daemons/portal/internal/public"
	"dukcapil.go.id/sifilma/daemons/portal/internal/signin"
	"dukcapil.go.id/sifilma/daemons/portal/internal/upload"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/daemon"
	"dukcapil.go.id/sifilma/pkg/daemon/ground"
	"dukcapil.go.id/sifilma/pkg/letter"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/report"
	"dukcapil.go.id/sifilma/pkg/web"
	"dukcapil.go.id/sifilma/pkg/web/apidoc"
	"dukcapil.go.id/sifilma/pkg/workday"
	"dukcapil.go.id/sifilma/schema"
)

func main() { daemon.Main("portal", defaults, wire) }

func wire(ctx context.Context, env *daemon.Env, cfg *Config) error {
	g, err := ground.Stand(env, cfg.Config, schema.Version())
	if err != nil {
		return err
	}
	if err := g.DB.WaitReady(ctx); err != nil {
		return err
	}
	if err := g.DB.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		return letter.SayPortal(ctx, tx, cfg.Portal.PublicURL)
	}); err != nil {
		return err
	}
	if err := mount(env.Router, cfg.Portal, g.DB, env.Office, env.Machine); err != nil {
		return err
	}
	g.Serve()
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
	shipped, err := configs.Files.ReadFile("holidays.yaml")
	if err != nil {
		return err
	}
	days, err := workday.Parse(shipped)
	if err != nil {
		return err
	}
	doc, err := apidoc.New(schema.OpenAPI(), apidoc.Options{
		Server: "portal", PublicURL: cfg.PublicURL, Others: map[string]string{"intake": cfg.IntakeURL},
	})
	if err != nil {
		return err
	}
	doc.Mount(r)
	door := signin.New(db, machine, cfg.secure())
	desk := masterdata.New(db, office, door.Now, cfg.OneTime)
	site := r.With(sameSite)
	decide := decisions.New(db, office, days.Hours)
	window := public.New(db, office, machine, days.Hours, cfg.PublicURL)
	window.Mount(r)
	asker := report.NewAsker(db, office)
	driver, err := cfg.signer()
	if err != nil {
		return err
	}
	signer := counter.NewService(driver, machine)
	api.New(db, office, door, spool, desk, decide, window, asker, signer).Mount(site)
	pages.New(db, office, door, spool, desk, decide, window, asker, strings.TrimRight(cfg.IntakeURL, "/"), signer).Mount(site)
	return nil
}
