package report

import (
	"context"
	"fmt"
	"strings"

	"dukcapil.go.id/sifilma/pkg/capacity"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/identity"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/workday"
)

// BoardDay is a day on the board: what is planned on it and what became of it. The
// JSON names are the API. All numbers are cards but for Orders.
type BoardDay struct {
	Day clock.Date `json:"day"`
	// Workday says whether the day is a hari kerja; Off is why not, in Indonesian.
	Workday bool   `json:"workday"`
	Off     string `json:"off"`
	// Known is false while the year has no calendar: only its weekends are off.
	Known     bool `json:"known"`
	Capacity  int  `json:"capacity"`
	Used      int  `json:"used"`
	Free      int  `json:"free"`
	Remaining int  `json:"remaining"` // planned and not through yet
	Orders    int  `json:"orders"`    // perintah kerja
	// Reason is why the capacity is not the usual one; empty for eyes outside.
	Reason string `json:"reason"`
	// Result is what became of the day's cards; nil for eyes outside.
	Result *DayResult `json:"result"`
}

// DayResult counts the cards of a day, or of a request on it, by what became of
// them. Their sum is what was planned; a card that was in doubt counts as what it
// turned out to be.
type DayResult struct {
	Clear   int `json:"clear"`
	Failed  int `json:"failed"`
	InDoubt int `json:"in_doubt"`
	Spoiled int `json:"spoiled"`
	InHand  int `json:"in_hand"` // of a station just now
	Waiting int `json:"waiting"` // for their turn
	// Carried were not presented before the day ended, and went back to the queue
	// with their rank.
	Carried int `json:"carried_over"`
}

// Open are the cards that wait for their turn or are at it.
func (r DayResult) Open() int { return r.InHand + r.Waiting }

func (r *DayResult) add(o DayResult) {
	r.Clear += o.Clear
	r.Failed += o.Failed
	r.InDoubt += o.InDoubt
	r.Spoiled += o.Spoiled
	r.InHand += o.InHand
	r.Waiting += o.Waiting
	r.Carried += o.Carried
}

// DayRequest is a request on a day.
type DayRequest struct {
	Ticket      string        `json:"ticket"`
	Institution string        `json:"institution"`
	Title       string        `json:"title"`
	State       machine.State `json:"state"` // of its work order; the one that is least far, if it has several
	StateLabel  string        `json:"state_label"`
	Planned     int           `json:"planned"`
	Result      DayResult     `json:"result"`
}

// Board is a span of days.
type Board struct {
	From, To clock.Date
	Days     []BoardDay
	// Requests are those of each day that the asker may know by name, in the order of
	// their slots.
	Requests map[clock.Date][]DayRequest
}

// Day is a day of the board; it has all from From to To.
func (b *Board) Day(d clock.Date) BoardDay { return b.Days[b.From.DaysUntil(d)] }

// LoadBoard reads the days from..to, both included, as an account sees them, on one
// snapshot and in as many queries for a year as for a day. People outside see how
// full each day is, and of its requests only their own.
func LoadBoard(ctx context.Context, db *postgres.DB, a identity.Account, from, to, today clock.Date) (*Board, error) {
	var b *Board
	err := db.View(ctx, func(ctx context.Context, rd postgres.Reader) (err error) {
		b, err = readBoard(ctx, rd, a, from, to, today)
		return err
	})
	return b, err
}

func readBoard(ctx context.Context, rd postgres.Reader, a identity.Account, from, to, today clock.Date) (*Board, error) {
	b := &Board{From: from, To: to, Requests: map[clock.Date][]DayRequest{}}
	calendar, err := capacity.Calendar(ctx, rd)
	if err != nil {
		return nil, err
	}
	sizes, err := capacity.Sizes(ctx, rd, from, to, today)
	if err != nil {
		return nil, err
	}
	orders, err := dayOrders(ctx, rd, from, to)
	if err != nil {
		return nil, err
	}
	outside := Outside(a)
	for d := from; !d.After(to); d = d.AddDays(1) {
		day := BoardDay{Day: d, Workday: calendar.IsWorkday(d), Off: offReason(calendar, d), Known: calendar.HasYear(d.Year)}
		size := sizes[d]
		day.Capacity, day.Reason = size.Capacity, size.Why
		if outside {
			day.Reason = ""
		} else {
			day.Result = &DayResult{}
		}
		b.Days = append(b.Days, day)
	}
	for _, o := range orders {
		day := &b.Days[from.DaysUntil(o.Day)]
		if o.State != capacity.Revoked {
			day.Used += o.Quantity
			day.Orders++
			if o.State != capacity.Closed {
				day.Remaining += o.Remaining
			}
		}
		result := o.result()
		if day.Result != nil {
			day.Result.add(result)
		}
		if outside && o.InstitutionID != Scope(a) {
			continue
		}
		b.Requests[o.Day] = addOrder(b.Requests[o.Day], o, result)
	}
	for i := range b.Days {
		day := &b.Days[i]
		if !day.Workday && day.Orders == 0 {
			day.Capacity, day.Reason = 0, ""
		}
		day.Free = max(0, day.Capacity-day.Used)
	}
	return b, nil
}

