package report

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/lib/pq"

	"dukcapil.go.id/sifilma/pkg/handover"
	"dukcapil.go.id/sifilma/pkg/identity"
	"dukcapil.go.id/sifilma/pkg/letter"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
)

// Summary is a request in a list.
type Summary struct {
	ID          string        `json:"id"`
	Ticket      string        `json:"ticket"`
	Kind        string        `json:"kind"`
	KindLabel   string        `json:"kind_label"`
	Title       string        `json:"title"`
	Reference   string        `json:"reference"`
	Institution string        `json:"institution"`
	State       machine.State `json:"state"`
	StateLabel  string        `json:"state_label"`
	Version     int64         `json:"version"`
	Percent     int           `json:"percent"`
	CardCount   int           `json:"card_count"`
	Clear       int           `json:"clear"`
	CreatedAt   time.Time     `json:"created_at"`
}

// Page is a part of a list, and what the whole of it holds.
type Page struct {
	Requests []Summary `json:"requests"`
	// Next is the mark from which the list goes on; nil at its end.
	Next *string `json:"next"`
	*Totals
}

// Totals is what a whole list holds.
type Totals struct {
	Total  int                   `json:"total"`  // with the state filter
	Counts map[machine.State]int `json:"counts"` // without it
	All    int                   `json:"all"`
}

// List reads requests, newest first, as an account sees them. The institution is
// set here.
func List(ctx context.Context, db *postgres.DB, a identity.Account, q Query) (*Page, error) {
	limit := q.Limit
	if limit <= 0 {
		limit = listDefault
	}
	f := q.Filter
	f.InstitutionID, f.Limit = Scope(a), limit+1 // one more tells whether there are more
	p := &Page{}
	err := db.View(ctx, func(ctx context.Context, rd postgres.Reader) error {
		if q.Mine {
			var err error
			if f.Only, err = WaitingFor(ctx, rd, a); err != nil {
				return err
			}
		}
		list, err := request.List(ctx, rd, f)
		if err != nil {
			return err
		}
		p.Next = nil
		if len(list) > limit {
			list = list[:limit]
			next := cursor(list[limit-1].ID)
			p.Next = &next
		}
		if q.Totals {
			if p.Totals, err = total(ctx, rd, f); err != nil {
				return err
			}
		}
		p.Requests, err = summarise(ctx, rd, list)
		return err
	})
	return p, err
}

func total(ctx context.Context, rd postgres.Reader, f request.Filter) (*Totals, error) {
	counts, err := request.Count(ctx, rd, f)
	if err != nil {
		return nil, err
	}
	return totalsOf(counts, f.States), nil
}

// totalsOf adds up what a list holds; chosen narrows the total.
func totalsOf(counts map[machine.State]int, chosen []machine.State) *Totals {
	t := &Totals{Counts: counts}
	for state, n := range counts {
		t.All += n
		if len(chosen) == 0 || slices.Contains(chosen, state) {
			t.Total += n
		}
	}
	return t
}

// summarise adds to each request how far it is, in one query.
func summarise(ctx context.Context, rd postgres.Reader, list []request.Request) ([]Summary, error) {
	ids := make([]string, len(list))
	for i, r := range list {
		ids[i] = r.ID
	}
	var rows []struct {
		ID         string `db:"id"`
		LetterIn   bool   `db:"letter_in"`
		Clear      int    `db:"clear"`
		Total      int    `db:"total"`
		Reply      bool   `db:"reply"`
		Completion bool   `db:"completion"`
		Handed     int    `db:"handed"`
		Open       bool   `db:"open"`
	}
	if err := rd.Select(ctx, &rows, `
		SELECT r.id,
		       EXISTS (SELECT FROM request_fact f WHERE f.request_id = r.id AND f.fact = $2) AS letter_in,
		       coalesce(c.clear, 0) AS clear, coalesce(c.total, 0) AS total,
		       EXISTS (SELECT FROM document d WHERE d.request_id = r.id AND d.kind = $3 AND d.state = $5) AS reply,
		       EXISTS (SELECT FROM document d WHERE d.request_id = r.id AND d.kind = $4 AND d.state = $5) AS completion,
		       coalesce(h.handed, 0) AS handed, coalesce(h.open, true) AS open
		FROM unnest($1::uuid[]) AS r (id)
		LEFT JOIN LATERAL (
		    SELECT count(*) FILTER (WHERE c.state = $6) AS clear,
		           count(*) FILTER (WHERE c.state <> $7 AND NOT EXISTS (SELECT FROM listed_card n WHERE n.replaces = c.id)) AS total
		    FROM card c WHERE c.request_id = r.id) c ON true
		LEFT JOIN LATERAL (
		    SELECT sum(quantity) AS handed, bool_or(state <> ALL ($8)) AS open
		    FROM handover WHERE request_id = r.id AND state <> 'cancelled') h ON true`,
		pq.Array(ids), request.FactLetterReceived, letter.ReplyLetter, letter.CompletionLetter, string(letter.Issued),
		string(perso.Clear), string(perso.Reduced), pq.Array([]string{string(handover.Received), string(handover.Closed)})); err != nil {
		return nil, fmt.Errorf("report: list: %w", err)
	}
	at := map[string]int{}
	for i, row := range rows {
		at[row.ID] = i
	}
	out := make([]Summary, len(list))
	for i, r := range list {
		row := rows[at[r.ID]]
		signed := row.Reply && row.Completion
		out[i] = Summary{
			ID: r.ID, Ticket: r.Ticket, Kind: r.Kind, KindLabel: request.KindLabels[r.Kind], Title: r.Title,
			Reference: r.Reference, Institution: r.Institution, State: r.State, StateLabel: request.Machine.Label(r.State),
			Version: r.Version, CardCount: r.CardCount, Clear: row.Clear, CreatedAt: r.CreatedAt,
			Percent: request.Percent(r.State, row.LetterIn, row.Clear, row.Total, signed, signed && !row.Open && row.Handed >= row.Clear),
		}
	}
	return out, nil
}
