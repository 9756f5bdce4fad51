package capacity

import (
	"context"
	"fmt"

	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/postgres"
)

// Balance is what became of the cards of an order, or of several, by the close of
// the day. A card in doubt is in a bucket of its own, whatever it turns out to be.
type Balance struct {
	RequestID    string     `db:"request_id" json:"-"`
	Ticket       string     `db:"ticket" json:"ticket"`
	Day          clock.Date `db:"day" json:"day"`
	Planned      int        `db:"planned" json:"planned"`
	Clear        int        `db:"clear" json:"clear"`
	Failed       int        `db:"failed" json:"failed"`
	Spoiled      int        `db:"spoiled" json:"spoiled"`
	InDoubt      int        `db:"in_doubt" json:"in_doubt"`
	Reduced      int        `db:"reduced" json:"reduced"`             // taken off by a letter
	NotPresented int        `db:"not_presented" json:"not_presented"` // back in the queue with their rank
	// Difference is what is planned and in no bucket: 0, or something was counted
	// that is not so.
	Difference int `db:"difference" json:"difference"`
}

// Balances returns those of a day, by request.
func Balances(ctx context.Context, rd postgres.Reader, day clock.Date) ([]Balance, error) {
	list := []Balance{}
	if err := rd.Select(ctx, &list, `
		SELECT b.request_id, r.ticket, b.day, sum(planned) AS planned, sum(clear) AS clear, sum(failed) AS failed, sum(spoiled) AS spoiled,
		       sum(in_doubt) AS in_doubt, sum(reduced) AS reduced, sum(not_presented) AS not_presented, sum(difference) AS difference
		FROM day_balance b JOIN request r ON r.id = b.request_id WHERE b.day = $1
		GROUP BY b.request_id, r.ticket, b.day ORDER BY r.ticket`, day); err != nil {
		return nil, fmt.Errorf("capacity: reading the balance of %s: %w", day, err)
	}
	return list, nil
}

// balance draws up the closed orders of all days up to day that have no balance
// yet, and sums them up.
func balance(ctx context.Context, tx *postgres.Tx, day clock.Date) (sum Balance, err error) {
	err = tx.Get(ctx, &sum, `
		WITH drawn AS (
		    INSERT INTO day_balance (work_order_id, request_id, day, planned, clear, failed, spoiled, in_doubt, reduced, not_presented)
		    SELECT o.id, o.request_id, o.day, o.quantity,
		           count(*) FILTER (WHERE a.outcome = 'clear'), count(*) FILTER (WHERE a.outcome = 'failed'),
		           count(*) FILTER (WHERE a.outcome = 'spoiled'), count(*) FILTER (WHERE a.outcome NOT IN ('clear','failed','spoiled')),
		           o.reduced, o.remaining
		    FROM work_order o LEFT JOIN perso_attempt a ON a.work_order_id = o.id AND a.counted
		    WHERE o.state = 'closed' AND o.day <= $1 AND NOT EXISTS (SELECT FROM day_balance b WHERE b.work_order_id = o.id)
		    GROUP BY o.id
		    RETURNING planned, clear, failed, spoiled, in_doubt, reduced, not_presented, difference)
		SELECT '' AS request_id, '' AS ticket, $1::date AS day, coalesce(sum(planned), 0) AS planned, coalesce(sum(clear), 0) AS clear,
		       coalesce(sum(failed), 0) AS failed, coalesce(sum(spoiled), 0) AS spoiled, coalesce(sum(in_doubt), 0) AS in_doubt,
		       coalesce(sum(reduced), 0) AS reduced, coalesce(sum(not_presented), 0) AS not_presented, coalesce(sum(difference), 0) AS difference
		FROM drawn`, day)
	if err != nil {
		return sum, fmt.Errorf("capacity: drawing up the balance of %s: %w", day, err)
	}
	return sum, nil
}
