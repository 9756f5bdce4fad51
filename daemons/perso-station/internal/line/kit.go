package line

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"dukcapil.go.id/sifilma/daemons/perso-station/internal/keyring"
	"dukcapil.go.id/sifilma/daemons/perso-station/internal/sam"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/perso/keybook"
	"dukcapil.go.id/sifilma/pkg/perso/profile"
	"dukcapil.go.id/sifilma/pkg/perso/recipe"
	"dukcapil.go.id/sifilma/pkg/pkcs11"
	"dukcapil.go.id/sifilma/pkg/postgres"
)

// kit is a plan made ready for work: its profile, with the keys that the HSM has.
type kit struct {
	plan    recipe.Plan
	profile *profile.Profile
	ring    *keyring.Ring
}

type kitKey struct{ profile, keyCode string }

// mostKits bounds how many are kept; a station meets few.
const mostKits = 32

// ready makes a plan ready. Editions never change, so what was compiled once stays
// good. A *perso.Refusal says that this program cannot work with it.
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
	return &kit{plan: p, profile: k.profile, ring: k.ring}, nil
}

// toLook is what a card is looked at by before it is known, the likeliest first. While
// the database is away it is what was so last: looking writes nothing. An error of
// which a *perso.Refusal is part says that there is nothing to look by.
func (l *Line) toLook(ctx context.Context) ([]*kit, error) {
	plans, err := keyring.Ask(ctx, func(ctx context.Context) ([]recipe.Plan, error) { return recipe.ToLook(ctx, l.DB, l.Profile) })
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
	kits, err := l.readyOf(plans)
	if len(kits) == 0 {
		return nil, err
	}
	l.mu.Lock()
	l.looking = kits
	l.mu.Unlock()
	return kits, nil
}

// readyOf makes those of some plans ready that this station can work with; the error
// is about the others.
func (l *Line) readyOf(plans []recipe.Plan) (kits []*kit, err error) {
	for _, p := range plans {
		k, one := l.ready(p)
		if one != nil {
			err = errors.Join(err, fmt.Errorf("line: profile %s: %w", p.Profile.Label(), one))
			continue
		}
		kits = append(kits, k)
	}
	return kits, err
}

// inForce is what new cards are written by.
func (l *Line) inForce(ctx context.Context) ([]*kit, error) {
	plans, err := recipe.InUse(ctx, l.DB)
	if err != nil {
		return nil, err
	}
	if len(plans) == 0 {
		return nil, recipe.ErrNone
	}
	kits, err := l.readyOf(plans)
	if len(kits) == 0 {
		return nil, err
	}
	return kits, nil
}

// ProfileLabel names the editions of the profiles that new cards are written by.
func (l *Line) ProfileLabel(ctx context.Context) (string, error) {
	kits, err := l.inForce(ctx)
	if err != nil {
		return "", err
	}
	var labels []string
	for _, k := range kits {
		if label := k.profile.Label(); !slices.Contains(labels, label) {
			labels = append(labels, label)
		}
	}
	return strings.Join(labels, ", "), nil
}

// CheckProfile is the readyz check of the profile: two people approved one, and this
// program can work with it.
func (l *Line) CheckProfile(ctx context.Context) error {
	_, err := l.inForce(ctx)
	return err
}

// CheckKeys is the readyz check of the HSM: it is there and has the keys of what
// cards are looked at by first. Cards of another plan whose keys it lacks are refused.
// It tells of the HSM alone: what the database does not answer is what it was last.
func (l *Line) CheckKeys(ctx context.Context) error {
	kits, err := l.toLook(ctx)
	if err != nil {
		return err
	}
	return kits[0].ring.Check(ctx)
}

// usualCommandTime is the longest time for one APDU while no profile says it.
const usualCommandTime = 10 * time.Second

// CommandTime is the longest time for one APDU, for a reader that is started now.
func (l *Line) CommandTime(ctx context.Context) time.Duration {
	kits, err := l.toLook(ctx)
	if err != nil {
		return usualCommandTime
	}
	var longest time.Duration
	for _, k := range kits {
		longest = max(longest, k.profile.Timeouts.Command.Duration())
	}
	return longest
}

// recognise looks at the card by one way after the other until one tells which listed
// card it is. A way that the card refuses, or by which nobody knows it, leaves it to
// the next; false if none told, with the first's verdict.
func (t *task) recognise(ctx context.Context) (verdict, bool) {
	work := context.WithoutCancel(ctx)
	kits, err := t.line.toLook(work)
	if err != nil {
		return t.refusedBy(err), false
	}
	var unknown *verdict
	keep := func(v verdict) {
		if unknown == nil || unknown.Chip == "" && v.Chip != "" || v.State == awaited {
			unknown = &v
		}
	}
	for _, k := range kits {
		t.dialogue.Close()
		t.kit, t.dialogue, t.look = k, sam.Open(t.card, k.profile, k.ring), sam.Look{}
		card, cancel := t.cardTime(ctx)
		look, err := t.dialogue.Look(card)
		cancel()
		if v, is := t.blind(ctx, look, err); is {
			return v, false
		}
		if err != nil {
			v := t.unreadable(err)
			if v.again { // the card is gone, or does not answer
				return v, false
			}
			keep(v)
			continue
		}
		if look.Serial, err = t.serial(work, look); err == nil {
			t.look = look
			t.hand, err = perso.Find(work, t.line.DB, perso.Identity{Serial: look.Serial, ChipID: look.ChipID})
		}
		t.look, t.guard = look, &guard{line: t.line, chip: look.ChipID}
		if err == nil {
			return verdict{}, true
		}
		if v, is := t.takenOff(ctx, err); is {
			return v, false
		}
		if t.forTest(err) {
			return t.testCard(ctx), false
		}
		if why, refused := perso.RefusedFor(err); !refused || why != perso.Unlisted && why != perso.SerialUnknown && why != perso.ScanAwaited {
			return t.refusedBy(err), false
		}
		keep(t.refusing(err))
	}
	t.said(*unknown)
	return *unknown, false
}

// lacksKeys says that the HSM of this station does not have the keys of the card's
// profile: such a card is only read here.
func (t *task) lacksKeys(ctx context.Context) bool {
	return errors.Is(t.kit.ring.Check(context.WithoutCancel(ctx)), pkcs11.ErrKeyNotFound)
}

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
	if err != nil {
		return err
	}
	t.kit = k
	t.dialogue.Close()
	t.dialogue = sam.Open(t.card, k.profile, k.ring)
	card, cancel := t.cardTime(ctx)
	defer cancel()
	look, err := t.dialogue.Look(card)
	if kind := t.classify(err); err != nil && (kind == faultRefused || kind == faultLot) {
		return errors.Join(&perso.Refusal{Why: perso.WrongType, CardID: t.hand.Card.ID}, err)
	}
	if err != nil {
		return err
	}
	if look.Serial, err = t.serial(context.WithoutCancel(ctx), look); err != nil {
		return err
	}
	if look.Serial != t.look.Serial { // what its own profile goes by is another card
		return &perso.Refusal{Why: perso.WrongType, CardID: t.hand.Card.ID}
	}
	if look.ChipID != t.look.ChipID {
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
