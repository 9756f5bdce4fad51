package api

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/go-chi/chi/v5"

	"dukcapil.go.id/sifilma/pkg/capacity"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/pkg/trace"
	"dukcapil.go.id/sifilma/pkg/validation"
	"dukcapil.go.id/sifilma/pkg/web"
)

// shown is a request as its applicant sees it.
type shown struct {
	ID         string               `json:"id"`
	Ticket     string               `json:"ticket"`
	Kind       string               `json:"kind"`
	Reference  string               `json:"reference"`
	Title      string               `json:"title"`
	CardCount  int                  `json:"card_count"`
	State      machine.State        `json:"state"`
	StateLabel string               `json:"state_label"`
	Version    int64                `json:"version"`
	Submission int                  `json:"submission"`
	CreatedAt  time.Time            `json:"created_at"`
	Reason     string               `json:"reason"` // why it was returned, rejected or held
	Findings   []validation.Finding `json:"findings"`
	Estimate   *capacity.Estimate   `json:"estimate"`
}

// show answers with one of the client's own requests; others are not there.
func (a *API) show(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	is, err := request.ByTicket(ctx, a.db, chi.URLParam(r, "ticket"), client(ctx).InstitutionID)
	if errors.Is(err, request.ErrNotFound) {
		return noSuchTicket()
	}
	if err != nil {
		return err
	}
	trace.Join(ctx, is.TraceParent)
	out := shown{
		ID: is.ID, Ticket: is.Ticket, Kind: is.Kind, Reference: is.Reference, Title: is.Title, CardCount: is.CardCount,
		State: is.State, StateLabel: request.Machine.Label(is.State), Version: is.Version, Submission: is.Submission,
		CreatedAt: is.CreatedAt.UTC(),
	}
	if out.Findings, err = validation.Load(ctx, a.db, is.ID, is.Submission); err != nil {
		return err
	}
	if out.Estimate, err = capacity.EstimateOf(ctx, a.db, is.ID); err != nil {
		return err
	}
	if out.Reason, err = a.reason(ctx, is); err != nil {
		return err
	}
	web.SetVersion(w, is.Version)
	web.WriteJSON(w, r, http.StatusOK, out)
	return nil
}

// reason is what was said at the step that led to the present state.
func (a *API) reason(ctx context.Context, is request.Request) (string, error) {
	switch is.State {
	case request.Returned, request.Rejected, request.Held, request.Cancelled:
	default:
		return "", nil
	}
	var reason string
	err := a.db.Get(ctx, &reason, `
		SELECT reason FROM history WHERE machine = $1 AND subject = $2 AND version = $3`,
		request.Machine.Name, is.ID, is.Version)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return "", fmt.Errorf("intake: reading the timeline: %w", err)
	}
	return reason, nil
}
