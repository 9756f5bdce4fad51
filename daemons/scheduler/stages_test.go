package main

import (
	"io"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/daemon"
	"dukcapil.go.id/sifilma/pkg/perso/persotest"
	"dukcapil.go.id/sifilma/pkg/stage"
	"dukcapil.go.id/sifilma/test/harness"
)

// TestStagesAreSweptOnceByTwoSchedulers steps the office clock over two weeks, with a
// jump over three mornings: each window is run once and each alarm raised once, and
// the rules of the configuration are what everybody reckons with.
func TestStagesAreSweptOnceByTwoSchedulers(t *testing.T) {
	t.Parallel()
	o := persotest.New(t, 1, 1)
	vhost := harness.NewVhost(t)
	var fleet []*harness.Daemon
	for range 2 {
		d := &harness.Daemon{
			Postgres: o.Database.Config(t, "sifilma_scheduler"), Rabbit: vhost.Config("scheduler"),
			More: "stages: {every: 1s, personalisation: {max: 4}}",
		}
		d.Start(t, persotest.OfficeAt, func(args []string, log io.Writer, signals <-chan os.Signal) int {
			return daemon.Run("scheduler", args, io.Discard, log, signals, defaults, wire)
		})
		fleet = append(fleet, d)
	}
	monday := clock.MustParseDate("2026-03-02")
	eventually(t, o, 1, `SELECT count(*) FROM request_stage WHERE stage = 'personalisation' AND status = 'on_time' AND stage_office = 0`)
	for _, days := range []int{1, 2, 3, 7, 8} { // Thursday was the 4th; then Monday and Tuesday
		for _, d := range fleet {
			d.Step(t, monday.AddDays(days).At(6, 0))
		}
		eventually(t, o, 1, `SELECT count(*) FROM schedule_run WHERE job = $1 AND window_start = $2`, stage.JobSweep, monday.AddDays(days).At(6, 0).UTC())
	}
	eventually(t, o, 1, `SELECT count(*) FROM request_stage WHERE status = 'late' AND stage_office = 6 AND over = 2`)
	eventually(t, o, 1, `SELECT count(*) FROM stage_alarm WHERE status = 'warning' AND stage = 'personalisation' AND days = 3 AND most = 4`)
	eventually(t, o, 1, `SELECT count(*) FROM stage_alarm WHERE status = 'late'`)
	eventually(t, o, 9, `SELECT count(*) FROM schedule_run WHERE job = $1`, stage.JobSweep) // today's before the start, and eight since
	for _, d := range fleet {
		require.NotContains(t, d.Log(), "cannot be kept")
		require.NotContains(t, d.Log(), "scheduled work fails")
	}
	rules, err := stage.CurrentRules(t.Context(), o.DB)
	require.NoError(t, err)
	require.Equal(t, []int{4, 17}, []int{rules.Personalisation.Max, rules.Of(stage.Total).Max})
}
