package need

import (
	"context"
	"errors"
	"slices"

	"dukcapil.go.id/sifilma/pkg/institution"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/postgres"
)

// Correction is what a lembaga changes of a need. A file that is not sent again
// stays as it is.
type Correction struct {
	Form
	Files    []File
	DropList bool // the present list goes, and no other comes
}

// Correct writes a new submission of a need under the same number: by the verb
// Edit while the produsen has not decided, by Resubmit after it was returned. The
// lembaga's own number and the produsen stay: to ask another one is to ask anew,
// since it is not to read what the first one said. Errors: those of Take, and
// ErrUnknownMachineType, ErrInactiveMachineType, ErrListDiffers.
func Correct(ctx context.Context, tx *postgres.Tx, n Need, verb machine.Verb, to Correction, c Change) (Need, error) {
	step, err := Machine.Step(n.State, verb, c.Actor.Role)
	if err != nil {
		return Need{}, err
	}
	if to.MachineType != n.MachineType {
		if err := usable(ctx, tx, to.MachineType); err != nil {
			return Need{}, err
		}
	}
	files, changed, err := to.files(ctx, tx, n)
	if err != nil {
		return Need{}, err
	}
	next := n
	next.Form, next.State = to.Form, step.To
	next.Reference, next.Produsen = n.Reference, n.Produsen
	next.Version++
	next.Submission++
	err = tx.ExecOne(ctx, `
		UPDATE need SET state=$4, version=version+1, submission=$5, title=$6, quantity=$7, machine_type=$8, remarks=$9
		WHERE id=$1 AND state=$2 AND version=$3`,
		n.ID, string(n.State), n.Version, string(step.To), next.Submission, next.Title, next.Quantity, next.MachineType, next.Remarks)
	if err != nil {
		return Need{}, known(err, "correcting")
	}
	if err := putFiles(ctx, tx, next, files); err != nil {
		return Need{}, err
	}
	changed = append(n.differences(next), changed...)
	return next, announce(ctx, tx, taken{next, step, c, map[string]any{"changed": changed}})
}

// files are those of the next submission, and the kinds of those that are not as
// they were. A list that stays must still be that of the form.
func (to Correction) files(ctx context.Context, rd postgres.Reader, n Need) (all []File, changed []string, err error) {
	for _, f := range to.Files {
		changed = append(changed, f.Kind)
	}
	all = to.Files
	had, err := Files(ctx, rd, n)
	if err != nil {
		return nil, nil, err
	}
	for _, f := range had {
		switch {
		case slices.Contains(changed, f.Kind):
		case f.Kind == FileList && to.DropList:
			changed = append(changed, FileList)
		case f.Kind == FileList && f.Rows > 0 && (f.Rows != to.Quantity || n.MachineType != to.MachineType):
			return nil, nil, ErrListDiffers
		default:
			all = append(all, f)
		}
	}
	return all, changed, nil
}

// differences are the fields in which a need is not as it was, by their names in
// the API.
func (n Need) differences(next Need) []string {
	changed := []string{}
	for _, field := range []struct {
		name string
		same bool
	}{
		{"title", n.Title == next.Title}, {"quantity", n.Quantity == next.Quantity},
		{"machine_type", n.MachineType == next.MachineType}, {"remarks", n.Remarks == next.Remarks},
	} {
		if !field.same {
			changed = append(changed, field.name)
		}
	}
	return changed
}

// usable says whether new work may name a machine type.
func usable(ctx context.Context, rd postgres.Reader, code string) error {
	m, err := institution.MachineTypeByCode(ctx, rd, code)
	switch {
	case errors.Is(err, institution.ErrNotFound):
		return ErrUnknownMachineType
	case err == nil && !m.Active:
		return ErrInactiveMachineType
	}
	return err
}
