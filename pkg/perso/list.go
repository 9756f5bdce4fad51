package perso

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/lib/pq"

	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/postgres"
)

// ErrSerialTaken says that a serial already belongs to a card on the line.
var ErrSerialTaken = errors.New("perso: serial belongs to another card")

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
	Reduced             int `json:"reduced" db:"reduced"` // taken off by a signed letter
}

// Counts tallies the cards of a request. Failed and Spoiled count each card
// that ended so, also when it was replaced since, but not when it was reduced.
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
		       count(*) FILTER (WHERE state IN ('failed','spoiled') AND new.id IS NULL) AS awaiting_replacement,
		       count(*) FILTER (WHERE state = 'reduced') AS reduced
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

// Finished lists requests in production of which nothing is left to do on the line, as
// Complete says: the first hundred.
func Finished(ctx context.Context, r postgres.Reader) (ids []string, err error) {
	var likely []string
	if err := r.Select(ctx, &likely, `
		SELECT r.id FROM request r WHERE r.state = 'in_progress'
		  AND EXISTS (SELECT FROM card c WHERE c.request_id = r.id)
		  AND NOT EXISTS (SELECT FROM card c WHERE c.request_id = r.id AND c.state NOT IN ('clear','reduced','failed','spoiled'))
		ORDER BY r.id LIMIT 100`); err != nil {
		return nil, fmt.Errorf("perso: looking for finished requests: %w", err)
	}
	for _, id := range likely {
		done, err := Complete(ctx, r, id)
		if err != nil {
			return nil, err
		}
		if done {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

// CardRow is a card in a list for people.
type CardRow struct {
	ID           string        `db:"id" json:"id"`
	Row          int           `db:"row" json:"row"`
	Line         int           `db:"line" json:"line"`
	Serial       string        `db:"serial" json:"serial"`
	ReaderSerial string        `db:"reader_serial" json:"reader_serial"`
	UID          string        `db:"uid" json:"-"` // of the chip, where the list names chips
	State        machine.State `db:"state" json:"state"`
	StateLabel   string        `db:"-" json:"state_label"`
	Version      int64         `db:"version" json:"version"`
	PCID         string        `db:"pcid" json:"pcid"`
	ManifestNo   string        `db:"manifest_no" json:"manifest_no"`
	Reason       string        `db:"reason" json:"reason"`
	Replaces     *string       `db:"replaces" json:"replaces"`       // card id
	ReplacedBy   *string       `db:"replaced_by" json:"replaced_by"` // card id
	OldSerial    string        `db:"old_serial" json:"-"`            // of Replaces
	NewSerial    string        `db:"new_serial" json:"-"`            // of ReplacedBy
	FinishedAt   *time.Time    `db:"finished_at" json:"finished_at"`
	Proposal     Decision      `db:"proposal" json:"proposal"` // of the station, for a card in doubt
	// Observed is what the station read from a card in doubt; null for others.
	Observed   *json.RawMessage `db:"observed" json:"observed"`
	Reading    string           `db:"reading" json:"reading"` // fingerprint of Observed, to decide on what was seen
	Resolution *Resolution      `db:"-" json:"resolution"`    // newest decision on the present doubt that is in force
	Voided     *Resolution      `db:"-" json:"voided"`        // decision that another reading of the card took its force, and none replaced
	// Abandoned says that a station has it, or none comes to verify it, and nothing was
	// heard for the Silence, or the StationSilence of one that beats.
	Abandoned bool      `db:"-" json:"abandoned"`
	ByHand    bool      `db:"by_hand" json:"-"`   // numbered or given a result by people
	Reduction *TakenOff `db:"-" json:"reduction"` // by which it was taken off the request
}

// TakenOff says by which letter a card was taken off its request, and what it was
// until then.
type TakenOff struct {
	ID           string        `json:"id"`
	LetterNumber string        `json:"letter_number"`
	LetterDate   clock.Date    `json:"letter_date"`
	Was          machine.State `json:"was"`
	WasLabel     string        `json:"was_label"`
}

// rowsOf reads cards as people see them; what stands behind it narrows and orders.
const rowsOf = `
	SELECT c.id, l.row, l.line, c.serial, l.reader_serial, l.uid, c.state, c.version, c.by_hand, coalesce(c.pcid, '') AS pcid,
	       coalesce(c.manifest_no, '') AS manifest_no, c.reason, l.replaces, new.id AS replaced_by, c.finished_at,
	       coalesce(old.serial, '') AS old_serial, coalesce(new.serial, '') AS new_serial,
	       CASE c.state WHEN 'in_doubt' THEN coalesce(a.proposal, '') ELSE '' END AS proposal,
	       CASE c.state WHEN 'in_doubt' THEN a.observed END AS observed,
	       CASE c.state WHEN 'in_doubt' THEN coalesce(a.reading, '') ELSE '' END AS reading
	FROM card c JOIN listed_card l ON l.id = c.id
	LEFT JOIN listed_card new ON new.replaces = c.id
	LEFT JOIN listed_card old ON old.id = l.replaces
	LEFT JOIN perso_attempt a ON a.card_id = c.id AND a.attempt = c.attempt `

// List returns the cards of a request in the order of its list, replacements
// after what they replace.
func List(ctx context.Context, r postgres.Reader, requestID string) ([]CardRow, error) {
	var rows []CardRow
	if err := r.Select(ctx, &rows, rowsOf+`WHERE c.request_id = $1 ORDER BY l.row`, requestID); err != nil {
		return nil, fmt.Errorf("perso: list: %w", err)
	}
	return rows, complete(ctx, r, requestID, rows)
}

// StateLabel is the Indonesian name of the state of a card, also of one that is
// personalised by hand.
func StateLabel(state machine.State, byHand bool) string {
	if byHand && state == Claimed {
		return waitingLabel
	}
	return Machine.Label(state)
}

// complete adds to cards of a request what was decided on them.
func complete(ctx context.Context, r postgres.Reader, requestID string, rows []CardRow) error {
	if err := listen(ctx, r, requestID, rows); err != nil {
		return err
	}
	valid, void, err := presentResolutions(ctx, r, `c.request_id = $1`, requestID)
	if err != nil {
		return err
	}
	off, err := takenOff(ctx, r, rows)
	if err != nil {
		return err
	}
	for i := range rows {
		rows[i].StateLabel, rows[i].Reduction = StateLabel(rows[i].State, rows[i].ByHand), off[rows[i].ID]
		rows[i].decided(valid, void)
	}
	return nil
}

// decided adds what was decided on a card.
func (c *CardRow) decided(valid, void map[string]Resolution) {
	if one, ok := valid[c.ID]; ok {
		c.Resolution = &one
	}
	if one, ok := void[c.ID]; ok {
		c.Voided = &one
	}
}

// takenOff are the letters by which those of the cards that are reduced were taken off.
func takenOff(ctx context.Context, r postgres.Reader, rows []CardRow) (map[string]*TakenOff, error) {
	var ids []string
	for _, c := range rows {
		if c.State == Reduced {
			ids = append(ids, c.ID)
		}
	}
	if ids == nil {
		return nil, nil
	}
	var all []struct {
		CardID string        `db:"card_id"`
		ID     string        `db:"id"`
		Number string        `db:"letter_number"`
		Date   clock.Date    `db:"letter_date"`
		Was    machine.State `db:"was"`
	}
	if err := r.Select(ctx, &all, `
		SELECT c.card_id, d.id, d.letter_number, d.letter_date, c.was
		FROM reduced_card c JOIN card_reduction d ON d.id = c.reduction_id WHERE c.card_id = ANY ($1::uuid[])`, pq.Array(ids)); err != nil {
		return nil, fmt.Errorf("perso: letters of reduced cards: %w", err)
	}
	off := map[string]*TakenOff{}
	for _, c := range all {
		off[c.CardID] = &TakenOff{ID: c.ID, LetterNumber: c.Number, LetterDate: c.Date, Was: c.Was, WasLabel: Machine.Label(c.Was)}
	}
	return off, nil
}
