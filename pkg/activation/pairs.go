package activation

import (
	"context"
	"fmt"
	"time"

	"dukcapil.go.id/sifilma/pkg/postgres"
)

// CardPair is a card for a reader, with the reader that it is recorded with.
type CardPair struct {
	ID         string     `db:"id" json:"id"` // of the card
	SAM        string     `db:"sam_serial" json:"sam_serial"`
	Reader     string     `db:"reader_serial" json:"reader_serial"` // empty while none is known
	Ticket     string     `db:"ticket" json:"ticket"`               // of the request of the card
	ProdusenID string     `db:"produsen_id" json:"-"`
	Produsen   string     `db:"produsen" json:"produsen"`
	Source     Source     `db:"source" json:"source"` // empty while none is known
	ToldBy     string     `db:"told_by" json:"told_by"`
	ToldAt     *time.Time `db:"told_at" json:"told_at"` // of SourceList none
}

// PairFilter narrows a list of pairs. Zero values do not narrow.
type PairFilter struct {
	ProdusenID string
	Unpaired   bool   // only cards whose reader nobody told
	Search     string // a part of a serial, or the ticket of the request
	After      string // the id of a card: only those that come behind it
	Limit      int    // 0 means 50
}

// Pairs lists the cards for readers, newest first, each with its reader.
func Pairs(ctx context.Context, rd postgres.Reader, f PairFilter) ([]CardPair, error) {
	if f.Limit <= 0 {
		f.Limit = 50
	}
	list := []CardPair{}
	if err := rd.Select(ctx, &list, `
		SELECT c.id, c.serial AS sam_serial, coalesce(p.reader_serial, l.reader_serial, '') AS reader_serial, r.ticket, r.institution_id AS produsen_id, i.name AS produsen,
		       CASE WHEN p.card_id IS NOT NULL THEN p.source WHEN coalesce(l.reader_serial, '') <> '' THEN 'list' ELSE '' END AS source,
		       coalesce(p.told_by, '') AS told_by, p.told_at
		FROM card c JOIN request r ON r.id = c.request_id AND r.kind = 'reader' JOIN institution i ON i.id = r.institution_id
		LEFT JOIN listed_card l ON l.id = c.id LEFT JOIN reader_pairing p ON p.card_id = c.id
		WHERE c.state <> 'reduced' AND ($1 = '' OR r.institution_id::text = $1)
		  AND (NOT $2 OR p.card_id IS NULL AND coalesce(l.reader_serial, '') = '')
		  AND ($3 = '' OR strpos(c.serial, upper($3)) > 0 OR strpos(coalesce(p.reader_serial, l.reader_serial, ''), upper($3)) > 0 OR r.ticket = upper($3))
		  AND ($4 = '' OR c.id < nullif($4, '')::uuid) ORDER BY c.id DESC LIMIT $5`,
		f.ProdusenID, f.Unpaired, f.Search, f.After, f.Limit); err != nil {
		return nil, fmt.Errorf("activation: pairs: %w", err)
	}
	return list, nil
}
