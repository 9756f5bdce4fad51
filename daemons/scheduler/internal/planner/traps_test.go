package planner

import (
	"bytes"
	"context"
	"io"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/robfig/cron/v3"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/capacity"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/daemon"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/test/harness"
)

const soon, tick = 30 * time.Second, 10 * time.Millisecond

// panicky is a job that panics the first time.
func panicky(runs *atomic.Int64) cron.FuncJob {
	return func() {
		if runs.Add(1) == 1 {
			panic("the job breaks")
		}
	}
}

// A job that panics counts as running for ever, when what recovers stands
// outside what skips.
func TestTrapE8PanicStopsTheJobForEver(t *testing.T) {
	t.Parallel()
	chained := func(wrappers ...cron.JobWrapper) (runs int64) {
		var n atomic.Int64
		job := cron.NewChain(wrappers...).Then(panicky(&n))
		for range 4 {
			job.Run()
		}
		return n.Load()
	}
	recovers, skips := cron.Recover(cron.DiscardLogger), cron.SkipIfStillRunning(cron.DiscardLogger)
	require.EqualValues(t, 1, chained(recovers, skips), "naive")
	skips = cron.SkipIfStillRunning(cron.DiscardLogger)
	require.EqualValues(t, 4, chained(skips, recovers))

	// Ours: a window whose job panics is run again at the next tick, also when it
	// was due before the first one.
	db := harness.DB(t)
	office := clock.NewFixedOffice(clock.MustParseDate("2026-03-02").At(8, 0))
	var runs atomic.Int64
	breaks := panicky(&runs)
	schedule, err := capacity.ParseSchedule("0 9 * * *")
	require.NoError(t, err)
	cfg := Defaults()
	cfg.Tick = time.Second
	p := &Planner{cfg: cfg, db: db, office: office, log: zerolog.Nop(), status: statusOf(t), jobs: []capacity.Job{{
		Name: "uji", Schedule: schedule,
		Do: func(context.Context, *postgres.Tx, time.Time, time.Time) (any, error) { breaks(); return nil, nil },
	}}}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- p.Tick(ctx) }()
	windows := func(want int) {
		t.Helper()
		require.Eventually(t, func() bool {
			var done int
			require.NoError(t, db.Get(t.Context(), &done, `SELECT count(*) FROM schedule_run WHERE job = 'uji'`))
			return done == want
		}, soon, tick)
	}
	windows(1) // of the day before
	runs.Store(0)
	office.Set(clock.MustParseDate("2026-03-02").At(9, 0))
	windows(2)
	require.EqualValues(t, 2, runs.Load(), "it broke once, ran once, and its window is done")
	stop()
	require.NoError(t, <-ended)
}

// statusOf is a daemon's status page for a part that is tested alone.
func statusOf(t *testing.T) (s *daemon.Status) {
	t.Helper()
	path := t.TempDir() + "/uji.yaml"
	require.NoError(t, os.WriteFile(path, []byte("http: {addr: \"127.0.0.1:0\"}\n"), 0o600))
	var errs bytes.Buffer
	type config struct {
		daemon.Common `yaml:",inline"`
	}
	daemon.Run("uji", []string{"-config", path}, io.Discard, &errs, nil, func() config { return config{} },
		func(_ context.Context, env *daemon.Env, _ *config) error {
			s = env.Status
			return io.EOF
		})
	require.NotNil(t, s, errs.String())
	return s
}

// In a zone with summer time a window can come twice on a day, or not at all.
func TestTrapE10SummerTime(t *testing.T) {
	t.Parallel()
	newYork, err := time.LoadLocation("America/New_York")
	require.NoError(t, err)
	windows := func(s cron.Schedule, day time.Time) (n int) {
		for w := s.Next(day.Add(-time.Second)); w.Before(day.AddDate(0, 0, 1)); w = s.Next(w) {
			n++
		}
		return n
	}
	naive := func(expression string, month time.Month, day int) int {
		s, err := cron.ParseStandard("CRON_TZ=America/New_York " + expression)
		require.NoError(t, err)
		return windows(s, time.Date(2026, month, day, 0, 0, 0, 0, newYork))
	}
	require.Equal(t, 2, naive("30 1 * * *", time.November, 1))
	require.Equal(t, 0, naive("30 2 * * *", time.March, 8))

	// Ours: the zone is Asia/Jakarta, whatever the machine's is; a configuration
	// cannot name another. A window that comes twice all the same runs once.
	for _, expression := range []string{"30 1 * * *", "30 2 * * *"} {
		s, err := capacity.ParseSchedule(expression)
		require.NoError(t, err)
		for day := time.Date(2026, 1, 1, 0, 0, 0, 0, clock.Jakarta); day.Year() == 2026; day = day.AddDate(0, 0, 1) {
			require.Equal(t, 1, windows(s, day), "%s on %s", expression, day)
		}
	}
	_, err = capacity.ParseSchedule("CRON_TZ=America/New_York 30 1 * * *")
	require.Error(t, err)

	db := harness.DB(t)
	at := time.Date(2026, 11, 1, 0, 0, 0, 0, newYork)
	runs := 0
	job := capacity.Job{Name: "uji", Schedule: stubborn(at),
		Do: func(context.Context, *postgres.Tx, time.Time, time.Time) (any, error) { runs++; return nil, nil }}
	for range 3 {
		_, err := capacity.RunDue(t.Context(), db, []capacity.Job{job}, at.Add(time.Hour))
		require.NoError(t, err)
	}
	require.Equal(t, 1, runs)
}

// stubborn is a schedule that gives the same window again, five times.
type stubbornSchedule struct {
	at   time.Time
	left int
}

func stubborn(at time.Time) cron.Schedule { return &stubbornSchedule{at, 5} }

func (s *stubbornSchedule) Next(time.Time) time.Time {
	if s.left--; s.left < 0 {
		return time.Time{}
	}
	return s.at
}
