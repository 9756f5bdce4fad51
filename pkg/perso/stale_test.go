package perso_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/perso/persotest"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
)

// Whoever decides on a doubt, confirms or withdraws, does so about what they saw: the
// same doubt, and the same decision.
func TestDecisionsAreAboutWhatWasSeen(t *testing.T) {
	t.Parallel()
	o := persotest.New(t, 1, 1)
	ctx := context.Background()
	h := run(t, o, o.Serials[0], begin, doubt(perso.DecideResume))
	ani := persotest.Person("operator-1", request.Operator, "kartu utuh")
	budi := persotest.Person("kasubdit", request.Kasubdit, "")
	propose := func(c perso.Seen, d perso.Decision) (err error) {
		return o.DB.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
			_, err = perso.ProposeResolution(ctx, tx, c, d, ani)
			return err
		})
	}
	confirm := func(d perso.SeenDecision) error {
		return o.DB.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
			_, err := perso.ConfirmResolution(ctx, tx, d, budi)
			return err
		})
	}
	withdraw := func(d perso.SeenDecision) error {
		return o.DB.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error { return perso.WithdrawResolution(ctx, tx, d, budi) })
	}
	present := func() perso.SeenDecision {
		t.Helper()
		d, err := perso.OpenDecision(ctx, o.DB, h.Card.ID)
		require.NoError(t, err)
		return d
	}
	require.ErrorIs(t, propose(perso.Seen{ID: h.Card.ID, Version: h.Card.Version - 1}, perso.DecideSpoil), postgres.ErrStale)
	require.NoError(t, propose(seen(h.Card), perso.DecideResume))
	first := present()
	require.NoError(t, withdraw(first))
	require.NoError(t, propose(seen(h.Card), perso.DecideSpoil))
	require.ErrorIs(t, confirm(first), postgres.ErrStale, "they read resume, and would have spoiled the card")
	require.ErrorIs(t, withdraw(first), postgres.ErrStale)
	old := present()
	old.Card.Version--
	require.ErrorIs(t, confirm(old), postgres.ErrStale)
	require.Equal(t, perso.InDoubt, o.Card(t, o.Serials[0]).State)
	require.NoError(t, confirm(present()))
	require.Equal(t, perso.Spoiled, o.Card(t, o.Serials[0]).State)
}

func TestReplacementsAreForThoseWhoMay(t *testing.T) {
	t.Parallel()
	o := persotest.New(t, 2, 2)
	failed := run(t, o, o.Serials[0], begin, fail)
	replace := func(c perso.Change, all ...perso.Replacement) error {
		return o.DB.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
			_, err := perso.RegisterReplacements(ctx, tx, o.RequestID, all, c)
			return err
		})
	}
	blank := perso.Replacement{CardID: failed.Card.ID, Serial: "SAM00000099"}
	var role *machine.RoleError
	for _, who := range []machine.Role{request.Dirjen, request.Produsen, request.Station} {
		require.ErrorAs(t, replace(persotest.Person("x", who, ""), blank), &role, who)
	}
	operator := persotest.Person("operator", request.Operator, "")
	require.ErrorIs(t, replace(operator), perso.ErrNoReplacement)
	var wrong perso.ReplacementFaults
	require.ErrorAs(t, replace(operator, blank, blank), &wrong, "one card, two blanks")
	require.ErrorIs(t, wrong[1], perso.ErrSerialTwice)
	second := blank
	second.Serial = "SAM00000098"
	require.ErrorAs(t, replace(operator, blank, second), &wrong)
	require.ErrorIs(t, wrong[1], perso.ErrNotReplaceable)
	require.Equal(t, 2, count(t, o, `SELECT count(*) FROM listed_card`))
	require.NoError(t, replace(operator, blank))
}
