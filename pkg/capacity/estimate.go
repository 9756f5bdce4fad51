package capacity

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/lib/pq"

	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/postgres"
)

// Estimate is when a request's personalisation starts and ends: as first
// promised and as it stands.
type Estimate struct {
	FirstStart  clock.Date `db:"first_start" json:"first_start"`
	FirstFinish clock.Date `db:"first_finish" json:"first_finish"`
	Start       clock.Date `db:"start" json:"start"`
	Finish      clock.Date `db:"finish" json:"finish"`
	Cause       string     `db:"cause" json:"cause"`
	MovedAt     time.Time  `db:"moved_at" json:"moved_at"`
	// Suspended says that the request is held: these are the days that it had, which
	// hold no more; it gets new ones when it goes on.
	Suspended bool `db:"suspended" json:"suspended"`
	// Moves are all places that it has had, the first promise first.
	Moves []Move `db:"-" json:"moves"`
}

// Move is one place of an estimate, and what brought it there.
type Move struct {
	Start   clock.Date `db:"start" json:"start"`
	Finish  clock.Date `db:"finish" json:"finish"`
	Cause   string     `db:"cause" json:"cause"`
	MovedAt time.Time  `db:"moved_at" json:"moved_at"`
}

// EstimateOf returns a request's estimate, or nil while it has none.
func EstimateOf(ctx context.Context, rd postgres.Reader, requestID string) (*Estimate, error) {
	var e Estimate
	err := rd.Get(ctx, &e, `
		SELECT e.first_start, e.first_finish, e.start, e.finish, e.cause, e.moved_at, r.state = 'held' AS suspended
		FROM estimate e JOIN request r ON r.id = e.request_id WHERE e.request_id = $1`, requestID)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("capacity: reading estimate: %w", err)
	}
	e.Moves = []Move{}
	if err := rd.Select(ctx, &e.Moves, `
		SELECT start, finish, cause, moved_at FROM estimate_move WHERE request_id = $1 ORDER BY version`, requestID); err != nil {
		return nil, fmt.Errorf("capacity: reading the moves of an estimate: %w", err)
	}
	return &e, nil
}

// estimate writes the span of days of each request that has moved, of all or of
// some, with the cause, and keeps every move; the first promise stays as it was.
func estimate(ctx context.Context, tx *postgres.Tx, in PlanInput, only []string) (int, error) {
	which, args := ``, []any{in.Cause, in.OfficeAt.UTC()}
	if only != nil { // another text, for another plan
		which, args = `AND r.id = ANY ($3::uuid[])`, append(args, pq.Array(only))
	}
	n, err := tx.Exec(ctx, `
		WITH moved AS (
			INSERT INTO estimate AS e (request_id, first_start, first_finish, start, finish, cause, moved_at)
			SELECT o.request_id, min(o.day), max(o.day), min(o.day), max(o.day), $1, $2
			FROM work_order o JOIN request r ON r.id = o.request_id
			WHERE o.state <> 'revoked' AND r.state IN ('accepted','scheduled','in_progress') `+which+`
			GROUP BY o.request_id
			ON CONFLICT (request_id) DO UPDATE
			   SET start = excluded.start, finish = excluded.finish, cause = excluded.cause, moved_at = excluded.moved_at
			   WHERE (e.start, e.finish) IS DISTINCT FROM (excluded.start, excluded.finish)
			RETURNING request_id, start, finish, cause, moved_at)
		INSERT INTO estimate_move (request_id, version, start, finish, cause, moved_at)
		SELECT m.request_id, 1 + coalesce((SELECT max(version) FROM estimate_move b WHERE b.request_id = m.request_id), 0),
		       m.start, m.finish, m.cause, m.moved_at
		FROM moved m`, args...)
	if err != nil {
		return 0, fmt.Errorf("capacity: writing estimates: %w", err)
	}
	return int(n), nil
}
