package api

import (
	"encoding/hex"
	"net/http"
	"time"

	"github.com/go-chi/chi/v5"

	"dukcapil.go.id/sifilma/daemons/portal/internal/masterdata"
	"dukcapil.go.id/sifilma/daemons/portal/internal/signin"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/perso/recipe"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/pkg/web"
)

// mountRecipes adds the routes of what cards are personalised by.
func (a *API) mountRecipes(r chi.Router) {
	r.Get("/recipes", handle(a.listRecipes))
	r.Post("/recipes", handle(a.writeRecipe))
	r.Get("/recipes/{id}", handle(a.getRecipe))
	r.Put("/recipes/{id}", handle(a.rewriteRecipe))
	for path, verb := range map[string]machine.Verb{
		"proposal": recipe.ProposeVerb, "approval": recipe.ApproveVerb, "refusal": recipe.RefuseVerb, "discarding": recipe.DiscardVerb,
		"withdrawal": recipe.WithdrawVerb,
	} {
		r.Post("/recipes/{id}/"+path, handle(a.moveRecipe(verb)))
	}
}

// recipeRow is an edition in a list.
type recipeRow struct {
	recipe.Recipe
	Label      string `json:"label"`
	KindLabel  string `json:"kind_label"`
	StateLabel string `json:"state_label"`
	SHA256     string `json:"sha256"`
}

func rowOf(r recipe.Recipe) recipeRow {
	return recipeRow{r, r.Label(), recipe.KindLabels[r.Kind], recipe.Machine.Label(r.State), hex.EncodeToString(r.SHA256)}
}

// recipeEvent is a step of an edition.
type recipeEvent struct {
	Verb     machine.Verb  `json:"verb"`
	Label    string        `json:"label"`
	To       machine.State `json:"to"`
	Actor    string        `json:"actor"`
	RoleName string        `json:"role_name"`
	Reason   string        `json:"reason"`
	OfficeAt time.Time     `json:"office_at"`
}

// recipeView is one edition.
type recipeView struct {
	recipeRow
	Content     string              `json:"content"`
	NotBuilt    string              `json:"not_built"`
	Before      *string             `json:"before"`
	Differences []recipe.Difference `json:"differences"`
	Trials      []recipe.Trial      `json:"trials"`
	Timeline    []recipeEvent       `json:"timeline"`
}

func viewRecipe(v masterdata.Recipe) recipeView {
	out := recipeView{recipeRow: rowOf(v.Recipe), Content: string(v.Content), NotBuilt: v.NotBuilt, Differences: v.Differences, Trials: v.Trials}
	if v.Before != nil {
		out.Before = new(v.Before.Label())
	}
	out.Timeline = make([]recipeEvent, len(v.Timeline))
	for i, s := range v.Timeline {
		role := request.RoleLabels[s.Role]
		if role == "" {
			role = "Sistem"
		}
		out.Timeline[i] = recipeEvent{s.Verb, recipe.Machine.VerbLabel(s.Verb), s.To, s.Actor, role, s.Reason, s.OfficeAt}
	}
	return out
}

// showRecipe answers with an edition as it is now.
func (a *API) showRecipe(w http.ResponseWriter, r *http.Request, id string) error {
	v, err := a.desk.Recipe(r.Context(), signin.Account(r), id)
	if err != nil {
		return err
	}
	shown(w, r, v.Version, viewRecipe(v))
	return nil
}

func (a *API) listRecipes(w http.ResponseWriter, r *http.Request) error {
	all, err := a.desk.Recipes(r.Context(), signin.Account(r))
	if err != nil {
		return err
	}
	rows := make([]recipeRow, len(all))
	for i, one := range all {
		rows[i] = rowOf(one)
	}
	web.WriteJSON(w, r, http.StatusOK, map[string]any{"recipes": rows})
	return nil
}

func (a *API) getRecipe(w http.ResponseWriter, r *http.Request) error {
	if !masterdata.May(signin.Account(r).Role) {
		return masterdata.ErrForbidden
	}
	id, err := rowID(r)
	if err != nil {
		return err
	}
	return a.showRecipe(w, r, id)
}

func (a *API) writeRecipe(w http.ResponseWriter, r *http.Request) error {
	if !masterdata.May(signin.Account(r).Role) {
		return masterdata.ErrForbidden
	}
	var in struct {
		Kind    recipe.Kind `json:"kind"`
		Content string      `json:"content"`
		Reason  string      `json:"reason"`
	}
	if err := web.DecodeJSON(r, &in); err != nil {
		return err
	}
	made, err := a.desk.WriteRecipe(r.Context(), signin.Account(r), in.Kind, in.Content, in.Reason)
	if err != nil {
		return err
	}
	v, err := a.desk.Recipe(r.Context(), signin.Account(r), made.ID)
	if err != nil {
		return err
	}
	created(w, r, "recipes/"+made.ID, v.Version, viewRecipe(v))
	return nil
}

// seenRecipe is the edition and version of a step, for those who may take one.
func seenRecipe(r *http.Request) (recipe.Seen, error) {
	if !masterdata.May(signin.Account(r).Role) {
		return recipe.Seen{}, masterdata.ErrForbidden
	}
	id, version, err := versioned(r)
	return recipe.Seen{ID: id, Version: version}, err
}

func (a *API) rewriteRecipe(w http.ResponseWriter, r *http.Request) error {
	seen, err := seenRecipe(r)
	if err != nil {
		return err
	}
	var in struct {
		Content string `json:"content"`
		Reason  string `json:"reason"`
	}
	if err := web.DecodeJSON(r, &in); err != nil {
		return err
	}
	if _, err := a.desk.RewriteRecipe(r.Context(), signin.Account(r), seen, in.Content, in.Reason); err != nil {
		return err
	}
	return a.showRecipe(w, r, seen.ID)
}

func (a *API) moveRecipe(verb machine.Verb) func(w http.ResponseWriter, r *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		seen, err := seenRecipe(r)
		if err != nil {
			return err
		}
		var in struct {
			Reason string `json:"reason"`
		}
		if err := decode(r, &in); err != nil {
			return err
		}
		if _, err := a.desk.MoveRecipe(r.Context(), signin.Account(r), verb, seen, in.Reason); err != nil {
			return err
		}
		return a.showRecipe(w, r, seen.ID)
	}
}
