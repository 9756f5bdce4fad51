package house

import (
	"bytes"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"
)

// alertRules is a Prometheus rules file, as far as ours has it.
type alertRules struct {
	Groups []struct {
		Name  string `yaml:"name"`
		Rules []struct {
			Alert       string            `yaml:"alert"`
			Expr        string            `yaml:"expr"`
			For         time.Duration     `yaml:"for"`
			Labels      map[string]string `yaml:"labels"`
			Annotations map[string]string `yaml:"annotations"`
		} `yaml:"rules"`
	} `yaml:"groups"`
}

var (
	exported = regexp.MustCompile(`(?:Name:\s*|NewDesc\(|one\()"(sifilma_[a-z0-9_]+)"`)
	named    = regexp.MustCompile(`\b(sifilma_[a-z0-9_]+)`)
	matcher  = regexp.MustCompile(`([a-z_]+)\s*(?:=|!=)\s*"([^"]*)"`)
	grouping = regexp.MustCompile(`\bby \(([^)]*)\)`)
)

// sources is the Go text of what runs, without its tests.
func sources(t *testing.T) string {
	t.Helper()
	var all bytes.Buffer
	for path, text := range tracked(t) {
		if filepath.Ext(path) == ".go" && !strings.HasSuffix(path, "_test.go") && (strings.HasPrefix(path, "pkg/") || strings.HasPrefix(path, "daemons/")) {
			all.Write(text)
		}
	}
	return all.String()
}

// TestAlertsAreOfMetricsThatAre: an alarm on a metric, a label or a value that nobody
// exports would be silent for ever.
func TestAlertsAreOfMetricsThatAre(t *testing.T) {
	t.Parallel()
	decoder := yaml.NewDecoder(bytes.NewReader(tracked(t)["deploy/monitoring/alerts.yaml"]))
	decoder.KnownFields(true)
	var rules alertRules
	require.NoError(t, decoder.Decode(&rules))
	source := sources(t)
	var metrics []string
	for _, m := range exported.FindAllStringSubmatch(source, -1) {
		metrics = append(metrics, m[1])
	}
	require.Greater(t, len(metrics), 20, "hardly any metric was found in the source")
	given := func(label string) bool { // by Prometheus itself, or its configuration
		return label == "job" || label == "instance"
	}
	seen := map[string]bool{}
	for _, g := range rules.Groups {
		require.NotEmpty(t, g.Name)
		for _, r := range g.Rules {
			require.False(t, seen[r.Alert], "%s stands there twice", r.Alert)
			seen[r.Alert] = true
			for _, m := range named.FindAllString(r.Expr, -1) {
				require.Contains(t, metrics, m, "%s: no daemon exports it", r.Alert)
			}
			for _, m := range matcher.FindAllStringSubmatch(r.Expr, -1) {
				if !given(m[1]) {
					require.Contains(t, source, `"`+m[1]+`"`, "%s: no metric has the label", r.Alert)
					require.Contains(t, source, `"`+m[2]+`"`, "%s: the label %s never has the value", r.Alert, m[1])
				}
			}
			for _, by := range grouping.FindAllStringSubmatch(r.Expr, -1) {
				for label := range strings.SplitSeq(by[1], ",") {
					if label = strings.TrimSpace(label); !given(label) {
						require.Contains(t, source, `"`+label+`"`, "%s: no metric has the label", r.Alert)
					}
				}
			}
			require.True(t, named.MatchString(r.Expr) || strings.HasPrefix(r.Expr, "up{"), "%s looks at nothing of ours", r.Alert)
			require.Equal(t, strings.Count(r.Expr, "("), strings.Count(r.Expr, ")"), r.Alert)
			require.True(t, slices.Contains([]string{"page", "ticket", "info"}, r.Labels["severity"]), "%s: severity %q", r.Alert, r.Labels["severity"])
			require.NotEmpty(t, r.Annotations["summary"], r.Alert)
			require.NotEmpty(t, r.Annotations["description"], r.Alert)
		}
	}
	for _, metric := range []string{
		"sifilma_sla_late_requests", "sifilma_stage_requests", "sifilma_calendar_unknown_years", "sifilma_outbox_oldest_seconds",
		"sifilma_shelf_open", "sifilma_sweeper_rung_total", "sifilma_check_ok", "sifilma_history_stray_rows",
	} {
		require.Contains(t, string(tracked(t)["deploy/monitoring/alerts.yaml"]), metric, "nobody is told")
	}
}

// TestCountersOfAlertsAreThereFromTheStart: increase() and rate() of a counter that is
// born with its first event are 0, and the alarm is not raised.
func TestCountersOfAlertsAreThereFromTheStart(t *testing.T) {
	t.Parallel()
	source := sources(t)
	rising := regexp.MustCompile(`(?:increase|rate)\((sifilma_[a-z0-9_]+)`)
	found := 0
	for _, m := range rising.FindAllStringSubmatch(string(tracked(t)["deploy/monitoring/alerts.yaml"]), -1) {
		vector := regexp.MustCompile(`([\w.]+)\s*=\s*\w+\.NewCounterVec\(prometheus\.CounterOpts\{\s*Name: "` + m[1] + `"`).FindStringSubmatch(source)
		if vector == nil { // one without labels is there by itself
			continue
		}
		found++
		require.Regexp(t, `(?m)^\s*`+regexp.QuoteMeta(vector[1])+`\.WithLabelValues\([^()]*\)$`, source, "%s: its series are to be made with 0 at the start", m[1])
	}
	require.GreaterOrEqual(t, found, 3)
}

// TestPrometheusScrapesEveryDaemon: the example names the addresses that the shipped
// configurations listen on.
func TestPrometheusScrapesEveryDaemon(t *testing.T) {
	t.Parallel()
	example := string(tracked(t)["deploy/monitoring/prometheus.yaml"])
	for _, daemon := range []string{"intake", "validator", "scheduler", "perso-station", "document-generator", "portal"} {
		var c struct {
			HTTP struct {
				Addr string `yaml:"addr"`
			} `yaml:"http"`
		}
		require.NoError(t, yaml.Unmarshal(tracked(t)["configs/"+daemon+".yaml"], &c))
		require.Contains(t, example, `targets: ["`+c.HTTP.Addr+`"], labels: {instance: `+daemon+`}`)
	}
}
