package audit

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"dukcapil.go.id/sifilma/pkg/postgres"
)

// Told is an audit row about a subject, as people read it.
type Told struct {
	At     time.Time       `db:"at" json:"at"`
	Actor  string          `db:"actor" json:"actor"`
	Action string          `db:"action" json:"action"`
	Detail json.RawMessage `db:"detail" json:"detail"`
}

// About returns what was done to a subject that belongs to no request, newest
// first and at most limit rows.
func About(ctx context.Context, rd postgres.Reader, subject string, limit int) ([]Told, error) {
	rows := []Told{}
	err := rd.Select(ctx, &rows, `
		SELECT at, actor, action, detail FROM audit WHERE subject = $1 AND request_id IS NULL ORDER BY id DESC LIMIT $2`, subject, limit)
	if err != nil {
		return nil, fmt.Errorf("audit: about %s: %w", subject, err)
	}
	return rows, nil
}
