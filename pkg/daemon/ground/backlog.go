package ground

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"dukcapil.go.id/sifilma/pkg/postgres"
)

var (
	descOutbox   = prometheus.NewDesc("sifilma_outbox_rows", "Messages of the office that are not sent yet.", nil, nil)
	descOldest   = prometheus.NewDesc("sifilma_outbox_oldest_seconds", "Age of the oldest message that is not sent yet; 0 when there is none.", nil, nil)
	descShelf    = prometheus.NewDesc("sifilma_shelf_open", "Messages on the shelf that wait for a person, by who gave them up.", []string{"consumer"}, nil)
	descAttempts = prometheus.NewDesc("sifilma_delivery_attempts_most",
		"Failures on record of the message that failed most often and was not done since, by consumer.", []string{"consumer"}, nil)
)

const (
	// lookEvery bounds how often the database is asked, whoever scrapes.
	lookEvery = 2 * time.Second
	// lookLimit bounds how long a scrape waits for a database that is away.
	lookLimit = time.Second
)

// backlog shows what waits in the tables of the ground floor. It is the whole
// office's, the same in every daemon. While the database is away it shows
// nothing: what is not known is not 0.
type backlog struct {
	rd postgres.Reader

	mu     sync.Mutex
	looked time.Time
	seen   []prometheus.Metric
}

func newBacklog(rd postgres.Reader) *backlog { return &backlog{rd: rd} }

// Describe implements prometheus.Collector.
func (b *backlog) Describe(c chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{descOutbox, descOldest, descShelf, descAttempts} {
		c <- d
	}
}

// Collect implements prometheus.Collector.
func (b *backlog) Collect(c chan<- prometheus.Metric) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if time.Since(b.looked) > lookEvery {
		ctx, cancel := context.WithTimeout(context.Background(), lookLimit)
		defer cancel()
		b.seen, b.looked = b.look(ctx), time.Now()
	}
	for _, m := range b.seen {
		c <- m
	}
}

func (b *backlog) look(ctx context.Context) []prometheus.Metric {
	var rows []struct {
		What     string  `db:"what"`
		Consumer string  `db:"consumer"`
		Value    float64 `db:"value"`
	}
	if err := b.rd.Select(ctx, &rows, `
		SELECT 'outbox' AS what, '' AS consumer, count(*)::float8 AS value FROM outbox WHERE sent_at IS NULL
		UNION ALL
		SELECT 'oldest', '', coalesce(extract(epoch FROM now() - min(created_at)), 0)::float8 FROM outbox WHERE sent_at IS NULL
		UNION ALL
		SELECT 'shelf', consumer, count(*)::float8 FROM shelf WHERE closed_at IS NULL GROUP BY consumer
		UNION ALL
		SELECT 'attempts', consumer, max(attempts)::float8 FROM delivery_attempt GROUP BY consumer`); err != nil {
		return nil
	}
	descs := map[string]*prometheus.Desc{"outbox": descOutbox, "oldest": descOldest, "shelf": descShelf, "attempts": descAttempts}
	var seen []prometheus.Metric
	for _, r := range rows {
		var labels []string
		if r.Consumer != "" {
			labels = []string{r.Consumer}
		}
		seen = append(seen, prometheus.MustNewConstMetric(descs[r.What], prometheus.GaugeValue, r.Value, labels...))
	}
	return seen
}
