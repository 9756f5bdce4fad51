package recipe

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"dukcapil.go.id/sifilma/pkg/perso/numbers"
	"dukcapil.go.id/sifilma/pkg/postgres"
)

// numbersCode is the only code of the number templates: the office gives its numbers
// by one pair of templates.
const numbersCode = "nomor"

// numberContent is the content of an edition of the number templates.
type numberContent struct {
	Code    string `json:"code"`
	Version int    `json:"version"`
	numbers.Templates
}

// NumbersInForce returns the templates by which numbers are given now, and their
// edition. Error: ErrNone.
func NumbersInForce(ctx context.Context, rd postgres.Reader) (numbers.Templates, Recipe, error) {
	r, err := InForce(ctx, rd, Numbers, numbersCode)
	if errors.Is(err, ErrNotFound) {
		return numbers.Templates{}, r, fmt.Errorf("%w: templates of numbers", ErrNone)
	}
	if err != nil {
		return numbers.Templates{}, r, err
	}
	var v numberContent
	if err := json.Unmarshal(r.Content, &v); err != nil {
		return numbers.Templates{}, r, fmt.Errorf("recipe: %s: %w", r.Label(), err)
	}
	return v.Templates, r, nil
}
