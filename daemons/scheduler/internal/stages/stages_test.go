package stages_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/daemons/scheduler/internal/stages"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/perso/persotest"
	"dukcapil.go.id/sifilma/pkg/stage"
	"dukcapil.go.id/sifilma/pkg/workday"
)

// measured are the values of a registry by name and labels.
func measured(t *testing.T, reg *prometheus.Registry) map[string]float64 {
	t.Helper()
	all, err := reg.Gather()
	require.NoError(t, err)
	values := map[string]float64{}
	for _, family := range all {
		for _, m := range family.GetMetric() {
			name := family.GetName()
			for _, l := range m.GetLabel() {
				name += " " + l.GetValue()
			}
			values[name] = m.GetGauge().GetValue()
		}
	}
	return values
}

// TestClocksAreMeasured: what the gauges say follows the office clock, and every
// stage and status has a value.
func TestClocksAreMeasured(t *testing.T) {
	t.Parallel()
	o := persotest.New(t, 1, 1) // in personalisation since Monday 2 March 2026
	monday := clock.MustParseDate("2026-03-02")
	office, machine, reg := clock.NewFixedOffice(persotest.OfficeAt), clock.NewFake(persotest.OfficeAt), prometheus.NewRegistry()
	cfg := stages.Defaults()
	w, err := stages.New(cfg, workday.OfficeHours{}, o.Database.Open(t, "sifilma_scheduler"), office, zerolog.Nop(), machine, reg)
	require.NoError(t, err)
	require.Equal(t, stage.JobSweep, w.Job().Name)
	ctx, cancel := context.WithCancel(t.Context())
	var done sync.WaitGroup
	done.Go(func() { _ = w.Run(ctx) })
	t.Cleanup(func() { cancel(); done.Wait() })

	for _, v := range []struct {
		day                   int
		onTime, warning, late float64
		days                  float64
	}{{0, 1, 0, 0, 0}, {3, 1, 0, 0, 3}, {4, 0, 1, 0, 4}, {8, 0, 0, 1, 6}} {
		require.NoError(t, machine.WaitTimers(t.Context(), 1)) // it sleeps
		office.Set(monday.AddDays(v.day).At(9, 0))
		machine.Advance(cfg.Every)
		require.NoError(t, machine.WaitTimers(t.Context(), 1))
		got := measured(t, reg)
		require.Equal(t, []float64{v.onTime, v.warning, v.late, v.days, v.late}, []float64{
			got["sifilma_stage_requests personalisation on_time"], got["sifilma_stage_requests personalisation warning"],
			got["sifilma_stage_requests personalisation late"], got["sifilma_stage_working_days personalisation"], got["sifilma_sla_late_requests"],
		}, "day %d", v.day)
		require.Contains(t, got, "sifilma_stage_requests handover late")
		require.Contains(t, got, "sifilma_activation_letters late")
		require.Equal(t, float64(machine.Now().Unix()), got["sifilma_stage_swept_timestamp_seconds"])
	}
}

// TestNoAlarmByAClockInDoubt: while the office clock is in doubt nothing is kept by it;
// an alarm that it raised would stay, and the true one would never come.
func TestNoAlarmByAClockInDoubt(t *testing.T) {
	t.Parallel()
	o := persotest.New(t, 1, 1)
	late := clock.MustParseDate("2026-06-02").At(9, 0)
	machine := clock.NewFake(persotest.OfficeAt)
	cfg := stages.Defaults()
	w, err := stages.New(cfg, workday.OfficeHours{}, o.Database.Open(t, "sifilma_scheduler"), clock.NewFixedOffice(late), zerolog.Nop(), machine, prometheus.NewRegistry())
	require.NoError(t, err)
	var mu sync.Mutex
	doubt := errors.New("jam salah")
	w.Trust(func(context.Context) (time.Time, error) {
		mu.Lock()
		defer mu.Unlock()
		return late, doubt
	})
	ctx, cancel := context.WithCancel(t.Context())
	var done sync.WaitGroup
	done.Go(func() { _ = w.Run(ctx) })
	t.Cleanup(func() { cancel(); done.Wait() })
	alarms := func() (n int) {
		require.NoError(t, machine.WaitTimers(t.Context(), 1))
		require.NoError(t, o.DB.Get(t.Context(), &n, `SELECT (SELECT count(*) FROM stage_alarm) + (SELECT count(*) FROM request_stage)`))
		return n
	}
	require.Zero(t, alarms())
	mu.Lock()
	doubt = nil
	mu.Unlock()
	machine.Advance(cfg.Every)
	require.NotZero(t, alarms())
}

func TestConfigurationThatIsNone(t *testing.T) {
	t.Parallel()
	require.NoError(t, stages.Defaults().Validate())
	for want, spoil := range map[string]func(*stages.Config){
		"sweep":        func(c *stages.Config) { c.Sweep = "x" },
		"at least 1s":  func(c *stages.Config) { c.Every = time.Millisecond },
		"letter: min ": func(c *stages.Config) { c.Letter.Max = 1 },
	} {
		c := stages.Defaults()
		spoil(&c)
		require.ErrorContains(t, c.Validate(), want)
	}
}
