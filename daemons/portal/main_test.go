package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"

	"dukcapil.go.id/sifilma/pkg/daemon"
	"dukcapil.go.id/sifilma/pkg/identity"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/outbox"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/report"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/test/harness"
)

func checkConfig(t *testing.T, path string) (code int, says string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = daemon.Run("portal", []string{"-check-config", "-config", path}, &out, &errs, nil, defaults,
		func(context.Context, *daemon.Env, *Config) error { panic("must not be wired") })
	return code, out.String() + errs.String()
}

func TestConfiguration(t *testing.T) {
	t.Parallel()
	const shipped = "../../configs/portal.yaml"
	code, says := checkConfig(t, harness.Shipped(t, "portal"))
	require.Equal(t, 0, code, says)
	text, err := os.ReadFile(shipped)
	require.NoError(t, err)
	for name, c := range map[string]struct{ old, new, says string }{
		"unknown key": {"  spool: ", "  spol: ", "spol"},
		"bad origin":  {`public_url: ""`, `public_url: "sifilma.example"`, "public_url"},
		"a path":      {`public_url: ""`, `public_url: "https://sifilma.example/portal"`, "public_url"},
		"tiny scans":  {"max_scan: 10485760", "max_scan: 10", "max_scan"},
		"a long life": {"one_time_password: 72h", "one_time_password: 721h", "one_time_password"},
		"no broker":   {"url: amqp://sifilma@127.0.0.1:5672/sifilma", `url: ""`, "rabbit: url is missing"},
	} {
		require.Contains(t, string(text), c.old, name)
		path := filepath.Join(t.TempDir(), "portal.yaml")
		require.NoError(t, os.WriteFile(path, []byte(strings.Replace(string(text), c.old, c.new, 1)), 0o600))
		code, says := checkConfig(t, path)
		require.Equal(t, 2, code, name)
		require.Contains(t, says, c.says, name)
	}
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// TestDaemonServesAndRelays runs the whole portal: a person signs in over HTTP,
// and what the office has to say goes out through the broker.
func TestDaemonServesAndRelays(t *testing.T) {
	t.Parallel()
	database := harness.NewDatabase(t)
	db := database.Open(t, "")
	require.NoError(t, machine.Sync(t.Context(), db, report.Machines...))
	require.NoError(t, identity.SetAccount(t.Context(), db, identity.Account{Username: "petugas", Name: "Petugas", Role: request.Operator}, password))

	cfg := defaults()
	cfg.Postgres, cfg.Rabbit = database.Config(t, "sifilma_portal"), harness.Rabbit(t)
	cfg.Rabbit.Name = "portal"
	cfg.HTTP.Addr, cfg.LogLevel, cfg.StopTimeout = "127.0.0.1:0", "info", 20*time.Second
	text, err := yaml.Marshal(cfg)
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "portal.yaml")
	require.NoError(t, os.WriteFile(path, text, 0o600))
	var log lockedBuffer
	signals := make(chan os.Signal, 2)
	code, wired := make(chan int, 1), make(chan *daemon.Env, 1)
	go func() {
		code <- daemon.Run("portal", []string{"-config", path}, &log, &log, signals, defaults,
			func(ctx context.Context, env *daemon.Env, c *Config) error {
				err := wire(ctx, env, c)
				wired <- env
				return err
			})
	}()
	defer func() {
		signals <- syscall.SIGTERM
		require.Equal(t, 0, <-code, log.String())
		require.NotContains(t, log.String(), password)
	}()
	base := "http://" + (<-wired).Addr()
	client := &http.Client{Timeout: 10 * time.Second}
	defer client.CloseIdleConnections()
	require.Eventually(t, func() bool {
		res, err := client.Get(base + "/readyz")
		if err != nil {
			return false
		}
		_ = res.Body.Close()
		return res.StatusCode == 200
	}, 20*time.Second, 20*time.Millisecond, "ready")

	body, err := json.Marshal(login("petugas", password))
	require.NoError(t, err)
	res, err := client.Post(base+"/api/v1/session", "application/json", bytes.NewReader(body))
	require.NoError(t, err)
	_ = res.Body.Close()
	require.Equal(t, 204, res.StatusCode)
	res, err = client.Get(base + "/")
	require.NoError(t, err)
	_ = res.Body.Close()
	require.Equal(t, 200, res.StatusCode)

	require.NoError(t, db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		id := "018f0000-0000-7000-8000-000000000001"
		return outbox.Put(ctx, tx, outbox.Message{Type: "request.accepted", Subject: id, Version: 1, Request: id})
	}))
	require.Eventually(t, func() bool {
		left, err := outbox.Pending(t.Context(), db)
		return err == nil && left.Count == 0
	}, 20*time.Second, 20*time.Millisecond, "the message went out")
}
