// Package planning is the desk where people decide about the plan: where the cards
// of a request go, when stations stand still, and what is done with today. It says
// who may, and makes each decision one transaction with its audit row. People write
// what they want; the scheduler alone writes the plan. The API and the pages share it.
package planning

import (
	"context"
	"errors"
	"hash/fnv"
	"slices"
	"strconv"

	"dukcapil.go.id/sifilma/pkg/audit"
	"dukcapil.go.id/sifilma/pkg/capacity"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/identity"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/report"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/pkg/trace"
)

// Errors of the desk.
var (
	// ErrForbidden says that somebody's role does not decide about the plan.
	ErrForbidden = errors.New("planning: the plan is not for this role")
	// ErrNotDowntime says that somebody's role does not record downtimes.
	ErrNotDowntime = errors.New("planning: downtimes are not for this role")
	// ErrInside says that the plan with its reasons is for the office's own people.
	ErrInside = errors.New("planning: for the office only")
)

// Who decides what (users.md A.3): the Kasubdit KI schedules; whoever runs the
// stations knows when one stands still.
var (
	planners = []machine.Role{request.Kasubdit}
	keepers  = []machine.Role{request.Kasubdit, request.Operator}
)

// May says whether a role decides about the plan.
func May(role machine.Role) bool { return slices.Contains(planners, role) }

// MayDowntime says whether a role records when stations stand still.
func MayDowntime(role machine.Role) bool { return slices.Contains(keepers, role) }

// Desk is where the plan is decided about.
type Desk struct {
	DB     *postgres.DB
	Office clock.Office
}

func (d Desk) why(who identity.Account, reason string) capacity.Why {
	return capacity.Why{Actor: who.Username, Reason: reason, OfficeAt: d.Office.Now()}
}

// Today is the office's day.
func (d Desk) Today() clock.Date { return clock.Today(d.Office) }

// note runs a decision with its audit row.
func (d Desk) note(ctx context.Context, who identity.Account, do func(ctx context.Context, tx *postgres.Tx) (audit.Entry, error)) error {
	return d.DB.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		e, err := do(ctx, tx)
		if err != nil {
			return err
		}
		e.Actor = who.Username
		return audit.Record(ctx, tx, e)
	})
}

// daysAhead are the hari kerja whose room is shown to whoever chooses a day.
const daysAhead = 10

// Plan is the plan of a request as the office sees it.
type Plan struct {
	Ticket string `json:"ticket"`
	// Version changes with each decision about the request's place.
	Version int64 `json:"version"`
	// Ordered changes with each order of today about the request.
	Ordered    int64              `json:"-"`
	Open       bool               `json:"open"` // in production, so that it can be decided about
	Days       []capacity.Placed  `json:"days"`
	Placements []Placement        `json:"placements"` // what people decided, by day
	Commands   []capacity.Command `json:"commands"`   // of today, newest first
	Ahead      []capacity.DayLoad `json:"ahead"`      // the next hari kerja, today first
}

// Placement is what people decided about a place.
type Placement struct {
	capacity.Placement
	// InForce says that it binds the plan: the request is in production and the day
	// is not over.
	InForce bool `json:"in_force"`
}

// version of what people decided about a request.
func version(list []capacity.Placement) int64 {
	sum := fnv.New32a()
	for _, p := range list {
		_, _ = sum.Write([]byte(p.ID + ":" + strconv.FormatInt(p.Version, 10) + ";")) // a hash never fails
	}
	return int64(sum.Sum32())
}

// Plan reads the plan of the request with this ticket. Errors: ErrInside,
// request.ErrNotFound.
func (d Desk) Plan(ctx context.Context, who identity.Account, ticket string) (v Plan, err error) {
	err = d.DB.View(ctx, func(ctx context.Context, rd postgres.Reader) error {
		r, err := find(ctx, rd, who, ticket)
		if err != nil {
			return err
		}
		if report.Outside(who) {
			return ErrInside
		}
		v, err = d.read(ctx, rd, r)
		return err
	})
	return v, err
}

// ordered is the version of orders that were given.
func ordered(list []capacity.Command) int64 {
	sum := fnv.New32a()
	for _, c := range list {
		_, _ = sum.Write([]byte(c.ID + ";"))
	}
	return int64(sum.Sum32())
}

// find reads the request with this ticket as far as an account may know of it.
func find(ctx context.Context, rd postgres.Reader, who identity.Account, ticket string) (request.Request, error) {
	r, err := request.ByTicket(ctx, rd, ticket, report.Scope(who))
	trace.Join(ctx, r.TraceParent)
	return r, err
}

func (d Desk) read(ctx context.Context, rd postgres.Reader, r request.Request) (v Plan, err error) {
	v = Plan{Ticket: r.Ticket, Open: r.State == request.Accepted || r.State == request.Scheduled || r.State == request.InProgress}
	placements, err := capacity.Placements(ctx, rd, r.ID)
	if err != nil {
		return v, err
	}
	v.Version, v.Placements = version(placements), make([]Placement, len(placements))
	for i, p := range placements {
		v.Placements[i] = Placement{p, v.Open && !p.Day.Before(d.Today())}
	}
	if v.Days, err = capacity.PlacedOf(ctx, rd, r.ID); err != nil {
		return v, err
	}
	if v.Commands, err = capacity.CommandsOf(ctx, rd, d.Today(), r.ID); err != nil {
		return v, err
	}
	v.Ordered = ordered(v.Commands)
	calendar, err := capacity.Calendar(ctx, rd)
	if err != nil {
		return v, err
	}
	v.Ahead, err = capacity.Ahead(ctx, rd, capacity.PlanInput{Calendar: calendar, OfficeAt: d.Office.Now()}, daysAhead)
	return v, err
}

