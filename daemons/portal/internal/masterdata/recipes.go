package masterdata

import (
	"context"
	"encoding/hex"
	"errors"
	"slices"
	"strings"

	"dukcapil.go.id/sifilma/pkg/audit"
	"dukcapil.go.id/sifilma/pkg/identity"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/perso/profile"
	"dukcapil.go.id/sifilma/pkg/perso/recipe"
	"dukcapil.go.id/sifilma/pkg/postgres"
)

// Recipe is an edition with what belongs to it.
type Recipe struct {
	recipe.Recipe
	// Before is the edition that this one is compared with: the one in force for a
	// draft or proposal, else the one of the number before. Nil if there is none.
	Before      *recipe.Recipe
	Differences []recipe.Difference
	Editions    []recipe.Recipe // newest first
	Timeline    []machine.Taken // newest first
	Trials      []recipe.Trial  // of a profile, newest first
	Keys        []NamedKey      // of a Kode Kunci
	NotBuilt    string          // what stations cannot do of a profile yet; empty if they can
	Offers      []machine.Verb  // what whoever asks can do with it now
}

// Recipes lists every edition. Error: ErrForbidden.
func (d *Desk) Recipes(ctx context.Context, who identity.Account) ([]recipe.Recipe, error) {
	if !May(who.Role) {
		return nil, ErrForbidden
	}
	return recipe.List(ctx, d.db)
}

// Recipe reads an edition. Errors: ErrForbidden, recipe.ErrNotFound.
func (d *Desk) Recipe(ctx context.Context, who identity.Account, id string) (v Recipe, err error) {
	if !May(who.Role) {
		return v, ErrForbidden
	}
	if v.Recipe, err = recipe.Get(ctx, d.db, id); err != nil {
		return v, err
	}
	if v.Editions, err = recipe.Editions(ctx, d.db, v.Kind, v.Code); err != nil {
		return v, err
	}
	if v.Timeline, err = recipe.Machine.TimelineOf(ctx, d.db, id); err != nil {
		return v, err
	}
	slices.Reverse(v.Timeline)
	if v.Trials, err = recipe.Trials(ctx, d.db, id); err != nil {
		return v, err
	}
	if v.Keys, err = namedKeys(ctx, d.db, v.Recipe); err != nil {
		return v, err
	}
	v.Differences = []recipe.Difference{}
	if v.Before = comparedWith(v.Recipe, v.Editions); v.Before != nil {
		if v.Differences, err = recipe.Differences(v.Before.Content, v.Content); err != nil {
			return v, err
		}
	}
	if v.NotBuilt, err = notBuilt(v.Recipe); err != nil {
		return v, err
	}
	for _, verb := range recipe.Machine.Offers(v.State, who.Role) {
		// Approving is offered to the second person only.
		if verb == recipe.ApproveVerb && (slices.Contains(v.Authors, who.Username) || v.ProposedBy != nil && *v.ProposedBy == who.Username) {
			continue
		}
		v.Offers = append(v.Offers, verb)
	}
	return v, nil
}

// comparedWith is what a reader of an edition wants to know the changes from.
func comparedWith(r recipe.Recipe, editions []recipe.Recipe) *recipe.Recipe {
	open := r.State == recipe.Draft || r.State == recipe.Proposed
	for i, e := range editions {
		if open && e.State == recipe.Active || !open && e.Edition < r.Edition && e.ApprovedBy != nil {
			return &editions[i]
		}
	}
	return nil
}

// notBuilt says in a word or two what stations cannot do of a profile.
func notBuilt(r recipe.Recipe) (string, error) {
	if r.Kind != recipe.Profile {
		return "", nil
	}
	p, err := profile.Parse(r.Content)
	if errors.Is(err, profile.ErrProfile) { // it was written under rules of before
		return "Isi edisi ini tidak lagi sesuai aturan profil; stasiun tidak menjalankannya. Tulis edisi berikutnya.", nil
	}
	if err != nil {
		return "", err
	}
	err = p.Runnable()
	if !errors.Is(err, profile.ErrNotBuilt) {
		return "", err
	}
	return "Program stasiun belum dapat menjalankan profil ini: " + strings.ReplaceAll(err.Error(), "\n", "; ") + ".", nil
}

// WriteRecipe writes a new edition as a draft. Errors: ErrForbidden, form.Faults.
func (d *Desk) WriteRecipe(ctx context.Context, who identity.Account, kind recipe.Kind, content, reason string) (recipe.Recipe, error) {
	return d.recipeStep(ctx, who, recipe.WriteVerb, reason, func(ctx context.Context, tx *postgres.Tx, ch recipe.Change) (recipe.Recipe, error) {
		return recipe.Write(ctx, tx, kind, typedContent(content), ch)
	})
}

// RewriteRecipe gives a draft another content. Errors: ErrForbidden, form.Faults,
// recipe.ErrNotFound, postgres.ErrStale, *machine.IllegalError.
func (d *Desk) RewriteRecipe(ctx context.Context, who identity.Account, s recipe.Seen, content, reason string) (recipe.Recipe, error) {
	return d.recipeStep(ctx, who, recipe.ChangeVerb, reason, func(ctx context.Context, tx *postgres.Tx, ch recipe.Change) (recipe.Recipe, error) {
		return recipe.Rewrite(ctx, tx, s, typedContent(content), ch)
	})
}

// typedContent is a content as it is kept: lines end as they do here, whatever a
// browser makes of them.
func typedContent(text string) []byte { return []byte(strings.ReplaceAll(text, "\r\n", "\n")) }

var recipeSteps = map[machine.Verb]func(ctx context.Context, tx *postgres.Tx, s recipe.Seen, ch recipe.Change) (recipe.Recipe, error){
	recipe.ProposeVerb: recipe.Propose, recipe.ApproveVerb: recipe.Approve, recipe.RefuseVerb: recipe.Refuse,
	recipe.DiscardVerb: recipe.Discard, recipe.WithdrawVerb: recipe.Withdraw,
}

// MoveRecipe takes a step with an edition: propose, approve, refuse, discard or
// withdraw. Errors: ErrForbidden and those of the step.
func (d *Desk) MoveRecipe(ctx context.Context, who identity.Account, verb machine.Verb, s recipe.Seen, reason string) (recipe.Recipe, error) {
	return d.recipeStep(ctx, who, verb, reason, func(ctx context.Context, tx *postgres.Tx, ch recipe.Change) (recipe.Recipe, error) {
		return recipeSteps[verb](ctx, tx, s, ch)
	})
}

func (d *Desk) recipeStep(ctx context.Context, who identity.Account, verb machine.Verb, reason string,
	do func(ctx context.Context, tx *postgres.Tx, ch recipe.Change) (recipe.Recipe, error)) (r recipe.Recipe, err error) {
	err = d.change(ctx, who, func(ctx context.Context, tx *postgres.Tx) (audit.Entry, error) {
		reason := strings.TrimSpace(reason)
		r, err = do(ctx, tx, recipe.Change{Actor: who.Actor(), Reason: reason, OfficeAt: d.office.Now()})
		return audit.Entry{Action: "recipe." + string(verb), Subject: r.ID, Detail: map[string]any{
			"kind": r.Kind, "label": r.Label(), "sha256": hex.EncodeToString(r.SHA256), "reason": reason,
		}}, err
	})
	return r, err
}
