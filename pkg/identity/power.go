package identity

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/google/uuid"

	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/postgres"
)

// ErrSecondKeeper says that a change gives power in the office, so that one keeper
// can only propose it; see Propose. Nothing was changed.
var ErrSecondKeeper = errors.New("identity: a second keeper has to confirm this")

// Office says whether a role is one of the office's own people.
func Office(role machine.Role) bool {
	return slices.Contains(Keepers, role) || slices.Contains(officeRoles, role)
}

// CreatePerson writes a new account with a password for once. Errors:
// ErrSecondKeeper, form.Faults.
func CreatePerson(ctx context.Context, tx *postgres.Tx, a Account, password OneTime) (Person, error) {
	if Office(a.Role) {
		return Person{}, ErrSecondKeeper
	}
	id, err := uuid.NewV7()
	if err != nil {
		return Person{}, fmt.Errorf("identity: id: %w", err)
	}
	a.ID = id.String()
	return createPerson(ctx, tx, a, password)
}

// ChangePerson gives an account another name, role or institution, as of its
// version in a. Another role or institution ends its sessions. by is the id of
// whoever asks. Errors: ErrSecondKeeper, form.Faults, ErrNotFound, ErrOwnAccount,
// ErrLastOfRole, postgres.ErrStale.
func ChangePerson(ctx context.Context, tx *postgres.Tx, a Account, by string) (Person, error) {
	now, err := lockPerson(ctx, tx, a.ID, a.Version)
	if err != nil {
		return now, err
	}
	if Office(a.Role) && a.Role != now.Role {
		return now, ErrSecondKeeper
	}
	return changePerson(ctx, tx, a, by)
}

// SetPersonActive shuts an account out, which ends its sessions, or lets it in
// again. Errors: ErrSecondKeeper, ErrNotFound, ErrAlready, ErrOwnAccount,
// ErrLastOfRole, postgres.ErrStale.
func SetPersonActive(ctx context.Context, tx *postgres.Tx, id string, version int64, active bool, by string) (Person, error) {
	now, err := lockPerson(ctx, tx, id, version)
	if err != nil {
		return now, err
	}
	if active && Office(now.Role) {
		return now, ErrSecondKeeper
	}
	return setActive(ctx, tx, id, version, active, by)
}

// ResetPassword gives an account a password for once, ends its sessions and its
// lock. Errors: ErrSecondKeeper, ErrNotFound, ErrOwnAccount, postgres.ErrStale.
func ResetPassword(ctx context.Context, tx *postgres.Tx, id string, version int64, password OneTime, by string) (Person, error) {
	now, err := lockPerson(ctx, tx, id, version)
	if err != nil {
		return now, err
	}
	if Office(now.Role) {
		return now, ErrSecondKeeper
	}
	return resetPassword(ctx, tx, id, version, password, by)
}
