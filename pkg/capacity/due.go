package capacity

import (
	"context"
	"fmt"
	"slices"

	"github.com/lib/pq"

	"dukcapil.go.id/sifilma/pkg/postgres"
)

// Due is a change of the plan's inputs that nobody has planned with yet. Triggers of
// the tables that people write keep it, in the transaction of the change, beside the
// message that rings for it.
type Due struct {
	ID        int64  `db:"id"`
	Bell      string `db:"bell"`       // the type of that message
	Subject   string `db:"subject"`    // of that message; empty where it does not say what changed
	RequestID string `db:"request_id"` // to look at, if any
}

// Waits is what waits for the planner.
type Waits struct {
	// Oldest and Newest are the ids of what is due; 0: nothing is.
	Oldest, Newest int64
	// Accepted are requests that have no place yet, the first hundred.
	Accepted []string
}

// WaitsNow says what waits for the planner, at the cost of a look at what is nearly
// always empty.
func WaitsNow(ctx context.Context, rd postgres.Reader) (w Waits, err error) {
	var row struct {
		Oldest   int64          `db:"oldest"`
		Newest   int64          `db:"newest"`
		Accepted pq.StringArray `db:"accepted"`
	}
	if err := rd.Get(ctx, &row, `
		SELECT coalesce((SELECT min(id) FROM plan_due), 0) AS oldest, coalesce((SELECT max(id) FROM plan_due), 0) AS newest,
		       ARRAY(SELECT id::text FROM request WHERE state = 'accepted' ORDER BY id LIMIT 100) AS accepted`); err != nil {
		return w, fmt.Errorf("capacity: looking for what is due: %w", err)
	}
	return Waits{row.Oldest, row.Newest, row.Accepted}, nil
}

// TakeDue takes all that is due, oldest first. The caller plans with it in the same
// transaction; what is changed from here on is due again.
func TakeDue(ctx context.Context, tx *postgres.Tx) ([]Due, error) {
	if err := Lock(ctx, tx); err != nil {
		return nil, err
	}
	var list []Due
	if err := tx.Select(ctx, &list, `
		DELETE FROM plan_due RETURNING id, bell, coalesce(subject::text, '') AS subject, coalesce(request_id::text, '') AS request_id`); err != nil {
		return nil, fmt.Errorf("capacity: taking what is due: %w", err)
	}
	slices.SortFunc(list, func(a, b Due) int { return int(a.ID - b.ID) })
	return list, nil
}
