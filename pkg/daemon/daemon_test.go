package daemon

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"dukcapil.go.id/sifilma/pkg/web"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type testConfig struct {
	Common `yaml:",inline"`
	Motto  string `yaml:"motto"`
}

func defaults() testConfig {
	return testConfig{Common: Common{HTTP: HTTP{Addr: "127.0.0.1:0"}, StopTimeout: 5 * time.Second}}
}

// syncBuffer is a log several goroutines write to.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// running is a daemon under test.
type running struct {
	env     *Env
	signals chan os.Signal
	log     *syncBuffer
	code    chan int
	http    http.Client
}

type wire = func(ctx context.Context, env *Env, cfg *testConfig) error

// start runs a daemon until the test ends; wire has begun when it returns.
func start(t *testing.T, w wire, args ...string) *running {
	t.Helper()
	r := &running{signals: make(chan os.Signal, 2), log: &syncBuffer{}, code: make(chan int, 1)}
	r.http = http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second}
	begun := make(chan struct{})
	go func() {
		r.code <- Run("demo", args, io.Discard, r.log, r.signals, defaults,
			func(ctx context.Context, env *Env, cfg *testConfig) error {
				r.env = env
				close(begun)
				return w(ctx, env, cfg)
			})
	}()
	select {
	case <-begun:
	case <-time.After(10 * time.Second):
		t.Fatalf("the daemon did not start: %s", r.log)
	}
	return r
}

func (r *running) get(t *testing.T, path string, header ...string) (int, string) {
	t.Helper()
	req, err := http.NewRequest(http.MethodGet, "http://"+r.env.Addr()+path, nil)
	require.NoError(t, err)
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := r.http.Do(req)
	require.NoError(t, err)
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return res.StatusCode, string(b)
}

// ready waits until the daemon's own routes are open.
func (r *running) ready(t *testing.T) {
	t.Helper()
	require.Eventually(t, func() bool {
		status, _ := r.get(t, "/readyz")
		return status == http.StatusOK
	}, 10*time.Second, 5*time.Millisecond)
}

func (r *running) wait(t *testing.T) int {
	t.Helper()
	select {
	case c := <-r.code:
		return c
	case <-time.After(20 * time.Second):
		t.Fatalf("the daemon does not end: %s", r.log)
		return -1
	}
}

func TestStartServeAndStopInReverseOrder(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var ended []string
	end := func(s string) { mu.Lock(); defer mu.Unlock(); ended = append(ended, s) }
	part := func(name string) func(context.Context) error {
		return func(ctx context.Context) error { <-ctx.Done(); end(name); return ctx.Err() }
	}
	goOn := make(chan struct{})
	d := start(t, func(ctx context.Context, env *Env, cfg *testConfig) error {
		env.OnStop(func() error { end("database"); return nil })
		env.Go("first", part("first"))
		env.Go("second", part("second"))
		env.Router.Get("/hello", func(w http.ResponseWriter, r *http.Request) {
			web.WriteJSON(w, r, http.StatusOK, "halo")
		})
		<-goOn
		return nil
	})
	status, _ := d.get(t, "/livez")
	require.Equal(t, http.StatusOK, status, "alive while it waits for a dependency")
	status, body := d.get(t, "/readyz")
	require.Equal(t, http.StatusServiceUnavailable, status)
	require.Contains(t, body, `"starting"`)
	status, body = d.get(t, "/hello")
	require.Equal(t, http.StatusServiceUnavailable, status)
	require.Contains(t, body, "urn:sifilma:problem:unavailable")

	close(goOn)
	d.ready(t)
	status, body = d.get(t, "/hello")
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, "\"halo\"\n", body)

	d.signals <- syscall.SIGTERM
	require.Equal(t, 0, d.wait(t))
	require.Equal(t, []string{"second", "first", "database"}, ended)
}

func TestFailingComponentEndsTheDaemon(t *testing.T) {
	t.Parallel()
	for name, run := range map[string]func(context.Context) error{
		"error": func(context.Context) error { return errors.New("the wheel came off") },
		"panic": func(context.Context) error { panic("the wheel came off") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			otherEnded := make(chan struct{})
			d := start(t, func(ctx context.Context, env *Env, cfg *testConfig) error {
				env.Go("other", func(ctx context.Context) error { <-ctx.Done(); close(otherEnded); return nil })
				env.Go("wheel", run)
				return nil
			})
			require.Equal(t, 1, d.wait(t))
			<-otherEnded
			require.Contains(t, d.log.String(), "the wheel came off")
			require.Contains(t, d.log.String(), `"component":"wheel"`)
		})
	}
}

