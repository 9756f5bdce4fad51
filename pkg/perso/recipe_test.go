package perso_test

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/configs"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/perso/persotest"
	"dukcapil.go.id/sifilma/pkg/perso/recipe"
	"dukcapil.go.id/sifilma/pkg/postgres"
)

func nextProfile(t *testing.T, edition string) string {
	t.Helper()
	file, err := configs.Profile("gp-scp03-sam")
	require.NoError(t, err)
	return strings.Replace(string(file), `"version": 1`, `"version": `+edition, 1)
}

// A work order is tied to its editions by its first claim; a station that looked at
// a card by others is refused, and a claim that is refused ties nothing.
func TestAClaimTiesItsOrder(t *testing.T) {
	t.Parallel()
	o := persotest.New(t, 3, 3)
	old := persotest.Place(t, o.DB, "s1")
	claimBy := func(serial string, p perso.Place) (h perso.Hand, err error) {
		err = o.DB.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
			h, err = perso.Claim(ctx, tx, identity(serial), p, atStation("s1", ""))
			return err
		})
		return h, err
	}
	second := persotest.Approve(t, o.DB, recipe.Profile, nextProfile(t, "2"))
	_, err := claimBy(o.Serials[0], old)
	why, _ := perso.RefusedFor(err)
	require.Equal(t, perso.OtherRecipe, why)
	_, err = recipe.OfOrder(t.Context(), o.DB, o.OrderID)
	require.ErrorIs(t, err, recipe.ErrNotFound)

	h, err := claimBy(o.Serials[0], persotest.Place(t, o.DB, "s1"))
	require.NoError(t, err)
	require.Equal(t, second.ID, h.Attempt.ProfileID)
	require.Equal(t, "gp-scp03-sam/2", h.Attempt.Profile)
	require.Equal(t, second.SHA256, h.Attempt.ProfileSHA256)
	tied, err := recipe.OfOrder(t.Context(), o.DB, o.OrderID)
	require.NoError(t, err)
	third := persotest.Approve(t, o.DB, recipe.Profile, nextProfile(t, "3"))
	for range 2 { // another card of the order, and the same answer again
		_, err = claimBy(o.Serials[1], persotest.Place(t, o.DB, "s1"))
		why, _ = perso.RefusedFor(err)
		require.Equal(t, perso.OtherRecipe, why)
	}
	c, err := perso.Get(t.Context(), o.DB, o.CardIDs[1])
	require.NoError(t, err)
	plan, err := perso.PlanOf(t.Context(), o.DB, perso.Hand{Card: c}, clock.DateOf(persotest.OfficeAt))
	require.NoError(t, err)
	require.True(t, plan.Same(tied))
	h2, err := claimBy(o.Serials[1], perso.Place{Station: "s1", Reader: "r", Plan: plan})
	require.NoError(t, err)
	require.Equal(t, h.Attempt.ProfileID, h2.Attempt.ProfileID)

	now, err := recipe.Get(t.Context(), o.DB, plan.Profile.ID)
	require.NoError(t, err)
	persotest.Withdraw(t, o.DB, now)
	_, err = claimBy(o.Serials[2], perso.Place{Station: "s1", Reader: "r", Plan: plan})
	why, _ = perso.RefusedFor(err)
	require.Equal(t, perso.RecipeGone, why)

	// Whoever writes the SQL: no attempt by another edition, none by a withdrawn one,
	// none without, and an order is not tied anew.
	exec := func(q string, args ...any) error {
		return o.DB.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
			_, err := tx.Exec(ctx, q, args...)
			return err
		})
	}
	const insert = `INSERT INTO perso_attempt (id, card_id, attempt, work_order_id, station, reader, chip_id, profile, profile_sha256, profile_id)
		VALUES (gen_random_uuid(), $1, 9, $2, 's', 'r', 'c', 'p', $3, $4)`
	require.True(t, postgres.IsForeignKey(exec(insert, o.CardIDs[2], o.OrderID, third.SHA256, third.ID), "perso_attempt_of_its_order"))
	require.True(t, postgres.IsCheck(exec(insert, o.CardIDs[2], o.OrderID, second.SHA256, second.ID), "perso_attempt_has_profile"))
	require.True(t, postgres.IsCheck(exec(insert, o.CardIDs[2], o.OrderID, second.SHA256, nil), "perso_attempt_has_profile"))
	require.Error(t, exec(`UPDATE order_recipe SET profile_id = $1`, third.ID))
	require.Error(t, exec(`DELETE FROM order_recipe`))
}

// The default SAM type is for every request that no other is for.
func TestATypeOfItsOwn(t *testing.T) {
	t.Parallel()
	o := persotest.New(t, 1, 1)
	own := persotest.Approve(t, o.DB, recipe.SAMType,
		`{"code": "sam-reader", "version": 1, "name": "SAM reader", "default": false, "uses": [{"kind": "reader", "sam_function": "R"}], "profile": "gp-scp03-sam", "key_code": "ktpel"}`)
	c, err := perso.Get(t.Context(), o.DB, o.CardIDs[0])
	require.NoError(t, err)
	plan, err := perso.PlanOf(t.Context(), o.DB, perso.Hand{Card: c}, clock.DateOf(persotest.OfficeAt))
	require.NoError(t, err)
	require.Equal(t, own.ID, plan.SAMType.ID)
}
