package perso_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/capacity"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/perso/persotest"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
)

// silent lets longer than the silence pass since all that stations did.
func silent(t *testing.T, o *persotest.Office) {
	t.Helper()
	o.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
		if _, err := tx.Exec(ctx, `SET LOCAL session_replication_role = replica`); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `UPDATE perso_attempt SET claimed_at = claimed_at - interval '61 minutes',
			writing_at = writing_at - interval '61 minutes', ended_at = ended_at - interval '61 minutes'`); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `UPDATE history SET at = at - interval '61 minutes'`)
		return err
	})
}

var (
	ani  = persotest.Person("operator-1", request.Operator, "stasiun mati")
	budi = persotest.Person("kasubdit", request.Kasubdit, "")
)

func propose(o *persotest.Office, c perso.Card, d perso.Decision, ch perso.Change) error {
	return o.DB.InTx(context.Background(), func(ctx context.Context, tx *postgres.Tx) error {
		_, err := perso.ProposeResolution(ctx, tx, seen(c), d, ch)
		return err
	})
}

func confirm(o *persotest.Office, cardID string, ch perso.Change) error {
	return o.DB.InTx(context.Background(), func(ctx context.Context, tx *postgres.Tx) error {
		open, err := perso.OpenDecision(ctx, tx, cardID)
		if err != nil {
			return err
		}
		_, err = perso.ConfirmResolution(ctx, tx, open, ch)
		return err
	})
}

// TestACardOfAStationThatDied is taken away by two people, once nothing was heard for
// long enough; what the station says later of the same attempt still counts.
func TestACardOfAStationThatDied(t *testing.T) {
	t.Parallel()
	o := persotest.New(t, 4, 4)
	h := run(t, o, o.Serials[0], begin)
	require.Equal(t, perso.Writing, h.Card.State)
	abandoned := func() bool {
		rows, err := perso.List(t.Context(), o.DB, o.RequestID)
		require.NoError(t, err)
		return rows[0].Abandoned
	}
	require.False(t, abandoned())
	require.ErrorIs(t, propose(o, h.Card, perso.DecideDoubt, ani), perso.ErrStationHeard)
	silent(t, o)
	require.True(t, abandoned())
	other := run(t, o, o.Serials[1]) // the station is there, at another card
	require.False(t, abandoned())
	require.ErrorIs(t, propose(o, h.Card, perso.DecideDoubt, ani), perso.ErrStationHeard)
	silent(t, o)

	var role *machine.RoleError
	require.ErrorAs(t, propose(o, h.Card, perso.DecideDoubt, persotest.Person("dirjen", request.Dirjen, "x")), &role)
	require.ErrorIs(t, propose(o, h.Card, perso.DecideSpoil, ani), perso.ErrNotInDoubt)
	require.ErrorIs(t, propose(o, h.Card, perso.DecideDoubt, persotest.Person("operator-1", request.Operator, "")), perso.ErrReasonMissing)
	require.NoError(t, propose(o, h.Card, perso.DecideDoubt, ani))
	require.ErrorIs(t, confirm(o, h.Card.ID, ani), perso.ErrSamePerson)
	other = then(t, o, other, begin) // it comes back between the two
	require.ErrorIs(t, confirm(o, h.Card.ID, budi), perso.ErrStationHeard)
	require.Equal(t, perso.Writing, o.Card(t, o.Serials[0]).State)
	o.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
		open, err := perso.OpenDecision(ctx, tx, h.Card.ID)
		if err != nil {
			return err
		}
		return perso.WithdrawResolution(ctx, tx, open, budi)
	})
	require.ErrorIs(t, confirm(o, h.Card.ID, budi), perso.ErrNoResolution)

	silent(t, o)
	require.NoError(t, propose(o, h.Card, perso.DecideDoubt, ani))
	require.NoError(t, confirm(o, h.Card.ID, budi))
	now := o.Card(t, o.Serials[0])
	require.Equal(t, perso.InDoubt, now.State)
	require.Equal(t, "stasiun mati", now.Reason)
	remaining, _ := o.Remaining(t)
	require.Equal(t, 3, remaining, "a card in doubt has left its order")
	require.ErrorIs(t, propose(o, now, perso.DecideDoubt, ani), perso.ErrNotAbandoned)

	// The station comes back with the card that it had finished: it overwrites nothing,
	// looks again, and its proof of the same attempt is taken.
	require.ErrorIs(t, try(o, h, finish), postgres.ErrStale)
	fresh, err := perso.Reload(t.Context(), o.DB, h.Card.ID)
	require.NoError(t, err)
	require.Equal(t, h.Attempt.ID, fresh.Attempt.ID)
	require.Equal(t, perso.Clear, then(t, o, fresh, finish).Card.State)
	then(t, o, other, finish)
	remaining, _ = o.Remaining(t)
	require.Equal(t, 2, remaining, "counted once")
	require.Equal(t, 1, count(t, o, `SELECT count(*) FROM card_resolution WHERE decision = 'doubt' AND confirmed_by IS NOT NULL`))
}

// TestAClaimOfAStationThatDiedIsGivenBack: nothing was written, so another station may
// take the card, and the first can begin nothing any more.
func TestAClaimOfAStationThatDiedIsGivenBack(t *testing.T) {
	t.Parallel()
	o := persotest.New(t, 2, 2)
	h := run(t, o, o.Serials[0])
	o.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
		_, err := capacity.CloseDays(ctx, tx, clock.DateOf(persotest.OfficeAt), persotest.OfficeAt, persotest.OfficeAt)
		return err
	})
	_, state := o.Remaining(t)
	require.Equal(t, "closing", state)
	silent(t, o)
	require.NoError(t, propose(o, h.Card, perso.DecideDoubt, ani))
	require.NoError(t, confirm(o, h.Card.ID, budi))
	require.Equal(t, perso.Numbered, o.Card(t, o.Serials[0]).State)
	require.ErrorIs(t, try(o, h, begin), postgres.ErrStale)
	o.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
		closed, err := capacity.Settle(ctx, tx, persotest.OfficeAt)
		require.Equal(t, 1, closed.Orders, "no card holds the day up any more")
		return err
	})
}

// TestACardThatNobodyVerifies was decided to be finished and is lost: two people take
// the decision back, and the request is not blocked for ever.
func TestACardThatNobodyVerifies(t *testing.T) {
	t.Parallel()
	o := persotest.New(t, 2, 2)
	h := run(t, o, o.Serials[0], begin, doubt(perso.DecideComplete))
	o.Resolve(t, h.Card.ID, perso.DecideComplete)
	written := o.Card(t, o.Serials[0])
	require.Equal(t, perso.Written, written.State)
	require.ErrorIs(t, propose(o, written, perso.DecideDoubt, ani), perso.ErrStationHeard)
	silent(t, o)
	run(t, o, o.Serials[1], begin, finish) // stations work, without this card
	require.NoError(t, propose(o, written, perso.DecideDoubt, ani))
	require.NoError(t, confirm(o, h.Card.ID, budi))
	lost := o.Card(t, o.Serials[0])
	require.Equal(t, perso.InDoubt, lost.State)
	require.NoError(t, propose(o, lost, perso.DecideSpoil, ani))
	require.NoError(t, confirm(o, h.Card.ID, budi))
	require.Equal(t, perso.Spoiled, o.Card(t, o.Serials[0]).State)
	remaining, _ := o.Remaining(t)
	require.Zero(t, remaining)
}
