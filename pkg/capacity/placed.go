package capacity

import (
	"context"
	"fmt"

	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/postgres"
)

// Placed are the cards of a request on a day, by the state of their orders.
type Placed struct {
	Day        clock.Date    `db:"day" json:"day"`
	Ticket     string        `db:"ticket" json:"ticket"`
	State      machine.State `db:"state" json:"state"`
	StateLabel string        `db:"-" json:"state_label"`
	Cards      int           `db:"cards" json:"cards"`
	Remaining  int           `db:"remaining" json:"remaining"` // of them not finished
}

const selectPlaced = `
	SELECT o.day, r.ticket, o.state, sum(o.quantity) AS cards, sum(o.remaining) AS remaining
	FROM work_order o JOIN request r ON r.id = o.request_id WHERE o.state <> 'revoked' AND `

// PlacedOf says on which days the cards of a request are.
func PlacedOf(ctx context.Context, rd postgres.Reader, requestID string) ([]Placed, error) {
	return placed(ctx, rd, `o.request_id = $1`, requestID)
}

// PlacedOn says whose cards are on a day.
func PlacedOn(ctx context.Context, rd postgres.Reader, day clock.Date) ([]Placed, error) {
	return placed(ctx, rd, `o.day = $1`, day)
}

func placed(ctx context.Context, rd postgres.Reader, where string, arg any) ([]Placed, error) {
	list := []Placed{}
	if err := rd.Select(ctx, &list, selectPlaced+where+` GROUP BY o.day, r.ticket, o.state ORDER BY o.day, r.ticket, o.state`, arg); err != nil {
		return nil, fmt.Errorf("capacity: reading where cards are placed: %w", err)
	}
	for i := range list {
		list[i].StateLabel = Machine.Label(list[i].State)
	}
	return list, nil
}

// CommandsOf lists the commands of a day about a request, newest first, those about
// all of the day included.
func CommandsOf(ctx context.Context, rd postgres.Reader, day clock.Date, requestID string) ([]Command, error) {
	list := []Command{}
	if err := rd.Select(ctx, &list, selectCommand+`WHERE day = $1 AND (request_id = $2 OR request_id IS NULL) ORDER BY id DESC`, day, requestID); err != nil {
		return nil, fmt.Errorf("capacity: reading commands: %w", err)
	}
	return list, nil
}