func TestFinishedComponentLeavesTheDaemonRunning(t *testing.T) {
	t.Parallel()
	d := start(t, func(ctx context.Context, env *Env, cfg *testConfig) error {
		env.Go("once", func(context.Context) error { return nil })
		return nil
	})
	d.ready(t)
	require.Eventually(t, func() bool {
		_, body := d.get(t, "/api/v1/status")
		return strings.Contains(body, `{"name":"once","state":"finished"}`)
	}, 5*time.Second, 5*time.Millisecond)
	d.signals <- syscall.SIGINT
	require.Equal(t, 0, d.wait(t))
}

func TestWiringErrorAndSignalWhileWiring(t *testing.T) {
	t.Parallel()
	d := start(t, func(context.Context, *Env, *testConfig) error { return errors.New("no such thing") })
	require.Equal(t, 1, d.wait(t))
	require.Contains(t, d.log.String(), "no such thing")

	d = start(t, func(ctx context.Context, _ *Env, _ *testConfig) error { <-ctx.Done(); return ctx.Err() })
	d.signals <- syscall.SIGTERM
	require.Equal(t, 0, d.wait(t), "a stop during the start is no failure")
}

func TestStopIsBoundedAndASecondSignalHastens(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	defer close(release)
	stuck := func(ctx context.Context, env *Env, cfg *testConfig) error {
		cfg.StopTimeout = 50 * time.Millisecond
		env.Go("stuck", func(context.Context) error { <-release; return nil })
		return nil
	}
	d := start(t, stuck)
	d.ready(t)
	d.signals <- syscall.SIGTERM
	require.Equal(t, 1, d.wait(t))
	require.Contains(t, d.log.String(), `"waiting_for":"stuck"`)

	d = start(t, func(ctx context.Context, env *Env, cfg *testConfig) error {
		cfg.StopTimeout = time.Hour
		return stuckFor(env, release)
	})
	d.ready(t)
	d.signals <- syscall.SIGTERM
	d.signals <- syscall.SIGTERM
	require.Equal(t, 1, d.wait(t))
	require.Contains(t, d.log.String(), "second signal")
}

func stuckFor(env *Env, release chan struct{}) error {
	env.Go("stuck", func(context.Context) error { <-release; return nil })
	return nil
}

func TestReadyzTellsTheTruthAndLogsChangesOnce(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var fault error
	set := func(err error) { mu.Lock(); defer mu.Unlock(); fault = err }
	var findings func() map[string]string
	d := start(t, func(ctx context.Context, env *Env, cfg *testConfig) error {
		findings = env.Findings
		env.AddCheck("good", func(context.Context) error { return nil })
		env.AddCheck("broker", func(context.Context) error { mu.Lock(); defer mu.Unlock(); return fault })
		return nil
	})
	d.ready(t)
	set(errors.New("not connected"))
	for range 3 {
		status, body := d.get(t, "/readyz")
		require.Equal(t, http.StatusServiceUnavailable, status)
		var page struct {
			Ready  bool
			Checks map[string]finding
		}
		require.NoError(t, json.Unmarshal([]byte(body), &page))
		require.False(t, page.Ready)
		require.True(t, page.Checks["good"].OK)
		require.Equal(t, "not connected", page.Checks["broker"].Error)
	}
	require.Equal(t, map[string]string{"good": "", "broker": "not connected"}, findings())
	set(nil)
	d.ready(t)
	require.Equal(t, map[string]string{"good": "", "broker": ""}, findings())
	require.Equal(t, 1, strings.Count(d.log.String(), "check became bad"))
	require.Equal(t, 1, strings.Count(d.log.String(), "check is good again"))
	d.signals <- syscall.SIGTERM
	require.Equal(t, 0, d.wait(t))
}

func TestCheckThatHangsIsBad(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	defer close(release)
	err := bounded(t.Context(), func(context.Context) error { <-release; return nil })
	require.ErrorContains(t, err, "no answer")
}

