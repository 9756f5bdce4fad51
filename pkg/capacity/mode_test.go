package capacity_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/capacity"
	"dukcapil.go.id/sifilma/pkg/form"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
)

func (o *office) mode(t *testing.T, r request.Request, mode string, seen int64) error {
	t.Helper()
	return o.db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		change := by(request.Operator, o.day.At(10, 0))
		change.Reason = "alat lama"
		_, err := capacity.SetMode(ctx, tx, r.ID, mode, seen, change)
		return err
	})
}

func (o *office) modes(t *testing.T, r request.Request) (all []string) {
	t.Helper()
	require.NoError(t, o.db.Select(t.Context(), &all, `SELECT mode FROM work_order WHERE request_id = $1 AND state <> 'revoked' ORDER BY day, lower(slots)`, r.ID))
	return all
}

// The mode is decided before the orders are released: those that are planned take it,
// and so does each plan that follows.
func TestTheModeIsDecidedBeforeTheRelease(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	r, other := o.accepted(t, 12), o.accepted(t, 3) // the day has 10 slots
	o.replan(t, o.day.At(10, 0))
	require.Equal(t, []string{"station", "station"}, o.modes(t, r))
	require.NoError(t, o.mode(t, r, capacity.ModeManual, 0))
	require.NoError(t, o.mode(t, r, capacity.ModeManual, 0), "the same again")
	require.Equal(t, []string{"manual", "manual"}, o.modes(t, r))
	require.Equal(t, []string{"station"}, o.modes(t, other))
	require.ErrorIs(t, o.mode(t, r, capacity.ModeStation, 0), postgres.ErrStale)
	o.tx(t, func(ctx context.Context, tx *postgres.Tx) error {
		_, err := tx.Exec(ctx, `DELETE FROM work_order WHERE state = 'planned'`)
		return err
	})
	o.replan(t, o.day.At(11, 0))
	require.Equal(t, []string{"manual", "manual"}, o.modes(t, r))

	o.release(t, o.next())
	require.ErrorIs(t, o.mode(t, r, capacity.ModeStation, 1), capacity.ErrOrdersOpen)
	o.tx(t, func(ctx context.Context, tx *postgres.Tx) error {
		_, err := capacity.ClaimOrder(ctx, tx, r.ID, o.next())
		require.ErrorIs(t, err, capacity.ErrNoOrder)
		_, err = capacity.ManualOrder(ctx, tx, r.ID, o.next())
		require.NoError(t, err)
		_, err = capacity.ManualOrder(ctx, tx, other.ID, o.next())
		require.ErrorIs(t, err, capacity.ErrNoOrder)
		return nil
	})
}

func TestModesThatCannotBe(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	r := o.accepted(t, 2)
	var faults form.Faults
	require.ErrorAs(t, o.mode(t, r, "lain", 0), &faults)
	err := o.db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		_, err := capacity.SetMode(ctx, tx, r.ID, capacity.ModeManual, 0, by(request.Direktur, o.day.At(10, 0)))
		return err
	})
	var role *machine.RoleError
	require.ErrorAs(t, err, &role)
	require.NoError(t, o.mode(t, r, capacity.ModeManual, 0))
	o.tx(t, func(ctx context.Context, tx *postgres.Tx) error {
		if _, err := tx.Exec(ctx, `SET LOCAL session_replication_role = replica`); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `UPDATE card SET state = 'numbered', pcid = repeat('A', 32), manifest_no = 'M-1', by_hand = true
			WHERE id = (SELECT id FROM card ORDER BY id LIMIT 1)`)
		return err
	})
	require.ErrorIs(t, o.mode(t, r, capacity.ModeStation, 1), capacity.ErrNumbersOpen)
}
