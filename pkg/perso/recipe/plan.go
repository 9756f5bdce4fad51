package recipe

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"dukcapil.go.id/sifilma/pkg/perso/profile"
	"dukcapil.go.id/sifilma/pkg/postgres"
)

var (
	// ErrNone says that no approved SAM type, profile or Kode Kunci is for a request.
	ErrNone = errors.New("recipe: nothing approved for this request")
	// ErrWithdrawn says that an edition that an order is tied to was withdrawn.
	ErrWithdrawn = errors.New("recipe: withdrawn")
)

// Plan is what a card is written by: one edition of each kind.
type Plan struct {
	SAMType Recipe
	Profile Recipe
	KeyCode Recipe
}

// Same tells whether two plans are of the same editions.
func (p Plan) Same(other Plan) bool {
	return p.SAMType.ID == other.SAMType.ID && p.Profile.ID == other.Profile.ID && p.KeyCode.ID == other.KeyCode.ID
}

// Compile reads the plan's profile with its keys.
func (p Plan) Compile() (*profile.Profile, error) {
	out, err := profile.Parse(p.Profile.Content)
	if err != nil {
		return nil, err
	}
	keys, err := profile.ParseKeyCode(p.KeyCode.Content)
	if err != nil {
		return nil, err
	}
	out.Use(keys)
	return out, nil
}

