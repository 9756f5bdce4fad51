package capacity

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/robfig/cron/v3"

	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/postgres"
)

// Names of the scheduled jobs.
const (
	JobReplan  = "replan"
	JobRelease = "release"
	JobClose   = "close"
	JobHorizon = "horizon"
)

// Job is work that is due at the times of a cron expression on the office
// clock. Do runs in the transaction that marks the window as run, so its
// effects happen once per window, whoever runs it and however often.
type Job struct {
	Name     string
	Schedule cron.Schedule
	Do       func(ctx context.Context, tx *postgres.Tx, window, officeAt time.Time) (effects any, err error)
}

// ParseSchedule reads a five-field cron expression in Asia/Jakarta.
func ParseSchedule(expression string) (cron.Schedule, error) {
	s, err := cron.ParseStandard("CRON_TZ=" + clock.Jakarta.String() + " " + expression)
	if err != nil {
		return nil, fmt.Errorf("capacity: cron expression %q: %w", expression, err)
	}
	return s, nil
}

// firstLook is how far back a job looks that has never run; catchUp, any other. The
// jobs look at the office as it is now, so that of many missed windows the last ones
// do what all would; without a bound, which is longer than the office is ever away, a
// clock that is years ahead for a moment would run thousands.
const (
	firstLook = 24 * time.Hour
	catchUp   = 31 * 24 * time.Hour
)

type due struct {
	job    *Job
	window time.Time
}

// RunDue runs every window of the last days that is due at officeAt and was not run
// before, oldest first. It returns how many it ran. Windows that were run while the
// clock was ahead of officeAt are not looked at: whatever comes before them is due in
// its turn. They count as run until SetBack.
func RunDue(ctx context.Context, db *postgres.DB, jobs []Job, officeAt time.Time) (int, error) {
	var list []due
	for i := range jobs {
		last, err := lastRun(ctx, db, jobs[i].Name, officeAt)
		if err != nil {
			return 0, err
		}
		if last.IsZero() {
			last = officeAt.Add(-firstLook)
		}
		if from := officeAt.Add(-catchUp); last.Before(from) {
			last = from
		}
		for w := jobs[i].Schedule.Next(last); !w.IsZero() && !w.After(officeAt); w = jobs[i].Schedule.Next(w) {
			list = append(list, due{&jobs[i], w.UTC()})
		}
	}
	slices.SortStableFunc(list, func(a, b due) int { return cmp.Compare(a.window.UnixNano(), b.window.UnixNano()) })
	ran := 0
	for _, d := range list {
		mine, err := run(ctx, db, d, officeAt)
		if err != nil {
			return ran, err
		}
		if mine {
			ran++
		}
	}
	return ran, nil
}

// run does one window: its row, unique per window, goes in first, so a second
// scheduler waits for the first and then finds it done.
func run(ctx context.Context, db *postgres.DB, d due, officeAt time.Time) (mine bool, err error) {
	err = db.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		n, err := tx.Exec(ctx, `
			INSERT INTO schedule_run (job, window_start, effects) VALUES ($1, $2, '{}') ON CONFLICT DO NOTHING`,
			d.job.Name, d.window)
		if err != nil || n == 0 {
			mine = false
			return err
		}
		mine = true
		effects, err := d.job.Do(ctx, tx, d.window, officeAt)
		if err != nil {
			return err
		}
		body, err := json.Marshal(effects)
		if err != nil {
			return err
		}
		return tx.ExecOne(ctx, `UPDATE schedule_run SET effects = $3 WHERE job = $1 AND window_start = $2`,
			d.job.Name, d.window, string(body))
	})
	if err != nil {
		return false, fmt.Errorf("capacity: job %s of %s: %w", d.job.Name, d.window.Format(time.RFC3339), err)
	}
	return mine, nil
}

// lastRun is the last window of a job that is not after officeAt.
func lastRun(ctx context.Context, rd postgres.Reader, job string, officeAt time.Time) (time.Time, error) {
	var last *time.Time
	if err := rd.Get(ctx, &last, `SELECT max(window_start) FROM schedule_run WHERE job = $1 AND window_start <= $2`, job, officeAt.UTC()); err != nil {
		return time.Time{}, fmt.Errorf("capacity: reading runs: %w", err)
	}
	if last == nil {
		return time.Time{}, nil
	}
	return *last, nil
}

// NewestRun is the window furthest ahead that any job has run; zero before the first.
func NewestRun(ctx context.Context, rd postgres.Reader) (newest time.Time, err error) {
	var last *time.Time
	if err := rd.Get(ctx, &last, `SELECT max(window_start) FROM schedule_run`); err != nil {
		return newest, fmt.Errorf("capacity: reading runs: %w", err)
	}
	if last != nil {
		newest = *last
	}
	return newest, nil
}

// Slack is how far the office clock may wobble: what it ran ahead of time within this
// it has run.
const Slack = time.Hour

// SetBack puts right what can be when the office clock was ahead and is right now, at
// in.OfficeAt: windows that were run ahead of their time are forgotten, and due again
// when it comes; what is released for days after ahead is taken back; and the plan is
// made anew. It returns how many windows it forgot. Orders that such a clock closed
// stay closed, until people open them again on their day, and estimates that it moved
// keep those moves.
func SetBack(ctx context.Context, tx *postgres.Tx, in PlanInput, ahead clock.Date) (forgotten int, err error) {
	if err := Lock(ctx, tx); err != nil {
		return 0, err
	}
	if forgotten, err = forgetRuns(ctx, tx, in.OfficeAt.Add(Slack)); err != nil {
		return 0, err
	}
	if err := takeBackAhead(ctx, tx, ahead, in.OfficeAt); err != nil {
		return 0, err
	}
	_, err = Replan(ctx, tx, in)
	return forgotten, err
}

// forgetRuns forgets the windows after a moment, and returns how many.
func forgetRuns(ctx context.Context, tx *postgres.Tx, after time.Time) (int, error) {
	n, err := tx.Exec(ctx, `DELETE FROM schedule_run WHERE window_start > $1`, after.UTC())
	if err != nil {
		return 0, fmt.Errorf("capacity: forgetting runs: %w", err)
	}
	return int(n), nil
}
