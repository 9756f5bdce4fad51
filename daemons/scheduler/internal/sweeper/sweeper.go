// Package sweeper rings bells again that were lost: of rows that rest past a
// deadline in a state that a daemon, not a person, should have moved them out
// of. So a broker that comes back empty loses nothing but time. A run in which
// nothing is lost rings nothing.
//
// One scheduler sweeps at a time, under a lease: a row, taken by
// compare-and-set, that expires by the database's clock. A session's advisory
// lock would do while all is well, but a holder that is stopped, or cut off
// without a FIN, keeps its session and the lock for as long as the kernel
// believes in the connection; a lease runs out. Each sweep renews the lease in
// the transaction that also rings, so a holder that wakes up late finds that the
// lease is another's and rings nothing.
package sweeper

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/lib/pq"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/rs/zerolog"

	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/outbox"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/rabbit"
	"dukcapil.go.id/sifilma/pkg/trace"
)

// leaseName is the row of the table lease.
const leaseName = "sweeper"

// patience is how much longer than the deadline a row may rest while its
// consumer is behind: its bell is most likely in the queue.
const patience = 10

// swept tells how far behind the sweeping is: time() less this.
var swept = promauto.NewGauge(prometheus.GaugeOpts{
	Name: "sifilma_sweeper_swept_timestamp_seconds",
	Help: "When this scheduler last looked for lost bells, or saw that another one does; 0 when it never could.",
})

var rung = promauto.NewCounterVec(prometheus.CounterOpts{
	Name: "sifilma_sweeper_rung_total", Help: "Lost bells that were rung again. Zero in a run where nothing failed.",
}, []string{"type"})

// Config says when a bell counts as lost.
type Config struct {
	// Every is the time between sweeps.
	Every time.Duration `yaml:"every"`
	// Deadline is how long a row may rest where a daemon should move it on. A bell
	// that was rung again has as long, then twice as long, and so on.
	Deadline time.Duration `yaml:"deadline"`
	// Longest bounds the growing wait between rings of the same bell.
	Longest time.Duration `yaml:"longest"`
	// Batch is how many bells a sweep rings at most, of each type.
	Batch int `yaml:"batch"`
}

// Defaults are generous: two minutes are an age for a daemon that is up.
func Defaults() Config {
	return Config{Every: 15 * time.Second, Deadline: 2 * time.Minute, Longest: time.Hour, Batch: 100}
}

// Validate checks the section.
func (c Config) Validate() error {
	var errs []error
	if c.Every < time.Second {
		errs = append(errs, errors.New("every must be at least 1s"))
	}
	if c.Deadline < c.Every {
		errs = append(errs, errors.New("deadline must not be shorter than every"))
	}
	if c.Longest < c.Deadline {
		errs = append(errs, errors.New("longest must not be shorter than deadline"))
	}
	if c.Batch < 1 || c.Batch > 1000 {
		errs = append(errs, errors.New("batch must be between 1 and 1000"))
	}
	return errors.Join(errs...)
}

// Broker tells what waits in a queue; *rabbit.Broker does.
type Broker interface {
	Depth(ctx context.Context, queue string) (rabbit.Depth, error)
}

// Sweeper rings lost bells.
type Sweeper struct {
	cfg    Config
	db     *postgres.DB
	broker Broker
	log    zerolog.Logger
	clock  clock.Machine
	self   string // holder of the lease
}

// New makes a sweeper.
func New(cfg Config, db *postgres.DB, broker Broker, log zerolog.Logger, m clock.Machine) (*Sweeper, error) {
	self, err := uuid.NewV7()
	if err != nil {
		return nil, err
	}
	for _, st := range stages { // there from the start: an alarm sees the first one rise
		rung.WithLabelValues(st.bell)
	}
	return &Sweeper{cfg: cfg, db: db, broker: broker, log: log, clock: m, self: self.String()}, nil
}

// Run sweeps until ctx ends. A failure is logged when it begins and when it
// ends.
func (s *Sweeper) Run(ctx context.Context) error {
	failing, held := false, false
	for clock.Sleep(ctx, s.clock, s.cfg.Every) == nil {
		_, mine, err := s.Sweep(trace.ContextWith(ctx, trace.New()))
		switch {
		case ctx.Err() != nil:
		case err != nil && !failing:
			s.log.Warn().Err(err).Msg("sweeping for lost bells fails; it goes on trying")
		case err == nil && failing:
			s.log.Info().Msg("sweeping works again")
		}
		failing = err != nil
		if err == nil {
			swept.SetToCurrentTime()
		}
		if err == nil && mine != held {
			s.log.Info().Bool("mine", mine).Msg("lease of the sweeper changed")
			held = mine
		}
	}
	s.release(ctx)
	return nil
}

// release lets another scheduler sweep at once.
func (s *Sweeper) release(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	_ = s.db.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error { // it expires by itself
		_, err := tx.Exec(ctx, `DELETE FROM lease WHERE name = $1 AND holder = $2`, leaseName, s.self)
		return err
	})
}

// Sweep looks at every stage once and returns how many bells it rang; mine says
// whether this process holds the lease. While the broker is away there is
// nothing to be said about lost bells, and nothing is rung.
func (s *Sweeper) Sweep(ctx context.Context) (n int, mine bool, err error) {
	behind := make(map[string]bool)
	for _, st := range stages {
		if _, asked := behind[st.queue]; asked {
			continue
		}
		depth, err := s.broker.Depth(ctx, st.queue)
		if err != nil {
			return 0, false, fmt.Errorf("sweeper: %w", err)
		}
		behind[st.queue] = depth.Messages > 0
	}
	err = s.db.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		n = 0
		if mine, err = s.lease(ctx, tx); err != nil || !mine {
			return err
		}
		for _, st := range stages {
			deadline := s.cfg.Deadline
			if behind[st.queue] {
				deadline *= patience
			}
			some, err := s.ring(ctx, tx, st, deadline)
			if err != nil {
				return fmt.Errorf("sweeper: %s: %w", st.bell, err)
			}
			n += some
		}
		return nil
	})
	return n, mine, err
}

