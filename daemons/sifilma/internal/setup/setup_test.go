package setup_test

import (
	"context"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/daemons/sifilma/internal/setup"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/rabbit"
	"dukcapil.go.id/sifilma/test/harness"
)

// TestTablesAreWhole: every state and verb of every machine has an Indonesian
// name, every state can be reached, every message is one that is routed.
func TestTablesAreWhole(t *testing.T) {
	t.Parallel()
	for _, m := range setup.Machines() {
		reached := map[machine.State]bool{"": true}
		for range m.Steps {
			for _, s := range m.Steps {
				reached[s.To] = reached[s.To] || reached[s.From]
			}
		}
		for _, s := range m.States() {
			require.NotEmpty(t, m.Labels[s], "%s: state %q has no label", m.Name, s)
			require.True(t, reached[s], "%s: state %q cannot be reached", m.Name, s)
		}
		for s := range m.Labels {
			require.Contains(t, m.States(), s, "%s: label of no state", m.Name)
		}
		seen := map[[3]string]bool{}
		for _, s := range m.Steps {
			require.NotEmpty(t, m.Verbs[s.Verb], "%s: verb %q has no label", m.Name, s.Verb)
			require.NotEmpty(t, s.Roles, "%s: nobody may %q", m.Name, s.Verb)
			if s.Message != "" {
				require.True(t, slices.Contains(rabbit.Types(), s.Message), "%s: message %q is not routed", m.Name, s.Message)
			}
			key := [3]string{string(s.From), string(s.Verb), string(s.To)}
			require.False(t, seen[key], "%s: %q from %q stands twice", m.Name, s.Verb, s.From)
			seen[key] = true
		}
	}
}

func TestMigrateTwiceKeepsWhatStaffChanged(t *testing.T) {
	t.Parallel()
	database := harness.NewEmptyDatabase(t)
	owner := database.Config(t, "")
	require.NoError(t, setup.Migrate(t.Context(), owner))
	db := database.Open(t, "")
	require.NoError(t, db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE holiday SET name = 'diubah staf' WHERE day = '2026-12-25'`)
		return err
	}))
	require.NoError(t, setup.Migrate(t.Context(), owner))
	var name string
	require.NoError(t, db.Get(t.Context(), &name, `SELECT name FROM holiday WHERE day = '2026-12-25'`))
	require.Equal(t, "diubah staf", name)
	var steps int
	require.NoError(t, db.Get(t.Context(), &steps, `SELECT count(*) FROM transition WHERE active`))
	want := 0
	for _, m := range setup.Machines() {
		want += len(m.Steps)
	}
	require.Equal(t, want, steps)
}

// TestADaemonsRoleMayDoItsWorkOnly logs in as daemons and tries what is not
// theirs.
func TestADaemonsRoleMayDoItsWorkOnly(t *testing.T) {
	t.Parallel()
	database := harness.NewEmptyDatabase(t)
	owner := database.Config(t, "")
	require.NoError(t, setup.Migrate(t.Context(), owner))
	require.Error(t, setup.AllowLogin(t.Context(), owner, "postgres", "x"), "not a daemon's role")
	for role, queries := range map[string][]string{
		"sifilma_validator": {`SELECT password_hash FROM account`, `SELECT secret_sha256 FROM api_key`, `SELECT sealed FROM perso_attempt`, `DELETE FROM request`, `UPDATE card SET state = state`},
		"sifilma_intake":    {`UPDATE card SET state = state`, `SELECT sealed FROM perso_attempt`, `DELETE FROM history`},
		"sifilma_portal": {`SELECT sealed FROM perso_attempt`, `DELETE FROM audit`, `UPDATE blob SET name = ''`, `INSERT INTO card_number (kind, value, card_id) VALUES ('pcid','0',gen_random_uuid())`,
			`UPDATE recipe SET shipped = true`, `INSERT INTO order_recipe DEFAULT VALUES`, `INSERT INTO recipe_trial DEFAULT VALUES`},
		"sifilma_perso_station": {`SELECT token_sha256 FROM session`, `INSERT INTO document_counter VALUES ('x',1,1)`, `INSERT INTO work_order DEFAULT VALUES`,
			`UPDATE recipe SET state = 'active'`, `INSERT INTO recipe DEFAULT VALUES`, `UPDATE order_recipe SET at = now()`},
		"sifilma_document_generator": {`UPDATE card SET state = state`, `SELECT password_hash FROM account`},
	} {
		db := database.Open(t, role)
		for _, q := range queries {
			err := db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
				_, err := tx.Exec(ctx, q)
				return err
			})
			require.ErrorContains(t, err, "permission denied", "%s: %s", role, q)
		}
	}
}

// TestEveryTypeIsSpoken: each message type that is routed announces a step of a
// machine, or is written out by the package that it names.
func TestEveryTypeIsSpoken(t *testing.T) {
	t.Parallel()
	spoken := map[string]bool{
		"replacement.registered": true,                           // perso, beside the steps of two cards
		"cards.reduced":          true,                           // perso, one for all the steps of a letter
		"cards.destroyed":        true,                           // stock, with the berita acara
		"calendar.changed":       true, "capacity.changed": true, // capacity, beside the change of a day
		// The scheduler hears this already; it has no verb yet.
		"station.downtime_changed": true,
	}
	for _, m := range setup.Machines() {
		for _, s := range m.Steps {
			if s.Message != "" {
				require.False(t, strings.HasPrefix(s.Message, "replacement."), "then it need not be named above")
				spoken[s.Message] = true
			}
		}
	}
	require.ElementsMatch(t, rabbit.Types(), slices.Collect(maps.Keys(spoken)))
}
