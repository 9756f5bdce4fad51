package perso

import (
	"context"
	"errors"
	"fmt"

	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/perso/recipe"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
)

// PlanOf returns the plan that a card has to be looked at by: of one whose writing
// was begun, is done, or that was given up, its attempt's; of another, the one that a claim will most likely find,
// for Claim has the last word. A *Refusal says that there is none.
func PlanOf(ctx context.Context, rd postgres.Reader, h Hand, today clock.Date) (recipe.Plan, error) {
	switch h.Card.State {
	case Writing, Written, Verified, Clear, InDoubt, Failed, Spoiled, Reduced:
		if h.Attempt.WorkOrderID == "" { // it was never claimed
			return recipe.Plan{}, &Refusal{Why: NoRecipe, CardID: h.Card.ID}
		}
		p, err := recipe.OfOrder(ctx, rd, h.Attempt.WorkOrderID)
		if errors.Is(err, recipe.ErrNotFound) { // an attempt of before
			return p, &Refusal{Why: NoRecipe, CardID: h.Card.ID}
		}
		return p, err
	}
	r, err := request.Get(ctx, rd, h.Card.RequestID)
	if err != nil {
		return recipe.Plan{}, err
	}
	var orders []string
	if err := rd.Select(ctx, &orders, `
		SELECT o.id FROM work_order o WHERE o.request_id = $1 AND o.state = 'released' AND o.mode = 'station' AND o.day <= $3 AND o.remaining > (
			SELECT count(*) FROM card c WHERE c.work_order_id = o.id AND c.id <> $2 AND c.state IN ('claimed','writing','written','verified'))
		ORDER BY o.day, o.id LIMIT 1`, r.ID, h.Card.ID, today); err != nil {
		return recipe.Plan{}, fmt.Errorf("perso: order of a card: %w", err)
	}
	if len(orders) == 0 { // the claim says what is the matter
		p, err := recipe.For(ctx, rd, useOf(r))
		return p, unplanned(err, h.Card)
	}
	p, _, err := recipe.ToBegin(ctx, rd, orders[0], useOf(r))
	return p, unplanned(err, h.Card)
}

func useOf(r request.Request) recipe.Use { return recipe.Use{Kind: r.Kind, SAMFunction: r.SAMFunction} }

// unplanned makes the absence of a plan a refusal of the card.
func unplanned(err error, c Card) error {
	switch {
	case errors.Is(err, recipe.ErrNone):
		return &Refusal{Why: NoRecipe, CardID: c.ID}
	case errors.Is(err, recipe.ErrWithdrawn):
		return &Refusal{Why: RecipeGone, CardID: c.ID}
	}
	return err
}
