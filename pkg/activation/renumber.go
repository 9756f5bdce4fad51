package activation

import (
	"context"
	"fmt"

	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/postgres"
)

// Renumbered is a line whose manifest got another serial before it was signed.
type Renumbered struct {
	ID         string     `db:"id" json:"-"`
	Ticket     string     `db:"ticket" json:"ticket"`
	Line       int        `db:"line" json:"line"`
	AcceptedOn clock.Date `db:"accepted_on" json:"-"`
	Was        string     `db:"manifest_serial" json:"was"`
	Now        string     `json:"now"`
}

// Renumber gives other serials to lines whose manifests are not signed: all of them, or
// those whose serials are from an earlier timeline of the write-ahead log. After a restore
// such a line may have been signed after the moment: that manifest is out there, and its
// serial must not name a second one. After a failover it costs a few numbers.
func Renumber(ctx context.Context, tx *postgres.Tx, all bool) ([]Renumbered, error) {
	lines := []Renumbered{}
	if err := tx.Select(ctx, &lines, `
		SELECT a.id, t.ticket, a.line, a.accepted_on, a.manifest_serial FROM activation a JOIN activation_letter t ON t.id = a.letter_id
		WHERE a.manifest_serial IS NOT NULL AND a.state IN ('accepted', 'suspended') AND NOT EXISTS (SELECT FROM activation_manifest m WHERE m.activation_id = a.id)
		  AND ($1 OR split_part(a.manifest_serial, '-', 3)::bigint <= (wal_timeline() - 1)::bigint * 10000000)
		ORDER BY a.id FOR UPDATE OF a`, all); err != nil {
		return nil, fmt.Errorf("activation: serials of manifests: %w", err)
	}
	for i, l := range lines {
		serials, err := manifestSerials(ctx, tx, l.AcceptedOn.Year, 1)
		if err != nil {
			return nil, err
		}
		if err := tx.ExecOne(ctx, `UPDATE activation SET manifest_serial = $2 WHERE id = $1`, l.ID, serials[0]); err != nil {
			return nil, fmt.Errorf("activation: another serial for %s: %w", l.Was, err)
		}
		lines[i].Now = serials[0]
	}
	return lines, nil
}
