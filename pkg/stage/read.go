package stage

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/lib/pq"

	"dukcapil.go.id/sifilma/pkg/capacity"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/letter"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/pkg/workday"
)

// KeepRules writes the rules that all daemons are to reckon with, if they are other
// ones than before.
func KeepRules(ctx context.Context, tx *postgres.Tx, rules Rules) error {
	body, err := json.Marshal(rules)
	if err != nil {
		return fmt.Errorf("stage: rules: %w", err)
	}
	if _, err := tx.Exec(ctx, `
		INSERT INTO stage_rules (rules) SELECT $1::jsonb WHERE NOT EXISTS (SELECT FROM stage_rules WHERE rules = $1::jsonb)
		ON CONFLICT (one) DO UPDATE SET rules = excluded.rules`, string(body)); err != nil {
		return fmt.Errorf("stage: keeping the rules: %w", err)
	}
	return nil
}

// CurrentRules reads the rules that were kept last; Defaults before any were.
func CurrentRules(ctx context.Context, rd postgres.Reader) (Rules, error) {
	var body []byte
	err := rd.Get(ctx, &body, `SELECT rules FROM stage_rules`)
	if errors.Is(err, sql.ErrNoRows) {
		return Defaults(), nil
	}
	if err != nil {
		return Rules{}, fmt.Errorf("stage: reading the rules: %w", err)
	}
	var rules Rules
	if err := json.Unmarshal(body, &rules); err != nil {
		return Rules{}, fmt.Errorf("stage: rules: %w", err)
	}
	return rules, nil
}

// Reckoner computes clocks as of a moment, with the rules and the calendar as they
// stand.
type Reckoner struct {
	Rules    Rules
	Calendar *workday.Calendar
	At       time.Time
}

// NewReckoner reads rules and calendar for a moment of the office's clock.
func NewReckoner(ctx context.Context, rd postgres.Reader, officeAt time.Time) (Reckoner, error) {
	k := Reckoner{At: officeAt}
	var err error
	if k.Rules, err = CurrentRules(ctx, rd); err != nil {
		return k, err
	}
	k.Calendar, err = capacity.Calendar(ctx, rd)
	return k, err
}

// Today is the civil date of the moment.
func (k Reckoner) Today() clock.Date { return clock.DateOf(k.At) }

// Waited is how many hari kerja have passed since something came to whoever is to
// act on it: day 0 is the day on which it counts as received.
func (k Reckoner) Waited(since time.Time) int {
	return max(0, k.Calendar.Between(k.Calendar.ReceivedOn(since, k.Rules.Hours), k.Today()))
}

// Clocks computes the clocks of requests, with as many queries as for one. Ids of
// none are left out.
func (k Reckoner) Clocks(ctx context.Context, rd postgres.Reader, ids []string) (map[string]Clock, error) {
	courses, err := courses(ctx, rd, ids)
	if err != nil {
		return nil, err
	}
	clocks := make(map[string]Clock, len(courses))
	for id, c := range courses {
		clocks[id] = Compute(*c, k.Calendar, k.Rules, k.Today())
	}
	return clocks, nil
}

