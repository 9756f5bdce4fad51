package report

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/lib/pq"

	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/pkg/stage"
	"dukcapil.go.id/sifilma/pkg/terbilang"
)

// Event is a line of the timeline.
type Event struct {
	At       time.Time    `json:"at"`        // by the machine's clock
	OfficeAt time.Time    `json:"office_at"` // by the office's clock
	Machine  string       `json:"machine"`
	Verb     machine.Verb `json:"verb"`
	Label    string       `json:"label"` // a sentence
	Actor    string       `json:"actor"` // user name or daemon; empty for eyes from outside
	Name     string       `json:"name"`  // of the person
	Role     machine.Role `json:"role"`
	RoleName string       `json:"role_label"`
	Reason   string       `json:"reason"`
}

// factEvent is the machine of the timeline's lines that are facts.
const factEvent = "fact"

// taken is a step with what its sentence needs.
type taken struct {
	machine.Taken
	Serial   *string `db:"serial"`   // of a card
	Replaces *string `db:"replaces"` // serial of the card that it replaces
	fields   map[string]any
}

// timeline returns the steps of a request, newest first: its own, those of its
// work orders, papers and handovers, the facts, and of its cards what is worth a
// line. Cards that went well are one line a day, those that a letter took off one line a
// letter.
func timeline(ctx context.Context, rd postgres.Reader, requestID string, facts []Fact, outside bool) ([]Event, error) {
	var rows []taken
	if err := rd.Select(ctx, &rows, `
		SELECT h.id, h.machine, h.subject, h.request_id, h.version, h.from_state, h.verb, h.to_state, h.actor, h.role,
		       h.reason, h.detail, h.office_at, h.at, c.serial, old.serial AS replaces
		FROM history h
		LEFT JOIN listed_card c ON h.machine = 'card' AND c.id = h.subject
		LEFT JOIN listed_card old ON old.id = c.replaces
		WHERE h.request_id = $1 AND (h.machine <> 'card'
		   OR h.verb IN ('fail', 'doubt', 'complete', 'resume', 'spoil')
		   OR h.verb = 'list' AND old.id IS NOT NULL)
		ORDER BY h.id`, requestID); err != nil {
		return nil, fmt.Errorf("report: timeline: %w", err)
	}
	events := factEvents(facts) // before the steps: the last fact registers in its own transaction
	for _, row := range rows {
		if e, ok := row.event(outside); ok {
			events = append(events, e)
		}
	}
	clear, err := cleared(ctx, rd, requestID)
	if err != nil {
		return nil, err
	}
	off, err := reduced(ctx, rd, requestID)
	if err != nil {
		return nil, err
	}
	events = append(append(events, clear...), off...)
	if !outside {
		alarms, err := alarmed(ctx, rd, requestID)
		if err != nil {
			return nil, err
		}
		deeds, err := planned(ctx, rd, requestID)
		if err != nil {
			return nil, err
		}
		events = append(append(events, alarms...), deeds...)
	}
	newestFirst(events)
	return events, nameActors(ctx, rd, events, outside)
}

func newestFirst(events []Event) {
	slices.SortStableFunc(events, func(a, b Event) int { return a.At.Compare(b.At) })
	slices.Reverse(events)
}

// factEvents are the lines of facts.
func factEvents(facts []Fact) []Event {
	events := []Event{}
	for _, f := range facts {
		if f.Fact.Fact == request.FactValidated {
			continue // the request's own step says it
		}
		events = append(events, Event{
			At: f.At, OfficeAt: f.OfficeAt, Machine: factEvent, Verb: machine.Verb(f.Fact.Fact), Label: f.Label, Actor: f.Actor,
		})
	}
	return events
}

// cleared is a line a day for the cards that went well.
func cleared(ctx context.Context, rd postgres.Reader, requestID string) ([]Event, error) {
	var days []struct {
		N        int64        `db:"n"`
		Actor    string       `db:"actor"`
		Role     machine.Role `db:"role"`
		OfficeAt time.Time    `db:"office_at"`
		At       time.Time    `db:"at"`
	}
	if err := rd.Select(ctx, &days, `
		SELECT count(*) AS n, max(actor) AS actor, max(role) AS role, max(office_at) AS office_at, max(at) AS at
		FROM history WHERE request_id = $1 AND machine = 'card' AND verb = 'clear'
		GROUP BY (office_at AT TIME ZONE 'Asia/Jakarta')::date`, requestID); err != nil {
		return nil, fmt.Errorf("report: timeline of cards: %w", err)
	}
	var events []Event
	for _, d := range days {
		events = append(events, Event{
			At: d.At, OfficeAt: d.OfficeAt, Machine: perso.Machine.Name, Verb: perso.ClearVerb, Actor: d.Actor, Role: d.Role,
			Label: terbilang.FormatInt(d.N) + " kartu berhasil dipersonalisasi",
		})
	}
	return events, nil
}

