package report

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/lib/pq"

	"dukcapil.go.id/sifilma/pkg/capacity"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/postgres"
)

// WhatIf is what the plan would be under hypotheses. The JSON names are the API.
type WhatIf struct {
	// Moved are the requests that would stand elsewhere, in the order of their ranks.
	Moved   []MovedRequest    `json:"moved"`
	Unmoved int               `json:"unmoved"` // requests that stay where they are
	Extra   []capacity.Period `json:"extra_requests"`
	// The last days with cards, as planned and as it would be; nil for none.
	LastBefore *clock.Date `json:"last_before"`
	LastAfter  *clock.Date `json:"last_after"`
}

// MovedRequest is a request that would stand elsewhere.
type MovedRequest struct {
	Ticket      string           `json:"ticket"`
	Institution string           `json:"institution"`
	Before      *capacity.Period `json:"before"`
	After       *capacity.Period `json:"after"` // nil: it would have no days
	Later       int              `json:"workdays_later"`
}

// ErrBusy says that too many questions are being answered. The same may be answered a
// little later.
var ErrBusy = errors.New("report: too many what-if questions at once")

// Questions that are answered together, each of which reads the whole plan, and that
// wait for their turn.
const (
	mostAnswered = 2
	mostWaiting  = 8
)

// Asker answers what-if questions, so many at once.
type Asker struct {
	db               *postgres.DB
	office           clock.Office
	working, waiting chan struct{}
}

// NewAsker returns an asker.
func NewAsker(db *postgres.DB, office clock.Office) *Asker {
	return &Asker{db: db, office: office, working: make(chan struct{}, mostAnswered), waiting: make(chan struct{}, mostWaiting)}
}

// enter waits for a turn, which leave ends.
func (a *Asker) enter(ctx context.Context) error {
	select {
	case a.waiting <- struct{}{}:
		defer func() { <-a.waiting }()
	default:
		return ErrBusy
	}
	select {
	case a.working <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (a *Asker) leave() { <-a.working }

// Ask makes the plan as it would be, on one snapshot that cannot be written to. Errors:
// form.Faults, ErrBusy.
func (a *Asker) Ask(ctx context.Context, h capacity.Hypotheses) (*WhatIf, error) {
	officeAt := a.office.Now()
	if err := h.Check(clock.DateOf(officeAt)); err != nil { // what cannot be asked takes no turn
		return nil, err
	}
	if err := a.enter(ctx); err != nil {
		return nil, err
	}
	defer a.leave()
	return askWhatIf(ctx, a.db, officeAt, h)
}

func askWhatIf(ctx context.Context, db *postgres.DB, officeAt time.Time, h capacity.Hypotheses) (*WhatIf, error) {
	out := &WhatIf{Moved: []MovedRequest{}, Extra: []capacity.Period{}}
	err := db.View(ctx, func(ctx context.Context, rd postgres.Reader) error {
		calendar, err := capacity.Calendar(ctx, rd)
		if err != nil {
			return err
		}
		s, err := capacity.WhatIf(ctx, rd, capacity.PlanInput{Calendar: calendar, OfficeAt: officeAt}, h)
		if err != nil {
			return err
		}
		out.LastBefore, out.LastAfter, out.Extra = s.LastBefore, s.LastAfter, append(out.Extra, s.Extra...)
		var ids []string
		for _, one := range s.Shifts {
			if one.Moves() {
				ids = append(ids, one.RequestID)
			}
		}
		names, err := applicantsOf(ctx, rd, ids)
		if err != nil {
			return err
		}
		for _, one := range s.Shifts {
			if !one.Moves() {
				out.Unmoved++
				continue
			}
			out.Moved = append(out.Moved, MovedRequest{one.Ticket, names[one.RequestID], one.Before, one.After, one.Later})
		}
		return nil
	})
	return out, err
}

// applicantsOf names the institutions behind requests.
func applicantsOf(ctx context.Context, rd postgres.Reader, ids []string) (map[string]string, error) {
	var rows []struct {
		ID   string `db:"id"`
		Name string `db:"name"`
	}
	if err := rd.Select(ctx, &rows, `
		SELECT r.id, i.name FROM request r JOIN institution i ON i.id = r.institution_id WHERE r.id = ANY ($1::uuid[])`, pq.Array(ids)); err != nil {
		return nil, fmt.Errorf("report: applicants: %w", err)
	}
	names := make(map[string]string, len(rows))
	for _, r := range rows {
		names[r.ID] = r.Name
	}
	return names, nil
}
