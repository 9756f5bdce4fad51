package stage

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/lib/pq"

	"dukcapil.go.id/sifilma/pkg/postgres"
)

// JobSweep is the name of the scheduled job that sweeps the stages.
const JobSweep = "stages"

// sweepLock is the advisory lock of the sweep: two at once would write the same.
const sweepLock = 7_264_021_118

// Swept is what a sweep found and did.
type Swept struct {
	Open    int `json:"open"`    // requests whose clock runs or may run again
	Written int `json:"written"` // of which something changed
	Alarms  int `json:"alarms"`  // that were raised
}

// Sweep reckons the clocks of all requests that are not at their end, in the same
// few queries however many they are, and writes those that changed. A request that
// came to a warning or over a limit gets its alarm, once for each stage.
func Sweep(ctx context.Context, tx *postgres.Tx, officeAt time.Time) (Swept, error) {
	return sweep(ctx, tx, officeAt, `
		SELECT r.id FROM request r LEFT JOIN request_stage s ON s.request_id = r.id WHERE s.ended_on IS NULL ORDER BY r.id`)
}

// SweepOpen is a Sweep that does not read through all requests that there ever were:
// one that ended before any sweep saw it is left to the next Sweep.
func SweepOpen(ctx context.Context, tx *postgres.Tx, officeAt time.Time) (Swept, error) {
	return sweep(ctx, tx, officeAt, `
		SELECT request_id AS id FROM request_stage WHERE ended_on IS NULL
		UNION ALL SELECT r.id FROM request r WHERE r.state NOT IN ('done', 'cancelled', 'rejected')
		                                       AND NOT EXISTS (SELECT FROM request_stage s WHERE s.request_id = r.id)
		ORDER BY 1`)
}

