package request

import (
	"context"
	"fmt"

	"dukcapil.go.id/sifilma/pkg/postgres"
)

// SkipTickets leaves out the next n numbers of Kode Tiket: after a restore they
// may have been given already. It returns the first and last one left out, and
// wants the owner of the schema.
func SkipTickets(ctx context.Context, tx *postgres.Tx, n int64) (from, to int64, err error) {
	if err := tx.Get(ctx, &from, `SELECT nextval('ticket_number')`); err != nil {
		return 0, 0, fmt.Errorf("request: tickets: %w", err)
	}
	to = from + n - 1
	if _, err := tx.Exec(ctx, `SELECT setval('ticket_number', $1)`, to); err != nil {
		return 0, 0, fmt.Errorf("request: tickets: %w", err)
	}
	return from, to, nil
}
