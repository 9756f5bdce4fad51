package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"runtime"
	"strings"
	"time"

	"github.com/lib/pq"
	amqp "github.com/rabbitmq/amqp091-go"

	"dukcapil.go.id/sifilma/deploy/local"
	"dukcapil.go.id/sifilma/pkg/config"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/rabbit"
	"dukcapil.go.id/sifilma/schema"
)

// ground is what the benches stand on: services of their own.
type ground struct {
	dir, bin string
	rounds   int
	profile  string

	services *local.Services
	started  bool // by us, so that we stop them
}

func (g *ground) open(ctx context.Context) error {
	had, err := local.Load(g.dir)
	if err != nil {
		return err
	}
	g.started = g.started || !had.Running()
	g.services, err = local.Start(ctx, local.Options{Dir: g.dir, Readers: benchReaders})
	return err
}

func (g *ground) close(ctx context.Context) error {
	if !g.started {
		return nil
	}
	return local.StopDir(ctx, g.dir)
}

// durable are the settings without which no figure would mean anything.
var durable = []string{"fsync", "synchronous_commit", "full_page_writes"}

// describe prints the ground, and refuses one that could lose what it confirms.
func (g *ground) describe(ctx context.Context) (err error) {
	db, err := g.admin("postgres")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	var told []string
	for _, name := range append(durable, "wal_sync_method", "server_version") {
		var value string
		if err := db.QueryRowContext(ctx, `SELECT current_setting($1)`, name).Scan(&value); err != nil {
			return err
		}
		told = append(told, name+"="+strings.ReplaceAll(value, " ", "_"))
	}
	broker := struct {
		Version string `json:"rabbitmq_version"`
	}{}
	if err := g.services.Rabbit.API(ctx, http.MethodGet, "/overview", nil, &broker); err != nil {
		return err
	}
	fmt.Printf("ground %s rabbitmq=%s go=%s cpus=%d load=%s\n", strings.Join(told, " "), broker.Version, runtime.Version(), runtime.NumCPU(), load())
	for i, name := range durable {
		if told[i] != name+"=on" {
			return fmt.Errorf("%s: it must be on", told[i])
		}
	}
	return nil
}

// admin opens a plain pool as the owner.
func (g *ground) admin(database string) (*sql.DB, error) {
	dsn, err := g.services.Postgres.URL(database)
	if err != nil {
		return nil, err
	}
	return sql.Open("postgres", dsn)
}

func (g *ground) postgresConfig(database string) postgres.Config {
	p := g.services.Postgres
	return postgres.Config{URL: p.RoleURL(database, p.User, ""), PasswordFile: p.PasswordFile}
}

func (g *ground) rabbitConfig(vhost, name string) rabbit.Config {
	r := g.services.Rabbit
	return rabbit.Config{URL: r.URL(vhost), PasswordFile: r.PasswordFile, Name: name}
}

// emptyDatabase makes a database with nothing in it.
func (g *ground) emptyDatabase(ctx context.Context, name string) (err error) {
	admin, err := g.admin("postgres")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, admin.Close()) }()
	if _, err := admin.ExecContext(ctx, `DROP DATABASE IF EXISTS `+pq.QuoteIdentifier(name)+` WITH (FORCE)`); err != nil {
		return err
	}
	return g.services.Postgres.EnsureDatabase(ctx, name)
}

// freshDatabase makes an empty database with the present schema.
func (g *ground) freshDatabase(ctx context.Context, name string) (*postgres.DB, error) {
	if err := g.emptyDatabase(ctx, name); err != nil {
		return nil, err
	}
	owner, err := g.services.Postgres.URL(name)
	if err != nil {
		return nil, err
	}
	if err := postgres.Migrate(ctx, owner, schema.Migrations()); err != nil {
		return nil, err
	}
	return postgres.Open(g.postgresConfig(name))
}

// freshVhost makes an empty virtual host.
func (g *ground) freshVhost(ctx context.Context, name string) error {
	r := g.services.Rabbit
	_ = r.API(ctx, http.MethodDelete, "/vhosts/"+name, nil, nil) // there may be none
	if err := r.API(ctx, http.MethodPut, "/vhosts/"+name, struct{}{}, nil); err != nil {
		return err
	}
	all := map[string]string{"configure": ".*", "write": ".*", "read": ".*"}
	return r.API(ctx, http.MethodPut, "/permissions/"+name+"/"+url.PathEscape(r.User), all, nil)
}

// dial opens a bare connection, for floors.
func (g *ground) dial(vhost string) (*amqp.Connection, error) {
	password, err := config.Secret(g.services.Rabbit.PasswordFile)
	if err != nil {
		return nil, err
	}
	u, err := url.Parse(g.services.Rabbit.URL(vhost))
	if err != nil {
		return nil, err
	}
	u.User = url.UserPassword(g.services.Rabbit.User, password)
	return amqp.Dial(u.String())
}

// settleDown lets every round begin with the same debts at the disk.
func (g *ground) settleDown(ctx context.Context) (err error) {
	admin, err := g.admin("postgres")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, admin.Close()) }()
	_, err = admin.ExecContext(ctx, `CHECKPOINT`)
	return err
}

// until asks again and again, for a bounded time.
func until(ctx context.Context, every, limit time.Duration, what string, done func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		ok, err := done()
		if ok || err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("waiting for %s: %w", what, ctx.Err())
		}
	}
}
