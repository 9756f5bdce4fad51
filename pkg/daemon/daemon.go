// Package daemon is the frame every daemon of the house runs in.
//
// A main.go calls Main with its name, the defaults of its configuration and a
// function that wires its parts. The frame reads flags and configuration, logs JSON
// to stderr, answers /livez, /readyz, /metrics and /api/v1/status, supervises the
// components and stops everything in the reverse order when it is asked to:
//
//	type Config struct {
//		daemon.Common `yaml:",inline"`
//		Postgres      postgres.Config `yaml:"postgres"`
//	}
//
//	func main() {
//		daemon.Main("validator", defaults, func(ctx context.Context, env *daemon.Env, cfg *Config) error {
//			db, err := postgres.Open(cfg.Postgres)
//			if err != nil {
//				return err
//			}
//			env.OnStop(db.Close)
//			env.AddCheck("postgres", db.Check)
//			if err := db.WaitReady(ctx); err != nil {
//				return err
//			}
//			env.Go("relay", relay.Run)
//			return nil
//		})
//	}
package daemon

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"runtime/debug"
	"sync"
	"syscall"
	"time"

	"github.com/rs/zerolog"

	"dukcapil.go.id/sifilma/configs"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/config"
	"dukcapil.go.id/sifilma/pkg/trace"
)

// Exit codes of a daemon.
const (
	exitOK     = 0
	exitFailed = 1 // a component failed, or the stop took too long
	exitUsage  = 2 // flags or configuration
)

// Common is the part of the configuration every daemon has. Embed it with
// `yaml:",inline"`.
type Common struct {
	// LogLevel is trace, debug, info, warn or error.
	LogLevel string `yaml:"log_level"`
	HTTP     HTTP   `yaml:"http"`
	// OfficeClock is "real" or "file:<path>", see clock.OpenOffice.
	OfficeClock string `yaml:"office_clock"`
	// StopTimeout bounds the graceful stop; 0 means 20 s.
	StopTimeout time.Duration `yaml:"stop_timeout"`
}

// HTTP configures the listener of a daemon.
type HTTP struct {
	// Addr is host:port; port 0 takes a free one, which the log names.
	Addr string `yaml:"addr"`
	// StatusTokenFile holds the bearer token that opens /metrics and /api/v1/status
	// to other machines; without it they answer on loopback only.
	StatusTokenFile string `yaml:"status_token_file"`
	// MaxBody is the limit of request bodies in bytes; 0 means 1 MiB.
	MaxBody int64 `yaml:"max_body"`
}

// Validate checks the listener section.
func (h HTTP) Validate() error {
	if _, _, err := net.SplitHostPort(h.Addr); err != nil {
		return fmt.Errorf("addr %q is not host:port", h.Addr)
	}
	if h.MaxBody < 0 {
		return errors.New("max_body is negative")
	}
	return nil
}

func (c *Common) common() *Common { return c }

// check is not called Validate: it would become the Validate of every
// configuration that embeds Common.
func (c *Common) check() error {
	if _, err := zerolog.ParseLevel(c.LogLevel); err != nil {
		return fmt.Errorf("config: log_level %q is not trace, debug, info, warn or error", c.LogLevel)
	}
	if c.StopTimeout < 0 {
		return errors.New("config: stop_timeout is negative")
	}
	return nil
}

// Settings is satisfied by a pointer to a struct that embeds Common.
type Settings[C any] interface {
	*C
	common() *Common
}

const defaultStopTimeout = 20 * time.Second

// Main runs the daemon called name and exits the process. defaults gives the
// configuration before the file and the environment are read. wire builds the parts
// from it: it opens things, adds checks and routes, and starts components with
// env.Go; it may wait for a dependency, and the daemon shows as not ready meanwhile.
// ctx ends when the daemon is asked to stop.
func Main[C any, P Settings[C]](name string, defaults func() C, wire func(ctx context.Context, env *Env, cfg *C) error) {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	os.Exit(Run[C, P](name, os.Args[1:], os.Stdout, os.Stderr, signals, defaults, wire))
}

// Run is Main with its surroundings as arguments, for tests; it returns the exit code.
func Run[C any, P Settings[C]](name string, args []string, stdout, stderr io.Writer, signals <-chan os.Signal,
	defaults func() C, wire func(ctx context.Context, env *Env, cfg *C) error) int {
	fs := flag.NewFlagSet(name, flag.ContinueOnError)
	fs.SetOutput(stderr)
	path := fs.String("config", "", "YAML configuration `file`")
	checkOnly := fs.Bool("check-config", false, "check the configuration and exit")
	version := fs.Bool("version", false, "print the build and exit")
	if err := fs.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return exitOK
		}
		return exitUsage
	}
	say := func(w io.Writer, format string, a ...any) { _, _ = fmt.Fprintf(w, format+"\n", a...) }
	if fs.NArg() > 0 {
		say(stderr, "%s: unexpected argument %q", name, fs.Arg(0))
		return exitUsage
	}
	if *version {
		say(stdout, "%s %s", name, BuildID())
		return exitOK
	}
	cfg := defaults()
	common := P(&cfg).common()
	if common.LogLevel == "" {
		common.LogLevel = zerolog.InfoLevel.String()
	}
	if common.StopTimeout == 0 {
		common.StopTimeout = defaultStopTimeout
	}
	err := config.CheckEnviron(os.Environ(), &cfg, configs.Files)
	if err == nil {
		err = config.Load(*path, &cfg)
	}
	if err == nil {
		err = config.CheckFiles(&cfg)
	}
	if err == nil {
		err = common.check()
	}
	if err != nil {
		say(stderr, "%s: %v", name, err)
		return exitUsage
	}
	env, err := newEnv(name, common, stderr) // opens the files the configuration names
	if err != nil {
		say(stderr, "%s: %v", name, err)
		return exitUsage
	}
	if *checkOnly {
		say(stdout, "%s: the configuration is valid", name)
		return exitOK
	}
	return env.run(signals, func(ctx context.Context) error { return wire(ctx, env, &cfg) })
}

// logTimesInUTC sets how zerolog writes times; that is global to the process.
var logTimesInUTC = sync.OnceFunc(func() {
	zerolog.TimeFieldFormat = time.RFC3339Nano
	zerolog.TimestampFunc = func() time.Time { return time.Now().UTC() }
})

func newLog(name string, c *Common, w io.Writer) zerolog.Logger {
	level, err := zerolog.ParseLevel(c.LogLevel)
	if err != nil {
		level = zerolog.InfoLevel
	}
	logTimesInUTC()
	return zerolog.New(w).Level(level).With().Timestamp().Str("service", name).Str("build", BuildID()).Logger().Hook(trace.Hook{})
}

// build may be set by the linker: -ldflags "-X dukcapil.go.id/sifilma/pkg/daemon.build=1.2.3".
var build string

// BuildID names the build: the linker's word, else the commit, else "unknown".
func BuildID() string {
	if build != "" {
		return build
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	revision, dirty := "", ""
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			revision = s.Value
		case "vcs.modified":
			if s.Value == "true" {
				dirty = "+changed"
			}
		}
	}
	if revision == "" {
		return "unknown"
	}
	return revision[:min(12, len(revision))] + dirty
}

// openOffice opens the office clock of the configuration.
func openOffice(c *Common) (clock.Office, error) { return clock.OpenOffice(c.OfficeClock) }
