package perso

import (
	"context"
	"fmt"

	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/postgres"
)

// HandCard is a card of a request as whoever personalises by hand sees it.
type HandCard struct {
	ID         string        `db:"id" json:"id"`
	Row        int           `db:"row" json:"row"`
	Serial     string        `db:"serial" json:"serial"`
	State      machine.State `db:"state" json:"state"`
	StateLabel string        `db:"-" json:"state_label"`
	PCID       string        `db:"pcid" json:"pcid"`
	ManifestNo string        `db:"manifest_no" json:"manifest_no"`
	Reason     string        `db:"reason" json:"reason"`
	// Waiting is its result that a second person has not confirmed yet; null otherwise.
	Waiting *HandResult `db:"-" json:"waiting"`
}

// waitingLabel is the state of a card whose result a second person has to confirm.
const waitingLabel = "Hasil menunggu konfirmasi"

// HandCards returns the cards of a request in the order of its list.
func HandCards(ctx context.Context, r postgres.Reader, requestID string) ([]HandCard, error) {
	rows := []HandCard{}
	if err := r.Select(ctx, &rows, `
		SELECT c.id, l.row, c.serial, c.state, coalesce(c.pcid, '') AS pcid, coalesce(c.manifest_no, '') AS manifest_no, c.reason
		FROM card c JOIN listed_card l ON l.id = c.id WHERE c.request_id = $1 AND c.state <> 'reduced' ORDER BY l.row`, requestID); err != nil {
		return nil, fmt.Errorf("perso: cards by hand: %w", err)
	}
	waiting, err := HandResults(ctx, r, requestID)
	if err != nil {
		return nil, err
	}
	at := make(map[string]*HandResult, len(waiting))
	for i := range waiting {
		at[waiting[i].CardID] = &waiting[i]
	}
	for i := range rows {
		rows[i].StateLabel = Machine.Label(rows[i].State)
		if rows[i].Waiting = at[rows[i].ID]; rows[i].Waiting != nil {
			rows[i].StateLabel = waitingLabel
		}
	}
	return rows, nil
}

// Result is the result that a card has, or that waits for its second person, with its
// reason; empty while there is none.
func (c HandCard) Result() (result machine.State, reason string) {
	switch {
	case c.Waiting != nil:
		return c.Waiting.Result, c.Waiting.Reason
	case c.State == Clear || c.State == Failed:
		return c.State, c.Reason
	}
	return "", ""
}
