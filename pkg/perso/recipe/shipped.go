package recipe

import (
	"encoding/json"
	"errors"

	"dukcapil.go.id/sifilma/configs"
	"dukcapil.go.id/sifilma/pkg/perso/profile"
)

// FromProgram is what comes with this program. The set-up may approve the profiles
// that its SAM types name and that stations can work with; the others wait, as
// drafts.
func FromProgram() ([]Shipped, error) {
	named := map[string]bool{}
	files, err := configs.Recipes("sam-types")
	if err != nil {
		return nil, err
	}
	for _, file := range files {
		var t Type
		if err := json.Unmarshal(file, &t); err != nil {
			return nil, err
		}
		named[t.Profile] = true
	}
	var all []Shipped
	for _, of := range []struct {
		folder string
		kind   Kind
	}{{"profiles", Profile}, {"key-codes", KeyCode}, {"sam-types", SAMType}, {"numbers", Numbers}} {
		files, err := configs.Recipes(of.folder)
		if err != nil {
			return nil, err
		}
		for _, file := range files {
			approved := true
			if of.kind == Profile {
				p, err := profile.Parse(file)
				if err != nil {
					return nil, err
				}
				approved = named[p.Name] && !errors.Is(p.Runnable(), profile.ErrNotBuilt)
			}
			all = append(all, Shipped{of.kind, file, approved})
		}
	}
	return all, nil
}
