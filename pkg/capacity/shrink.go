package capacity

import (
	"context"
	"fmt"
	"time"

	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/postgres"
)

// Shrink gives back the places of cards that were taken off a request in the orders
// that the plan leaves alone: those that are released, and today's. The last ones
// shrink first, none below the cards that stations hold under it. An order without a
// card left closes as after its last card and rings workorder.finished; one that was
// not released yet goes.
func Shrink(ctx context.Context, tx *postgres.Tx, requestID string, officeAt time.Time) error {
	if err := Lock(ctx, tx); err != nil {
		return err
	}
	var orders []WorkOrder
	if err := tx.Select(ctx, &orders, selectOrder+`
		WHERE request_id = $1 AND (state IN ('released','closing') OR state = 'planned' AND day = $2)
		ORDER BY day DESC, id DESC FOR UPDATE`, requestID, clock.DateOf(officeAt)); err != nil {
		return fmt.Errorf("capacity: reading orders: %w", err)
	}
	var excess int // after the locks: what is being counted down has been
	if err := tx.Get(ctx, &excess, `
		SELECT - count(*) FROM card c WHERE c.request_id = $1 AND c.state IN
		       ('listed','bound','numbered','claimed','writing','written','verified') AND NOT `+counted, requestID); err != nil {
		return fmt.Errorf("capacity: counting cards: %w", err)
	}
	for _, o := range orders {
		excess += o.Remaining
	}
	for _, o := range orders {
		if excess <= 0 {
			return nil
		}
		held, err := inHand(ctx, tx, o.ID)
		if err != nil {
			return err
		}
		off := min(excess, o.Remaining-held)
		if off <= 0 {
			continue
		}
		excess -= off
		if err := give(ctx, tx, o, off, officeAt); err != nil {
			return err
		}
	}
	return nil
}

// give takes places off an order.
func give(ctx context.Context, tx *postgres.Tx, o WorkOrder, off int, officeAt time.Time) error {
	o.Remaining -= off
	query, args := `UPDATE work_order SET remaining = $2, reduced = reduced + $3 WHERE id = $1`, []any{o.ID, o.Remaining, off}
	switch {
	case o.State == Planned && o.Remaining == 0:
		if err := tx.ExecOne(ctx, `DELETE FROM work_order WHERE id = $1`, o.ID); err != nil {
			return fmt.Errorf("capacity: removing an order: %w", err)
		}
		return nil
	case o.State == Planned: // nobody knows its slots yet
		query, args = `UPDATE work_order SET remaining = $2, slots = int4range(lower(slots), lower(slots) + $2) WHERE id = $1`, args[:2]
	}
	if err := tx.ExecOne(ctx, query, args...); err != nil {
		return fmt.Errorf("capacity: shrinking an order: %w", err)
	}
	if o.Remaining > 0 {
		return nil
	}
	return move(ctx, tx, o, verbFinish, scheduler, officeAt)
}
