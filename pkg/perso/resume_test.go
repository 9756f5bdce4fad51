package perso_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/perso/persotest"
	"dukcapil.go.id/sifilma/pkg/postgres"
)

// The card that another station resumes is that station's: the first one, which
// starts again meanwhile, must not call it in doubt in the middle of the writing.
func TestResumedCardBelongsToWhoResumesIt(t *testing.T) {
	t.Parallel()
	o := persotest.New(t, 1, 1)
	h := run(t, o, o.Serials[0], begin, doubt(perso.DecideResume))
	o.Resolve(t, h.Card.ID, perso.DecideResume)
	h = then(t, o, h, func(ctx context.Context, tx *postgres.Tx, h perso.Hand) (perso.Hand, error) {
		return perso.Resume(ctx, tx, h, atStation("s2", ""))
	})
	require.Equal(t, "s2", h.Attempt.Station)
	for station, held := range map[string]int{"s1": 0, "s2": 1} {
		hands, err := perso.Unfinished(t.Context(), o.DB, station)
		require.NoError(t, err)
		require.Len(t, hands, held, station)
	}
}