// stageEvent is the machine of the timeline's lines that are alarms of the stage
// clock.
const stageEvent = "stage"

// alarmed are the lines of the stage clock's alarms: the office's own business.
func alarmed(ctx context.Context, rd postgres.Reader, requestID string) ([]Event, error) {
	list, err := stage.Alarms(ctx, rd, requestID)
	if err != nil {
		return nil, err
	}
	var events []Event
	for _, a := range list {
		what := "Tahap " + stage.Labels[a.Stage]
		if a.Stage == stage.Total {
			what = stage.Labels[a.Stage]
		}
		how := "mendekati batas"
		if a.Status == stage.Late {
			how = "melewati batas"
		}
		events = append(events, Event{
			At: a.At, OfficeAt: a.OfficeAt, Machine: stageEvent, Verb: machine.Verb(a.Status), Role: request.Scheduler,
			Label: fmt.Sprintf("%s %s: %d dari %d hari kerja", what, how, a.Days, a.Most),
		})
	}
	return events, nil
}

// People are the names of accounts by their usernames, for the office's own eyes; a
// username without an account is not among them.
func People(ctx context.Context, rd postgres.Reader, usernames []string) (map[string]string, error) {
	var rows []struct {
		Username string       `db:"username"`
		Name     string       `db:"name"`
		Role     machine.Role `db:"role"`
	}
	if err := rd.Select(ctx, &rows, `SELECT username, name, role FROM account WHERE username = ANY ($1)`, pq.Array(usernames)); err != nil {
		return nil, fmt.Errorf("report: names: %w", err)
	}
	names := make(map[string]string, len(rows))
	for _, p := range rows {
		names[p.Username] = p.Name
		if role := request.RoleLabels[p.Role]; role != p.Name && role != "" {
			names[p.Username] += " (" + role + ")"
		}
	}
	return names, nil
}

// nameActors adds the names of people and roles, or takes away who it was from
// eyes outside: to them it was the office.
func nameActors(ctx context.Context, rd postgres.Reader, events []Event, outside bool) error {
	type person struct {
		Username string       `db:"username"`
		Name     string       `db:"name"`
		Role     machine.Role `db:"role"`
		Outside  bool         `db:"outside"`
	}
	var actors []string
	for _, e := range events {
		actors = appendNew(actors, e.Actor)
	}
	var rows []person
	if err := rd.Select(ctx, &rows, `
		SELECT username, name, role, institution_id IS NOT NULL AS outside FROM account WHERE username = ANY ($1)`,
		pq.Array(actors)); err != nil {
		return fmt.Errorf("report: names: %w", err)
	}
	people := map[string]person{}
	for _, p := range rows {
		people[p.Username] = p
	}
	for i := range events {
		e := &events[i]
		p := people[e.Actor]
		e.Name = p.Name
		if e.Role == "" { // a fact has none
			e.Role = p.Role
		}
		e.RoleName = request.RoleLabels[e.Role]
		if outside && !p.Outside {
			e.Actor, e.Name = "", ""
		}
	}
	return nil
}

// event words a step; ok is false for steps that are not for eyes outside.
func (t taken) event(outside bool) (e Event, ok bool) {
	s, known := sentences[t.Machine+"."+string(t.Verb)]
	return t.worded(s, known, outside)
}

func (t taken) worded(s sentence, known, outside bool) (e Event, ok bool) {
	if outside && (!known || s.internal) {
		return e, false
	}
	e = Event{
		At: t.At, OfficeAt: t.OfficeAt, Machine: t.Machine, Verb: t.Verb, Actor: t.Actor, Role: t.Role, Reason: t.Reason,
	}
	t.fields = map[string]any{}
	if len(t.Detail) > 0 {
		if err := json.Unmarshal(t.Detail, &t.fields); err != nil {
			t.fields = map[string]any{} // a detail of another time; the sentence does without
		}
	}
	switch {
	case known && s.words != nil:
		e.Label = s.words(t)
	case known:
		e.Label = s.text
	default:
		e.Label = t.Machine + ": " + string(t.Verb)
	}
	if outside && s.hideReason {
		e.Reason = ""
	}
	return e, true
}

func (t taken) text(key string) string {
	s, _ := t.fields[key].(string)
	return s
}

func (t taken) number(key string) string {
	n, _ := t.fields[key].(float64)
	return terbilang.FormatInt(int64(n))
}

func (t taken) day() string {
	d, err := clock.ParseDate(t.text("day"))
	if err != nil {
		return "hari yang direncanakan"
	}
	return terbilang.FormatDayDate(d)
}

func (t taken) card() string {
	if t.Serial == nil {
		return "Kartu"
	}
	return "Kartu " + *t.Serial
}
