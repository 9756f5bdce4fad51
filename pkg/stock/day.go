package stock

import (
	"context"
	"fmt"

	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/postgres"
)

// Day is what became of the blanks of a request on a day. What there was in the morning
// and what came in is what went and what is left: a card that left a bucket, such as
// one in doubt that was settled, counts there below zero.
type Day struct {
	Day         clock.Date `json:"day"`
	Ticket      string     `json:"ticket"`
	Institution string     `json:"institution"`
	Opening     int        `json:"opening"` // blanks that nothing was done with, in the morning
	Received    int        `json:"received"`
	Clear       int        `json:"clear"`
	Failed      int        `json:"failed"`
	Spoiled     int        `json:"spoiled"`
	InDoubt     int        `json:"in_doubt"`
	InHand      int        `json:"in_hand"`
	Test        int        `json:"test"`
	Returned    int        `json:"returned"`
	Closing     int        `json:"closing"` // blanks that nothing was done with, in the evening
	// Difference is what is in no bucket in the evening: 0, or the day does not close.
	Difference int `json:"difference"`
	// Reduced and Destroyed went nowhere: Reduced of Opening and Closing were taken off
	// by a letter on the day, and Destroyed of what failed stands in a berita acara of it.
	Reduced   int `json:"reduced"`
	Destroyed int `json:"destroyed"`
	// Balance is where all its blanks are in the evening.
	Balance Balance `json:"balance"`
}

func dayOf(day clock.Date, morning, evening Balance) Day {
	d := Day{
		Day: day, Ticket: evening.Ticket, Institution: evening.Institution, Opening: morning.InStore(), Closing: evening.InStore(),
		Received: evening.Received - morning.Received, Clear: evening.Clear - morning.Clear, Failed: evening.Failed - morning.Failed,
		Spoiled: evening.Spoiled - morning.Spoiled, InDoubt: evening.InDoubt - morning.InDoubt, InHand: evening.InHand - morning.InHand,
		Test: evening.Test - morning.Test, Returned: evening.Returned - morning.Returned, Difference: evening.Difference,
		Destroyed: evening.Destroyed - morning.Destroyed, Balance: evening,
	}
	d.Reduced = evening.Reduced - morning.Reduced
	return d
}

// Still says that nothing happened, and that there is nothing to look after.
func (d Day) Still() bool {
	flows := [...]int{d.Opening, d.Closing, d.Received, d.Clear, d.Failed, d.Spoiled, d.InDoubt, d.InHand, d.Test, d.Returned, d.Destroyed, d.Difference}
	return flows == [len(flows)]int{}
}

// Sum adds days of several requests up.
func Sum(days []Day) (sum Day) {
	for _, d := range days {
		sum.Opening += d.Opening
		sum.Received += d.Received
		sum.Clear += d.Clear
		sum.Failed += d.Failed
		sum.Spoiled += d.Spoiled
		sum.InDoubt += d.InDoubt
		sum.InHand += d.InHand
		sum.Test += d.Test
		sum.Returned += d.Returned
		sum.Closing += d.Closing
		sum.Difference += d.Difference
		sum.Reduced += d.Reduced
		sum.Destroyed += d.Destroyed
	}
	return sum
}

// concerned are the requests whose blanks are in the office on a day, or were on or
// after it: those that had not ended, or of which the book or a pool still tells.
func concerned(ctx context.Context, rd postgres.Reader, day clock.Date) ([]string, error) {
	ids := []string{}
	if err := rd.Select(ctx, &ids, `
		SELECT r.id FROM request r
		WHERE EXISTS (SELECT FROM request_fact f WHERE f.request_id = r.id AND f.fact = 'blanks_counted' AND f.office_at < $2)
		  AND (r.state NOT IN ('done','rejected','cancelled')
		       OR EXISTS (SELECT FROM history h WHERE h.machine = 'request' AND h.subject = r.id AND h.to_state = r.state AND h.office_at >= $1)
		       OR EXISTS (SELECT FROM blank_movement m WHERE m.request_id = r.id AND m.office_at >= $1)
		       OR EXISTS (SELECT FROM destruction d WHERE d.request_id = r.id AND coalesce(d.voided_at, d.office_at) >= $1)
		       OR (r.state <> 'done' OR EXISTS (SELECT FROM blank_movement m WHERE m.request_id = r.id)
		           OR EXISTS (SELECT FROM card_reduction c WHERE c.request_id = r.id))
		          AND (SELECT p.spare + p.reduced + p.list <> 0 FROM blank_pools(r.id) p))
		ORDER BY r.ticket`, day.At(0, 0).UTC(), day.AddDays(1).At(0, 0).UTC()); err != nil {
		return nil, fmt.Errorf("stock: requests of %s: %w", day, err)
	}
	return ids, nil
}

// OnDay returns what became of the blanks of all requests on a day, by ticket.
func OnDay(ctx context.Context, rd postgres.Reader, day clock.Date) ([]Day, error) {
	ids, err := concerned(ctx, rd, day)
	if err != nil {
		return nil, err
	}
	return days(ctx, rd, ids, day)
}

// DayOf is OnDay for one request; one that had no blanks yet has an empty day.
func DayOf(ctx context.Context, rd postgres.Reader, requestID string, day clock.Date) (Day, error) {
	list, err := days(ctx, rd, []string{requestID}, day)
	if err != nil || len(list) == 0 {
		return Day{}, err
	}
	return list[0], nil
}

// DaysOf returns the days on which something happened to the blanks of a request, oldest
// first.
func DaysOf(ctx context.Context, rd postgres.Reader, requestID string) ([]Day, error) {
	var dates []clock.Date
	if err := rd.Select(ctx, &dates, `
		SELECT DISTINCT (at AT TIME ZONE 'Asia/Jakarta')::date AS day FROM (
			SELECT office_at AS at FROM request_fact WHERE request_id = $1 AND fact = 'blanks_counted'
			UNION ALL SELECT office_at FROM history WHERE request_id = $1 AND machine = 'card'
			UNION ALL SELECT office_at FROM blank_movement WHERE request_id = $1
			UNION ALL SELECT office_at FROM destruction WHERE request_id = $1
			UNION ALL SELECT voided_at FROM destruction WHERE request_id = $1 AND voided_at IS NOT NULL) AS e ORDER BY day`, requestID); err != nil {
		return nil, fmt.Errorf("stock: days of a request: %w", err)
	}
	list, morning := []Day{}, Balance{}
	for _, d := range dates {
		evening, err := BalancesAt(ctx, rd, []string{requestID}, d.AddDays(1).At(0, 0))
		if err != nil {
			return nil, err
		}
		list = append(list, dayOf(d, morning, evening[0]))
		morning = evening[0]
	}
	return list, nil
}

func days(ctx context.Context, rd postgres.Reader, ids []string, day clock.Date) ([]Day, error) {
	morning, err := BalancesAt(ctx, rd, ids, day.At(0, 0))
	if err != nil {
		return nil, err
	}
	evening, err := BalancesAt(ctx, rd, ids, day.AddDays(1).At(0, 0))
	if err != nil {
		return nil, err
	}
	list := []Day{}
	for i := range evening { // both are of the same requests in the same order
		if d := dayOf(day, morning[i], evening[i]); !d.Still() {
			list = append(list, d)
		}
	}
	return list, nil
}
