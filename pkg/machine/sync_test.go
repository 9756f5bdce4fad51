package machine_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/test/harness"
)

// TestASessionSeesTheTablesAsTheyAre asks one connection again and again while
// the tables change under it: the check is compiled, and must not outlive them.
func TestASessionSeesTheTablesAsTheyAre(t *testing.T) {
	t.Parallel()
	database := harness.NewDatabase(t)
	cfg := database.Config(t, "")
	cfg.MaxOpen = 1
	session, err := postgres.Open(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { _ = session.Close() })
	other := database.Open(t, "")
	do(t, other, `CREATE TABLE lamp (id uuid PRIMARY KEY, state text NOT NULL, version bigint NOT NULL)`)
	do(t, other, `CREATE TRIGGER lamp_transition BEFORE INSERT OR UPDATE ON lamp
		FOR EACH ROW EXECUTE FUNCTION check_transition('lamp''s')`)

	burn := machine.Step{From: "", Verb: "make", To: "on"}
	quench := machine.Step{From: "on", Verb: "it's dark", To: `of\f`}
	light := func() error {
		return session.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
			_, err := tx.Exec(ctx, `INSERT INTO lamp VALUES (gen_random_uuid(), 'on', 1)`)
			return err
		})
	}
	write := func(step machine.Step) error {
		table := machine.Table{Name: "lamp's"}
		return session.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
			return table.Write(ctx, tx, machine.Record{
				Subject: uuid.Must(uuid.NewV7()).String(), Version: 1, Step: step,
				Actor: machine.Actor{Name: "somebody", Role: "somebody"}, OfficeAt: time.Now(),
			})
		})
	}
	syncTo := func(steps ...machine.Step) {
		require.NoError(t, machine.Sync(t.Context(), other, &machine.Table{Name: "lamp's", Steps: steps}))
	}

	require.True(t, postgres.IsCheck(light(), "legal_transition"))
	require.True(t, postgres.IsForeignKey(write(burn), "known_step"))
	syncTo(burn)
	require.NoError(t, light())
	require.NoError(t, write(burn))
	require.True(t, postgres.IsForeignKey(write(quench), "known_step"))
	require.True(t, postgres.IsForeignKey(write(machine.Step{From: "", Verb: "steal", To: "on"}), "known_step"))

	syncTo(quench) // retires the other
	require.True(t, postgres.IsCheck(light(), "legal_transition"))
	require.NoError(t, write(burn), "the timeline may name a retired step")
	require.NoError(t, write(quench))

	syncTo(burn, quench)
	require.NoError(t, light())
	for _, change := range []string{
		`DELETE FROM transition WHERE machine = 'lamp''s'`,
		`UPDATE transition SET to_state = 'off' WHERE machine = 'lamp''s'`,
		`TRUNCATE transition`,
	} {
		err := other.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
			_, err := tx.Exec(ctx, change)
			return err
		})
		require.ErrorContains(t, err, "never changed or deleted", change)
	}
}

// TestTablesWrittenAtOnceAreAllThere starts many programs together.
func TestTablesWrittenAtOnceAreAllThere(t *testing.T) {
	t.Parallel()
	db := harness.DB(t)
	names := []string{"a", "b", "c", "d", "e", "f"}
	var all sync.WaitGroup
	errs := make([]error, len(names))
	for i, name := range names {
		all.Go(func() {
			errs[i] = machine.Sync(t.Context(), db, &machine.Table{Name: name, Steps: []machine.Step{{Verb: "make", To: "made"}}})
		})
	}
	all.Wait()
	for i, name := range names {
		require.NoError(t, errs[i])
		var legal, known bool
		require.NoError(t, db.Get(t.Context(), &legal, `SELECT legal_step($1, '', 'made')`, name))
		require.NoError(t, db.Get(t.Context(), &known, `SELECT known_step($1, '', 'make', 'made')`, name))
		require.True(t, legal && known, name)
	}
}

func do(t *testing.T, db *postgres.DB, statement string) {
	t.Helper()
	require.NoError(t, db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		_, err := tx.Exec(ctx, statement)
		return err
	}))
}
