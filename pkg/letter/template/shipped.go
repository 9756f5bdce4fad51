package template

import (
	"context"
	"errors"
	"fmt"

	"dukcapil.go.id/sifilma/configs"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/postgres"
)

// Shipped is a template that came with the program.
type Shipped struct {
	Kind string
	File []byte
}

// FromProgram is what comes with this program.
func FromProgram() ([]Shipped, error) {
	kinds := Kinds()
	all := make([]Shipped, len(kinds))
	for i, kind := range kinds {
		file, err := configs.Template(Name(kind))
		if err != nil {
			return nil, fmt.Errorf("template: shipped %s: %w", kind, err)
		}
		all[i] = Shipped{kind, file}
	}
	return all, nil
}

// Ship puts in what came with the program and is not there yet, as the set-up's own
// act. It is in force at once where nothing is, or only what an earlier program brought:
// papers need the tags of the program that fills them. What people put in force stays,
// and beside it the new one is offered to them.
func Ship(ctx context.Context, tx *postgres.Tx, all []Shipped, ch Change) error {
	ch.Actor = machine.Actor{Name: SetUp, Role: setUpRole}
	if ch.Reason == "" {
		ch.Reason = "disertakan dengan program"
	}
	if err := lock(ctx, tx); err != nil {
		return err
	}
	for _, s := range all {
		sound, err := Read(s.Kind, s.File)
		if err != nil {
			return fmt.Errorf("template: shipped %s: %w", s.Kind, err)
		}
		e, err := insert(ctx, tx, sound, true, ch)
		var known *KnownError
		if errors.As(err, &known) {
			continue
		}
		if err != nil {
			return err
		}
		switch now, err := InForce(ctx, tx, s.Kind); {
		case err != nil && !errors.Is(err, ErrNotFound):
			return err
		case err == nil && *now.ApprovedBy != SetUp: // people's own
			continue
		}
		if _, err := enforce(ctx, tx, e, ch); err != nil {
			return err
		}
	}
	return nil
}