func TestStatusAndMetricsAreGuarded(t *testing.T) {
	t.Parallel()
	tokenFile := filepath.Join(t.TempDir(), "token")
	require.NoError(t, os.WriteFile(tokenFile, []byte("kunci-status\n"), 0o600))
	cfgFile := filepath.Join(t.TempDir(), "demo.yaml")
	require.NoError(t, os.WriteFile(cfgFile, []byte("http:\n  status_token_file: "+tokenFile+"\n"), 0o600))
	d := start(t, func(ctx context.Context, env *Env, cfg *testConfig) error {
		env.Status.Doing("memeriksa %d berkas", 3)
		env.Status.Set("batch", 7)
		env.Status.Func("queue_depth", func(context.Context) (any, error) { return 42, nil })
		env.Status.Func("broken", func(context.Context) (any, error) { return nil, errors.New("away") })
		env.Status.Error(errors.New("last trouble"))
		return nil
	}, "-config", cfgFile)
	d.ready(t)
	proxied := []string{"X-Forwarded-For", "203.0.113.9"}
	for _, path := range []string{"/metrics", "/api/v1/status"} {
		status, _ := d.get(t, path)
		require.Equal(t, http.StatusOK, status, "loopback")
		status, _ = d.get(t, path, proxied...)
		require.Equal(t, http.StatusUnauthorized, status, "through a proxy")
		status, _ = d.get(t, path, append(proxied, "Authorization", "Bearer kunci-salah")...)
		require.Equal(t, http.StatusUnauthorized, status)
		status, _ = d.get(t, path, append(proxied, "Authorization", "Bearer kunci-status")...)
		require.Equal(t, http.StatusOK, status)
	}
	_, body := d.get(t, "/api/v1/status")
	var page statusPage
	require.NoError(t, json.Unmarshal([]byte(body), &page))
	require.Equal(t, "running", page.State)
	require.Equal(t, "memeriksa 3 berkas", page.Doing.Text)
	require.Equal(t, "last trouble", page.LastError.Text)
	require.EqualValues(t, 7, page.Values["batch"])
	require.EqualValues(t, 42, page.Values["queue_depth"])
	require.Equal(t, map[string]any{"error": "away"}, page.Values["broken"])
	require.WithinDuration(t, time.Now(), page.OfficeTime, time.Minute)
	_, body = d.get(t, "/metrics")
	require.Contains(t, body, `sifilma_build_info{build=`)
	require.Contains(t, body, "go_goroutines")
	d.signals <- syscall.SIGTERM
	require.Equal(t, 0, d.wait(t))
	require.NotContains(t, d.log.String(), "kunci-status")
}

func TestFlagsAndConfiguration(t *testing.T) {
	t.Parallel()
	bad := filepath.Join(t.TempDir(), "bad.yaml")
	require.NoError(t, os.WriteFile(bad, []byte("motto: x\nhttp:\n  adr: 1\n"), 0o600))
	level := filepath.Join(t.TempDir(), "level.yaml")
	require.NoError(t, os.WriteFile(level, []byte("log_level: loud\n"), 0o600))
	addr := filepath.Join(t.TempDir(), "addr.yaml")
	require.NoError(t, os.WriteFile(addr, []byte("http: {addr: nowhere}\n"), 0o600))
	clock := filepath.Join(t.TempDir(), "clock.yaml")
	require.NoError(t, os.WriteFile(clock, []byte("office_clock: sundial\n"), 0o600))
	for _, c := range []struct {
		name, args, out, err string
		code                 int
	}{
		{"version", "-version", "demo ", "", 0},
		{"good", "-check-config", "valid", "", 0},
		{"unknown key", "-check-config -config " + bad, "", `line 3: unknown key "adr"`, 2},
		{"level", "-check-config -config " + level, "", "log_level", 2},
		{"addr", "-check-config -config " + addr, "", `http: addr "nowhere" is not host:port`, 2},
		{"office clock", "-check-config -config " + clock, "", "sundial", 2},
		{"missing file", "-config /nonexistent/x.yaml", "", "no such file", 2},
		{"unknown flag", "-nope", "", "nope", 2},
		{"argument", "extra", "", "extra", 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var out, errs bytes.Buffer
			code := Run("demo", strings.Fields(c.args), &out, &errs, make(chan os.Signal), defaults,
				func(context.Context, *Env, *testConfig) error { return errors.New("must not be wired") })
			require.Equal(t, c.code, code, errs.String())
			require.Contains(t, out.String(), c.out)
			require.Contains(t, errs.String(), c.err)
		})
	}
}
