// Command document-generator makes the office's papers: letters, the berita
// acara serah terima and the result list, numbered, as Word, PDF and Excel; and signs the
// manifests of accepted readers. It hears of finished requests, opened handovers and
// decided activations.
package main

import (
	"cmp"
	"context"
	"os"

	"dukcapil.go.id/sifilma/daemons/document-generator/internal/content"
	"dukcapil.go.id/sifilma/daemons/document-generator/internal/desk"
	"dukcapil.go.id/sifilma/daemons/document-generator/internal/press"
	"dukcapil.go.id/sifilma/daemons/document-generator/internal/sampler"
	"dukcapil.go.id/sifilma/daemons/document-generator/internal/seal"
	"dukcapil.go.id/sifilma/pkg/daemon"
	"dukcapil.go.id/sifilma/pkg/daemon/ground"
	"dukcapil.go.id/sifilma/pkg/docx"
	"dukcapil.go.id/sifilma/pkg/letter"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/rabbit"
	"dukcapil.go.id/sifilma/schema"
)

func main() { daemon.Main("document-generator", defaults, wire) }

func wire(ctx context.Context, env *daemon.Env, cfg *Config) error {
	g, err := ground.Stand(env, cfg.Config, schema.Version())
	if err != nil {
		return err
	}
	writer := content.New(cfg.Content)
	var converters []press.Converter
	for range cfg.Press.Workers + 1 { // the last one prints samples
		c, err := docx.NewConverter(cfg.LibreOffice)
		if err != nil {
			return err
		}
		env.OnStop(c.Close)
		converters = append(converters, c)
	}
	own := converters[cfg.Press.Workers]
	converters = converters[:cfg.Press.Workers]
	k := desk.New(cfg.Desk, g.DB, env.Office, env.Machine, env.Log, env.Status)
	disk, err := env.WatchDisk(cmp.Or(cfg.LibreOffice.WorkDir, os.TempDir()), cfg.DiskReserve)
	if err != nil {
		return err
	}
	p := press.New(cfg.Press, g.DB, writer, converters, disk, env)
	samples := sampler.New(cfg.Sampler, g.DB, writer, own, disk, env)
	agrees := func(ctx context.Context) error { return letter.SamePortal(ctx, g.DB, cfg.Content.PortalURL) }
	p.Heed(agrees)
	env.AddCheck("portal", agrees)
	env.AddCheck("libreoffice", p.Check(cfg.LibreOffice.Soffice))
	env.Status.Func("waiting", p.Queue)
	env.Status.Func("samples", samples.Queue)
	env.Status.Func("blocked", func(context.Context) (any, error) { return k.Blocked(), nil })
	if err := g.DB.WaitReady(ctx); err != nil {
		return err
	}

	if err := wireSeal(env, cfg, g); err != nil {
		return err
	}

	g.Hear(rabbit.QueueDocumentGenerator, func(ctx context.Context, tx *postgres.Tx, events []rabbit.Event) error {
		tx.OnCommit(g.DB.Bell(seal.BellName).Ring)
		return k.Hear(ctx, tx, events)
	})
	g.Serve()
	env.Go("desk", k.Run)
	env.Go("press", p.Run)
	env.Go("sampler", samples.Run)
	return nil
}

// wireSeal adds the desk that signs manifests, where this process has a token for it.
func wireSeal(env *daemon.Env, cfg *Config, g *ground.Ground) error {
	if !cfg.Manifest.Enabled() {
		return nil
	}
	if err := daemon.Harden(); err != nil {
		return err
	}
	s, err := seal.New(cfg.Manifest, g.DB, env)
	if err != nil {
		return err
	}
	env.AddCheck("token", s.Check)
	env.AddCheck("revocations", s.CheckLists)
	env.Status.Func("signing_waits", func(context.Context) (any, error) { return s.Waiting(), nil })
	env.Status.Func("audit_head", s.Head)
	env.Go("seal", s.Run)
	return nil
}
