package capacity

import (
	"context"
	"errors"
	"fmt"
	"time"

	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/outbox"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
)

// ErrNoOrder says that no released work order of the request has room for one
// more card.
var ErrNoOrder = errors.New("capacity: no released work order with room")

// WorkOrder is a perintah kerja.
type WorkOrder struct {
	ID        string        `db:"id"`
	RequestID string        `db:"request_id"`
	Day       clock.Date    `db:"day"`
	Quantity  int           `db:"quantity"`
	Remaining int           `db:"remaining"`
	Mode      string        `db:"mode"`
	State     machine.State `db:"state"`
	Version   int64         `db:"version"`
	// TraceParent is that of the request.
	TraceParent string `db:"traceparent"`
	// Returned are the cards of a closing order that were not presented and are in
	// the queue again; Remaining are then those in the stations' hands. Once it is
	// closed, Remaining tells of all that were not finished.
	Returned int `db:"returned"`
}

const selectOrder = `SELECT id, request_id, day, quantity, remaining, returned, mode, state, version,
	(SELECT r.traceparent FROM request r WHERE r.id = request_id) AS traceparent FROM work_order `

// ReleaseDay releases the orders planned for a day: stations may claim their
// cards from now on, and the plan of that day is frozen.
func ReleaseDay(ctx context.Context, tx *postgres.Tx, day clock.Date, officeAt time.Time) (int, error) {
	if err := Lock(ctx, tx); err != nil {
		return 0, err
	}
	var orders []WorkOrder
	if err := tx.Select(ctx, &orders, selectOrder+`WHERE day = $1 AND state = 'planned' ORDER BY id FOR UPDATE`, day); err != nil {
		return 0, fmt.Errorf("capacity: reading orders: %w", err)
	}
	return len(orders), releaseOrders(ctx, tx, orders, officeAt)
}

// releaseOrders opens planned orders; their requests are in progress from then on.
func releaseOrders(ctx context.Context, tx *postgres.Tx, orders []WorkOrder, officeAt time.Time) error {
	for _, o := range orders {
		if err := move(ctx, tx, o, verbRelease, scheduler, officeAt); err != nil {
			return err
		}
		r, err := request.Lock(ctx, tx, o.RequestID)
		if err != nil {
			return err
		}
		if r.State == request.Accepted { // released now, before it was ever planned
			if r, err = request.Take(ctx, tx, r, request.Schedule, request.Change{Actor: scheduler, OfficeAt: officeAt}); err != nil {
				return err
			}
		}
		if r.State == request.Scheduled {
			if _, err := request.Take(ctx, tx, r, request.Start, request.Change{Actor: scheduler, OfficeAt: officeAt}); err != nil {
				return err
			}
		}
	}
	return nil
}

// DayEnd is what closing days came to.
type DayEnd struct {
	Orders  int     `json:"orders"`
	Balance Balance `json:"balance"`
}

// CloseDays ends, in a window, the released orders of all days up to day: no card can
// be claimed any more. What was released or reopened after this very window had run
// goes on: the office clock was set back over it. An order whose cards are still in a station's hands stays
// closing, covers these, and is settled by a later call. Cards that were not
// presented return to the queue with their rank; what became of the others is kept
// as the day's balance.
func CloseDays(ctx context.Context, tx *postgres.Tx, day clock.Date, window, officeAt time.Time) (DayEnd, error) {
	if err := Lock(ctx, tx); err != nil {
		return DayEnd{}, err
	}
	var orders []WorkOrder
	if err := tx.Select(ctx, &orders, selectOrder+`
		WHERE day <= $1 AND state = 'released' AND (opened_after IS NULL OR opened_after < $2) ORDER BY id FOR UPDATE`, day, window.UTC()); err != nil {
		return DayEnd{}, fmt.Errorf("capacity: reading orders: %w", err)
	}
	for _, o := range orders {
		if err := move(ctx, tx, o, verbClose, scheduler, officeAt); err != nil {
			return DayEnd{}, err
		}
	}
	closed, last, err := settle(ctx, tx, officeAt)
	if err != nil {
		return closed, err
	}
	if last.Before(day) { // orders whose last card closed them are drawn up too
		last = day
	}
	closed.Balance, err = balance(ctx, tx, last)
	return closed, err
}

