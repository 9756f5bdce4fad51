package machine

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/lib/pq"
	"github.com/rs/zerolog"

	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/trace"
)

// Actor is who takes a step: the user name of an account or the name of a
// daemon, in a role.
type Actor struct {
	Name string
	Role Role
}

// Taken is a step that was taken, as the timeline keeps it.
type Taken struct {
	ID        string          `db:"id"`
	Machine   string          `db:"machine"`
	Subject   string          `db:"subject"`
	RequestID *string         `db:"request_id"`
	Version   int64           `db:"version"`
	From      State           `db:"from_state"`
	Verb      Verb            `db:"verb"`
	To        State           `db:"to_state"`
	Actor     string          `db:"actor"`
	Role      Role            `db:"role"`
	Reason    string          `db:"reason"`
	Detail    json.RawMessage `db:"detail"`
	OfficeAt  time.Time       `db:"office_at"`
	At        time.Time       `db:"at"`
}

// Record is a step to be written into the timeline. Version is the row's
// version after the step. Request is empty where no request is concerned.
type Record struct {
	Subject  string
	Request  string
	Ticket   string // of the request, for the log, where it is known
	Version  int64
	Step     Step
	Actor    Actor
	Reason   string
	Detail   map[string]any
	OfficeAt time.Time
	// TraceParent is that of the request; it goes before the one in the context.
	TraceParent string
}

// Write adds steps of one table to the timeline, in the transaction that takes
// them; one statement, however many. Once it commits they are logged.
func (t *Table) Write(ctx context.Context, tx *postgres.Tx, records ...Record) error {
	if len(records) == 0 {
		return nil
	}
	n := len(records)
	ids, subjects, requests := make([]string, n), make([]string, n), make([]string, n)
	versions := make([]int64, n)
	froms, verbs, tos := make([]string, n), make([]string, n), make([]string, n)
	actors, roles, reasons, details := make([]string, n), make([]string, n), make([]string, n), make([]string, n)
	times := make([]time.Time, n)
	for i, r := range records {
		id, err := uuid.NewV7()
		if err != nil {
			return fmt.Errorf("machine: history id: %w", err)
		}
		detail := []byte("{}")
		if len(r.Detail) > 0 {
			if detail, err = json.Marshal(r.Detail); err != nil {
				return fmt.Errorf("machine: history detail: %w", err)
			}
		}
		ids[i], subjects[i], requests[i], versions[i] = id.String(), r.Subject, r.Request, r.Version
		froms[i], verbs[i], tos[i] = string(r.Step.From), string(r.Step.Verb), string(r.Step.To)
		actors[i], roles[i], reasons[i], details[i] = r.Actor.Name, string(r.Actor.Role), r.Reason, string(detail)
		times[i] = r.OfficeAt.UTC()
	}
	_, err := tx.Exec(ctx, `
		INSERT INTO history (id, machine, subject, request_id, version, from_state, verb, to_state,
		                     actor, role, reason, detail, office_at)
		SELECT id, $1, subject, nullif(request, '')::uuid, version, from_state, verb, to_state,
		       actor, role, reason, detail, office_at
		FROM unnest($2::uuid[], $3::uuid[], $4::text[], $5::bigint[], $6::text[], $7::text[], $8::text[],
		            $9::text[], $10::text[], $11::text[], $12::jsonb[], $13::timestamptz[])
		     AS r (id, subject, request, version, from_state, verb, to_state, actor, role, reason, detail, office_at)`,
		t.Name, pq.Array(ids), pq.Array(subjects), pq.Array(requests), pq.Array(versions),
		pq.Array(froms), pq.Array(verbs), pq.Array(tos), pq.Array(actors), pq.Array(roles),
		pq.Array(reasons), pq.Array(details), pq.Array(times))
	if err != nil {
		return fmt.Errorf("machine: writing history of %s: %w", t.Name, err)
	}
	tx.OnCommit(func() {
		for _, r := range records {
			t.log(ctx, r)
		}
	})
	return nil
}

// log says that a step was taken. Why, and with what, is in the timeline.
func (t *Table) log(ctx context.Context, r Record) {
	level := zerolog.InfoLevel
	if r.Step.Routine {
		level = zerolog.DebugLevel
	}
	line := zerolog.Ctx(ctx).WithLevel(level)
	if line == nil {
		return
	}
	if r.TraceParent != "" {
		line = line.Ctx(trace.ContextWith(ctx, r.TraceParent))
	}
	if r.Request != "" && r.Request != r.Subject {
		line = line.Str("request", r.Request)
	}
	if r.Ticket != "" {
		line = line.Str("ticket", r.Ticket)
	}
	line.Str(t.Name, r.Subject).Str("verb", string(r.Step.Verb)).Str("from", string(r.Step.From)).Str("to", string(r.Step.To)).
		Str("actor", r.Actor.Name).Msg("step taken")
}

const selectTaken = `SELECT id, machine, subject, request_id, version, from_state, verb, to_state, actor, role, reason, detail, office_at, at FROM history `

// Timeline returns the steps of a request, of every machine, oldest first.
func Timeline(ctx context.Context, r postgres.Reader, requestID string) ([]Taken, error) {
	var taken []Taken
	err := r.Select(ctx, &taken, selectTaken+`WHERE request_id = $1 ORDER BY id`, requestID)
	return taken, err
}

// TimelineOf returns the steps of one row in this machine, oldest first.
func (t *Table) TimelineOf(ctx context.Context, r postgres.Reader, subject string) ([]Taken, error) {
	taken := []Taken{}
	if err := r.Select(ctx, &taken, selectTaken+`WHERE machine = $1 AND subject = $2 ORDER BY version`, t.Name, subject); err != nil {
		return nil, fmt.Errorf("machine: timeline of %s %s: %w", t.Name, subject, err)
	}
	return taken, nil
}

// Sync writes the tables into the database, where the triggers check_transition
// and check_known_step go by them (schema/migrations/0011_steps.sql). Steps that
// are no longer in a table stay for the timeline's sake but can no longer be
// taken.
func Sync(ctx context.Context, db *postgres.DB, tables ...*Table) error {
	return db.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		for _, t := range tables {
			var from, verb, to []string
			for _, s := range t.Steps {
				from, verb, to = append(from, string(s.From)), append(verb, string(s.Verb)), append(to, string(s.To))
			}
			if _, err := tx.Exec(ctx, `
				INSERT INTO transition (machine, from_state, verb, to_state, active)
				SELECT $1, s.*, true FROM unnest($2::text[], $3::text[], $4::text[]) AS s
				ON CONFLICT (machine, from_state, verb, to_state) DO UPDATE SET active = true
				WHERE NOT transition.active`, t.Name, pq.Array(from), pq.Array(verb), pq.Array(to)); err != nil {
				return fmt.Errorf("machine: writing table %s: %w", t.Name, err)
			}
			if _, err := tx.Exec(ctx, `
				UPDATE transition SET active = false
				WHERE machine = $1 AND active AND (from_state, verb, to_state) NOT IN
				      (SELECT * FROM unnest($2::text[], $3::text[], $4::text[]))`,
				t.Name, pq.Array(from), pq.Array(verb), pq.Array(to)); err != nil {
				return fmt.Errorf("machine: retiring steps of %s: %w", t.Name, err)
			}
		}
		return nil
	})
}