// courses reads what the clocks of requests are reckoned from.
func courses(ctx context.Context, rd postgres.Reader, ids []string) (map[string]*Course, error) {
	all := make(map[string]*Course, len(ids))
	if len(ids) == 0 {
		return all, nil
	}
	var rows []struct {
		ID         string        `db:"id"`
		State      machine.State `db:"state"`
		CreatedAt  time.Time     `db:"created_at"`
		CountsFrom *clock.Date   `db:"counts_from"`
		Planned    *clock.Date   `db:"planned"`
	}
	if err := rd.Select(ctx, &rows, `
		SELECT r.id, r.state, r.created_at,
		       coalesce(f.detail->>'counts_from', f.detail->>'received_on', ((f.office_at AT TIME ZONE 'Asia/Jakarta')::date)::text)::date AS counts_from,
		       CASE WHEN r.state IN ('accepted','scheduled','in_progress') THEN e.finish END AS planned
		FROM request r LEFT JOIN request_fact f ON f.request_id = r.id AND f.fact = $2 LEFT JOIN estimate e ON e.request_id = r.id
		WHERE r.id = ANY ($1::uuid[])`, pq.Array(ids), request.FactLetterReceived); err != nil {
		return nil, fmt.Errorf("stage: reading requests: %w", err)
	}
	var done []string
	for _, row := range rows {
		all[row.ID] = &Course{Letter: row.CountsFrom, Planned: row.Planned}
		if row.State == request.Done {
			done = append(done, row.ID)
		}
	}
	var steps []struct {
		ID string `db:"subject"`
		Step
		From string `db:"letter_from"`
	}
	if err := rd.Select(ctx, &steps, `
		SELECT subject, to_state AS to, office_at AS at, coalesce(detail->>$3, '') AS letter_from
		FROM history WHERE machine = $2 AND subject = ANY ($1::uuid[]) ORDER BY subject, version`,
		pq.Array(ids), request.Machine.Name, request.DetailLetterFrom); err != nil {
		return nil, fmt.Errorf("stage: reading the steps of requests: %w", err)
	}
	for _, s := range steps {
		if from, err := clock.ParseDate(s.From); err == nil {
			s.LetterFrom = &from
		}
		if c := all[s.ID]; c != nil {
			c.Steps = append(c.Steps, s.Step)
		}
	}
	for _, row := range rows {
		if c := all[row.ID]; len(c.Steps) == 0 { // its timeline lies outside, such as in an archive
			c.Steps = []Step{{To: request.Submitted, At: row.CreatedAt}}
			if len(request.WantedFacts(row.State)) == 0 || row.State == request.Approved {
				c.Steps = append(c.Steps, Step{To: request.Registered, At: row.CreatedAt})
			}
			c.Steps = append(c.Steps, Step{To: row.State, At: row.CreatedAt})
		}
	}
	return all, ends(ctx, rd, all, done)
}

// ends reads of requests that are done when their papers were signed and their
// cards handed over.
func ends(ctx context.Context, rd postgres.Reader, all map[string]*Course, done []string) error {
	if len(done) == 0 {
		return nil
	}
	var rows []struct {
		ID        string      `db:"id"`
		Signed    *clock.Date `db:"signed"`
		Delivered *clock.Date `db:"delivered"`
		Complete  bool        `db:"complete"` // no clear card is left to deliver
	}
	if err := rd.Select(ctx, &rows, `
		SELECT r.id, p.signed, h.delivered, coalesce(h.quantity, 0) >= c.clear AS complete
		FROM unnest($1::uuid[]) AS r (id)
		LEFT JOIN LATERAL (
		    SELECT max(first) AS signed FROM (
		        SELECT min(coalesce(d.signed_on, d.dated)) AS first FROM document d
		        WHERE d.request_id = r.id AND d.kind = ANY ($2) AND d.state = ANY ($3) GROUP BY d.kind) k
		    HAVING count(*) = cardinality($2)) p ON true
		LEFT JOIN LATERAL (
		    SELECT max(delivered_on) AS delivered, sum(quantity) AS quantity FROM handover
		    WHERE request_id = r.id AND delivered_on IS NOT NULL) h ON true
		CROSS JOIN LATERAL (SELECT count(*) AS clear FROM card WHERE request_id = r.id AND state = $4) c`,
		pq.Array(done), pq.Array([]string{letter.ReplyLetter, letter.CompletionLetter}),
		pq.Array([]string{string(letter.Issued), string(letter.Replaced)}), string(perso.Clear)); err != nil {
		return fmt.Errorf("stage: reading the papers and handovers of requests: %w", err)
	}
	for _, row := range rows {
		c := all[row.ID]
		c.Signed = row.Signed
		if row.Complete {
			if c.HandedOver = row.Delivered; c.HandedOver == nil { // no card came through: there is nothing to hand over
				c.HandedOver = c.Signed
			}
		}
	}
	return nil
}
