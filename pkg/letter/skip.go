package letter

import (
	"context"
	"fmt"

	"dukcapil.go.id/sifilma/pkg/postgres"
)

// Skipped are numbers of a template that are left out.
type Skipped struct {
	Template string `db:"kind" json:"template"`
	Year     int    `db:"year" json:"year"`
	From     int    `db:"from" json:"from"`
	To       int    `db:"to" json:"to"`
}

// SkipNumbers leaves out the next n numbers of each template in the newest year
// of its counter: after a restore they may be on papers already. Counters that
// are not there yet begin after the gap, too, because of the row in restoration.
func SkipNumbers(ctx context.Context, tx *postgres.Tx, n int) (all []Skipped, err error) {
	if err := tx.Select(ctx, &all, `
		UPDATE document_counter c SET last = last + $1
		WHERE year = (SELECT max(year) FROM document_counter d WHERE d.kind = c.kind)
		RETURNING kind, year, last - $1 + 1 AS from, last AS to`, n); err != nil {
		return nil, fmt.Errorf("letter: leaving numbers out: %w", err)
	}
	return all, nil
}
