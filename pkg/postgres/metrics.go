package postgres

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// counters of what InTx had to do.
type counters struct {
	commits  atomic.Int64 // transactions that wrote
	reruns   atomic.Int64 // fn ran again
	resolved atomic.Int64 // COMMIT without an answer, outcome learnt
	unknown  atomic.Int64 // COMMIT without an answer, outcome not learnt
}

var (
	descConnections = prometheus.NewDesc("sifilma_postgres_connections", "Open connections by use.", []string{"use"}, nil)
	descLimit       = prometheus.NewDesc("sifilma_postgres_connections_limit", "Most connections the pool opens.", nil, nil)
	descWaits       = prometheus.NewDesc("sifilma_postgres_waits_total", "Times somebody waited for a connection.", nil, nil)
	descWaited      = prometheus.NewDesc("sifilma_postgres_waited_seconds_total", "Time waited for connections.", nil, nil)
	descCommits     = prometheus.NewDesc("sifilma_postgres_commits_total", "Transactions that wrote and were committed; each waits for the disk of the server.", nil, nil)
	descReruns      = prometheus.NewDesc("sifilma_postgres_reruns_total", "Transactions run again after a conflict or a lost connection.", nil, nil)
	descLost        = prometheus.NewDesc("sifilma_postgres_lost_commits_total", "COMMITs without an answer, by whether the outcome was learnt.", []string{"outcome"}, nil)
)

// Commits counts the transactions of this pool that wrote and were committed.
func (db *DB) Commits() int64 { return db.counted.commits.Load() }

// Describe makes DB a prometheus.Collector; register it in a daemon's registry.
func (db *DB) Describe(c chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{descConnections, descLimit, descWaits, descWaited, descCommits, descReruns, descLost} {
		c <- d
	}
}

// Collect gives the present counters of the pool.
func (db *DB) Collect(c chan<- prometheus.Metric) {
	s := db.Stats()
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		c <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	counter := func(d *prometheus.Desc, v float64, labels ...string) {
		c <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, v, labels...)
	}
	gauge(descConnections, float64(s.InUse), "busy")
	gauge(descConnections, float64(s.Idle), "idle")
	gauge(descLimit, float64(s.MaxOpenConnections))
	counter(descWaits, float64(s.WaitCount))
	counter(descWaited, s.WaitDuration.Seconds())
	counter(descCommits, float64(db.Commits()))
	counter(descReruns, float64(db.counted.reruns.Load()))
	counter(descLost, float64(db.counted.resolved.Load()), "learnt")
	counter(descLost, float64(db.counted.unknown.Load()), "unknown")
}
