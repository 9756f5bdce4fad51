// Command document-generator makes the office's papers: letters, the berita
// acara serah terima and the result list, numbered, as Word, PDF and Excel. It
// hears of finished requests and opened handovers.
package main

import (
	"cmp"
	"context"
	"os"

	"dukcapil.go.id/sifilma/daemons/document-generator/internal/content"
	"dukcapil.go.id/sifilma/daemons/document-generator/internal/desk"
	"dukcapil.go.id/sifilma/daemons/document-generator/internal/press"
	"dukcapil.go.id/sifilma/pkg/daemon"
	"dukcapil.go.id/sifilma/pkg/docx"
	"dukcapil.go.id/sifilma/pkg/outbox"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/rabbit"
	"dukcapil.go.id/sifilma/schema"
)

func main() { daemon.Main("document-generator", defaults, wire) }

func wire(ctx context.Context, env *daemon.Env, cfg *Config) error {
	db, err := postgres.Open(cfg.Postgres)
	if err != nil {
		return err
	}
	env.OnStop(db.Close)
	db.Expect(schema.Version())
	writer, err := content.New(cfg.Content)
	if err != nil {
		return err
	}
	var converters []press.Converter
	for range cfg.Press.Workers {
		c, err := docx.NewConverter(cfg.LibreOffice)
		if err != nil {
			return err
		}
		env.OnStop(c.Close)
		converters = append(converters, c)
	}
	broker := rabbit.New(cfg.Rabbit, env.Log)
	k := desk.New(cfg.Desk, db, env.Office, env.Machine, env.Log, env.Status)
	disk, err := env.WatchDisk(cmp.Or(cfg.LibreOffice.WorkDir, os.TempDir()), cfg.DiskReserve)
	if err != nil {
		return err
	}
	p := press.New(cfg.Press, db, writer, converters, disk, env)
	env.AddCheck("postgres", db.Check)
	env.AddCheck("rabbitmq", broker.Check)
	env.AddCheck("libreoffice", p.Check(cfg.LibreOffice.Soffice))
	env.Status.Func("queue", func(ctx context.Context) (any, error) { return broker.Depth(ctx, rabbit.QueueDocumentGenerator) })
	env.Status.Func("outbox", func(ctx context.Context) (any, error) { return outbox.Pending(ctx, db) })
	env.Status.Func("waiting", p.Queue)
	env.Status.Func("blocked", func(context.Context) (any, error) { return k.Blocked(), nil })
	if err := db.WaitReady(ctx); err != nil {
		return err
	}

	broker.Consume(db, rabbit.QueueDocumentGenerator, k.Hear)
	env.Go("broker", broker.Run)
	env.Go("relay", outbox.NewRelay(db, broker, env.Log).Run)
	env.Go("desk", k.Run)
	env.Go("press", p.Run)
	return nil
}
