package perso

import (
	"context"
	"fmt"

	"github.com/lib/pq"

	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/postgres"
)

// Part is which cards of a request are looked at.
type Part struct {
	// Search is looked for in the numbers of a card, its reader's among them; it is
	// written as those are, in capitals.
	Search        string
	State         machine.State // empty for any
	Offset, Limit int
}

// ListPart returns some of the cards of a request in the order of List, and how many
// there are of their kind. It reads no more than it returns: a request may have
// thousands.
func ListPart(ctx context.Context, r postgres.Reader, requestID string, p Part) (rows []CardRow, total int, err error) {
	const which = `
		FROM card c JOIN listed_card l ON l.id = c.id
		WHERE c.request_id = $1 AND ($2 = '' OR c.state = $2)
		AND ($3 = '' OR strpos(c.serial, $3) > 0 OR strpos(l.reader_serial, $3) > 0 OR strpos(c.pcid, $3) > 0 OR strpos(upper(c.manifest_no), $3) > 0)`
	if err := r.Get(ctx, &total, `SELECT count(*)`+which, requestID, string(p.State), p.Search); err != nil {
		return nil, 0, fmt.Errorf("perso: counting a part: %w", err)
	}
	var ids []string
	if err := r.Select(ctx, &ids, `SELECT c.id`+which+` ORDER BY l.row LIMIT $4 OFFSET $5`,
		requestID, string(p.State), p.Search, p.Limit, p.Offset); err != nil {
		return nil, 0, fmt.Errorf("perso: part of a list: %w", err)
	}
	rows, err = these(ctx, r, requestID, ids)
	return rows, total, err
}

// these are the cards of a request with these ids, in the order of its list.
func these(ctx context.Context, r postgres.Reader, requestID string, ids []string) (rows []CardRow, err error) {
	if len(ids) == 0 {
		return nil, nil
	}
	if err := r.Select(ctx, &rows, rowsOf+`WHERE c.id = ANY ($1::uuid[]) ORDER BY l.row`, pq.Array(ids)); err != nil {
		return nil, fmt.Errorf("perso: part of a list: %w", err)
	}
	return rows, complete(ctx, r, requestID, rows)
}

// Troubled returns the cards of a request on which people decide, in its list's order:
// at most so many that are in doubt or that their station has left, and at most so many
// that failed and have no replacement.
func Troubled(ctx context.Context, r postgres.Reader, requestID string, most int) ([]CardRow, error) {
	var ids []string
	if err := r.Select(ctx, &ids, `
		(SELECT c.id FROM card c JOIN listed_card l ON l.id = c.id
		 WHERE c.request_id = $2 AND (c.state = 'in_doubt' OR c.state IN ('claimed','writing','written')
		   AND (EXISTS (SELECT FROM card_resolution s WHERE s.card_id = c.id AND s.card_version = c.version) OR NOT `+heard+`))
		 ORDER BY l.row LIMIT $3)
		UNION ALL
		(SELECT c.id FROM card c JOIN listed_card l ON l.id = c.id
		 WHERE c.request_id = $2 AND c.state IN ('failed','spoiled') AND NOT EXISTS (SELECT FROM listed_card new WHERE new.replaces = c.id)
		 ORDER BY l.row LIMIT $3)`, Silence.Seconds(), requestID, most); err != nil {
		return nil, fmt.Errorf("perso: cards to decide on: %w", err)
	}
	return these(ctx, r, requestID, ids)
}

// States counts the cards of a request by their state.
func States(ctx context.Context, r postgres.Reader, requestID string) (map[machine.State]int, error) {
	var rows []struct {
		State machine.State `db:"state"`
		N     int           `db:"n"`
	}
	if err := r.Select(ctx, &rows, `SELECT state, count(*) AS n FROM card WHERE request_id = $1 GROUP BY state`, requestID); err != nil {
		return nil, fmt.Errorf("perso: counting states: %w", err)
	}
	all := make(map[machine.State]int, len(rows))
	for _, row := range rows {
		all[row.State] = row.N
	}
	return all, nil
}

// Named is a card of a request as FindListed found it.
type Named struct {
	ID      string `db:"id"`
	Row     int    `db:"row"`
	Serial  string `db:"serial"`
	Version int64  `db:"version"`
}

// Rows are the rows of a list from First to Last, both included.
type Rows struct{ First, Last int }

// FindListed returns the cards of a request with these serials and in these rows of its
// list, in its order.
func FindListed(ctx context.Context, r postgres.Reader, requestID string, serials []string, ranges []Rows) (found []Named, err error) {
	first, last := make([]int64, len(ranges)), make([]int64, len(ranges))
	for i, one := range ranges {
		first[i], last[i] = int64(one.First), int64(one.Last)
	}
	if err := r.Select(ctx, &found, `
		SELECT c.id, l.row, c.serial, c.version FROM card c JOIN listed_card l ON l.id = c.id
		WHERE c.request_id = $1 AND (c.serial = ANY ($2)
		   OR EXISTS (SELECT FROM unnest($3::bigint[], $4::bigint[]) AS s (first, last) WHERE l.row BETWEEN s.first AND s.last))
		ORDER BY l.row`, requestID, pq.Array(serials), pq.Array(first), pq.Array(last)); err != nil {
		return nil, fmt.Errorf("perso: finding cards: %w", err)
	}
	return found, nil
}
