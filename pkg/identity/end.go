package identity

import (
	"context"
	"crypto/sha256"
	"fmt"

	"dukcapil.go.id/sifilma/pkg/postgres"
)

// EndSessions logs everybody out, such as after a restore, which may bring back
// sessions that were ended.
func EndSessions(ctx context.Context, tx *postgres.Tx) error {
	if _, err := tx.Exec(ctx, `DELETE FROM session`); err != nil {
		return fmt.Errorf("identity: ending sessions: %w", err)
	}
	return nil
}

// endSessionsOf logs one person out, everywhere but in the session of a token,
// which may be empty.
func endSessionsOf(ctx context.Context, tx *postgres.Tx, accountID, but string) error {
	sum := sha256.Sum256([]byte(but))
	if _, err := tx.Exec(ctx, `DELETE FROM session WHERE account_id = $1 AND token_sha256 <> $2`, accountID, sum[:]); err != nil {
		return fmt.Errorf("identity: ending sessions: %w", err)
	}
	return nil
}
