package perso

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/lib/pq"

	"dukcapil.go.id/sifilma/pkg/audit"
	"dukcapil.go.id/sifilma/pkg/cardlist"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/outbox"
	"dukcapil.go.id/sifilma/pkg/postgres"
)

var (
	// ErrSerialTaken says that a serial already belongs to a card on the line.
	ErrSerialTaken = errors.New("perso: serial belongs to another card")
	// ErrNotReplaceable says that only a failed or spoiled card is replaced, and
	// only once.
	ErrNotReplaceable = errors.New("perso: card cannot be replaced")
)

// Enlist makes a card of each listed card of a request that has none yet, when
// the request is accepted. It returns how many. It can be called again.
func Enlist(ctx context.Context, tx *postgres.Tx, requestID string, actor machine.Actor, officeAt time.Time) (int, error) {
	step, err := Machine.Find("", EnlistVerb)
	if err != nil {
		return 0, err
	}
	var ids []string
	err = tx.Select(ctx, &ids, `
		INSERT INTO card (id, request_id, serial, state)
		SELECT l.id, l.request_id, l.serial, $2 FROM listed_card l
		WHERE l.request_id = $1 AND NOT EXISTS (SELECT FROM card c WHERE c.id = l.id)
		ORDER BY l.row
		RETURNING id`, requestID, string(Listed))
	if postgres.IsUnique(err, "card_serial") {
		return 0, ErrSerialTaken
	}
	if err != nil {
		return 0, fmt.Errorf("perso: enlisting: %w", err)
	}
	records := make([]machine.Record, len(ids))
	for i, id := range ids {
		records[i] = machine.Record{Subject: id, Request: requestID, Version: 1, Step: step, Actor: actor, OfficeAt: officeAt}
	}
	return len(ids), Machine.Write(ctx, tx, records...)
}

// Tally is how many cards of a request are where. Total counts the cards that
// are asked for: a replaced card counts by its replacement.
type Tally struct {
	Total               int `json:"total" db:"total"`
	Clear               int `json:"clear" db:"clear"`
	Failed              int `json:"failed" db:"failed"`
	InDoubt             int `json:"in_doubt" db:"in_doubt"`
	Spoiled             int `json:"spoiled" db:"spoiled"`
	Open                int `json:"open" db:"open"` // listed to verified
	AwaitingReplacement int `json:"awaiting_replacement" db:"awaiting_replacement"`
}

// Counts tallies the cards of a request. Failed and Spoiled count each card
// that ended so, also when it was replaced since.
func Counts(ctx context.Context, r postgres.Reader, requestID string) (Tally, error) {
	all, err := CountsOf(ctx, r, []string{requestID})
	return all[requestID], err
}

// CountsOf is Counts for several requests at once; those without cards are left out.
func CountsOf(ctx context.Context, r postgres.Reader, requestIDs []string) (map[string]Tally, error) {
	var rows []struct {
		ID string `db:"request_id"`
		Tally
	}
	err := r.Select(ctx, &rows, `
		SELECT c.request_id,
		       count(*) FILTER (WHERE state <> 'reduced' AND new.id IS NULL) AS total,
		       count(*) FILTER (WHERE state = 'clear') AS clear,
		       count(*) FILTER (WHERE state = 'failed') AS failed,
		       count(*) FILTER (WHERE state = 'in_doubt') AS in_doubt,
		       count(*) FILTER (WHERE state = 'spoiled') AS spoiled,
		       count(*) FILTER (WHERE state IN ('listed','bound','numbered','claimed','writing','written','verified')) AS open,
		       count(*) FILTER (WHERE state IN ('failed','spoiled') AND new.id IS NULL) AS awaiting_replacement
		FROM card c LEFT JOIN listed_card new ON new.replaces = c.id
		WHERE c.request_id = ANY ($1::uuid[]) GROUP BY c.request_id`, pq.Array(requestIDs))
	if err != nil {
		return nil, fmt.Errorf("perso: counting: %w", err)
	}
	all := make(map[string]Tally, len(rows))
	for _, row := range rows {
		all[row.ID] = row.Tally
	}
	return all, nil
}

// Complete says whether nothing of a request is left to do on the line: each
// card is clear or reduced, or failed or spoiled with a replacement that is
// clear or reduced in turn (features.md N21).
func Complete(ctx context.Context, r postgres.Reader, requestID string) (bool, error) {
	t, err := Counts(ctx, r, requestID)
	if err != nil {
		return false, err
	}
	var listed int
	if err := r.Get(ctx, &listed, `SELECT count(*) FROM listed_card WHERE request_id = $1`, requestID); err != nil {
		return false, fmt.Errorf("perso: counting the list: %w", err)
	}
	var cards int
	if err := r.Get(ctx, &cards, `SELECT count(*) FROM card WHERE request_id = $1`, requestID); err != nil {
		return false, fmt.Errorf("perso: counting the cards: %w", err)
	}
	return cards > 0 && cards == listed && t.Open == 0 && t.InDoubt == 0 && t.AwaitingReplacement == 0, nil
}

