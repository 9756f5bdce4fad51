package report

import (
	"context"
	"fmt"
	"slices"
	"time"

	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
)

// Line is a line of a request with the lembaga's request that it bundles
// (features.md E03) and how many of its cards the produsen has received.
type Line struct {
	request.Line
	// Asked is the lembaga's request, where the line names one.
	Asked *Asked `json:"asked"`
	// Received are the cards of handovers that were received (features.md G06 to
	// G08); nil where only the sum of several lines is known.
	Received *int `json:"received"`
}

// Asked is the block "Data Lembaga Pengguna" of a line.
type Asked struct {
	Number       string    `json:"number" db:"number"`
	Reference    string    `json:"reference" db:"reference"`
	CreatedAt    time.Time `json:"created_at" db:"created_at"`
	Lembaga      string    `json:"lembaga" db:"lembaga"`
	Produsen     string    `json:"produsen" db:"produsen"`
	Quantity     int       `json:"quantity" db:"quantity"` // that was asked for
	MachineLabel string    `json:"machine_type_label" db:"machine_label"`
	Remarks      string    `json:"remarks" db:"remarks"`
}

// showLines adds to the lines what was asked and what was received.
func showLines(ctx context.Context, rd postgres.Reader, r request.Request) ([]Line, error) {
	var asked []Asked
	if err := rd.Select(ctx, &asked, `
		SELECT n.number, n.reference, n.created_at, l.name AS lembaga, p.name AS produsen, n.quantity, m.name AS machine_label, n.remarks
		FROM request_line q JOIN need n ON n.id = q.need_id JOIN institution l ON l.id = n.lembaga_id
		JOIN institution p ON p.id = n.produsen_id JOIN machine_type m ON m.code = n.machine_type
		WHERE q.request_id = $1`, r.ID); err != nil {
		return nil, fmt.Errorf("report: needs of lines: %w", err)
	}
	received, err := receivedOf(ctx, rd, r.ID)
	if err != nil {
		return nil, err
	}
	lines := make([]Line, len(r.Lines))
	for i, l := range r.Lines {
		lines[i] = Line{Line: l, Received: received(l.Line)}
		if j := slices.IndexFunc(asked, func(a Asked) bool { return a.Number == l.Need }); j >= 0 {
			lines[i].Asked = &asked[j]
		}
	}
	return lines, nil
}

// receivedOf says how many cards of each line were received, as far as the
// handovers tell: of one of long ago only the sum may be known.
func receivedOf(ctx context.Context, rd postgres.Reader, requestID string) (func(line int) *int, error) {
	var rows []struct {
		Line     int  `db:"line"`
		Received int  `db:"received"`
		Untold   bool `db:"untold"`
	}
	if err := rd.Select(ctx, &rows, `
		SELECT l.line, coalesce(sum(l.received), 0) AS received, bool_or(l.received IS NULL) AS untold
		FROM handover h JOIN handover_line l ON l.handover_id = h.id WHERE h.request_id = $1 AND h.received IS NOT NULL GROUP BY l.line`, requestID); err != nil {
		return nil, fmt.Errorf("report: received cards: %w", err)
	}
	return func(line int) *int {
		n := 0
		for _, row := range rows {
			if row.Line == line {
				if row.Untold {
					return nil
				}
				n = row.Received
			}
		}
		return &n
	}, nil
}
