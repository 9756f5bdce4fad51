package report

import (
	"context"
	"errors"
	"net/url"
	"strconv"

	"dukcapil.go.id/sifilma/pkg/identity"
	"dukcapil.go.id/sifilma/pkg/need"
	"dukcapil.go.id/sifilma/pkg/postgres"
)

// NeedCards are rows of the list that a lembaga sent with its request (features.md
// C12), and of which request.
type NeedCards struct {
	Need  need.Need   `json:"-"`
	Cards []need.Card `json:"cards"`
	Next  *string     `json:"next"`
	Total int         `json:"total"` // rows of the whole list; 0 where none was read
}

// CardsQuery is what is asked of the rows of a list.
type CardsQuery struct {
	After, Limit int // After is a row: only those behind it
}

// ParseCardsQuery reads the parameters of the rows of a list: limit and after.
func ParseCardsQuery(values url.Values) (CardsQuery, []BadParameter) {
	p := parser{values: values}
	q := CardsQuery{Limit: p.limit()}
	if text := values.Get("after"); text != "" {
		n, err := strconv.ParseUint(text, 36, 31) // clients are not to read it
		if err != nil {
			p.bad("after", "wrong_type", badMark)
		}
		q.After = int(n)
	}
	return q, p.faults
}

// ListNeedCards reads rows of the list of the need with this number as an account
// sees it. Error: ErrNotFound.
func ListNeedCards(ctx context.Context, db *postgres.DB, number string, a identity.Account, q CardsQuery) (*NeedCards, error) {
	var page *NeedCards
	err := db.View(ctx, func(ctx context.Context, rd postgres.Reader) (err error) {
		page = &NeedCards{}
		page.Need, err = need.ByNumber(ctx, rd, number, Scope(a))
		if errors.Is(err, need.ErrNotFound) {
			return ErrNotFound
		}
		if err == nil {
			page.Cards, page.Total, err = need.Cards(ctx, rd, page.Need, q.After, q.Limit)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	page.Cards = notNil(page.Cards)
	if n := len(page.Cards); n > 0 && page.Cards[n-1].Row < page.Total { // rows are numbered without gaps
		next := strconv.FormatInt(int64(page.Cards[n-1].Row), 36)
		page.Next = &next
	}
	return page, nil
}
