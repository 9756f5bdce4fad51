package line

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"dukcapil.go.id/sifilma/daemons/perso-station/internal/keyring"
	"dukcapil.go.id/sifilma/daemons/perso-station/internal/sam"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/perso/keybook"
	"dukcapil.go.id/sifilma/pkg/perso/profile"
	"dukcapil.go.id/sifilma/pkg/perso/recipe"
	"dukcapil.go.id/sifilma/pkg/postgres"
)

// kit is a plan made ready for work: its profile, with the keys that the HSM has.
type kit struct {
	plan    recipe.Plan
	profile *profile.Profile
	ring    *keyring.Ring
	reads   bool // of another station's profile: such cards are only read here
}

type kitKey struct{ profile, keyCode string }

// mostKits bounds how many are kept; a station meets few.
const mostKits = 32

// ready makes a plan ready. Editions never change, so what was compiled once stays
// good. A *perso.Refusal says that this station does not work with it; where it can at
// least read such cards, what it reads them by comes along.
func (l *Line) ready(p recipe.Plan) (*kit, error) {
	key := kitKey{p.Profile.ID, p.KeyCode.ID}
	l.mu.Lock()
	k := l.kits[key]
	l.mu.Unlock()
	if k == nil {
		compiled, err := p.Compile()
		if err != nil {
			return nil, err
		}
		k = &kit{profile: compiled, ring: keyring.New(l.Token, compiled, keybook.Book{DB: l.DB})}
		l.mu.Lock()
		if len(l.kits) >= mostKits {
			clear(l.kits)
		}
		l.kits[key] = k
		l.mu.Unlock()
	}
	if err := k.profile.Runnable(); err != nil {
		return nil, errors.Join(&perso.Refusal{Why: perso.OtherProfile}, err)
	}
	k = &kit{plan: p, profile: k.profile, ring: k.ring, reads: p.Profile.Code != l.Profile}
	if k.reads {
		return k, &perso.Refusal{Why: perso.OtherProfile}
	}
	return k, nil
}

// toLook is what a card is looked at by before it is known. While the database is
// away it is what was so last: looking writes nothing.
func (l *Line) toLook(ctx context.Context) (*kit, error) {
	p, err := recipe.ToLook(ctx, l.DB, l.Profile)
	if errors.Is(err, recipe.ErrNone) {
		return nil, &perso.Refusal{Why: perso.NoRecipe}
	}
	l.mu.Lock()
	last := l.looking
	l.mu.Unlock()
	if last != nil && postgres.Foreign(err) {
		return last, nil
	}
	if err != nil {
		return nil, err
	}
	k, err := l.ready(p)
	if err == nil {
		l.mu.Lock()
		l.looking = k
		l.mu.Unlock()
	}
	return k, err
}

// inForce is what new cards are written by.
func (l *Line) inForce(ctx context.Context) (*kit, error) {
	p, err := recipe.ForProfile(ctx, l.DB, l.Profile)
	if err != nil {
		return nil, err
	}
	k, err := l.ready(p)
	if err != nil {
		return nil, fmt.Errorf("line: profile %s: %w", p.Profile.Label(), err)
	}
	return k, nil
}

// ProfileLabel names the edition of the profile that new cards are written by.
func (l *Line) ProfileLabel(ctx context.Context) (string, error) {
	k, err := l.inForce(ctx)
	if err != nil {
		return "", err
	}
	return k.profile.Label(), nil
}

// CheckProfile is the readyz check of the profile: two people approved one, and this
// program can work with it.
func (l *Line) CheckProfile(ctx context.Context) error {
	_, err := l.inForce(ctx)
	return err
}

// CheckKeys is the readyz check of the HSM: it is there and has the keys.
func (l *Line) CheckKeys(ctx context.Context) error {
	k, err := l.toLook(ctx)
	if err != nil {
		return err
	}
	return k.ring.Check(ctx)
}

// usualCommandTime is the longest time for one APDU while no profile says it.
const usualCommandTime = 10 * time.Second

// CommandTime is the longest time for one APDU, for a reader that is started now.
func (l *Line) CommandTime(ctx context.Context) time.Duration {
	k, err := l.toLook(ctx)
	if err != nil {
		return usualCommandTime
	}
	return k.profile.Timeouts.Command.Duration()
}

// readable are the states of cards that a station of another profile may read.
var readable = []machine.State{perso.InDoubt, perso.Failed, perso.Spoiled, perso.Reduced}

// turn has the card looked at by its own plan, where the first look was by another
// one.
func (t *task) turn(ctx context.Context) error {
	plan, err := perso.PlanOf(context.WithoutCancel(ctx), t.line.DB, t.hand, clock.Today(t.line.Office))
	if err != nil {
		return err
	}
	if plan.Same(t.kit.plan) {
		return nil
	}
	k, err := t.line.ready(plan)
	if err != nil && (k == nil || !slices.Contains(readable, t.hand.Card.State)) {
		return err
	}
	t.kit = k
	t.dialogue.Close()
	t.dialogue = sam.Open(t.card, k.profile, k.ring)
	card, cancel := t.cardTime(ctx)
	defer cancel()
	look, err := t.dialogue.Look(card)
	if err != nil {
		return err
	}
	if look.ChipID != t.look.ChipID || look.Serial != t.look.Serial {
		return errChanged
	}
	t.look = look
	return nil
}

var errChanged = errors.New("line: another card than a moment ago")

// turned is the verdict on a card whose own plan could not be taken up.
func (t *task) turned(err error) verdict {
	var refusal *perso.Refusal
	if errors.As(err, &refusal) || postgres.Foreign(err) {
		return t.refusedBy(err)
	}
	return t.unreadable(err)
}
