package report

import (
	"context"

	"dukcapil.go.id/sifilma/pkg/capacity"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/postgres"
)

// planEvent is the machine of the timeline's lines that people wrote into the plan.
const planEvent = "plan"

// planned are the lines of what people decided about a request's place in the plan,
// and ordered about its days: the office's own business.
func planned(ctx context.Context, rd postgres.Reader, requestID string) ([]Event, error) {
	deeds, err := capacity.Deeds(ctx, rd, requestID)
	if err != nil {
		return nil, err
	}
	var events []Event
	for _, d := range deeds {
		events = append(events, Event{At: d.At, OfficeAt: d.OfficeAt, Machine: planEvent, Verb: machine.Verb(d.Verb), Label: d.Label, Actor: d.By, Reason: d.Reason})
	}
	return events, nil
}
