package main

import (
	"context"
	"errors"
	"time"

	"github.com/rs/zerolog"

	"dukcapil.go.id/sifilma/daemons/perso-station/internal/line"
	"dukcapil.go.id/sifilma/daemons/perso-station/internal/readers"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/postgres"
)

// firstWait and lastWait bound the waits between tries to settle; each doubles.
const (
	firstWait = 200 * time.Millisecond
	lastWait  = 4 * time.Second
)

// run settles what an earlier run left behind, then serves the readers; from the
// beginning when the database is not the same any more.
func run(ctx context.Context, db *postgres.DB, work *line.Line, hands *readers.Supervisor, log zerolog.Logger) error {
	for wait := firstWait; ; {
		if err := db.WaitReady(ctx); err != nil {
			return err
		}
		err := work.Settle(ctx)
		if err == nil {
			if err = serve(ctx, work, hands); !errors.Is(err, line.ErrChanged) {
				return err
			}
			log.Warn().Err(err).Msg("the station starts anew")
			wait = firstWait
			continue
		}
		if !postgres.Foreign(err) {
			return err
		}
		if wait == firstWait {
			log.Warn().Err(err).Msg("the database does not let earlier cards be settled; trying until it does")
		}
		if clock.Sleep(ctx, clock.Real(), wait) != nil {
			return ctx.Err()
		}
		wait = min(2*wait, lastWait)
	}
}

// serve serves the readers until ctx ends or, with line.ErrChanged, until the
// database is another one; the cards in hand are finished.
func serve(ctx context.Context, work *line.Line, hands *readers.Supervisor) error {
	serving, stop := context.WithCancel(ctx)
	defer stop()
	watched := make(chan error, 1)
	go func() {
		watched <- work.Watch(serving)
		stop()
	}()
	if err := hands.Run(serving); err != nil {
		return err
	}
	if err := <-watched; errors.Is(err, line.ErrChanged) {
		return err
	}
	return nil
}