func sweep(ctx context.Context, tx *postgres.Tx, officeAt time.Time, open string) (Swept, error) {
	if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock($1)`, sweepLock); err != nil {
		return Swept{}, fmt.Errorf("stage: lock: %w", err)
	}
	var ids []string
	if err := tx.Select(ctx, &ids, open); err != nil {
		return Swept{}, fmt.Errorf("stage: looking for requests: %w", err)
	}
	k, err := NewReckoner(ctx, tx, officeAt)
	if err != nil {
		return Swept{}, err
	}
	clocks, err := k.Clocks(ctx, tx, ids)
	if err != nil {
		return Swept{}, err
	}
	swept := Swept{Open: len(ids)}
	changed, err := write(ctx, tx, ids, clocks)
	if err != nil {
		return Swept{}, err
	}
	swept.Written = len(changed)
	swept.Alarms, err = raise(ctx, tx, changed, clocks, officeAt)
	return swept, err
}

// write keeps the clocks, in the order of their ids, and returns which are new or
// other ones than before. The others are not even locked, which would be a write.
func write(ctx context.Context, tx *postgres.Tx, ids []string, clocks map[string]Clock) (changed []string, err error) {
	n := len(ids)
	stages, statuses, standings := make([]string, n), make([]string, n), make([]string, n)
	since, ended := make([]string, n), make([]string, n)
	var days [5][]int64 // of the stage on both clocks, in all on both clocks, over
	for i, id := range ids {
		c := clocks[id]
		at := slices.Index(All, c.Stage)
		stages[i], statuses[i], standings[i], since[i] = string(c.Stage), string(c.Status), string(c.Standing), c.Since.String()
		if c.EndedOn != nil {
			ended[i] = c.EndedOn.String()
		}
		for j, d := range []int{c.Stages[at].Office, c.Stages[at].Applicant, c.Office, c.Applicant, c.Over} {
			days[j] = append(days[j], int64(d))
		}
	}
	err = tx.Select(ctx, &changed, `
		INSERT INTO request_stage AS s (request_id, stage, status, standing, since, ended_on, stage_office, stage_applicant, office, applicant, over)
		SELECT u.id, u.stage, u.status, u.standing, u.since, nullif(u.ended, '')::date, u.stage_office, u.stage_applicant, u.office, u.applicant, u.over
		FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::date[], $6::text[], $7::int[], $8::int[], $9::int[], $10::int[], $11::int[])
		     AS u (id, stage, status, standing, since, ended, stage_office, stage_applicant, office, applicant, over)
		LEFT JOIN request_stage have ON have.request_id = u.id
		WHERE (have.stage, have.status, have.standing, have.since, have.ended_on, have.stage_office, have.stage_applicant, have.office, have.applicant, have.over)
		      IS DISTINCT FROM (u.stage, u.status, u.standing, u.since, nullif(u.ended, '')::date, u.stage_office, u.stage_applicant, u.office, u.applicant, u.over)
		ON CONFLICT (request_id) DO UPDATE SET stage = excluded.stage, status = excluded.status, standing = excluded.standing,
		    since = excluded.since, ended_on = excluded.ended_on, stage_office = excluded.stage_office,
		    stage_applicant = excluded.stage_applicant, office = excluded.office, applicant = excluded.applicant, over = excluded.over
		RETURNING request_id`,
		pq.Array(ids), pq.Array(stages), pq.Array(statuses), pq.Array(standings), pq.Array(since), pq.Array(ended),
		pq.Array(days[0]), pq.Array(days[1]), pq.Array(days[2]), pq.Array(days[3]), pq.Array(days[4]))
	if err != nil {
		return nil, fmt.Errorf("stage: writing: %w", err)
	}
	return changed, nil
}

// raise keeps the alarms of requests: of the stages that are warned of or late, and
// of the total.
func raise(ctx context.Context, tx *postgres.Tx, ids []string, clocks map[string]Clock, officeAt time.Time) (raised int, err error) {
	var requests, stages, statuses []string
	var days, most []int64
	add := func(id string, s Stage, status Status, have, limit int) {
		if status == Warning || status == Late {
			requests, stages, statuses = append(requests, id), append(stages, string(s)), append(statuses, string(status))
			days, most = append(days, int64(have)), append(most, int64(limit))
		}
	}
	for _, id := range ids {
		c := clocks[id]
		for _, s := range c.Stages {
			add(id, s.Stage, s.Status, s.Office, s.Max)
		}
		add(id, Total, c.total, c.Office, c.Max)
	}
	if len(requests) == 0 {
		return 0, nil
	}
	n, err := tx.Exec(ctx, `
		INSERT INTO stage_alarm (request_id, stage, status, days, most, office_at)
		SELECT u.id, u.stage, u.status, u.days, u.most, $6
		FROM unnest($1::uuid[], $2::text[], $3::text[], $4::int[], $5::int[]) AS u (id, stage, status, days, most)
		ON CONFLICT DO NOTHING`,
		pq.Array(requests), pq.Array(stages), pq.Array(statuses), pq.Array(days), pq.Array(most), officeAt.UTC())
	if err != nil {
		return 0, fmt.Errorf("stage: raising alarms: %w", err)
	}
	return int(n), nil
}

// Alarm is a warning or a limit that a request came over.
type Alarm struct {
	Stage    Stage     `db:"stage"`
	Status   Status    `db:"status"`
	Days     int       `db:"days"` // hari kerja on the office's clock then
	Most     int       `db:"most"` // that the stage, or all, had
	OfficeAt time.Time `db:"office_at"`
	At       time.Time `db:"at"`
}

// Alarms reads the alarms of a request, oldest first.
func Alarms(ctx context.Context, rd postgres.Reader, requestID string) ([]Alarm, error) {
	var list []Alarm
	if err := rd.Select(ctx, &list, `
		SELECT stage, status, days, most, office_at, at FROM stage_alarm WHERE request_id = $1 ORDER BY at, stage, status`, requestID); err != nil {
		return nil, fmt.Errorf("stage: alarms: %w", err)
	}
	return list, nil
}

// Tally is how many open requests there are in a stage with a status, and the most
// hari kerja that one of them has been in the stage on the office's clock, of those
// whose clock runs: what stands is not the office's to hurry.
type Tally struct {
	Stage    Stage  `db:"stage"`
	Status   Status `db:"status"`
	Requests int    `db:"requests"`
	Most     int    `db:"most"`
}

// Tallies counts the open requests as they were swept last. A non-empty
// institutionID limits it to that institution's.
func Tallies(ctx context.Context, rd postgres.Reader, institutionID string) ([]Tally, error) {
	var list []Tally
	if err := rd.Select(ctx, &list, `
		SELECT s.stage, s.status, count(*) AS requests,
		       coalesce(max(s.stage_office) FILTER (WHERE s.standing = ''), 0) AS most
		FROM request_stage s WHERE s.ended_on IS NULL
		  AND ($1 = '' OR EXISTS (SELECT FROM request r WHERE r.id = s.request_id AND r.institution_id::text = $1))
		GROUP BY s.stage, s.status`, institutionID); err != nil {
		return nil, fmt.Errorf("stage: counting: %w", err)
	}
	return list, nil
}

// Filter narrows a list of open requests. Zero values do not narrow.
type Filter struct {
	Stages        []Stage
	Statuses      []Status
	InstitutionID string
	After         string // the id of a request: only those that come behind it
	Limit         int
}

// List returns the ids of open requests as they were swept last, those furthest past
// their limit first.
func List(ctx context.Context, rd postgres.Reader, f Filter) ([]string, error) {
	ids := []string{}
	if err := rd.Select(ctx, &ids, `
		SELECT s.request_id FROM request_stage s
		WHERE s.ended_on IS NULL
		  AND (cardinality($1::text[]) = 0 OR s.stage = ANY ($1))
		  AND (cardinality($2::text[]) = 0 OR s.status = ANY ($2))
		  AND ($3 = '' OR EXISTS (SELECT FROM request r WHERE r.id = s.request_id AND r.institution_id::text = $3))
		  AND ($4 = '' OR (s.over, s.request_id) < (SELECT a.over, a.request_id FROM request_stage a WHERE a.request_id = nullif($4, '')::uuid))
		ORDER BY s.over DESC, s.request_id DESC LIMIT $5`,
		pq.Array(texts(f.Stages)), pq.Array(texts(f.Statuses)), f.InstitutionID, f.After, f.Limit); err != nil {
		return nil, fmt.Errorf("stage: list: %w", err)
	}
	return ids, nil
}

func texts[S ~string](list []S) []string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = string(s)
	}
	return out
}