// Settle closes the orders in state closing of which no station holds a card.
// The planner's lock comes before the orders' own, as everywhere.
func Settle(ctx context.Context, tx *postgres.Tx, officeAt time.Time) (DayEnd, error) {
	if err := Lock(ctx, tx); err != nil {
		return DayEnd{}, err
	}
	closed, last, err := settle(ctx, tx, officeAt)
	if err == nil && closed.Orders > 0 {
		closed.Balance, err = balance(ctx, tx, last)
	}
	return closed, err
}

// settle closes orders without drawing them up; last is the latest of their days.
func settle(ctx context.Context, tx *postgres.Tx, officeAt time.Time) (closed DayEnd, last clock.Date, err error) {
	var orders []WorkOrder
	if err := tx.Select(ctx, &orders, selectOrder+`WHERE state = 'closing' ORDER BY id FOR UPDATE`); err != nil {
		return closed, last, fmt.Errorf("capacity: reading closing orders: %w", err)
	}
	for _, o := range orders {
		held, err := inHand(ctx, tx, o.ID)
		if err != nil {
			return closed, last, err
		}
		if held > 0 {
			continue
		}
		closed.Orders++
		if o.Day.After(last) {
			last = o.Day
		}
		if err := move(ctx, tx, o, verbSettle, scheduler, officeAt); err != nil {
			return closed, last, err
		}
	}
	return closed, last, nil
}

// RevokeRequest takes back every order of a request that is cancelled,
// rejected or held. One under which cards were counted off, or are in a station's
// hands, keeps the slots of these, for the day has spent them, and is closed by Settle
// as soon as those hands are empty. All other slots are free again.
func RevokeRequest(ctx context.Context, tx *postgres.Tx, requestID string, officeAt time.Time) error {
	if err := Lock(ctx, tx); err != nil {
		return err
	}
	var orders []WorkOrder
	if err := tx.Select(ctx, &orders, selectOrder+`
		WHERE request_id = $1 AND state IN ('planned','released') ORDER BY id FOR UPDATE`, requestID); err != nil {
		return fmt.Errorf("capacity: reading orders: %w", err)
	}
	return takeBack(ctx, tx, orders, officeAt)
}

// takeBack revokes orders, or closes them, as RevokeRequest says.
func takeBack(ctx context.Context, tx *postgres.Tx, orders []WorkOrder, officeAt time.Time) error {
	for _, o := range orders {
		held, err := inHand(ctx, tx, o.ID)
		if err != nil {
			return err
		}
		verb := verbRevoke
		if spent := o.Quantity - o.Remaining + held; spent > 0 {
			verb, o.Quantity, o.Remaining = verbClose, spent, held
			if err := tx.ExecOne(ctx, `UPDATE work_order SET slots = int4range(lower(slots), lower(slots) + $2::int), remaining = $3 WHERE id = $1`,
				o.ID, spent, held); err != nil {
				return fmt.Errorf("capacity: taking an order back: %w", err)
			}
		}
		if err := move(ctx, tx, o, verb, scheduler, officeAt); err != nil {
			return err
		}
	}
	return nil
}

// takeBackAhead takes back what is released for days after one, as a clock that was
// ahead for a while leaves it: nobody can claim it before its day, and until then its
// cards would have no other place.
func takeBackAhead(ctx context.Context, tx *postgres.Tx, day clock.Date, officeAt time.Time) error {
	var orders []WorkOrder
	if err := tx.Select(ctx, &orders, selectOrder+`WHERE day > $1 AND state = 'released' ORDER BY id FOR UPDATE`, day); err != nil {
		return fmt.Errorf("capacity: reading orders ahead: %w", err)
	}
	return takeBack(ctx, tx, orders, officeAt)
}

// inHand counts the cards that stations hold under an order. The caller has
// locked the order, so that no claim is missed. A card that was in doubt has
// left its order: however long it waits for the station, the order does not.
func inHand(ctx context.Context, tx *postgres.Tx, orderID string) (n int, err error) {
	if err := tx.Get(ctx, &n, heldCards, orderID); err != nil {
		return 0, fmt.Errorf("capacity: counting claims: %w", err)
	}
	return n, nil
}

// heldCards counts the cards in hand under order $1.
const heldCards = `SELECT count(*) FROM card c WHERE c.work_order_id = $1 AND c.state IN ('claimed','writing','written','verified') AND NOT ` + counted

// counted says of card c that it was taken off its order and is on the line all
// the same, because its doubt was settled: it needs no place.
const counted = `EXISTS (SELECT FROM perso_attempt a WHERE a.card_id = c.id AND a.attempt = c.attempt AND a.counted)`

