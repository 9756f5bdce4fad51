package line_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/configs"
	"dukcapil.go.id/sifilma/daemons/perso-station/internal/line"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/perso/persotest"
	"dukcapil.go.id/sifilma/pkg/perso/profile"
	"dukcapil.go.id/sifilma/pkg/perso/recipe"
)

// nextKeys has two people put Kode Kunci in force whose blanks have another key
// version: by it no blank of these tests is one.
func (b *bench) nextKeys() recipe.Recipe {
	b.t.Helper()
	file, err := configs.KeyCode("ktpel")
	require.NoError(b.t, err)
	text := strings.NewReplacer(`"version": 1`, `"version": 2`, `"30"`, `"40"`, `"31"`, `"41"`).Replace(string(file))
	return persotest.Approve(b.t, b.DB, recipe.KeyCode, text)
}

func (b *bench) plan() recipe.Plan {
	b.t.Helper()
	p, err := recipe.OfOrder(b.t.Context(), b.DB, b.OrderID)
	require.NoError(b.t, err)
	return p
}

// A work order never changes its editions: cards of one that has begun go on as it
// began, whatever people approve meanwhile.
func TestAnOrderKeepsItsEditions(t *testing.T) {
	t.Parallel()
	b := newBench(t, 3)
	require.Equal(t, "clear", b.outcome(b.chip(b.Serials[0])).Outcome)
	first := b.plan()
	b.removeCard()
	b.nextKeys()
	got := b.outcome(b.chip(b.Serials[1]))
	require.Equal(t, "clear", got.Outcome, got.Reason)
	require.True(t, first.Same(b.plan()))
	b.removeCard()

	// What was withdrawn writes no card, also of an order that began with it.
	persotest.Withdraw(t, b.DB, first.Profile)
	chip := b.chip(b.Serials[2])
	got = b.outcome(chip)
	require.Equal(t, "refused", got.Outcome)
	require.Equal(t, perso.WhyLabels[perso.RecipeGone], got.Reason)
	require.Empty(t, b.accepted(chip.State().ChipID))
	require.Equal(t, perso.Listed, b.Card(t, b.Serials[2]).State)
}

// An order that has not begun takes what is in force, and a blank of other keys is
// none of it.
func TestTheFirstCardTiesTheOrder(t *testing.T) {
	t.Parallel()
	b := newBench(t, 2)
	b.nextKeys()
	got := b.outcome(b.chip(b.Serials[0]))
	require.Equal(t, perso.WhyLabels[perso.WrongLifeCycle], got.Reason)
	_, err := recipe.OfOrder(t.Context(), b.DB, b.OrderID)
	require.ErrorIs(t, err, recipe.ErrNotFound)
	b.removeCard()
}

// A card in doubt is read and finished by the editions that its writing began with.
func TestDoubtIsReadByItsOwnEditions(t *testing.T) {
	t.Parallel()
	b := newBench(t, 1)
	chip := b.chip(b.Serials[0])
	b.reader.hook = func(n int) (lose, after bool) { return n == 16, true }
	got := b.outcome(chip)
	require.Equal(t, "in_doubt", got.Outcome)
	b.reader.mu.Lock()
	b.reader.hook = nil
	b.reader.mu.Unlock()
	b.nextKeys()
	b.removeCard()
	b.outcome(chip)
	require.Equal(t, perso.DecideResume, b.proposal(b.Serials[0]))
	b.Resolve(t, b.CardIDs[0], perso.DecideResume)
	b.waitFor("clear", func(s line.ReaderStatus) bool { return s.Outcome == "clear" })
	b.judge(chip, b.Serials[0])
}

// What nobody approved, what this program cannot do, and what another station is
// for, is refused before anything is sent that could change the card.
func TestOnlyApprovedProfilesWork(t *testing.T) {
	t.Parallel()
	b := newBench(t, 1)
	file, err := configs.Profile("gp-scp03-sam")
	require.NoError(t, err)
	next := strings.NewReplacer(`"version": 1`, `"version": 2`, `"protocol": "scp03"`, `"protocol": "scp03", "option": "70"`).Replace(string(file))
	persotest.Approve(t, b.DB, recipe.Profile, next)
	chip := b.chip(b.Serials[0])
	got := b.outcome(chip)
	require.Equal(t, perso.WhyLabels[perso.OtherProfile], got.Reason)
	require.Zero(t, b.reader.commands(), "nothing is known to look at it by")
	require.ErrorIs(t, b.line.CheckProfile(t.Context()), profile.ErrNotBuilt)
	b.removeCard()

	r, err := recipe.InForce(t.Context(), b.DB, recipe.Profile, "gp-scp03-sam")
	require.NoError(t, err)
	persotest.Withdraw(t, b.DB, r)
	got = b.outcome(chip)
	require.Equal(t, perso.WhyLabels[perso.NoRecipe], got.Reason)
	require.ErrorIs(t, b.line.CheckProfile(t.Context()), recipe.ErrNone)
	require.Zero(t, b.reader.commands(), "nothing is known to look at it by")
	b.removeCard()

	// As soon as two people have approved one that works, cards are taken again.
	persotest.Approve(t, b.DB, recipe.Profile, strings.Replace(string(file), `"version": 1`, `"version": 3`, 1))
	require.NoError(t, b.line.CheckProfile(t.Context()))
	require.Equal(t, "clear", b.outcome(chip).Outcome)
	require.Equal(t, "gp-scp03-sam/3", b.plan().Profile.Label())
	b.judge(chip, b.Serials[0])
}
