package report

import (
	"context"
	"net/url"

	"dukcapil.go.id/sifilma/pkg/activation"
	"dukcapil.go.id/sifilma/pkg/identity"
	"dukcapil.go.id/sifilma/pkg/postgres"
)

// ReaderPair is a card for a reader with the reader that it is recorded with.
type ReaderPair struct {
	activation.CardPair
	SourceLabel string `json:"source_label"`
}

// PairPage is a part of a list of pairs.
type PairPage struct {
	Pairs []ReaderPair `json:"pairs"`
	Next  *string      `json:"next"`
}

// ParsePairQuery reads the parameters of a list of pairs: search, unpaired, limit and after.
func ParsePairQuery(values url.Values) (activation.PairFilter, []BadParameter) {
	p := parser{values: values}
	f := activation.PairFilter{Search: p.search(), Limit: p.limit(), After: p.after()}
	switch values.Get("unpaired") {
	case "true":
		f.Unpaired = true
	case "", "false":
	default:
		p.bad("unpaired", "unknown_value", "Nilainya harus true atau false.")
	}
	return f, append(p.faults, Unknown(values, "search", "unpaired", "limit", "after")...)
}

// ReaderPairs lists pairs: for a produsen those of its own cards, for the office all.
func ReaderPairs(ctx context.Context, rd postgres.Reader, a identity.Account, f activation.PairFilter) (*PairPage, error) {
	limit := f.Limit
	if limit <= 0 {
		limit = listDefault
	}
	f.ProdusenID, f.Limit = Scope(a), limit+1
	list, err := activation.Pairs(ctx, rd, f)
	if err != nil {
		return nil, err
	}
	page := &PairPage{Pairs: []ReaderPair{}}
	if len(list) > limit {
		list = list[:limit]
		next := cursor(list[limit-1].ID)
		page.Next = &next
	}
	for _, one := range list {
		if Outside(a) { // a side is seen, not its people
			one.ToldBy = ""
		}
		page.Pairs = append(page.Pairs, ReaderPair{one, activation.SourceLabels[one.Source]})
	}
	return page, nil
}
