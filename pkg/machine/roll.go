package machine

import (
	"context"
	"fmt"
	"time"

	"dukcapil.go.id/sifilma/pkg/postgres"
)

// Roll makes the timeline's partitions up to the month of until, as far as they
// are not there yet, and says how many it made. Subjects carry the machine's time
// of their birth, so until is of the machine clock too. Several may roll at once.
func Roll(ctx context.Context, db *postgres.DB, until time.Time) (made int, err error) {
	err = db.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		return tx.Get(ctx, &made, `SELECT roll_history($1)`, until.UTC())
	})
	if err != nil {
		return 0, fmt.Errorf("machine: rolling the timeline: %w", err)
	}
	return made, nil
}

// Stray says how many steps are in the partition that is only there so that no
// step is ever refused. More than none means that nobody rolls the timeline, or
// that a subject is no UUIDv7. It counts to a thousand.
func Stray(ctx context.Context, r postgres.Reader) (n int, err error) {
	if err := r.Get(ctx, &n, `SELECT count(*) FROM (SELECT FROM history_rest LIMIT 1000) AS stray`); err != nil {
		return 0, fmt.Errorf("machine: looking for stray steps: %w", err)
	}
	return n, nil
}
