package identity

import (
	"context"
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
