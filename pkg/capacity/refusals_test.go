package capacity_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/capacity"
	"dukcapil.go.id/sifilma/pkg/postgres"
)

// down records a downtime, or is refused.
func (o *office) down(t *testing.T, d capacity.Downtime) (capacity.Downtime, error) {
	t.Helper()
	err := o.db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) (err error) {
		d, err = capacity.AddDowntime(ctx, tx, d, o.why("uji"))
		return err
	})
	return d, err
}

// TestStationsAreNamedOnce, on the board as well, whether or not people wrote the
// word themselves.
func TestStationsAreNamedOnce(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	for station, name := range map[string]string{"Stasiun 2": "Stasiun 2", "DC-1": "stasiun DC-1", "stasiun-1": "stasiun-1"} {
		require.Equal(t, name, capacity.Downtime{Station: station}.Name())
	}
	_, err := o.down(t, capacity.Downtime{Station: "Stasiun 2", From: o.next(), To: o.next(), Cards: 4})
	require.NoError(t, err)
	sizes, err := capacity.Sizes(t.Context(), o.db, o.next(), o.next(), o.day)
	require.NoError(t, err)
	require.Equal(t, "Stasiun 2 berhenti 24 November 2026, 4 kartu per hari berkurang", sizes[o.next()].Why)
}