// verbs are what the audit calls a placement.
func verb(p capacity.Placement) string {
	switch {
	case p.Cards > 0:
		return "plan.split"
	case p.Pin:
		return "plan.pin"
	}
	return "plan.move"
}

// Place decides about the place of the request with this ticket, as of the version
// of its plan that was seen. Errors: ErrForbidden, postgres.ErrStale, and those of
// capacity.Place.
func (d Desk) Place(ctx context.Context, who identity.Account, ticket string, seen int64, p capacity.Placement, reason string) (v Plan, err error) {
	if !May(who.Role) {
		return v, ErrForbidden
	}
	err = d.note(ctx, who, func(ctx context.Context, tx *postgres.Tx) (audit.Entry, error) {
		r, err := find(ctx, tx, who, ticket)
		if err != nil {
			return audit.Entry{}, err
		}
		if _, err := request.Lock(ctx, tx, r.ID); err != nil { // so that nobody places it at the same time
			return audit.Entry{}, err
		}
		list, err := capacity.Placements(ctx, tx, r.ID)
		if err != nil {
			return audit.Entry{}, err
		}
		if version(list) != seen {
			return audit.Entry{}, postgres.ErrStale
		}
		p.RequestID = r.ID
		made, err := capacity.Place(ctx, tx, p, d.why(who, reason))
		if err != nil {
			return audit.Entry{}, err
		}
		v, err = d.read(ctx, tx, r)
		return audit.Entry{Action: verb(made), Subject: made.ID, Request: r.ID, Detail: map[string]any{"placement": made, "reason": reason}}, err
	})
	return v, err
}

// Unplace takes a decision back, as of its version. Errors: ErrForbidden, and those
// of capacity.Unplace.
func (d Desk) Unplace(ctx context.Context, who identity.Account, id string, seen int64, reason string) error {
	if !May(who.Role) {
		return ErrForbidden
	}
	return d.note(ctx, who, func(ctx context.Context, tx *postgres.Tx) (audit.Entry, error) {
		p, err := capacity.Unplace(ctx, tx, id, seen, d.why(who, reason))
		return audit.Entry{Action: "plan.unplace", Subject: id, Request: p.RequestID, Detail: map[string]any{"placement": p, "reason": reason}}, err
	})
}

// actions are what the audit calls a command.
var actions = map[capacity.CommandVerb]string{capacity.ReleaseNow: "plan.release_now", capacity.CloseEarly: "day.close", capacity.Reopen: "day.reopen"}

// Order is what somebody orders about today.
type Order struct {
	Verb   capacity.CommandVerb
	Ticket string // empty: all of the day
	Cards  int    // of a release; 0: all that remain
	Reason string
	// Seen is Plan.Ordered as it was before their eyes, so that a form that is sent
	// twice orders once; 0 for orders that are not from such a form.
	Seen int64
}

// Give keeps an order about today for the scheduler. One that waits already is not
// given twice. Errors: ErrForbidden, request.ErrNotFound, postgres.ErrStale, and those
// of capacity.Give.
func (d Desk) Give(ctx context.Context, who identity.Account, order Order) (given capacity.Command, err error) {
	if !May(who.Role) {
		return given, ErrForbidden
	}
	err = d.note(ctx, who, func(ctx context.Context, tx *postgres.Tx) (audit.Entry, error) {
		c := capacity.Command{Verb: order.Verb, Cards: order.Cards}
		e := audit.Entry{Action: actions[order.Verb], Subject: d.Today().String()}
		stale := false
		if order.Ticket != "" {
			r, err := find(ctx, tx, who, order.Ticket)
			if err != nil {
				return e, err
			}
			c.RequestID, e.Request = &r.ID, r.ID
			if _, err := request.Lock(ctx, tx, r.ID); err != nil { // so that nobody orders at the same time
				return e, err
			}
			list, err := capacity.CommandsOf(ctx, tx, d.Today(), r.ID)
			if err != nil {
				return e, err
			}
			stale = order.Seen != 0 && order.Seen != ordered(list)
		}
		var fresh bool
		given, fresh, err = capacity.Give(ctx, tx, c, d.why(who, order.Reason))
		if err == nil && fresh && stale {
			err = postgres.ErrStale
		}
		e.Detail = map[string]any{"command": given, "reason": order.Reason}
		if !fresh {
			e.Detail["already_waiting"] = true
		}
		return e, err
	})
	return given, err
}

// Day is what is done today and was ordered about it.
type Day struct {
	Day      clock.Date         `json:"day"`
	Placed   []capacity.Placed  `json:"placed"`
	Commands []capacity.Command `json:"commands"` // newest first
}

// Day reads a day. Error: ErrInside.
func (d Desk) Day(ctx context.Context, who identity.Account, day clock.Date) (v Day, err error) {
	if report.Outside(who) {
		return v, ErrInside
	}
	v.Day = day
	err = d.DB.View(ctx, func(ctx context.Context, rd postgres.Reader) error {
		if v.Placed, err = capacity.PlacedOn(ctx, rd, day); err != nil {
			return err
		}
		v.Commands, err = capacity.Commands(ctx, rd, day)
		return err
	})
	return v, err
}
