package capacity

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

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
		SELECT first_start, first_finish, start, finish, cause, moved_at FROM estimate WHERE request_id = $1`, requestID)
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
