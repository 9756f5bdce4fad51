package perso_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/perso/persotest"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
)

// expected says whether an error is one that whoever comes too late gets.
func expected(err error) bool {
	var illegal *machine.IllegalError
	for _, known := range []error{
		postgres.ErrStale, perso.ErrNotInDoubt, perso.ErrNotObserved, perso.ErrResolutionOpen, perso.ErrNoResolution, perso.ErrVoided,
		perso.ErrSamePerson, perso.ErrNotResolved,
	} {
		if errors.Is(err, known) {
			return true
		}
	}
	return errors.As(err, &illegal)
}

// TestRacesOfADoubt has two stations, two people and a late journal at one card at once,
// each with what they saw a moment ago. Whoever wins, the card takes one way: it is
// written on only by one station and as two people decided on the reading that counted,
// it is counted once, and it is not both given up and clear.
func TestRacesOfADoubt(t *testing.T) {
	t.Parallel()
	const cards = 12
	o := persotest.New(t, cards, cards)
	seed := rand.Uint64()
	ends := map[machine.State]int{}
	defer func() { t.Logf("seed %d: %v", seed, ends) }()
	for i := range cards {
		h := run(t, o, o.Serials[i], begin, doubt(""))
		tx := func(fn func(ctx context.Context, tx *postgres.Tx) error) {
			if err := o.DB.InTx(context.Background(), fn); err != nil && !expected(err) {
				t.Errorf("card %d: %v", i, err)
			}
		}
		now := func() perso.Hand {
			h, err := perso.Reload(context.Background(), o.DB, h.Card.ID)
			if err != nil {
				t.Error(err)
			}
			return h
		}
		var mu sync.Mutex
		resumed := 0
		station := func(name string, rng *rand.Rand) {
			for range 12 {
				seen := now()
				reading := []perso.Decision{perso.DecideResume, perso.DecideResume, perso.DecideSpoil}[rng.IntN(3)]
				tx(func(ctx context.Context, tx *postgres.Tx) error {
					_, err := perso.Observe(ctx, tx, seen, found(reading), atStation(name, ""))
					return err
				})
				if rng.IntN(2) == 0 {
					won := false
					tx(func(ctx context.Context, tx *postgres.Tx) error {
						_, err := perso.Resume(ctx, tx, seen, atStation(name, ""))
						won = err == nil
						return err
					})
					if won {
						mu.Lock()
						resumed++
						mu.Unlock()
					}
				}
			}
		}
		person := func(name string, rng *rand.Rand) {
			for range 20 {
				seen := now()
				d := []perso.Decision{perso.DecideResume, perso.DecideSpoil}[rng.IntN(2)]
				tx(func(ctx context.Context, tx *postgres.Tx) error {
					_, err := perso.ProposeResolution(ctx, tx, perso.Seen{ID: seen.Card.ID, Version: seen.Card.Version, Reading: &seen.Attempt.Reading}, d,
						persotest.Person(name, request.Operator, "uji"))
					return err
				})
				tx(func(ctx context.Context, tx *postgres.Tx) error {
					open, err := perso.OpenDecision(ctx, tx, h.Card.ID)
					if err == nil {
						_, err = perso.ConfirmResolution(ctx, tx, open, persotest.Person(name, request.Operator, ""))
					}
					return err
				})
			}
		}
		late := func(_ string, rng *rand.Rand) {
			for range rng.IntN(20) {
				now()
			}
			tx(func(ctx context.Context, tx *postgres.Tx) error {
				_, _, err := perso.TakeLate(ctx, tx, perso.Late{Attempt: h.Attempt.ID, Proven: true, Detail: map[string]any{"journal": 1}}, atStation("s1", ""))
				return err
			})
		}
		var all sync.WaitGroup
		for n, who := range []struct {
			name string
			does func(string, *rand.Rand)
		}{{"s1", station}, {"s2", station}, {"ani", person}, {"budi", person}, {"s3", late}} {
			rng := rand.New(rand.NewPCG(seed, uint64(i*10+n)))
			all.Go(func() { who.does(who.name, rng) })
		}
		all.Wait()
		end := now()
		ends[end.Card.State]++
		require.LessOrEqual(t, resumed, 1, "card %d", i)
		require.Equal(t, resumed == 1, end.Card.State == perso.Writing, "card %d is %s", i, end.Card.State)
		require.Contains(t, []machine.State{perso.InDoubt, perso.Writing, perso.Spoiled, perso.Clear}, end.Card.State)
		remaining, _ := o.Remaining(t)
		require.Equal(t, cards-i-1, remaining, "counted once")
		require.Zero(t, count(t, o, `SELECT count(*) FROM card_resolution WHERE card_id = $1 AND decision = 'resume' AND confirmed_by IS NOT NULL AND voided_at IS NULL
			AND reading <> (SELECT o.reading FROM card_observation o WHERE o.card_id = $1 AND NOT o.contradicts AND o.source = 'card' ORDER BY o.id DESC LIMIT 1)`, h.Card.ID),
			"a decision in force is on the reading that counts")
		require.Equal(t, end.Card.State == perso.Spoiled, count(t, o, `SELECT count(*) FROM history WHERE machine = 'card' AND subject = $1 AND to_state = 'spoiled'`, h.Card.ID) == 1)
	}
}
