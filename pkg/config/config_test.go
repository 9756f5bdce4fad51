package config

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/clock"
)

type section struct {
	URL          string        `yaml:"url"`
	PasswordFile string        `yaml:"password_file"`
	MaxOpen      int           `yaml:"max_open"`
	Wait         time.Duration `yaml:"wait"`
}

func (s section) Validate() error {
	if s.URL == "" {
		return errors.New("url is empty")
	}
	return nil
}

type common struct {
	LogLevel string `yaml:"log_level"`
}

type sample struct {
	common   `yaml:"-"`
	Inline   common            `yaml:",inline"`
	Postgres section           `yaml:"postgres"`
	Hosts    []string          `yaml:"hosts"`
	Ports    []int             `yaml:"ports"`
	Strict   bool              `yaml:"strict"`
	From     clock.Date        `yaml:"from"`
	Labels   map[string]string `yaml:"labels"`
	Ignored  string            `yaml:"-"`
}

func (s *sample) Validate() error {
	if len(s.Hosts) > 3 {
		return errors.New("hosts: more than three")
	}
	return nil
}

func defaults() sample {
	return sample{Inline: common{LogLevel: "info"}, Postgres: section{URL: "postgres://default", MaxOpen: 10}}
}

// loadText loads YAML text and an environment over the defaults.
func loadText(t *testing.T, text string, env map[string]string) (sample, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "test.yaml")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	cfg := defaults()
	err := load(path, &cfg, func(k string) (string, bool) { v, ok := env[k]; return v, ok })
	return cfg, err
}

func TestFileOverDefaultsAndEnvironmentOverFile(t *testing.T) {
	t.Parallel()
	cfg, err := loadText(t, `
log_level: debug
postgres:
  url: postgres://file
  wait: 1m30s
hosts: [a, b]
from: 2026-03-02
`, map[string]string{
		"SIFILMA_POSTGRES_URL":      "postgres://env?x=1#{}: ok",
		"SIFILMA_POSTGRES_WAIT":     "5s",
		"SIFILMA_HOSTS":             "c,d,e",
		"SIFILMA_PORTS":             "[1, 2]",
		"SIFILMA_STRICT":            "true",
		"SIFILMA_LABELS":            "{a: b}",
		"SIFILMA_POSTGRES_MAX_OPEN": "7",
		"SIFILMA_UNRELATED":         "ignored",
	})
	require.NoError(t, err)
	require.Equal(t, sample{
		Inline:   common{LogLevel: "debug"},
		Postgres: section{URL: "postgres://env?x=1#{}: ok", MaxOpen: 7, Wait: 5 * time.Second},
		Hosts:    []string{"c", "d", "e"}, Ports: []int{1, 2}, Strict: true,
		From: clock.MustParseDate("2026-03-02"), Labels: map[string]string{"a": "b"},
	}, cfg)
}

func TestInlineKeysHaveNoPrefixInTheEnvironment(t *testing.T) {
	t.Parallel()
	cfg, err := loadText(t, "", map[string]string{"SIFILMA_LOG_LEVEL": "warn", "SIFILMA_FROM": "2026-01-05"})
	require.NoError(t, err)
	require.Equal(t, "warn", cfg.Inline.LogLevel)
	require.Equal(t, clock.MustParseDate("2026-01-05"), cfg.From)
	require.Equal(t, "postgres://default", cfg.Postgres.URL)
}

func TestErrorsNameTheKey(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		text string
		env  map[string]string
		want []string
	}{
		"unknown key":       {"log_level: info\npostgres:\n  urll: x\n", nil, []string{"line 3", `unknown key "urll"`, "test.yaml"}},
		"unknown top key":   {"motto: x\n", nil, []string{"line 1", `unknown key "motto"`}},
		"two unknown keys":  {"a1: x\nb1: y\n", nil, []string{`"a1"`, `"b1"`}},
		"wrong type":        {"postgres:\n  max_open: many\n", nil, []string{"line 2", "many"}},
		"key given twice":   {"strict: true\nstrict: false\n", nil, []string{"line 2", "strict"}},
		"not YAML":          {"a: [\n", nil, []string{"line"}},
		"two documents":     {"strict: true\n---\nstrict: false\n", nil, []string{"more than one"}},
		"section invalid":   {"postgres: {url: ''}\n", nil, []string{"postgres: url is empty"}},
		"whole invalid":     {"hosts: [a, b, c, d]\n", nil, []string{"hosts: more than three"}},
		"bad environment":   {"", map[string]string{"SIFILMA_POSTGRES_MAX_OPEN": "s3cret"}, []string{"SIFILMA_POSTGRES_MAX_OPEN", "max_open"}},
		"bad date":          {"from: 2026-02-30\n", nil, []string{"2026-02-30"}},
		"ignored field set": {"ignored: x\n", nil, []string{`unknown key "ignored"`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := loadText(t, c.text, c.env)
			require.Error(t, err)
			for _, want := range c.want {
				require.ErrorContains(t, err, want)
			}
			require.NotContains(t, err.Error(), "config.sample", "no Go types in the text")
			require.NotContains(t, err.Error(), "s3cret", "values of the environment stay out of errors")
		})
	}
}

func TestLoadWithoutFile(t *testing.T) {
	t.Parallel()
	cfg := defaults()
	require.NoError(t, Load("", &cfg))
	require.Error(t, Load(filepath.Join(t.TempDir(), "missing.yaml"), &cfg))
	require.Error(t, Load("", cfg), "a copy could not be filled")
}

func TestSecret(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(path, []byte("  rahasia \n"), 0o600))
	s, err := Secret(path)
	require.NoError(t, err)
	require.Equal(t, "rahasia", s)
	require.NoError(t, os.WriteFile(path, []byte("\n"), 0o600))
	_, err = Secret(path)
	require.ErrorContains(t, err, "empty")
	_, err = Secret(path + ".missing")
	require.Error(t, err)
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte("postgres: {url: x}\nhosts: [a]\n"))
	f.Add([]byte("a: &a [*a]\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		cfg := defaults()
		_ = decode(b, &cfg) // it must not panic
	})
}