// ClaimOrder finds and locks the released station order under which one more card of
// the request may be personalised today: of the day, or of one before that is not
// closed yet, but of none that lies ahead. The lock lasts until the claim commits, so
// that neither the day's close nor another claim can come between. It returns
// ErrNoOrder if there is none.
func ClaimOrder(ctx context.Context, tx *postgres.Tx, requestID string, today clock.Date) (WorkOrder, error) {
	return claimOrder(ctx, tx, requestID, ModeStation, today)
}

func claimOrder(ctx context.Context, tx *postgres.Tx, requestID, mode string, today clock.Date) (WorkOrder, error) {
	var orders []WorkOrder
	if err := tx.Select(ctx, &orders, selectOrder+`
		WHERE request_id = $1 AND state = 'released' AND mode = $3 AND remaining > 0 AND day <= $2
		ORDER BY day, id FOR NO KEY UPDATE`, requestID, today, mode); err != nil {
		return WorkOrder{}, fmt.Errorf("capacity: locking orders: %w", err)
	}
	for _, o := range orders {
		held, err := inHand(ctx, tx, o.ID)
		if err != nil {
			return WorkOrder{}, err
		}
		if held < o.Remaining {
			return o, nil
		}
	}
	return WorkOrder{}, ErrNoOrder
}

// CountDown takes one card off an order, in the transaction in which the card
// leaves the line. The last card closes the order and rings
// workorder.finished.
func CountDown(ctx context.Context, tx *postgres.Tx, orderID string, by machine.Actor, officeAt time.Time) error {
	if err := tx.ExecOne(ctx, `
		UPDATE work_order SET remaining = remaining - 1
		WHERE id = $1 AND state IN ('released','closing') AND remaining > 0`, orderID); err != nil {
		return fmt.Errorf("capacity: counting down: %w", err)
	}
	var o WorkOrder
	if err := tx.Get(ctx, &o, selectOrder+`WHERE id = $1`, orderID); err != nil {
		return fmt.Errorf("capacity: reading order: %w", err)
	}
	if o.Remaining+o.Returned > 0 { // a closing one is settled
		return nil
	}
	return move(ctx, tx, o, verbFinish, by, officeAt)
}

// move takes a step of an order that the caller has locked. One that begins to close
// keeps the cards in hand and returns the others; one that is closed has all back
// that were not finished, for its balance and for a new opening.
func move(ctx context.Context, tx *postgres.Tx, o WorkOrder, verb machine.Verb, by machine.Actor, officeAt time.Time) error {
	step, err := Machine.Find(o.State, verb)
	if err != nil {
		return err
	}
	err = tx.ExecOne(ctx, `
		UPDATE work_order SET state = $4, version = version + 1,
		       remaining = CASE $4 WHEN 'closing' THEN least(remaining, (`+heldCards+`)) ELSE remaining + returned END,
		       returned = CASE $4 WHEN 'closing' THEN remaining - least(remaining, (`+heldCards+`)) ELSE 0 END,
		       released_at = CASE WHEN $4 = 'released' THEN $5 ELSE released_at END,
		       opened_after = CASE WHEN $4 = 'released' THEN (SELECT max(window_start) FROM schedule_run WHERE job = '`+JobClose+`' AND window_start <= $5) ELSE opened_after END,
		       closed_at = CASE WHEN $4 IN ('closed','revoked') THEN $5::timestamptz END
		WHERE id = $1 AND state = $2 AND version = $3`,
		o.ID, string(o.State), o.Version, string(step.To), officeAt.UTC())
	if err != nil {
		return fmt.Errorf("capacity: %s order: %w", verb, err)
	}
	if err := Machine.Write(ctx, tx, machine.Record{
		Subject: o.ID, Request: o.RequestID, Version: o.Version + 1, Step: step, Actor: by, OfficeAt: officeAt,
		Detail:      map[string]any{"day": o.Day, "quantity": o.Quantity, "remaining": o.Remaining + o.Returned},
		TraceParent: o.TraceParent,
	}); err != nil {
		return err
	}
	if step.Message == "" {
		return nil
	}
	return outbox.Put(ctx, tx, outbox.Message{
		Type: step.Message, Subject: o.ID, Version: o.Version + 1, Request: o.RequestID, TraceParent: o.TraceParent,
	})
}
