package line_test

import (
	"context"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/daemons/perso-station/internal/line"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/perso/persotest"
	"dukcapil.go.id/sifilma/pkg/perso/recipe"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/test/virtualsam/card"
)

// The first card of a day waits until a test card has passed: one that is told by its
// serial, of nobody's list, and counts for no request.
func TestATestCardComesFirst(t *testing.T) {
	t.Parallel()
	b := newBench(t, 2)
	b.stop()
	b.tests = regexp.MustCompile(`^UJI[0-9]{8}$`)
	b.start()
	real := b.chip(b.Serials[0])
	require.Equal(t, perso.WhyLabels[perso.TestCardDue], b.outcome(real).Reason)
	b.removeCard()
	foreign := b.chip("SAM99999999")
	require.Equal(t, perso.WhyLabels[perso.Unlisted], b.outcome(foreign).Reason, "any other card is not a test card")
	b.removeCard()
	require.Empty(t, b.writes.Since(0))

	bad := b.chip("UJI00000001")
	bad.SetFault(card.Fault{MemoryFailureAt: card.StepPutKey})
	got := b.outcome(bad)
	require.Equal(t, []string{"test", "sisihkan"}, []string{got.Outcome, got.Instruction})
	require.Contains(t, got.Reason, "tidak lulus")
	b.removeCard()
	require.Equal(t, perso.WhyLabels[perso.TestCardDue], b.outcome(real).Reason)
	b.removeCard()

	got = b.outcome(b.chip("UJI00000002"))
	require.Equal(t, "test", got.Outcome)
	require.Contains(t, got.Reason, "lulus; simpan terpisah")
	b.removeCard()
	require.Equal(t, "clear", b.outcome(real).Outcome)
	b.removeCard()
	spare := b.chip("UJI00000003")
	before := len(b.writes.Since(0))
	require.Contains(t, b.outcome(spare).Reason, "sudah lulus", "once a day")
	require.Len(t, b.writes.Since(0), before)
	b.removeCard()

	require.Equal(t, 2, b.count(`SELECT count(*) FROM recipe_trial WHERE station = 'uji-1'`))
	require.Equal(t, 2, b.count(`SELECT count(*) FROM card`), "test cards are no cards of a request")
	tally, err := perso.Counts(t.Context(), b.DB, b.RequestID)
	require.NoError(t, err)
	require.Equal(t, []int{2, 1}, []int{tally.Total, tally.Clear})

	// It is remembered beyond a restart; and a new edition is a new thing to test.
	b.stop()
	b.start()
	require.Equal(t, "clear", b.outcome(b.chip(b.Serials[1])).Outcome)
	passed, err := recipe.PassedAt(t.Context(), b.DB, "uji-1", today)
	require.NoError(t, err)
	require.True(t, passed)
	b.removeCard()
	b.withLot(`{"stop_after": 5}`)
	for _, other := range []string{"uji-1", "uji-2"} {
		passed, err = recipe.PassedAt(t.Context(), b.DB, other, today)
		require.NoError(t, err)
		require.False(t, passed, other)
	}
}

// A card that is waiting in another reader when the test passes is taken at once.
func TestAWaitingCardGoesOnAfterTheTest(t *testing.T) {
	t.Parallel()
	b := newBench(t, 1)
	b.stop()
	b.tests = regexp.MustCompile(`^UJI[0-9]{8}$`)
	b.start()
	require.Equal(t, perso.WhyLabels[perso.TestCardDue], b.outcome(b.chip(b.Serials[0])).Reason)
	b.pass("gp-scp03-sam")
	b.waitFor("clear", func(s line.ReaderStatus) bool { return s.Outcome == "clear" })
}

var today = clock.DateOf(persotest.OfficeAt)

// pass keeps that a test card has passed at this station, as another slot of it does.
func (b *bench) pass(code string) {
	b.t.Helper()
	b.Must(b.t, func(ctx context.Context, tx *postgres.Tx) error {
		r, err := recipe.InForce(ctx, tx, recipe.Profile, code)
		if err != nil {
			return err
		}
		keys, err := recipe.InForce(ctx, tx, recipe.KeyCode, "ktpel")
		if err != nil {
			return err
		}
		return recipe.AddTrial(ctx, tx, recipe.Trial{
			ProfileID: r.ID, ContentSHA256: r.SHA256, KeyCodeID: keys.ID, Station: "uji-1", TriedBy: "stasiun uji-1", ChipID: "UJI", Passed: true,
			Report: []byte(`{}`), OfficeAt: persotest.OfficeAt,
		})
	})
}
