package letter

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"dukcapil.go.id/sifilma/pkg/postgres"
)

// ErrOtherPortal says that papers would carry an address at which the portal is not.
var ErrOtherPortal = errors.New("letter: the portal has another address")

// SayPortal keeps the address at which the portal is reached, as the portal was told. An
// empty one, of a run without TLS, says nothing.
func SayPortal(ctx context.Context, tx *postgres.Tx, address string) error {
	address = strings.TrimRight(address, "/")
	if address == "" {
		return nil
	}
	if _, err := tx.Exec(ctx, `
		INSERT INTO portal_address AS p (address) VALUES ($1)
		ON CONFLICT (one) DO UPDATE SET address = excluded.address, said_at = clock_timestamp() WHERE p.address <> excluded.address`, address); err != nil {
		return fmt.Errorf("letter: keeping the portal's address: %w", err)
	}
	return nil
}

// SamePortal compares an address that papers are to carry with what the portal said last;
// where it said nothing, there is nothing to compare. Capitals do not matter. Error:
// ErrOtherPortal.
func SamePortal(ctx context.Context, rd postgres.Reader, address string) error {
	var said string
	err := rd.Get(ctx, &said, `SELECT address FROM portal_address`)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil
	case err != nil:
		return fmt.Errorf("letter: the portal's address: %w", err)
	case !strings.EqualFold(said, strings.TrimRight(address, "/")):
		return fmt.Errorf("%w: content.portal_url of the document generator is %s, portal.public_url of the portal is %s; papers wait until both are the same", ErrOtherPortal, address, said)
	}
	return nil
}