// types are the contents of the SAM types in force.
func types(ctx context.Context, rd postgres.Reader) ([]Type, error) {
	rows, err := list(ctx, rd, `WHERE kind = 'sam_type' AND state = 'active' ORDER BY code`)
	if err != nil {
		return nil, err
	}
	all := make([]Type, len(rows))
	for i, r := range rows {
		if all[i], err = r.Type(); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// For returns the plan that is in force for cards of a use. Error: ErrNone.
func For(ctx context.Context, rd postgres.Reader, u Use) (Plan, error) {
	all, err := types(ctx, rd)
	if err != nil {
		return Plan{}, err
	}
	i := slices.IndexFunc(all, func(t Type) bool { return slices.Contains(t.Uses, u) })
	if i < 0 {
		i = slices.IndexFunc(all, func(t Type) bool { return t.Default })
	}
	if i < 0 {
		return Plan{}, fmt.Errorf("%w: %s, %s", ErrNone, u.Kind, u.SAMFunction)
	}
	return inForce(ctx, rd, all[i].Code)
}

func inForce(ctx context.Context, rd postgres.Reader, samType string) (p Plan, err error) {
	if p.SAMType, err = InForce(ctx, rd, SAMType, samType); err == nil {
		var t Type
		if t, err = p.SAMType.Type(); err != nil {
			return p, err
		}
		if p.Profile, err = InForce(ctx, rd, Profile, t.Profile); err == nil {
			p.KeyCode, err = InForce(ctx, rd, KeyCode, t.KeyCode)
		}
	}
	if errors.Is(err, ErrNotFound) {
		err = fmt.Errorf("%w: SAM type %s", ErrNone, samType)
	}
	return p, err
}

// InUse returns the plans that are in force, one for each SAM type: of the default
// type first, then by code. A type that lacks something approved is left out.
func InUse(ctx context.Context, rd postgres.Reader) (plans []Plan, err error) {
	all, err := types(ctx, rd)
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(all, func(a, b Type) int {
		switch {
		case a.Default == b.Default:
			return 0
		case a.Default:
			return -1
		}
		return 1
	})
	for _, t := range all {
		p, err := inForce(ctx, rd, t.Code)
		if errors.Is(err, ErrNone) {
			continue
		}
		if err != nil {
			return nil, err
		}
		plans = append(plans, p)
	}
	return plans, nil
}

// OfOrder returns the plan that a work order is tied to, whatever became of its
// editions since. Error: ErrNotFound when no card of it was claimed.
func OfOrder(ctx context.Context, rd postgres.Reader, orderID string) (p Plan, err error) {
	rows, err := list(ctx, rd, `r JOIN order_recipe o ON r.id IN (o.sam_type_id, o.profile_id, o.key_code_id) WHERE o.work_order_id = $1`, orderID)
	if err != nil {
		return p, err
	}
	for _, r := range rows {
		switch r.Kind {
		case SAMType:
			p.SAMType = r
		case Profile:
			p.Profile = r
		case KeyCode:
			p.KeyCode = r
		}
	}
	if len(rows) == 0 {
		return p, ErrNotFound
	}
	return p, nil
}

// ToLook returns the plans that a station looks at cards by before it knows them, each
// profile once: those in force, with the named profile first, then those that orders
// are tied to whose cards may still come, and if there are none at all the one that an
// order was tied to last, so that cards in doubt can be read all the same. Error:
// ErrNone.
func ToLook(ctx context.Context, rd postgres.Reader, first string) (plans []Plan, err error) {
	if plans, err = InUse(ctx, rd); err != nil {
		return nil, err
	}
	slices.SortStableFunc(plans, func(a, b Plan) int {
		switch x, y := a.Profile.Code == first, b.Profile.Code == first; {
		case x == y:
			return 0
		case x:
			return -1
		}
		return 1
	})
	var orders []string
	if err := rd.Select(ctx, &orders, `
		SELECT DISTINCT ON (t.profile_id) t.work_order_id FROM order_recipe t JOIN work_order o ON o.id = t.work_order_id
		WHERE o.state IN ('released', 'closing')
		   OR EXISTS (SELECT FROM card c WHERE c.work_order_id = o.id AND c.state IN ('claimed', 'writing', 'written', 'verified', 'in_doubt'))
		ORDER BY t.profile_id, t.at DESC, t.work_order_id`); err != nil {
		return nil, fmt.Errorf("recipe: plans of orders: %w", err)
	}
	if len(plans) == 0 && len(orders) == 0 {
		if err := rd.Select(ctx, &orders, `SELECT work_order_id FROM order_recipe ORDER BY at DESC, work_order_id LIMIT 1`); err != nil {
			return nil, fmt.Errorf("recipe: last plan: %w", err)
		}
	}
	for _, id := range orders {
		p, err := OfOrder(ctx, rd, id)
		if err != nil {
			return nil, err
		}
		plans = append(plans, p)
	}
	seen := map[string]bool{}
	plans = slices.DeleteFunc(plans, func(p Plan) bool {
		twice := seen[p.Profile.ID]
		seen[p.Profile.ID] = true
		return twice
	})
	if len(plans) == 0 {
		return nil, fmt.Errorf("%w: no profile", ErrNone)
	}
	return plans, nil
}

// ToBegin returns the plan by which a card of a work order is begun: the one that
// the order is tied to, or else the one in force. Errors: ErrNone, ErrWithdrawn.
func ToBegin(ctx context.Context, rd postgres.Reader, orderID string, u Use) (p Plan, tied bool, err error) {
	p, err = OfOrder(ctx, rd, orderID)
	if errors.Is(err, ErrNotFound) {
		p, err = For(ctx, rd, u)
		return p, false, err
	}
	if err != nil {
		return p, false, err
	}
	for _, r := range []Recipe{p.SAMType, p.Profile, p.KeyCode} {
		if r.State == Withdrawn {
			return p, true, fmt.Errorf("%w: %s", ErrWithdrawn, r.Label())
		}
	}
	return p, true, nil
}

// Tie ties a work order to its plan, once and for ever, and returns it. The caller
// has the order locked. Errors as of ToBegin.
func Tie(ctx context.Context, tx *postgres.Tx, orderID string, u Use, officeAt time.Time) (Plan, error) {
	p, tied, err := ToBegin(ctx, tx, orderID, u)
	if err != nil || tied {
		return p, err
	}
	if err := tx.ExecOne(ctx, `
		INSERT INTO order_recipe (work_order_id, sam_type_id, profile_id, key_code_id, office_at) VALUES ($1,$2,$3,$4,$5)`,
		orderID, p.SAMType.ID, p.Profile.ID, p.KeyCode.ID, officeAt.UTC()); err != nil {
		if postgres.IsCheck(err, "order_recipe_approved") { // withdrawn or superseded this moment
			return p, postgres.ErrStale
		}
		return p, fmt.Errorf("recipe: tying order: %w", err)
	}
	return p, nil
}
