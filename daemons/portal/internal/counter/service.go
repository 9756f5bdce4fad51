package counter

import (
	"context"
	"time"

	"github.com/rs/zerolog"

	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/esign"
	"dukcapil.go.id/sifilma/pkg/postgres"
)

// saveEvery is how long an answer of the service waits between two tries to keep it.
const saveEvery = 5 * time.Second

// Service is the service that signs papers, with the answers that could not be kept yet:
// a signed PDF is often given out once, so it is held in memory until the database is back.
// When the process dies first, the signature is in doubt, and the service is asked.
type Service struct {
	esign.Driver
	machine clock.Machine
}

// NewService makes one of a driver; nil of none.
func NewService(driver esign.Driver, m clock.Machine) *Service {
	if driver == nil {
		return nil
	}
	return &Service{driver, m}
}

// hold tries to keep an answer until it is kept, or no longer wanted because the doubt was
// ended otherwise. Saving twice does no harm: the signing is ended once.
func (s *Service) hold(ctx context.Context, signing string, save func(ctx context.Context) error) {
	log := zerolog.Ctx(ctx).With().Str("signing", signing).Logger()
	log.Warn().Msg("the answer about a signature cannot be kept while the database is away; it is held in memory")
	go func() {
		for {
			if clock.Sleep(ctx, s.machine, saveEvery) != nil {
				return
			}
			err := save(ctx)
			if postgres.Foreign(err) {
				continue
			}
			if err != nil {
				log.Error().Err(err).Msg("the answer about a signature is not kept: it was ended otherwise")
				return
			}
			log.Info().Msg("the answer about a signature is kept")
			return
		}
	}()
}
