package stock

import (
	"context"
	"fmt"
	"time"

	"github.com/lib/pq"

	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/postgres"
)

// Balance is where the blanks of a request are. Received is the sum of the others, but
// for Difference, HandedOver and Destroyed. The JSON names are the API.
type Balance struct {
	RequestID   string        `db:"request_id" json:"-"`
	Ticket      string        `db:"ticket" json:"ticket"`
	Institution string        `db:"institution" json:"institution"`
	State       machine.State `db:"state" json:"-"` // of the request

	Received int `json:"received"` // counted at registration, and what came since
	Unused   int `json:"unused"`   // of cards that wait for their turn
	InHand   int `json:"in_hand"`  // of a station just now
	Clear    int `json:"clear"`
	Failed   int `json:"failed"`  // also when a letter took the card off since
	Spoiled  int `json:"spoiled"` // also then
	InDoubt  int `json:"in_doubt"`
	Reduced  int `json:"reduced"`  // of cards that a letter took off unused, and that did not go back yet
	Spare    int `json:"spare"`    // in no card's place
	Test     int `json:"test"`     // drawn to be test cards
	Returned int `json:"returned"` // to the produsen

	// Difference is what was received and is in no bucket: 0, or blanks are missing
	// (above) or too many (below).
	Difference int `json:"difference"`

	HandedOver int `json:"handed_over"` // of Clear
	Destroyed  int `json:"destroyed"`   // of Failed and Spoiled, in a berita acara
}

// InStore are the blanks that nothing was done with.
func (b Balance) InStore() int { return b.Unused + b.Spare + b.Reduced }

// Empty says that a request has no blanks, nor had any.
func (b Balance) Empty() bool { return b.Received == 0 && b.Difference == 0 }

// counts are what a balance is made of.
type counts struct {
	Balance
	Counted      int  `db:"counted"` // the fact blanks_counted
	Ended        bool `db:"ended"`   // before its cards were made
	Receipts     int  `db:"receipts"`
	Tests        int  `db:"tests"`
	BackSpare    int  `db:"back_spare"`
	BackReduced  int  `db:"back_reduced"`
	BackListed   int  `db:"back_list"`
	Cards        int  `db:"cards"`
	Replacements int  `db:"replacements"`
	Waiting      int  `db:"waiting"`
	Busy         int  `db:"busy"`
	CardsClear   int  `db:"cards_clear"`
	CardsFailed  int  `db:"cards_failed"`
	CardsSpoiled int  `db:"cards_spoiled"`
	CardsDoubted int  `db:"cards_in_doubt"`
	CardsReduced int  `db:"cards_reduced"` // before they were presented
	Handed       int  `db:"handed_over"`
	Lost         int  `db:"destroyed"`
}

// balance puts the counts into buckets. Blanks of a request without cards are unused as
// long as it may get some, and spare ones of a list afterwards. What the book has less
// than nothing of is in no bucket: it shows as a difference.
func (n counts) balance() Balance {
	b := n.Balance
	b.Received = n.Counted + n.Receipts
	b.Unused, b.InHand, b.Clear, b.Failed, b.Spoiled, b.InDoubt = n.Waiting, n.Busy, n.CardsClear, n.CardsFailed, n.CardsSpoiled, n.CardsDoubted
	b.Reduced = max(0, n.CardsReduced-n.BackReduced)
	b.Spare = max(0, n.Receipts-n.Tests-n.BackSpare-n.Replacements)
	b.Test, b.Returned = n.Tests, n.BackSpare+n.BackReduced+n.BackListed
	switch {
	case n.Cards > 0:
	case n.Ended:
		b.Spare += max(0, n.Counted-n.BackListed)
	default:
		b.Unused = n.Counted
	}
	b.Difference = b.Received - b.Unused - b.InHand - b.Clear - b.Failed - b.Spoiled - b.InDoubt - b.Reduced - b.Spare - b.Test - b.Returned
	b.HandedOver, b.Destroyed = n.Handed, n.Lost
	return b
}

