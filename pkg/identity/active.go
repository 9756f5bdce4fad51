package identity

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"dukcapil.go.id/sifilma/pkg/postgres"
)

// ActiveAccount returns the account with this id while it may be used: neither it
// nor its institution is shut out. Error: ErrNotFound.
func ActiveAccount(ctx context.Context, rd postgres.Reader, id string) (Account, error) {
	var a Account
	err := rd.Get(ctx, &a, `
		SELECT `+accountColumns+` FROM account a LEFT JOIN institution i ON i.id = a.institution_id
		WHERE a.id = $1 AND `+activeAccount, id)
	if errors.Is(err, sql.ErrNoRows) {
		return Account{}, ErrNotFound
	}
	if err != nil {
		return Account{}, fmt.Errorf("identity: reading account: %w", err)
	}
	return a, nil
}
