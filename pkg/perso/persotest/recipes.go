package persotest

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/perso/recipe"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
)

// Recipes puts in what comes with the program, as the set-up does.
func Recipes(t testing.TB, db *postgres.DB) {
	t.Helper()
	require.NoError(t, machine.Sync(context.Background(), db, recipe.Machine))
	all, err := recipe.FromProgram()
	require.NoError(t, err)
	require.NoError(t, db.InTx(context.Background(), func(ctx context.Context, tx *postgres.Tx) error {
		return recipe.Ship(ctx, tx, all, recipe.Change{OfficeAt: OfficeAt})
	}))
}

// Place is a reader of a station that looks at cards by the plan in force.
func Place(t testing.TB, db *postgres.DB, station string) perso.Place {
	t.Helper()
	plan, err := recipe.ToLook(context.Background(), db, "gp-scp03-sam")
	require.NoError(t, err)
	return perso.Place{Station: station, Reader: "Pembaca 1", Plan: plan}
}

// Draft has somebody write a new edition.
func Draft(t testing.TB, db *postgres.DB, kind recipe.Kind, content string) (r recipe.Recipe) {
	t.Helper()
	require.NoError(t, db.InTx(context.Background(), func(ctx context.Context, tx *postgres.Tx) (err error) {
		r, err = recipe.Write(ctx, tx, kind, []byte(content), Person("operator", request.Operator, "uji"))
		return err
	}))
	return r
}

// Approve has two people put a new edition in force.
func Approve(t testing.TB, db *postgres.DB, kind recipe.Kind, content string) recipe.Recipe {
	t.Helper()
	var r recipe.Recipe
	require.NoError(t, db.InTx(context.Background(), func(ctx context.Context, tx *postgres.Tx) (err error) {
		if r, err = recipe.Write(ctx, tx, kind, []byte(content), Person("operator", request.Operator, "uji")); err != nil {
			return err
		}
		if r, err = recipe.Propose(ctx, tx, recipe.Seen{ID: r.ID, Version: r.Version}, Person("operator", request.Operator, "uji")); err != nil {
			return err
		}
		r, err = recipe.Approve(ctx, tx, recipe.Seen{ID: r.ID, Version: r.Version}, Person("kasubdit", request.Kasubdit, "uji"))
		return err
	}))
	return r
}

// Withdraw stops the edition in force.
func Withdraw(t testing.TB, db *postgres.DB, r recipe.Recipe) {
	t.Helper()
	require.NoError(t, db.InTx(context.Background(), func(ctx context.Context, tx *postgres.Tx) error {
		_, err := recipe.Withdraw(ctx, tx, recipe.Seen{ID: r.ID, Version: r.Version}, Person("operator", request.Operator, "uji"))
		return err
	}))
}