// cardsNow are the cards of requests $1 as they are; cardsAt as they were at $2, by the
// timeline, which is kept for ever.
const (
	cardsNow = `
		SELECT c.request_id, c.id, c.state, r.was FROM card c LEFT JOIN reduced_card r ON r.card_id = c.id
		WHERE c.request_id = ANY ($1::uuid[])`
	cardsAt = `
		SELECT DISTINCT ON (h.subject) h.request_id, h.subject AS id, h.to_state AS state, h.from_state AS was FROM history h
		WHERE h.request_id = ANY ($1::uuid[]) AND h.machine = 'card' AND h.office_at < $2 ORDER BY h.subject, h.version DESC`

	countsOf = `
	WITH c AS (%s),
	line AS (
		SELECT c.request_id, count(*) AS cards, count(l.replaces) AS replacements,
		       count(*) FILTER (WHERE c.state IN ('listed','bound','numbered')) AS waiting,
		       count(*) FILTER (WHERE c.state IN ('claimed','writing','written','verified')) AS busy,
		       count(*) FILTER (WHERE c.state = 'clear') AS clear,
		       count(*) FILTER (WHERE c.state = 'failed' OR c.state = 'reduced' AND c.was = 'failed') AS failed,
		       count(*) FILTER (WHERE c.state = 'spoiled' OR c.state = 'reduced' AND c.was = 'spoiled') AS spoiled,
		       count(*) FILTER (WHERE c.state = 'in_doubt') AS in_doubt,
		       count(*) FILTER (WHERE c.state = 'reduced' AND c.was = 'listed') AS reduced,
		       count(*) FILTER (WHERE EXISTS (SELECT FROM handover_card x JOIN handover h ON h.id = x.handover_id
		           WHERE x.card_id = c.id AND h.delivered_on::timestamp AT TIME ZONE 'Asia/Jakarta' < $2)) AS handed_over,
		       count(*) FILTER (WHERE EXISTS (SELECT FROM destroyed_card x JOIN destruction d ON d.id = x.destruction_id
		           WHERE x.card_id = c.id AND d.office_at < $2 AND (d.voided_at IS NULL OR d.voided_at >= $2))) AS destroyed
		FROM c JOIN listed_card l ON l.id = c.id GROUP BY c.request_id),
	book AS (
		SELECT request_id, sum(n) FILTER (WHERE kind = 'receipt') AS receipts, sum(n) FILTER (WHERE kind = 'test') AS tests,
		       sum(n) FILTER (WHERE kind = 'return' AND source = 'spare') AS back_spare,
		       sum(n) FILTER (WHERE kind = 'return' AND source = 'reduced') AS back_reduced,
		       sum(n) FILTER (WHERE kind = 'return' AND source = 'list') AS back_list
		FROM (SELECT request_id, kind, source, CASE WHEN reverses IS NULL THEN quantity ELSE -quantity END AS n
		      FROM blank_movement WHERE request_id = ANY ($1::uuid[]) AND office_at < $2) AS m GROUP BY request_id)
	SELECT r.id AS request_id, r.ticket, i.name AS institution, r.state,
	       coalesce((SELECT (f.detail->>'count')::int FROM request_fact f
	                 WHERE f.request_id = r.id AND f.fact = 'blanks_counted' AND f.office_at < $2), 0) AS counted,
	       r.state IN ('rejected','cancelled') AND NOT EXISTS (SELECT FROM history h
	           WHERE h.machine = 'request' AND h.subject = r.id AND h.to_state = r.state AND h.office_at >= $2) AS ended,
	       coalesce(b.receipts, 0) AS receipts, coalesce(b.tests, 0) AS tests, coalesce(b.back_spare, 0) AS back_spare,
	       coalesce(b.back_reduced, 0) AS back_reduced, coalesce(b.back_list, 0) AS back_list,
	       coalesce(l.cards, 0) AS cards, coalesce(l.replacements, 0) AS replacements, coalesce(l.waiting, 0) AS waiting,
	       coalesce(l.busy, 0) AS busy, coalesce(l.clear, 0) AS cards_clear, coalesce(l.failed, 0) AS cards_failed,
	       coalesce(l.spoiled, 0) AS cards_spoiled, coalesce(l.in_doubt, 0) AS cards_in_doubt, coalesce(l.reduced, 0) AS cards_reduced,
	       coalesce(l.handed_over, 0) AS handed_over, coalesce(l.destroyed, 0) AS destroyed
	FROM request r JOIN institution i ON i.id = r.institution_id
	LEFT JOIN line l ON l.request_id = r.id LEFT JOIN book b ON b.request_id = r.id
	WHERE r.id = ANY ($1::uuid[]) ORDER BY r.ticket`
)

// never is after everything.
var never = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)

// Balances returns those of requests as they are now, by ticket.
func Balances(ctx context.Context, rd postgres.Reader, requestIDs []string) ([]Balance, error) {
	return balances(ctx, rd, cardsNow, requestIDs, never)
}

// BalancesAt returns those of requests as they were at a moment of the office's clock,
// by ticket. The book counts by the day on which its lines were written.
func BalancesAt(ctx context.Context, rd postgres.Reader, requestIDs []string, at time.Time) ([]Balance, error) {
	return balances(ctx, rd, cardsAt, requestIDs, at)
}

func balances(ctx context.Context, rd postgres.Reader, cards string, requestIDs []string, at time.Time) ([]Balance, error) {
	var rows []counts
	if err := rd.Select(ctx, &rows, fmt.Sprintf(countsOf, cards), pq.Array(requestIDs), at.UTC()); err != nil {
		return nil, fmt.Errorf("stock: balances: %w", err)
	}
	list := make([]Balance, len(rows))
	for i, n := range rows {
		list[i] = n.balance()
	}
	return list, nil
}

// Of returns the balance of a request as it is now.
func Of(ctx context.Context, rd postgres.Reader, requestID string) (Balance, error) {
	list, err := Balances(ctx, rd, []string{requestID})
	if err != nil || len(list) == 0 {
		return Balance{}, err
	}
	return list[0], nil
}

// Unbalanced returns the requests whose sum does not close. Those that ended are looked
// at as long as blanks of theirs are in the office.
func Unbalanced(ctx context.Context, rd postgres.Reader) ([]Balance, error) {
	ids, err := concerned(ctx, rd, clock.DateOf(never))
	if err != nil {
		return nil, err
	}
	all, err := Balances(ctx, rd, ids)
	var wrong []Balance
	for _, b := range all {
		if b.Difference != 0 {
			wrong = append(wrong, b)
		}
	}
	return wrong, err
}
