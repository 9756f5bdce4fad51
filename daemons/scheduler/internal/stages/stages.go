// Package stages keeps the stage clock of all requests for the scheduler: a daily
// sweep in a window of its own, a look every minute between, and what is measured
// of it and of the clock of activations.
package stages

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"dukcapil.go.id/sifilma/pkg/capacity"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/report"
	"dukcapil.go.id/sifilma/pkg/stage"
	"dukcapil.go.id/sifilma/pkg/workday"
)

// Config says when the sweep is due and what the stages may take.
type Config struct {
	// Sweep is a five-field cron expression on the office clock (Asia/Jakarta).
	Sweep string `yaml:"sweep"`
	// Every is how often the clocks are looked at between, on the machine clock; at
	// least one second.
	Every       time.Duration `yaml:"every"`
	stage.Rules `yaml:",inline"`
}

// Defaults sweep before the office opens.
func Defaults() Config {
	return Config{Sweep: "0 6 * * *", Every: time.Minute, Rules: stage.Defaults()}
}

// Validate checks the section.
func (c Config) Validate() error {
	var errs []error
	if _, err := capacity.ParseSchedule(c.Sweep); err != nil {
		errs = append(errs, fmt.Errorf("sweep: %w", err))
	}
	if c.Every < time.Second {
		errs = append(errs, errors.New("every must be at least 1s"))
	}
	return errors.Join(append(errs, c.Rules.Validate())...)
}

// Watch keeps the clocks.
type Watch struct {
	cfg      Config
	schedule capacity.Job
	db       *postgres.DB
	office   func(ctx context.Context) (time.Time, error)
	machine  clock.Machine
	log      zerolog.Logger
	gauges   *gauges
}

// New makes a watch over an office that is open at these hours; reg takes what it
// measures.
func New(cfg Config, hours workday.OfficeHours, db *postgres.DB, office clock.Office, log zerolog.Logger, m clock.Machine, reg prometheus.Registerer) (*Watch, error) {
	schedule, err := capacity.ParseSchedule(cfg.Sweep)
	if err != nil {
		return nil, err
	}
	cfg.Hours = hours
	now := func(context.Context) (time.Time, error) { return office.Now(), nil }
	w := &Watch{cfg: cfg, db: db, office: now, machine: m, log: log, gauges: newGauges(reg)}
	w.schedule = capacity.Job{Name: stage.JobSweep, Schedule: schedule, Do: w.sweep}
	return w, nil
}

// Job is the sweep of a day. It reckons as of now, so that several missed windows
// do what one does.
func (w *Watch) Job() capacity.Job { return w.schedule }

func (w *Watch) sweep(ctx context.Context, tx *postgres.Tx, _, officeAt time.Time) (any, error) {
	return w.look(ctx, tx, officeAt, stage.Sweep)
}

// look keeps the rules that this daemon was started with, for all who reckon, and
// sweeps.
func (w *Watch) look(ctx context.Context, tx *postgres.Tx, officeAt time.Time,
	sweep func(context.Context, *postgres.Tx, time.Time) (stage.Swept, error)) (stage.Swept, error) {
	if err := stage.KeepRules(ctx, tx, w.cfg.Rules); err != nil {
		return stage.Swept{}, err
	}
	return sweep(ctx, tx, officeAt)
}

// Trust has Run go by an office clock that may be in doubt; then it looks at nothing,
// for an alarm is raised once and for all.
func (w *Watch) Trust(office func(ctx context.Context) (time.Time, error)) { w.office = office }

// Run looks at the clocks until ctx ends: what happened since the sweep of the day is
// in the lists soon, and the rows that did not change are not written. A failure is
// logged when it begins and tried again.
func (w *Watch) Run(ctx context.Context) error {
	failing := false
	for ctx.Err() == nil {
		err := w.once(ctx)
		if err != nil && ctx.Err() == nil && !failing {
			w.log.Error().Err(err).Msg("the stage clocks cannot be kept; it is tried again")
		}
		if err == nil && failing {
			w.log.Info().Msg("the stage clocks are kept again")
		}
		failing = err != nil
		if clock.Sleep(ctx, w.machine, w.cfg.Every) != nil {
			break
		}
	}
	return nil
}

func (w *Watch) once(ctx context.Context) error {
	officeAt, err := w.office(ctx)
	if err != nil {
		return err
	}
	var swept stage.Swept
	if err := w.db.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) (err error) {
		swept, err = w.look(ctx, tx, officeAt, stage.SweepOpen)
		return err
	}); err != nil {
		return err
	}
	if swept.Alarms > 0 {
		w.log.Warn().Int("alarms", swept.Alarms).Int("open", swept.Open).Msg("requests came to the limit of their stage, or over it")
	}
	tallies, err := stage.Tallies(ctx, w.db, "")
	if err != nil {
		return err
	}
	readers, err := report.CountActivations(ctx, w.db, officeAt)
	if err != nil {
		return err
	}
	w.gauges.set(tallies, readers, w.machine.Now())
	return nil
}
