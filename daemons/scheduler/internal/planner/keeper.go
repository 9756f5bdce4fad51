package planner

import (
	"context"
	"time"

	"github.com/rs/zerolog"

	"dukcapil.go.id/sifilma/pkg/audit"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/outbox"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/rabbit"
)

// Times of the housekeeping, on the machine clock.
const (
	sealEvery   = 5 * time.Second
	pruneEvery  = time.Hour
	keepAttempt = 30 * 24 * time.Hour
)

// Keeper does the housekeeping: it seals the audit rows into their chain,
// rings again for what nobody has answered, and prunes what nobody needs any
// more.
type Keeper struct {
	cfg    Config
	db     *postgres.DB
	sealer *audit.Sealer
	log    zerolog.Logger
	clock  clock.Machine
}

// NewKeeper makes a keeper.
func NewKeeper(cfg Config, db *postgres.DB, sealer *audit.Sealer, log zerolog.Logger) *Keeper {
	return &Keeper{cfg: cfg, db: db, sealer: sealer, log: log, clock: clock.Real()}
}

// Run keeps house until ctx ends. A failure is logged when it begins and tried
// again: the rows wait.
func (k *Keeper) Run(ctx context.Context) error {
	var pruned, swept time.Time
	failing := false
	for ctx.Err() == nil {
		err := k.seal(ctx)
		if now := k.clock.Now(); err == nil && now.Sub(pruned) >= pruneEvery {
			if err = k.prune(ctx); err == nil {
				pruned = now
			}
		}
		if now := k.clock.Now(); err == nil && now.Sub(swept) >= sweepEvery {
			if err = k.sweep(ctx); err == nil {
				swept = now
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

func (k *Keeper) prune(ctx context.Context) error {
	if _, err := outbox.Prune(ctx, k.db, k.cfg.KeepSent); err != nil {
		return err
	}
	_, err := rabbit.PruneAttempts(ctx, k.db, keepAttempt)
	return err
}
