package report

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/identity"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/perso/persotest"
	"dukcapil.go.id/sifilma/pkg/postgres"
)

// TestEveryStepOfACardIsTold walks the machine: the life of a card has no step without
// a sentence, and none that two places word.
func TestEveryStepOfACardIsTold(t *testing.T) {
	t.Parallel()
	used := map[machine.Verb]bool{}
	for _, step := range perso.Machine.Steps {
		_, also := sentences[perso.Machine.Name+"."+string(step.Verb)]
		_, own := lifeSentences[step.Verb]
		require.NotEqual(t, also, own, "%s", step.Verb)
		used[step.Verb] = own
		e, ok := taken{Taken: machine.Taken{Machine: perso.Machine.Name, Verb: step.Verb}}.lived(false)
		require.True(t, ok)
		require.NotContains(t, e.Label, ":"+string(step.Verb))
		require.NotEmpty(t, e.Label)
	}
	for verb := range lifeSentences {
		require.True(t, used[verb], "%s is no step", verb)
	}
}

// counting counts statements.
type counting struct {
	postgres.Reader
	n int
}

func (c *counting) Get(ctx context.Context, dest any, query string, args ...any) error {
	c.n++
	return c.Reader.Get(ctx, dest, query, args...)
}

func (c *counting) Select(ctx context.Context, dest any, query string, args ...any) error {
	c.n++
	return c.Reader.Select(ctx, dest, query, args...)
}

// TestALongLifeCostsNoMoreStatements compares a card that nobody has touched with one
// that was tried again and again.
func TestALongLifeCostsNoMoreStatements(t *testing.T) {
	t.Parallel()
	o := persotest.New(t, 2, 2)
	require.NoError(t, machine.Sync(t.Context(), o.DB, Machines...))
	for range 12 {
		o.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
			c := perso.Change{Actor: perso.StationActor("Ruang Atas"), OfficeAt: persotest.OfficeAt}
			h, err := perso.Claim(ctx, tx, perso.Identity{Serial: o.Serials[1], ChipID: "C0FFEE"}, persotest.Place(t, o.DB, "Ruang Atas"), c)
			if err != nil {
				return err
			}
			_, err = perso.ReleaseClaim(ctx, tx, h, c)
			return err
		})
	}
	read := func(key string) (chip *Chip, statements int) {
		require.NoError(t, o.DB.View(t.Context(), func(ctx context.Context, rd postgres.Reader) error {
			rd = &counting{Reader: rd}
			found, err := seeChips(ctx, rd, chipKeys(key), identity.Account{}, clock.DateOf(persotest.OfficeAt))
			chip, statements = found.Chip, rd.(*counting).n
			return err
		}))
		return chip, statements
	}
	fresh, least := read(o.Serials[0])
	tried, most := read("c0:ff:ee")
	require.Empty(t, fresh.Tries)
	require.Len(t, tried.Tries, 12)
	require.Equal(t, "released", tried.Tries[11].Outcome)
	require.Equal(t, persotest.OfficeAt, tried.Tries[11].StartedAt.UTC())
	require.Greater(t, len(tried.History), 24)
	require.Equal(t, least, most)
	require.LessOrEqual(t, most, 20)
}

func TestKeysAreComparedAsTheyAreStored(t *testing.T) {
	t.Parallel()
	for typed, want := range map[string][]string{
		" sam-0001 ": {"SAM-0001", "SAM0001"}, "ab:cd 01": {"AB:CD 01", "ABCD01"}, "X\u200b1": {"X1"}, "m/2026/1": {"M/2026/1"},
		"": nil, " ": nil, "\x00": nil, "\xff": nil, string(make([]byte, 300)): nil,
	} {
		require.Equal(t, want, chipKeys(typed), "%q", typed)
	}
}
