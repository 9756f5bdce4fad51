package line_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/daemons/perso-station/internal/line"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/test/virtualsam/card"
)

// TestFinishedCardWithoutTries: a station that ends twice in the middle of a
// proof leaves a good card without tries. It is proven by what it shows and by
// OPEN SAM; one that does not open is for people to give up.
func TestFinishedCardWithoutTries(t *testing.T) {
	t.Parallel()
	b := newBench(t, 3)
	first := b.chip(b.Serials[0])
	require.Equal(t, "clear", b.outcome(first).Outcome)
	last := b.reader.commands()
	b.removeCard()
	for i, opens := range []bool{true, false} {
		serial := b.Serials[i+1]
		chip := b.chip(serial)
		chip.SetFault(card.Fault{VanishAtAPDU: last, Executed: true})
		b.reader.insert(chip)
		b.waitFor("the card to be gone", func(s line.ReaderStatus) bool { return s.State == "empty" && b.Card(t, serial).State == perso.InDoubt })
		require.Equal(t, "0F", chip.State().LifeCycle)
		b.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
			for range perso.MaxAuthentications {
				_, err := perso.CountAuthentication(ctx, tx, chip.State().ChipID, b.line.Office.Now())
				if err != nil {
					return err
				}
			}
			return nil
		})
		if !opens {
			chip.SetFault(card.Fault{MemoryFailureAt: card.StepOpenSAM})
			b.outcome(chip)
			b.waitFor("a finding", func(line.ReaderStatus) bool { return b.proposal(serial) == perso.DecideSpoil })
			b.removeCard()
			chip.SetFault(card.Fault{})
			require.Equal(t, "in_doubt", b.outcome(chip).Outcome, "what was found is not found again")
			require.Equal(t, perso.DecideSpoil, b.proposal(serial))
			continue
		}
		require.Equal(t, "clear", b.outcome(chip).Outcome)
		b.judge(chip, serial)
		require.Zero(t, chip.State().AuthFailures)
		b.removeCard()
	}
}

// A writing that is taken up authenticates twice, with nothing recorded between:
// the second try begins where the success of the first left the counter.
func TestASuccessCountsForTheNextTry(t *testing.T) {
	t.Parallel()
	b := newBench(t, 1)
	failures := func() int { return b.count(`SELECT failures FROM chip_authentication WHERE chip_id = 'CHIP'`) }
	killed := b.line.Try("CHIP")
	require.NoError(t, killed(t.Context(), false)) // and nobody is left to settle it
	try := b.line.Try("CHIP")
	require.NoError(t, try(t.Context(), true))
	require.Equal(t, perso.MaxAuthentications, failures())
	require.NoError(t, try(t.Context(), true))
	require.Equal(t, 1, failures())
	require.NoError(t, try(t.Context(), false))
	require.Equal(t, 1, failures())
	require.NoError(t, try(t.Context(), false))
	require.ErrorIs(t, try(t.Context(), false), perso.ErrAuthenticationStopped)
}
