package report

import (
	"context"

	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/postgres"
)

// DoubtList is the desk of cards whose result is not known.
type DoubtList struct {
	Doubts []perso.DoubtRow `json:"doubts"` // the oldest first
	Total  int              `json:"total"`  // also those that are not in Doubts
	// Contradictions are results that came too late and say otherwise than was decided.
	Contradictions []perso.Contradiction `json:"contradictions"`
}

// Doubts reads the desk, as it is at one moment; of each list most rows at most. It is
// for the office alone: the caller keeps others away.
func Doubts(ctx context.Context, db *postgres.DB, most int) (list DoubtList, err error) {
	err = db.View(ctx, func(ctx context.Context, rd postgres.Reader) (err error) {
		if list.Doubts, list.Total, err = perso.Doubts(ctx, rd, most); err != nil {
			return err
		}
		list.Contradictions, err = perso.Contradictions(ctx, rd, most)
		return err
	})
	list.Doubts, list.Contradictions = notNil(list.Doubts), notNil(list.Contradictions)
	return list, err
}

// DoubtCard is one card of the desk with all that stations have said of it.
type DoubtCard struct {
	perso.DoubtRow `json:"doubt"`
	Observations   []perso.Observation `json:"observations"` // the newest first
}

// Doubt reads one card of the desk, also when nothing is in doubt any more. Error:
// perso.ErrNotFound.
func Doubt(ctx context.Context, db *postgres.DB, cardID string, most int) (c DoubtCard, err error) {
	err = db.View(ctx, func(ctx context.Context, rd postgres.Reader) (err error) {
		if c.DoubtRow, err = perso.DoubtOf(ctx, rd, cardID); err != nil {
			return err
		}
		c.Observations, err = perso.Observations(ctx, rd, cardID, most)
		return err
	})
	c.Observations = notNil(c.Observations)
	return c, err
}