// offReason says why a day is no hari kerja; it is empty for one.
func offReason(calendar *workday.Calendar, d clock.Date) string {
	if calendar.IsWorkday(d) {
		return ""
	}
	h, ok := calendar.Holiday(d)
	switch {
	case !ok:
		return "Akhir pekan"
	case h.Kind == workday.JointLeave && !strings.HasPrefix(strings.ToLower(h.Name), "cuti bersama"):
		return h.Name + " (cuti bersama)"
	}
	return h.Name
}

// dayOrder is a perintah kerja with what became of its cards.
type dayOrder struct {
	Day           clock.Date    `db:"day"`
	Ticket        string        `db:"ticket"`
	Title         string        `db:"title"`
	InstitutionID string        `db:"institution_id"`
	Institution   string        `db:"institution"`
	State         machine.State `db:"state"`
	Quantity      int           `db:"quantity"`
	Remaining     int           `db:"remaining"`
	Returned      int           `db:"returned"` // of a closing one: in the queue again
	Clear         int           `db:"clear"`
	Failed        int           `db:"failed"`
	InDoubt       int           `db:"in_doubt"`
	Spoiled       int           `db:"spoiled"`
	InHand        int           `db:"in_hand"`
}

// dayOrders reads the orders of the days. What was taken back counts where cards had
// been made under it. An attempt that was let go before anything was written is none.
func dayOrders(ctx context.Context, rd postgres.Reader, from, to clock.Date) ([]dayOrder, error) {
	var orders []dayOrder
	if err := rd.Select(ctx, &orders, `
		SELECT o.day, r.ticket, r.title, r.institution_id, i.name AS institution, o.state, o.quantity, o.remaining, o.returned,
		       a.clear, a.failed, a.in_doubt, a.spoiled, a.in_hand
		FROM work_order o JOIN request r ON r.id = o.request_id JOIN institution i ON i.id = r.institution_id
		CROSS JOIN LATERAL (
		    SELECT count(*) FILTER (WHERE outcome = 'clear') AS clear, count(*) FILTER (WHERE outcome = 'failed') AS failed,
		           count(*) FILTER (WHERE outcome = 'in_doubt' OR outcome = '' AND counted) AS in_doubt,
		           count(*) FILTER (WHERE outcome = 'spoiled') AS spoiled, count(*) FILTER (WHERE outcome = '' AND NOT counted) AS in_hand
		    FROM perso_attempt WHERE work_order_id = o.id) a
		WHERE o.day BETWEEN $1 AND $2 AND (o.state <> 'revoked' OR o.remaining < o.quantity)
		ORDER BY o.day, lower(o.slots), o.id`, from, to); err != nil {
		return nil, fmt.Errorf("report: orders of the board: %w", err)
	}
	return orders, nil
}

// planned is what the order was for: of one that was taken back, what had been made.
func (o dayOrder) planned() int {
	if o.State == capacity.Revoked {
		return o.Quantity - o.Remaining
	}
	return o.Quantity
}

func (o dayOrder) result() DayResult {
	r := DayResult{Clear: o.Clear, Failed: o.Failed, InDoubt: o.InDoubt, Spoiled: o.Spoiled, InHand: o.InHand}
	switch o.State {
	case capacity.Closed:
		r.Carried = max(0, o.Remaining-o.InHand)
	case capacity.Revoked:
	default:
		r.Waiting, r.Carried = max(0, o.Remaining-o.InHand), o.Returned
	}
	return r
}

// progress ranks the states of orders by how far the day is with them.
var progress = map[machine.State]int{capacity.Planned: 1, capacity.Released: 2, capacity.Closing: 3, capacity.Closed: 4, capacity.Revoked: 5}

// addOrder adds an order to the requests of its day.
func addOrder(list []DayRequest, o dayOrder, result DayResult) []DayRequest {
	i := len(list)
	for j := range list {
		if list[j].Ticket == o.Ticket {
			i = j
		}
	}
	if i == len(list) {
		list = append(list, DayRequest{Ticket: o.Ticket, Institution: o.Institution, Title: o.Title, State: o.State})
	}
	one := &list[i]
	one.Planned += o.planned()
	one.Result.add(result)
	if progress[o.State] < progress[one.State] {
		one.State = o.State
	}
	one.StateLabel = capacity.Machine.Label(one.State)
	return list
}
