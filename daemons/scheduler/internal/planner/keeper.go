package planner

import (
	"context"
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"dukcapil.go.id/sifilma/daemons/scheduler/internal/sweeper"
	"dukcapil.go.id/sifilma/pkg/audit"
	"dukcapil.go.id/sifilma/pkg/capacity"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/idempotency"
	"dukcapil.go.id/sifilma/pkg/identity"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/outbox"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/rabbit"
	"dukcapil.go.id/sifilma/pkg/stock"
)

// Times of the housekeeping, on the machine clock.
const (
	sealEvery   = 5 * time.Second
	pruneEvery  = time.Hour
	keepAttempt = 30 * 24 * time.Hour
	keepRings   = 30 * 24 * time.Hour
	rollAhead   = 90 * 24 * time.Hour // partitions of the timeline are there so long before they are needed
)

// Keeper does the housekeeping: it seals the audit rows into their chain, makes
// the timeline's partitions ahead of time, prunes what nobody needs any more, and
// measures the database.
type Keeper struct {
	cfg    Config
	db     *postgres.DB
	sealer *audit.Sealer
	log    zerolog.Logger
	clock  clock.Machine
	gauges *gauges
	// What it found when it last looked: steps outside the months, years without a
	// calendar, and requests whose blanks do not add up.
	stray, unknown, unbalanced int
}

// NewKeeper makes a keeper; reg takes what it measures.
func NewKeeper(cfg Config, db *postgres.DB, sealer *audit.Sealer, log zerolog.Logger, m clock.Machine, reg prometheus.Registerer) *Keeper {
	return &Keeper{cfg: cfg, db: db, sealer: sealer, log: log, clock: m, gauges: newGauges(reg)}
}

// Run keeps house until ctx ends. A failure is logged when it begins and tried
// again: the rows wait.
func (k *Keeper) Run(ctx context.Context) error {
	var pruned, measured time.Time
	failing := false
	for ctx.Err() == nil {
		err := k.seal(ctx)
		now := k.clock.Now()
		if err == nil && now.Sub(pruned) >= pruneEvery {
			if err = errors.Join(k.roll(ctx, now), k.prune(ctx)); err == nil {
				pruned = now
			}
		}
		if err == nil && now.Sub(measured) >= measureEvery {
			if err = errors.Join(k.gauges.measure(ctx, k.db), k.horizon(ctx), k.blanks(ctx)); err == nil {
				measured = now
			}
		}
		if err != nil && ctx.Err() == nil && !failing {
			k.log.Error().Err(err).Msg("housekeeping fails; it goes on trying")
		}
		if err == nil && failing {
			k.log.Info().Msg("housekeeping works again")
		}
		failing = err != nil
		if clock.Sleep(ctx, k.clock, sealEvery) != nil {
			break
		}
	}
	return nil
}

func (k *Keeper) seal(ctx context.Context) error {
	for {
		n, err := k.sealer.SealOnce(ctx)
		if err != nil || n == 0 {
			return err
		}
	}
}

// roll makes partitions for the months to come, and says when a step was caught
// by none.
func (k *Keeper) roll(ctx context.Context, now time.Time) error {
	made, err := machine.Roll(ctx, k.db, now.Add(rollAhead))
	if err != nil {
		return err
	}
	if made > 0 {
		k.log.Info().Int("months", made).Msg("partitions of the timeline made")
	}
	stray, err := machine.Stray(ctx, k.db)
	if err != nil {
		return err
	}
	k.gauges.stray.Set(float64(stray))
	if stray > 0 && k.stray == 0 {
		k.log.Error().Int("steps", stray).Msg("steps of the timeline are in no month's partition: look at the clocks and at who keeps house")
	}
	k.stray = stray
	return nil
}

// horizon says when the plan reaches a year whose holidays nobody has recorded.
func (k *Keeper) horizon(ctx context.Context) error {
	years, err := capacity.UnknownYears(ctx, k.db)
	if err != nil {
		return err
	}
	k.gauges.years.Set(float64(len(years)))
	if len(years) > 0 && k.unknown == 0 {
		k.log.Error().Ints("years", years).Msg("cards are planned in years without a calendar: record the holidays of their decree")
	}
	k.unknown = len(years)
	return nil
}

// blanks says when what was received of blanks is not what there is of them.
func (k *Keeper) blanks(ctx context.Context) error {
	wrong, err := stock.Unbalanced(ctx, k.db)
	if err != nil {
		return err
	}
	k.gauges.blanks.Set(float64(len(wrong)))
	if len(wrong) > k.unbalanced {
		for _, b := range wrong {
			k.log.Error().Str("ticket", b.Ticket).Str("request", b.RequestID).Int("received", b.Received).Int("difference", b.Difference).
				Msg("the request's blanks do not balance: count them, and look at its page of blanks")
		}
	}
	k.unbalanced = len(wrong)
	return nil
}

func (k *Keeper) prune(ctx context.Context) error {
	_, sent := outbox.Prune(ctx, k.db, k.cfg.KeepSent)
	_, attempts := rabbit.PruneAttempts(ctx, k.db, keepAttempt)
	_, rings := sweeper.Prune(ctx, k.db, keepRings)
	_, sessions := identity.PruneSessions(ctx, k.db, k.clock.Now())
	_, answers := idempotency.Prune(ctx, k.db, k.clock.Now().Add(-k.cfg.KeepKeys))
	return errors.Join(sent, attempts, rings, sessions, answers)
}
