package api

import (
	"context"
	"time"

	"github.com/rs/zerolog"

	"dukcapil.go.id/sifilma/daemons/intake/internal/drop"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/idempotency"
)

// fingerprint is the hash of what a drop says, with its files in the order of their
// kinds.
func fingerprint(target string, asked any, files []*drop.File) ([]byte, error) {
	var ordered []idempotency.File
	for _, kind := range fileKinds {
		for _, f := range files {
			if f.Kind == kind {
				ordered = append(ordered, idempotency.File{Kind: kind, SHA256: f.SHA256})
			}
		}
	}
	return idempotency.Print(target, asked, ordered...)
}

// pruneEvery is how often answers that are too old are forgotten.
const pruneEvery = time.Hour

// Prune forgets answers past their time, until ctx ends.
func (a *API) Prune(ctx context.Context) error {
	for {
		_, err := idempotency.Prune(ctx, a.db, a.machine.Now().Add(-a.cfg.KeepAnswers))
		if err != nil && ctx.Err() == nil {
			zerolog.Ctx(ctx).Warn().Err(err).Msg("old answers are not forgotten yet")
		}
		if clock.Sleep(ctx, a.machine, pruneEvery) != nil {
			return nil
		}
	}
}
