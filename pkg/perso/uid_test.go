package perso_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/cardlist"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/perso/persotest"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
)

// Where a list names the chips, a replacement names its own: else no station could
// tell its serial.
func TestAReplacementNamesItsChip(t *testing.T) {
	t.Parallel()
	o := persotest.New(t, 2, 2)
	o.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
		return tx.ExecOne(ctx, `UPDATE listed_card SET uid = 'AABBCCDD' WHERE id = $1`, o.CardIDs[0])
	})
	serial, err := perso.SerialOf(t.Context(), o.DB, "AABBCCDD")
	require.NoError(t, err)
	require.Equal(t, o.Serials[0], serial)
	for _, uid := range []string{"", "AABBCCEE"} {
		why, _ := perso.RefusedFor(func() error { _, err := perso.SerialOf(t.Context(), o.DB, uid); return err }())
		require.Equal(t, perso.SerialUnknown, why, uid)
	}
	for _, id := range []string{o.Serials[0], o.Serials[1]} {
		h, err := claim(o, identity(id), "s1")
		require.NoError(t, err)
		o.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
			_, err := perso.Fail(ctx, tx, h, atStation("s1", "rusak"))
			return err
		})
	}
	replace := func(card int, uid string) (id string, err error) {
		err = o.DB.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
			ids, err := perso.RegisterReplacements(ctx, tx, o.RequestID,
				[]perso.Replacement{{CardID: o.CardIDs[card], Serial: "SAM0000009" + string(rune('0'+card)), UID: uid}}, persotest.Person("operator", request.Operator, ""))
			if err == nil {
				id = ids[0]
			}
			return err
		})
		return id, err
	}
	var faults perso.ReplacementFaults
	_, err = replace(0, " ")
	require.ErrorAs(t, err, &faults)
	require.ErrorIs(t, faults[0], cardlist.ErrUIDMissing)
	_, err = replace(0, "chip baru")
	require.ErrorAs(t, err, &faults)
	require.ErrorIs(t, faults[0], cardlist.ErrUIDForm)
	_, err = replace(0, "aa:bb:cc:11")
	require.NoError(t, err)
	serial, err = perso.SerialOf(t.Context(), o.DB, "AABBCC11")
	require.NoError(t, err)
	require.Equal(t, "SAM00000090", serial)
	_, err = replace(1, "")
	require.NoError(t, err, "its list names no chip")
}
