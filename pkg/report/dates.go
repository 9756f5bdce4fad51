package report

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"dukcapil.go.id/sifilma/pkg/capacity"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/feed"
	"dukcapil.go.id/sifilma/pkg/ical"
	"dukcapil.go.id/sifilma/pkg/identity"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/pkg/terbilang"
)

// refresh is how often a subscribed calendar is asked to look again: the plan moves
// with the office's day, not with the minute.
const refresh = time.Hour

// Dates is the calendar of a request that a feed's secret opens: the days of its
// personalisation and why they moved last. Nobody's name is in it. page is the
// address of the portal, or empty. Error: ErrNotFound, also when the account behind
// the feed is shut or may not see the request any more.
func Dates(ctx context.Context, db *postgres.DB, token, page string) (ical.Calendar, error) {
	var c ical.Calendar
	err := db.View(ctx, func(ctx context.Context, rd postgres.Reader) error {
		f, err := feed.ByToken(ctx, rd, token)
		if err != nil {
			return err
		}
		a, err := identity.ActiveAccount(ctx, rd, f.AccountID)
		if err != nil {
			return err
		}
		r, err := request.Get(ctx, rd, f.RequestID)
		if err != nil {
			return err
		}
		if scope := Scope(a); scope != "" && scope != r.InstitutionID {
			return ErrNotFound
		}
		c, err = dates(ctx, rd, r, page)
		return err
	})
	if errors.Is(err, feed.ErrNotFound) || errors.Is(err, identity.ErrNotFound) || errors.Is(err, request.ErrNotFound) {
		return c, ErrNotFound
	}
	return c, err
}

func dates(ctx context.Context, rd postgres.Reader, r request.Request, page string) (ical.Calendar, error) {
	c := ical.Calendar{Name: "Permohonan " + r.Ticket, Product: "-//Ditjen Dukcapil//SI-FILMA//ID", Refresh: refresh}
	planned, err := capacity.EstimateOf(ctx, rd, r.ID)
	if err != nil {
		return c, err
	}
	// Steps that a subscriber notices although the days stay. By the office's clock,
	// as the moves of the estimate.
	var steps struct {
		Count int       `db:"count"`
		Last  time.Time `db:"last"`
	}
	if err := rd.Get(ctx, &steps, `
		SELECT count(*) FILTER (WHERE verb IN ('hold', 'release', 'reject', 'cancel', 'start', 'finish')) AS count,
		       coalesce(max(office_at), $2) AS last
		FROM history WHERE subject = $1 AND machine = 'request'`, r.ID, r.CreatedAt); err != nil {
		return c, fmt.Errorf("report: steps of a feed: %w", err)
	}
	e := ical.Event{Sequence: steps.Count, Changed: steps.Last, Status: ical.Tentative, Description: "Keadaan: " + request.Machine.Label(r.State) + "."}
	if page != "" {
		e.URL = strings.TrimRight(page, "/") + "/permohonan/" + r.Ticket
	}
	switch r.State {
	case request.InProgress, request.Done:
		e.Status = ical.Confirmed
	case request.Cancelled, request.Rejected:
		e.Status = ical.Cancelled
	}
	if planned == nil { // a calendar needs an event (RFC 5545 section 3.6)
		e.UID, e.Summary = r.ID+"-diajukan@sifilma", "Permohonan "+r.Ticket+" diajukan"
		e.First = clock.DateOf(r.CreatedAt)
		e.Last = e.First
		e.Description += "\nHari personalisasi dijadwalkan setelah permohonan diterima Subdit KI, lalu tampil di sini."
		c.Events = []ical.Event{e}
		return c, nil
	}
	e.UID, e.First, e.Last = r.ID+"-personalisasi@sifilma", planned.Start, planned.Finish
	e.Summary = "Personalisasi " + terbilang.FormatInt(int64(r.CardCount)) + " kartu SAM, " + r.Ticket
	e.Sequence += max(0, len(planned.Moves)-1)
	if planned.MovedAt.After(e.Changed) {
		e.Changed = planned.MovedAt
	}
	e.Description = estimateWords(planned) + "\n" + e.Description
	if planned.Suspended { // calendars take it off until it has days again
		e.Status, e.Summary = ical.Cancelled, "Ditahan: "+e.Summary
	}
	c.Events = []ical.Event{e}
	return c, nil
}

// estimateWords says where an estimate stands, and why it is not where it was
// promised.
func estimateWords(e *capacity.Estimate) string {
	if e.Suspended {
		return "Permohonan ditahan; hari personalisasinya dihitung lagi setelah dilanjutkan.\nPerkiraan sebelum ditahan: " + terbilang.FormatPeriod(e.Start, e.Finish) + "."
	}
	text := "Perkiraan personalisasi: " + terbilang.FormatPeriod(e.Start, e.Finish) + "."
	if e.Start == e.FirstStart && e.Finish == e.FirstFinish {
		return text
	}
	text += "\nSemula dijanjikan " + terbilang.FormatPeriod(e.FirstStart, e.FirstFinish)
	if e.Cause != "" {
		text += "; bergeser karena " + e.Cause
	}
	return text + "."
}
