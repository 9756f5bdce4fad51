package report

import (
	"context"
	"errors"

	"dukcapil.go.id/sifilma/pkg/cardlist"
	"dukcapil.go.id/sifilma/pkg/identity"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
)

// Sheet is the cards of a request: as they were listed, and as they stand on the
// line once the request is accepted.
type Sheet struct {
	Listed []cardlist.Card `json:"listed"`
	Cards  []perso.CardRow `json:"cards"`
}

// Cards reads the cards of a request in the order of its list. Error:
// ErrNotFound.
func Cards(ctx context.Context, db *postgres.DB, ticket string, a identity.Account) (Sheet, error) {
	var s Sheet
	err := db.View(ctx, func(ctx context.Context, rd postgres.Reader) error {
		r, err := request.ByTicket(ctx, rd, ticket, Scope(a))
		if errors.Is(err, request.ErrNotFound) {
			return ErrNotFound
		}
		if err != nil {
			return err
		}
		if s.Listed, err = cardlist.List(ctx, rd, r.ID); err != nil {
			return err
		}
		s.Cards, err = perso.List(ctx, rd, r.ID)
		return err
	})
	s.Listed, s.Cards = notNil(s.Listed), notNil(s.Cards)
	if err == nil && Outside(a) {
		for i := range s.Cards {
			c := &s.Cards[i]
			c.Proposal, c.Observed, c.Resolution, c.Abandoned = "", nil, nil, false
			if c.State == perso.InDoubt {
				c.Reason = ""
			}
		}
	}
	return s, err
}

// notNil makes no rows an empty list in JSON.
func notNil[T any](rows []T) []T {
	if rows == nil {
		return []T{}
	}
	return rows
}
