package perso

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/postgres"
)

var (
	// ErrNotAbandoned says that no station has the card, so that there is nothing to
	// take from it.
	ErrNotAbandoned = errors.New("perso: card is in no station's hand")
	// ErrStationHeard says that the station that has the card was heard of lately.
	ErrStationHeard = errors.New("perso: the card's station was heard of lately")
)

// Silence is how long nothing must have been heard of a card, and of the station that
// has it, before people may take it away from there, where that station says nothing of
// itself. A card takes seconds. A station that beats is believed sooner: see
// StationSilence.
const Silence = time.Hour

// abandonable are the states of cards that wait for a station, however long.
var abandonable = []machine.State{Claimed, Writing, Written}

// heard says whether the card is on its way all the same. Of a card that a station has,
// that is so while it moves, and as long as a station that beats says that it works on
// it; a station that is there and does not have it will not come back to it by itself.
// Where no station ever beat, it is so within the Silence of any card that the station
// has begun, written or ended. One that was decided to be finished is in no station's
// hand: it waits for any. One that is done by hand waits for people. All by the database's clock, which is no office time. $1 is the
// Silence, the 600 seconds are the StationSilence.
const heard = `(
	SELECT c.by_hand OR EXISTS (SELECT FROM history h WHERE h.machine = 'card' AND h.subject = c.id AND h.at > now() - make_interval(secs =>
	        CASE WHEN c.state = 'written' OR s.heard_at IS NULL THEN $1::float8 ELSE 600 END))
	    OR c.state <> 'written' AND CASE
	        WHEN s.heard_at IS NULL THEN EXISTS (
	            SELECT FROM perso_attempt a WHERE a.station = own.station AND a.id >= uuid_floor(now() - interval '7 days')
	            AND greatest(a.claimed_at, a.writing_at, a.ended_at) > now() - make_interval(secs => $1))
	        ELSE s.heard_at > now() - make_interval(secs => 600) AND c.id = ANY (s.in_hand) END
	FROM (SELECT) one
	LEFT JOIN perso_attempt own ON own.card_id = c.id AND own.attempt = c.attempt
	LEFT JOIN station s ON s.name = own.station)`

// stationHeard is nil when nothing was heard of the card for so long that people may
// take it away from its station: ErrStationHeard.
func stationHeard(ctx context.Context, r postgres.Reader, cardID string) error {
	var yes bool
	if err := r.Get(ctx, &yes, `SELECT `+heard+` FROM card c WHERE c.id = $2`, Silence.Seconds(), cardID); err != nil {
		return fmt.Errorf("perso: listening for a station: %w", err)
	}
	if yes {
		return ErrStationHeard
	}
	return nil
}

// decidable says whether a decision is one about a card in this state.
func decidable(c Card, d Decision) error {
	switch {
	case d == DecideDoubt && !slices.Contains(abandonable, c.State):
		return ErrNotAbandoned
	case d != DecideDoubt && c.State != InDoubt:
		return ErrNotInDoubt
	}
	return nil
}

// abandon takes a card away from a station that is not heard of any more, as two
// people decided. Where nothing was written it goes back to the queue; else nobody
// knows what is on it. What the station says later of the same attempt counts as of
// any card in doubt.
func abandon(ctx context.Context, w *walk, h Hand, detail map[string]any) (Card, error) {
	if h.Card.State == Claimed {
		if err := w.take(ctx, ReleaseVerb, detail, ``); err != nil {
			return Card{}, err
		}
		if err := endAttempt(ctx, w.tx, h.Attempt.ID, "released"); err != nil {
			return Card{}, err
		}
		return w.card, w.done(ctx)
	}
	if err := w.take(ctx, DoubtVerb, detail, `, reason=$6`, w.change.Reason); err != nil {
		return Card{}, err
	}
	w.card.Reason = w.change.Reason
	h, err := w.end(ctx, h, "in_doubt")
	return h.Card, err
}

// listen says of the cards of a request which their stations have abandoned.
func listen(ctx context.Context, r postgres.Reader, requestID string, rows []CardRow) error {
	if !slices.ContainsFunc(rows, func(c CardRow) bool { return slices.Contains(abandonable, c.State) }) {
		return nil
	}
	var ids []string
	if err := r.Select(ctx, &ids, `
		SELECT c.id FROM card c WHERE c.request_id = $2 AND c.state IN ('claimed','writing','written') AND NOT `+heard, Silence.Seconds(), requestID); err != nil {
		return fmt.Errorf("perso: listening for stations: %w", err)
	}
	for i := range rows {
		rows[i].Abandoned = slices.Contains(ids, rows[i].ID)
	}
	return nil
}
