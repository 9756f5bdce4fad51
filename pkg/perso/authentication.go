package perso

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"dukcapil.go.id/sifilma/pkg/postgres"
)

// MaxAuthentications is how many failed authentications in a row a chip is
// given. A chip locks itself for good after a few; ten is usual, and nobody
// knows how many it has had elsewhere (card-perso.md B4).
const MaxAuthentications = 2

// ErrAuthenticationStopped says that a chip has had its failed authentications:
// no further try, whatever the keys.
var ErrAuthenticationStopped = errors.New("perso: no further authentication of this chip")

// CountAuthentication counts a try as failed before it is made, and returns how
// many that makes. Its commit must come before INITIALIZE UPDATE is sent;
// ErrAuthenticationStopped forbids it.
func CountAuthentication(ctx context.Context, tx *postgres.Tx, chipID string, at time.Time) (failures int, err error) {
	err = tx.Get(ctx, &failures, `
		INSERT INTO chip_authentication (chip_id, failures, at) VALUES ($1, 1, $2)
		ON CONFLICT (chip_id) DO UPDATE SET failures = chip_authentication.failures + 1, at = excluded.at
		WHERE chip_authentication.failures < $3 RETURNING failures`, chipID, at.UTC(), MaxAuthentications)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, ErrAuthenticationStopped
	}
	if err != nil {
		return 0, fmt.Errorf("perso: counting authentication: %w", err)
	}
	return failures, nil
}

// ClearAuthentications forgets the failures of a chip after a success.
func ClearAuthentications(ctx context.Context, tx *postgres.Tx, chipID string, at time.Time) error {
	if _, err := tx.Exec(ctx, `
		UPDATE chip_authentication SET failures = 0, at = $2 WHERE chip_id = $1 AND failures > 0`, chipID, at.UTC()); err != nil {
		return fmt.Errorf("perso: clearing authentications: %w", err)
	}
	return nil
}

// AuthenticationFailures returns how many authentications of a chip failed in a
// row, as far as this office knows.
func AuthenticationFailures(ctx context.Context, r postgres.Reader, chipID string) (int, error) {
	var n int
	err := r.Get(ctx, &n, `SELECT failures FROM chip_authentication WHERE chip_id = $1`, chipID)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("perso: reading authentications: %w", err)
	}
	return n, nil
}

// UncountAuthentication takes back the try that brought the count to failures and
// was given up before EXTERNAL AUTHENTICATE went to the chip, because the HSM did
// not answer for instance: the chip has not counted it either. Taking it back
// twice, after a commit without an answer, takes back one.
func UncountAuthentication(ctx context.Context, tx *postgres.Tx, chipID string, failures int) error {
	if _, err := tx.Exec(ctx, `
		UPDATE chip_authentication SET failures = failures - 1 WHERE chip_id = $1 AND failures = $2 AND failures > 0`, chipID, failures); err != nil {
		return fmt.Errorf("perso: taking back an authentication: %w", err)
	}
	return nil
}