// lease takes or renews the lease until three sweeps from now.
func (s *Sweeper) lease(ctx context.Context, tx *postgres.Tx) (mine bool, err error) {
	n, err := tx.Exec(ctx, `
		INSERT INTO lease (name, holder, expires_at) VALUES ($1, $2, now() + make_interval(secs => $3))
		ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, expires_at = excluded.expires_at
		WHERE lease.holder = excluded.holder OR lease.expires_at < now()`,
		leaseName, s.self, (3 * s.cfg.Every).Seconds())
	return n == 1, err
}

type lost struct {
	Subject string    `db:"subject"`
	Version int64     `db:"version"`
	Request string    `db:"request"` // empty where none is concerned
	Since   time.Time `db:"since"`
	Rings   int       `db:"rings"`
	// TraceParent is that of the request.
	TraceParent string `db:"traceparent"`
}

// ring rings the bells of one stage that are lost: rows past the deadline that
// were not rung again lately, whose bell neither left the outbox since the
// deadline, nor lies on the shelf for a person; and of whose request nothing waits
// in the outbox, for what waits there is late and not lost. Past Longest only the
// bell itself counts: a message that no queue takes must not silence the others.
func (s *Sweeper) ring(ctx context.Context, tx *postgres.Tx, st stage, deadline time.Duration) (int, error) {
	var rows []lost
	if err := tx.Select(ctx, &rows, `
		SELECT l.subject, l.version, coalesce(l.request::text, '') AS request, l.since, coalesce(s.rings, 0) + 1 AS rings,
		       coalesce((SELECT r.traceparent FROM request r WHERE r.id = l.request), '') AS traceparent
		FROM (`+st.late+`) AS l
		LEFT JOIN sweep s ON s.type = $1 AND s.subject = l.subject AND s.version = l.version
		WHERE l.since < now() - make_interval(secs => $3)
		  AND (s.rung_at IS NULL
		       OR s.rung_at < now() - make_interval(secs => least($3 * power(2, least(s.rings, 30)), greatest($3, $4))))
		  AND NOT EXISTS (SELECT FROM outbox o WHERE o.sent_at IS NULL AND (o.type = $1 AND o.subject = l.subject
		                  OR o.request_id = l.request AND o.created_at > now() - make_interval(secs => $4)))
		  AND NOT EXISTS (SELECT FROM outbox o WHERE o.sent_at > now() - make_interval(secs => $3) AND o.type = $1 AND o.subject = l.subject)
		  AND NOT EXISTS (SELECT FROM shelf f WHERE f.closed_at IS NULL AND f.consumer = $2 AND f.type = $1
		                  AND (f.subject = l.subject OR f.payload #>> '{data,request}' = l.request::text))
		ORDER BY l.since, l.subject LIMIT $5`,
		st.bell, st.queue, deadline.Seconds(), s.cfg.Longest.Seconds(), s.cfg.Batch); err != nil || len(rows) == 0 {
		return 0, err
	}
	messages := make([]outbox.Message, len(rows))
	subjects, versions := make([]string, len(rows)), make([]int64, len(rows))
	for i, row := range rows {
		messages[i] = outbox.Message{Type: st.bell, Subject: row.Subject, Version: row.Version, Request: row.Request, TraceParent: row.TraceParent}
		subjects[i], versions[i] = row.Subject, row.Version
	}
	if _, err := tx.Exec(ctx, `
		INSERT INTO sweep (type, subject, version, rings, rung_at)
		SELECT $1, subject, version, 1, now() FROM unnest($2::uuid[], $3::bigint[]) AS r (subject, version)
		ON CONFLICT (type, subject) DO UPDATE SET version = excluded.version, rung_at = excluded.rung_at,
		            rings = CASE WHEN sweep.version = excluded.version THEN sweep.rings + 1 ELSE 1 END`,
		st.bell, pq.Array(subjects), pq.Array(versions)); err != nil {
		return 0, err
	}
	if err := outbox.Put(ctx, tx, messages...); err != nil {
		return 0, err
	}
	tx.OnCommit(func() {
		rung.WithLabelValues(st.bell).Add(float64(len(rows)))
		for _, row := range rows {
			s.log.Warn().Ctx(trace.ContextWith(ctx, cmp.Or(row.TraceParent, trace.From(ctx)))).Str("type", st.bell).Str("subject", row.Subject).Str("request", row.Request).Time("since", row.Since).
				Int("ring", row.Rings).Str("why", st.why).Msg("a bell seems lost; rung again")
		}
	})
	return len(rows), nil
}

// Prune forgets the rings of bells that were last rung so long ago.
func Prune(ctx context.Context, db *postgres.DB, olderThan time.Duration) (gone int64, err error) {
	for {
		var n int64
		err = db.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
			n, err = tx.Exec(ctx, `
				DELETE FROM sweep WHERE (type, subject) IN (
					SELECT type, subject FROM sweep WHERE rung_at < now() - make_interval(secs => $1)
					ORDER BY rung_at LIMIT $2)`, olderThan.Seconds(), pruneChunk)
			return err
		})
		if gone += n; err != nil || n < pruneChunk {
			return gone, err
		}
	}
}

// pruneChunk bounds the rows of one DELETE.
const pruneChunk = 1000
