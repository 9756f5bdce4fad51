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

// Listed reads the card list as the applicant sent it. The request was loaded
// for whoever asks.
func Listed(ctx context.Context, db *postgres.DB, v *Request) ([]cardlist.Card, error) {
	return cardlist.List(ctx, db, v.ID)
}

// Cards reads the cards of a request in the order of its list. Error:
// ErrNotFound.
func Cards(ctx context.Context, db *postgres.DB, ticket string, a identity.Account) ([]perso.CardRow, error) {
	rows := []perso.CardRow{}
	err := db.View(ctx, func(ctx context.Context, rd postgres.Reader) error {
		r, err := request.ByTicket(ctx, rd, ticket, Scope(a))
		if errors.Is(err, request.ErrNotFound) {
			return ErrNotFound
		}
		if err != nil {
			return err
		}
		list, err := perso.List(ctx, rd, r.ID)
		rows = append(rows, list...)
		return err
	})
	if err == nil && Outside(a) {
		for i := range rows {
			c := &rows[i]
			c.Proposal, c.Resolution = "", nil
			if c.State == perso.InDoubt {
				c.Reason = ""
			}
		}
	}
	return rows, err
}
