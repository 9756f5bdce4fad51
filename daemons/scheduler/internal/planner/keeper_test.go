package planner_test

import (
	"bytes"
	"context"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/daemons/scheduler/internal/planner"
	"dukcapil.go.id/sifilma/pkg/audit"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/test/harness"
)

// months are the partitions of the timeline, in order.
func months(t *testing.T, db *postgres.DB) (names []string) {
	t.Helper()
	require.NoError(t, db.Select(t.Context(), &names, `
		SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
		WHERE i.inhparent = 'history'::regclass AND c.relname <> 'history_rest' ORDER BY 1`))
	return names
}

// gauge reads one value of a registry.
func gauge(t *testing.T, reg *prometheus.Registry, name string) float64 {
	t.Helper()
	all, err := reg.Gather()
	require.NoError(t, err)
	for _, family := range all {
		if family.GetName() == name {
			return family.GetMetric()[0].GetGauge().GetValue()
		}
	}
	t.Fatalf("no metric %s", name)
	return 0
}

// keep runs a keeper as a scheduler does until the test ends.
func keep(t *testing.T, d *harness.Database, m clock.Machine, log *bytes.Buffer) *prometheus.Registry {
	t.Helper()
	db := d.Open(t, "sifilma_scheduler")
	reg := prometheus.NewRegistry()
	k := planner.NewKeeper(planner.Defaults(), db, audit.NewSealer(db, 100), zerolog.New(log), m, reg)
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() { _ = k.Run(ctx) })
	t.Cleanup(func() { cancel(); done.Wait() })
	return reg
}

// TestMonthsOfTheTimelineAreMadeOnceByTwoKeepers steps the clock over a year, with
// two schedulers keeping house.
func TestMonthsOfTheTimelineAreMadeOnceByTwoKeepers(t *testing.T) {
	t.Parallel()
	d := harness.NewDatabase(t)
	db := d.Open(t, "")
	m := clock.NewFake(time.Now())
	var logs [2]bytes.Buffer
	regs := []*prometheus.Registry{keep(t, d, m, &logs[0]), keep(t, d, m, &logs[1])}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for range 53 {
		require.NoError(t, m.WaitTimers(ctx, 2), "both keepers have done a round")
		m.Advance(7 * 24 * time.Hour)
	}
	require.NoError(t, m.WaitTimers(ctx, 2))
	have := months(t, db)
	first, err := time.Parse("history_2006_01", have[0])
	require.NoError(t, err)
	until := m.Now().Add(90 * 24 * time.Hour).UTC()
	for i, name := range have {
		require.Equal(t, first.AddDate(0, i, 0).Format("history_2006_01"), name, "no month is missing")
	}
	require.Equal(t, until.Format("history_2006_01"), have[len(have)-1])
	require.GreaterOrEqual(t, len(have), 15)
	require.Zero(t, gauge(t, regs[0], "sifilma_history_stray_rows"))
	require.Greater(t, gauge(t, regs[1], "sifilma_database_bytes"), 1e6)
	require.Positive(t, gauge(t, regs[1], "sifilma_database_age_transactions"))
	require.EqualValues(t, -1, gauge(t, regs[1], "sifilma_database_archive_lag_seconds"), "the test's server keeps no archive")
	require.NotContains(t, logs[0].String()+logs[1].String(), "fails")
}

// TestAStepOutsideTheMonthsIsKeptAndTold: nobody has rolled for long; the step is
// taken all the same, the alarm is raised once, and the next roll brings the step
// where it belongs.
func TestAStepOutsideTheMonthsIsKeptAndTold(t *testing.T) {
	t.Parallel()
	d := harness.NewDatabase(t)
	db := d.Open(t, "")
	far := time.Now().AddDate(0, 7, 0)
	require.NoError(t, db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		if _, err := tx.Exec(ctx, `INSERT INTO transition VALUES ('card', '', 'list', 'listed', true)`); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `INSERT INTO history (id, machine, subject, version, from_state, verb, to_state, actor, role, office_at)
			VALUES (gen_random_uuid(), 'card', uuid_floor($1), 1, '', 'list', 'listed', 'uji', 'sistem', now())`, far.UTC())
		return err
	}))
	m := clock.NewFake(time.Now())
	var log bytes.Buffer
	reg := keep(t, d, m, &log)
	for range 3 {
		require.NoError(t, m.WaitTimers(t.Context(), 1))
		m.Advance(2 * time.Hour)
	}
	require.NoError(t, m.WaitTimers(t.Context(), 1))
	require.EqualValues(t, 1, gauge(t, reg, "sifilma_history_stray_rows"))
	require.Equal(t, 1, bytes.Count(log.Bytes(), []byte("are in no month's partition")))
	m.Advance(far.Sub(m.Now()))
	require.NoError(t, m.WaitTimers(t.Context(), 1))
	require.Zero(t, gauge(t, reg, "sifilma_history_stray_rows"))
	var where string
	require.NoError(t, db.Get(t.Context(), &where, `SELECT tableoid::regclass::text FROM history WHERE machine = 'card'`))
	require.Equal(t, far.UTC().Format("history_2006_01"), where)
	for _, q := range []string{`UPDATE history SET reason = 'x'`, `DELETE FROM history`, `DELETE FROM history_rest`, `DELETE FROM ` + where} {
		err := db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
			n, err := tx.Exec(ctx, q)
			if n == 0 && err == nil {
				return postgres.ErrStale
			}
			return err
		})
		require.Error(t, err, q)
	}
}
