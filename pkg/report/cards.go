package report

import (
	"context"
	"errors"

	"dukcapil.go.id/sifilma/pkg/cardlist"
	"dukcapil.go.id/sifilma/pkg/identity"
	"dukcapil.go.id/sifilma/pkg/machine"
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
	veil(s.Cards, a)
	return s, err
}

// veil takes away what is the office's own business from eyes outside.
func veil(cards []perso.CardRow, a identity.Account) {
	if !Outside(a) {
		return
	}
	for i := range cards {
		c := &cards[i]
		c.Proposal, c.Observed, c.Reading, c.Resolution, c.Voided, c.Abandoned = "", nil, "", nil, nil, false
		if c.State == perso.InDoubt {
			c.Reason = ""
		}
	}
}

// CardPage is a page of the cards of a request, with what can be decided on them.
type CardPage struct {
	Counts     map[machine.State]int // of all its cards; empty while none is on the line
	Listed     []cardlist.Card       // while none is
	Cards      []perso.CardRow
	Total      int             // of what was asked for, on all pages
	Troubled   []perso.CardRow // on which people decide, whatever the page: as many of a kind as a page has rows
	Reductions []perso.Reduction
}

// LoadCardPage reads a page of the cards of a request, and never more than a page of
// anything: a list may have thousands. An offset behind the end is put on the last
// page. Error: ErrNotFound.
func LoadCardPage(ctx context.Context, db *postgres.DB, ticket string, a identity.Account, p *perso.Part) (page CardPage, err error) {
	p.Search = cardlist.Normalise(p.Search)
	err = db.View(ctx, func(ctx context.Context, rd postgres.Reader) error {
		r, err := request.ByTicket(ctx, rd, ticket, Scope(a))
		if errors.Is(err, request.ErrNotFound) {
			return ErrNotFound
		}
		if err != nil {
			return err
		}
		if page.Counts, err = perso.States(ctx, rd, r.ID); err != nil {
			return err
		}
		read := func() (n int, err error) {
			if len(page.Counts) == 0 {
				page.Listed, page.Total, err = cardlist.ListPart(ctx, rd, r.ID, p.Search, p.Limit, p.Offset)
				return len(page.Listed), err
			}
			page.Cards, page.Total, err = perso.ListPart(ctx, rd, r.ID, *p)
			return len(page.Cards), err
		}
		n, err := read()
		if err == nil && n == 0 && page.Total > 0 {
			p.Offset = (page.Total - 1) / p.Limit * p.Limit
			_, err = read()
		}
		if err != nil {
			return err
		}
		if page.Troubled, err = perso.Troubled(ctx, rd, r.ID, p.Limit); err != nil {
			return err
		}
		page.Reductions, err = perso.ReductionsWithin(ctx, rd, r.ID, p.Limit)
		return err
	})
	veil(page.Cards, a)
	veil(page.Troubled, a)
	if Outside(a) {
		for i := range page.Reductions {
			page.Reductions[i].DecidedBy = ""
		}
	}
	return page, err
}

// notNil makes no rows an empty list in JSON.
func notNil[T any](rows []T) []T {
	if rows == nil {
		return []T{}
	}
	return rows
}
