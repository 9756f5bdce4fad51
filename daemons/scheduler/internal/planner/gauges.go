package planner

import (
	"context"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/postgres"
)

// measureEvery is how often the database is measured, on the machine clock.
const measureEvery = time.Minute

// gauges are what an operator watches of the database, and of the office what only it
// knows as a whole; its disk is another machine's, which only its size tells of.
type gauges struct {
	size    prometheus.Gauge
	tables  *prometheus.GaugeVec
	age     prometheus.Gauge
	archive prometheus.Gauge
	stray   prometheus.Gauge
	years   prometheus.Gauge
	blanks  prometheus.Gauge
	doubts  prometheus.Gauge
	late    prometheus.Gauge
}

func newGauges(reg prometheus.Registerer) *gauges {
	one := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
	}
	g := &gauges{
		size: one("sifilma_database_bytes", "Size of the office's database."),
		tables: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "sifilma_database_table_bytes", Help: "Size of the largest tables with their indexes; a rolled one counts by its months.",
		}, []string{"table"}),
		age:     one("sifilma_database_age_transactions", "Transactions since the oldest row was frozen; PostgreSQL stops writing at 2e9."),
		archive: one("sifilma_database_archive_lag_seconds", "How long the oldest WAL segment waits for the archive; 0 when none waits, -1 without an archive."),
		stray:   one("sifilma_history_stray_rows", "Steps of the timeline outside its months (counted to 1000); anything but 0 is an alarm."),
		years:   one("sifilma_calendar_unknown_years", "Years that cards are planned in and that no decree on holidays is known of; anything but 0 is an alarm."),
		blanks:  one("sifilma_blanks_unbalanced_requests", "Requests whose blanks do not add up to what was received; anything but 0 is an alarm."),
		doubts:  one("sifilma_cards_doubtful", "Cards whose result nobody knows yet, as the portal lists them."),
		late:    one("sifilma_cards_contradicted", "Late results that contradict what was decided on their cards and that nobody has answered; anything but 0 is an alarm."),
	}
	reg.MustRegister(g.size, g.tables, g.age, g.archive, g.stray, g.years, g.blanks, g.doubts, g.late)
	return g
}

// tablesShown are measured one by one.
const tablesShown = 10

func (g *gauges) measure(ctx context.Context, r postgres.Reader) error {
	var whole struct {
		Bytes   float64 `db:"bytes"`
		Age     float64 `db:"age"`
		Archive float64 `db:"archive"`
	}
	// A segment waits when the archiver has failed since it last succeeded.
	if err := r.Get(ctx, &whole, `
		SELECT pg_database_size(d.oid) AS bytes, age(d.datfrozenxid) AS age,
		       CASE WHEN current_setting('archive_mode') = 'off' THEN -1
		            WHEN a.last_failed_time > coalesce(a.last_archived_time, '-infinity')
		            THEN extract(epoch FROM now() - coalesce(a.last_archived_time, a.stats_reset))
		            ELSE 0 END AS archive
		FROM pg_database d, pg_stat_archiver a WHERE d.datname = current_database()`); err != nil {
		return fmt.Errorf("planner: measuring the database: %w", err)
	}
	var tables []struct {
		Name  string  `db:"relname"`
		Bytes float64 `db:"bytes"`
	}
	if err := r.Select(ctx, &tables, `
		SELECT relname, pg_total_relation_size(oid) AS bytes FROM pg_class
		WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace ORDER BY bytes DESC LIMIT $1`, tablesShown); err != nil {
		return fmt.Errorf("planner: measuring the tables: %w", err)
	}
	doubts, late, err := perso.CountDoubts(ctx, r)
	if err != nil {
		return err
	}
	g.doubts.Set(float64(doubts))
	g.late.Set(float64(late))
	g.size.Set(whole.Bytes)
	g.age.Set(whole.Age)
	g.archive.Set(whole.Archive)
	g.tables.Reset()
	for _, t := range tables {
		g.tables.WithLabelValues(t.Name).Set(t.Bytes)
	}
	return nil
}
