package line_test

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/configs"
	"dukcapil.go.id/sifilma/daemons/perso-station/internal/line"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/perso/persotest"
	"dukcapil.go.id/sifilma/pkg/perso/recipe"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/test/virtualsam/card"
)

// withLot gives the profile of a bench what it says of lots.
func (b *bench) withLot(lot string) {
	b.t.Helper()
	file, err := configs.Profile("gp-scp03-sam")
	require.NoError(b.t, err)
	persotest.Approve(b.t, b.DB, recipe.Profile,
		strings.NewReplacer(`"version": 1`, `"version": 2`, `"timeouts"`, `"lot": `+lot+`, "timeouts"`).Replace(string(file)))
}

func (b *bench) openHolds() []perso.Hold {
	b.t.Helper()
	all, err := perso.Holds(context.Background(), b.DB)
	require.NoError(b.t, err)
	open := []perso.Hold{}
	for _, h := range all {
		if h.LiftedBy == nil {
			open = append(open, h)
		}
	}
	return open
}

func (b *bench) lift(h perso.Hold, by machine.Role) error {
	return b.DB.InTx(context.Background(), func(ctx context.Context, tx *postgres.Tx) error {
		_, err := perso.LiftHold(ctx, tx, h.ID, persotest.Person("operator", by, "kartu diperiksa"))
		return err
	})
}

// The first card of a lot is written, and the others wait until a person has looked
// at it; a first card that failed gives its place to the next.
func TestALotWaitsAfterItsFirstCard(t *testing.T) {
	t.Parallel()
	b := newBench(t, 4)
	b.withLot(`{"first_card": true}`)
	broken := b.chip(b.Serials[0])
	broken.SetFault(card.Fault{MemoryFailureAt: card.StepPCID})
	require.Equal(t, "failed", b.outcome(broken).Outcome)
	b.removeCard()
	require.Len(t, b.openHolds(), 1)
	require.ErrorIs(t, b.lift(b.openHolds()[0], request.Operator), perso.ErrFirstNotClear)

	require.Equal(t, "clear", b.outcome(b.chip(b.Serials[1])).Outcome)
	b.removeCard()
	second := b.chip(b.Serials[2])
	got := b.outcome(second)
	require.Equal(t, perso.WhyLabels[perso.FirstCardWaits], got.Reason)
	require.Empty(t, b.accepted(second.State().ChipID))
	require.Equal(t, perso.Listed, b.Card(t, b.Serials[2]).State)
	holds := b.openHolds()
	require.Len(t, holds, 1)
	require.Equal(t, b.CardIDs[1], holds[0].CardID)
	require.ErrorAs(t, b.lift(holds[0], request.Dirjen), new(*machine.RoleError))
	require.NoError(t, b.lift(holds[0], request.Operator))
	require.ErrorIs(t, b.lift(holds[0], request.Operator), perso.ErrLifted)
	b.waitFor("clear", func(s line.ReaderStatus) bool { return s.Outcome == "clear" && s.Serial == b.Serials[2] })
	b.removeCard()
	require.Equal(t, "clear", b.outcome(b.chip(b.Serials[3])).Outcome, "once for a lot")
	require.Empty(t, b.openHolds())
}

// Cards in a row that fail for one cause stop their lot: the blanks after them are not
// used up. A good one between, another cause, or a person's word begins anew.
func TestEqualFailuresStopTheLot(t *testing.T) {
	t.Parallel()
	b := newBench(t, 10)
	b.withLot(`{"stop_after": 3}`)
	next := 0
	fail := func(step card.Step) string {
		chip := b.chip(b.Serials[next])
		next++
		chip.SetFault(card.Fault{MemoryFailureAt: step})
		got := b.outcome(chip)
		b.removeCard()
		return got.Outcome
	}
	good := func() string {
		got := b.outcome(b.chip(b.Serials[next]))
		next++
		b.removeCard()
		return got.Outcome
	}
	require.Equal(t, "failed", fail(card.StepPCID))
	require.Equal(t, "failed", fail(card.StepPCID))
	require.Equal(t, "clear", good())
	require.Equal(t, "failed", fail(card.StepPCID))
	require.Equal(t, "failed", fail(card.StepPCID))
	require.Empty(t, b.openHolds())
	require.Equal(t, "failed", fail(card.StepPCID))
	holds := b.openHolds()
	require.Len(t, holds, 1)
	require.Equal(t, perso.EqualFailuresHold, holds[0].Kind)
	require.Contains(t, holds[0].Cause, "6581")

	waiting := b.chip(b.Serials[next])
	got := b.outcome(waiting)
	require.Equal(t, perso.WhyLabels[perso.LotStopped], got.Reason)
	require.Empty(t, b.accepted(waiting.State().ChipID))
	require.NoError(t, b.lift(holds[0], request.Kasubdit))
	b.waitFor("clear", func(s line.ReaderStatus) bool { return s.Outcome == "clear" && s.Serial == b.Serials[next] })
	next++
	b.removeCard()
	require.Equal(t, "failed", fail(card.StepPCID))
	require.Equal(t, "failed", fail(card.StepCONF), "another cause")
	require.Empty(t, b.openHolds())
}

// A wrong lot key looks like bad cards, one after the other: the lot stops before more
// than so many chips have met a wrong key, once each.
func TestWrongKeysStopTheLot(t *testing.T) {
	t.Parallel()
	b := newBench(t, 4)
	alien := func(c *card.Config) { c.Keys = b.keys(b.profile.Keys.Transport.Master, card.SeedChipID("alien")) }
	for i := range 3 {
		require.Equal(t, "refused", b.outcome(b.chip(b.Serials[i], alien)).Outcome)
		b.removeCard()
	}
	require.Len(t, b.openHolds(), 1)
	last := b.chip(b.Serials[3], alien)
	require.Equal(t, perso.WhyLabels[perso.LotStopped], b.outcome(last).Reason)
	n, err := perso.AuthenticationFailures(t.Context(), b.DB, last.State().ChipID)
	require.NoError(t, err)
	require.Zero(t, n)
}
