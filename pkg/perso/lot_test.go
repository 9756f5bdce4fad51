package perso_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/perso/persotest"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
)

// A lot is held and let go with the rights that the daemons have, and no others; what
// was decided stays.
func TestALotIsHeldWithTheRightsOfTheDaemons(t *testing.T) {
	t.Parallel()
	o := persotest.New(t, 3, 3)
	station, portal := o.Database.Open(t, "sifilma_perso_station"), o.Database.Open(t, "sifilma_portal")
	place := persotest.Place(t, o.DB, "s1")
	place.FirstCard = true
	take := func(serial string) (h perso.Hand, err error) {
		err = station.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) (err error) {
			h, err = perso.Claim(ctx, tx, identity(serial), place, atStation("s1", ""))
			return err
		})
		return h, err
	}
	first, err := take(o.Serials[0])
	require.NoError(t, err)
	_, err = take(o.Serials[1])
	why, _ := perso.RefusedFor(err)
	require.Equal(t, perso.FirstCardWaits, why, "also while the first is only claimed")
	require.NoError(t, station.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		h, err := perso.Fail(ctx, tx, first, atStation("s1", "rusak"))
		if err != nil {
			return err
		}
		return perso.Lay(ctx, tx, h, perso.Blame{Cause: "rusak", Lot: true}, atStation("s1", "rusak"))
	}))
	_, err = take(o.Serials[1])
	why, _ = perso.RefusedFor(err)
	require.Equal(t, perso.LotStopped, why)

	holds, err := perso.Holds(t.Context(), portal)
	require.NoError(t, err)
	require.Len(t, holds, 2)
	lift := func(h perso.Hold) error {
		return portal.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
			_, err := perso.LiftHold(ctx, tx, h.ID, persotest.Person("operator", request.Operator, "diperiksa"))
			return err
		})
	}
	require.ErrorIs(t, lift(holds[0]), perso.ErrFirstNotClear)
	require.NoError(t, lift(holds[1]))
	_, err = take(o.Serials[1])
	require.NoError(t, err, "the first card failed: this one is the first now")
	require.Error(t, station.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		_, err := perso.LiftHold(ctx, tx, holds[0].ID, persotest.Person("operator", request.Operator, "x"))
		return err
	}), "a station lets no lot go")
	for _, q := range []string{
		`UPDATE lot_hold SET lifted_reason = 'lain' WHERE lifted_by IS NOT NULL`, `DELETE FROM lot_hold`,
		`UPDATE lot_hold SET lifted_by = 'x', lifted_reason = 'x', lifted_at = now(), lifted_office_at = now() WHERE lifted_by IS NULL`,
	} {
		require.Error(t, o.DB.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
			_, err := tx.Exec(ctx, q)
			return err
		}), q)
	}
}