// CardRow is a card in a list for people.
type CardRow struct {
	ID           string        `db:"id" json:"id"`
	Row          int           `db:"row" json:"row"`
	Line         int           `db:"line" json:"line"`
	Serial       string        `db:"serial" json:"serial"`
	ReaderSerial string        `db:"reader_serial" json:"reader_serial"`
	State        machine.State `db:"state" json:"state"`
	StateLabel   string        `db:"-" json:"state_label"`
	Version      int64         `db:"version" json:"version"`
	PCID         string        `db:"pcid" json:"pcid"`
	ManifestNo   string        `db:"manifest_no" json:"manifest_no"`
	Reason       string        `db:"reason" json:"reason"`
	Replaces     *string       `db:"replaces" json:"replaces"`       // card id
	ReplacedBy   *string       `db:"replaced_by" json:"replaced_by"` // card id
	FinishedAt   *time.Time    `db:"finished_at" json:"finished_at"`
	Proposal     Decision      `db:"proposal" json:"proposal"` // of the station, for a card in doubt
	Resolution   *Resolution   `db:"-" json:"resolution"`      // newest decision on the present doubt
}

// List returns the cards of a request in the order of its list, replacements
// after what they replace.
func List(ctx context.Context, r postgres.Reader, requestID string) ([]CardRow, error) {
	var rows []CardRow
	err := r.Select(ctx, &rows, `
		SELECT c.id, l.row, l.line, c.serial, l.reader_serial, c.state, c.version, coalesce(c.pcid, '') AS pcid,
		       coalesce(c.manifest_no, '') AS manifest_no, c.reason, l.replaces, new.id AS replaced_by, c.finished_at,
		       CASE c.state WHEN 'in_doubt' THEN coalesce(a.proposal, '') ELSE '' END AS proposal
		FROM card c JOIN listed_card l ON l.id = c.id
		LEFT JOIN listed_card new ON new.replaces = c.id
		LEFT JOIN perso_attempt a ON a.card_id = c.id AND a.attempt = c.attempt
		WHERE c.request_id = $1
		ORDER BY l.row`, requestID)
	if err != nil {
		return nil, fmt.Errorf("perso: list: %w", err)
	}
	resolutions, err := presentResolutions(ctx, r, requestID)
	if err != nil {
		return nil, err
	}
	for i := range rows {
		rows[i].StateLabel = Machine.Label(rows[i].State)
		if one, ok := resolutions[rows[i].ID]; ok {
			rows[i].Resolution = &one
		}
	}
	return rows, nil
}

// RegisterReplacement puts a new blank in the place of a failed or spoiled card:
// a new serial linked to the old row, a card of its own, and the message that
// makes the scheduler plan it (features.md N21). Errors: ErrNotReplaceable,
// ErrSerialTaken and those of cardlist.AddReplacement.
func RegisterReplacement(ctx context.Context, tx *postgres.Tx, cardID, newSerial string, c Change) (newID string, err error) {
	old, err := getCard(ctx, tx, `WHERE id = $1 FOR UPDATE`, cardID)
	if err != nil {
		return "", err
	}
	if old.State != Failed && old.State != Spoiled {
		return "", ErrNotReplaceable
	}
	newID, err = cardlist.AddReplacement(ctx, tx, old.RequestID, old.ID, newSerial)
	if errors.Is(err, cardlist.ErrReplaced) {
		return "", ErrNotReplaceable
	}
	if err != nil {
		return "", err
	}
	n, err := Enlist(ctx, tx, old.RequestID, c.Actor, c.OfficeAt)
	if err != nil {
		return "", err
	}
	if n != 1 {
		return "", fmt.Errorf("perso: replacement of %s enlisted %d cards", old.ID, n)
	}
	var version int64
	if err := tx.Get(ctx, &version, `SELECT version FROM request WHERE id = $1`, old.RequestID); err != nil {
		return "", fmt.Errorf("perso: replacement: %w", err)
	}
	if err := audit.Record(ctx, tx, audit.Entry{
		Actor: c.Actor.Name, Action: "card.replace", Subject: old.ID, Request: old.RequestID,
		Detail: map[string]any{"replacement": newID, "serial": newSerial, "reason": c.Reason},
	}); err != nil {
		return "", err
	}
	return newID, outbox.Put(ctx, tx, outbox.Message{
		Type: "replacement.registered", Subject: old.RequestID, Version: version, Request: old.RequestID, TraceParent: old.TraceParent,
	})
}
