package stage_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/configs"
	"dukcapil.go.id/sifilma/pkg/capacity"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/handover"
	"dukcapil.go.id/sifilma/pkg/institution"
	"dukcapil.go.id/sifilma/pkg/letter"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/need"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/pkg/stage"
	"dukcapil.go.id/sifilma/pkg/workday"
	"dukcapil.go.id/sifilma/test/harness"
)

// rig is an office with the shipped calendar and rules.
type rig struct {
	t         *testing.T
	db        *postgres.DB // as the owner
	scheduler *postgres.DB
	at        institution.Institution
	made      int
}

func newRig(t *testing.T) *rig {
	t.Helper()
	d := harness.NewDatabase(t)
	r := &rig{t: t, db: d.Open(t, ""), scheduler: d.Open(t, "sifilma_scheduler")}
	require.NoError(t, machine.Sync(t.Context(), r.db, need.Machine, request.Machine, capacity.Machine, perso.Machine, letter.Machine, handover.Machine))
	b, err := configs.Holidays()
	require.NoError(t, err)
	data, err := workday.Parse(b)
	require.NoError(t, err)
	rules := stage.Defaults()
	rules.Hours = data.Hours
	r.tx(func(ctx context.Context, tx *postgres.Tx) error {
		if r.at, err = institution.Ensure(ctx, tx, institution.Institution{Kind: institution.Produsen, Name: "PT Produsen Contoh"}); err != nil {
			return err
		}
		if err := institution.SeedMachineType(ctx, tx, institution.MachineType{Code: "uji", Name: "Uji", SAMPattern: ".*", ReaderPattern: ".*"}); err != nil {
			return err
		}
		return capacity.SeedHolidays(ctx, tx, data.Holidays)
	})
	require.NoError(t, r.scheduler.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error { return stage.KeepRules(ctx, tx, rules) }))
	return r
}

func (r *rig) tx(do func(ctx context.Context, tx *postgres.Tx) error) {
	r.t.Helper()
	require.NoError(r.t, r.db.InTx(r.t.Context(), do))
}

func (r *rig) form() request.Form {
	r.made++
	return request.Form{
		Kind: request.KindRekamCetak, Reference: fmt.Sprintf("REF-%d", r.made), Title: "Permohonan uji", SAMFunction: "R", CardCount: 1, MachineType: "uji",
		Letter: request.Letter{Sender: "x", Post: "x", Number: "1", Date: clock.MustParseDate("2026-03-02"), Subject: "x"},
	}
}

// submit makes a request.
func (r *rig) submit(when string) (made request.Request) {
	r.t.Helper()
	r.tx(func(ctx context.Context, tx *postgres.Tx) (err error) {
		made, err = request.Create(ctx, tx, request.New{
			InstitutionID: r.at.ID, Form: r.form(), Actor: machine.Actor{Name: "produsen", Role: request.Produsen}, OfficeAt: at(when),
		})
		return err
	})
	return made
}

// take moves a request by a verb, as whoever may.
func (r *rig) take(id string, verb machine.Verb, when string) {
	r.t.Helper()
	r.tx(func(ctx context.Context, tx *postgres.Tx) error {
		now, err := request.Lock(ctx, tx, id)
		if err != nil {
			return err
		}
		step, err := request.Machine.Find(now.State, verb)
		if err != nil {
			return err
		}
		c := request.Change{Actor: machine.Actor{Name: "uji", Role: step.Roles[0]}, Reason: "uji", OfficeAt: at(when)}
		if verb == request.Resubmit {
			_, err = request.Correct(ctx, tx, now, now.Form, nil, c)
			return err
		}
		_, err = request.Take(ctx, tx, now, verb, c)
		return err
	})
}

// state states a fact.
func (r *rig) state(id, fact, when string, detail map[string]any) {
	r.t.Helper()
	r.tx(func(ctx context.Context, tx *postgres.Tx) error {
		_, err := request.State(ctx, tx, id, fact, detail,
			request.Change{Actor: machine.Actor{Name: "uji", Role: request.FactRoles(fact)[0]}, OfficeAt: at(when)})
		return err
	})
}

// register brings a submitted request to registered, with a letter of that day.
func (r *rig) register(id, letterFrom, when string) {
	r.t.Helper()
	r.state(id, request.FactLetterReceived, when, map[string]any{"received_on": letterFrom, "counts_from": letterFrom})
	r.take(id, request.Validate, when)
	r.state(id, request.FactValidated, when, nil)
	r.state(id, request.FactBlanksCounted, when, map[string]any{"count": 1})
	r.state(id, request.FactCompared, when, nil)
}

// accept brings a registered request to accepted.
func (r *rig) accept(id, when string) {
	r.t.Helper()
	r.take(id, request.Approve, when)
	r.state(id, request.FactDisposed, when, nil)
	r.take(id, request.Accept, when)
}

// sweep sweeps under the scheduler's own role.
func (r *rig) sweep(when string) (s stage.Swept) {
	r.t.Helper()
	require.NoError(r.t, r.scheduler.InTx(r.t.Context(), func(ctx context.Context, tx *postgres.Tx) (err error) {
		s, err = stage.Sweep(ctx, tx, at(when))
		return err
	}))
	return s
}

// row is what a sweep has left of a request, in words.
func (r *rig) row(id string) (text string) {
	r.t.Helper()
	require.NoError(r.t, r.db.Get(r.t.Context(), &text, `
		SELECT concat_ws(' ', stage, status, nullif(standing, ''), since, stage_office || '/' || stage_applicant, office || '/' || applicant, over, ended_on)
		FROM request_stage WHERE request_id = $1`, id))
	return text
}

func (r *rig) alarms(id string) (list []string) {
	r.t.Helper()
	all, err := stage.Alarms(r.t.Context(), r.db, id)
	require.NoError(r.t, err)
	for _, a := range all {
		list = append(list, fmt.Sprintf("%s %s %s %d/%d", clock.DateOf(a.OfficeAt), a.Stage, a.Status, a.Days, a.Most))
	}
	return list
}

// TestWeeksOfAnOffice steps the office clock over Nyepi and Idulfitri 2026 with one
// request that goes straight on, one that is late, one that is returned, and one
// that is held.
func TestWeeksOfAnOffice(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	straight, slow, returned, held := r.submit("2026-03-16"), r.submit("2026-03-16"), r.submit("2026-03-13 20:00"), r.submit("2026-03-12")
	r.register(straight.ID, "2026-03-16", "2026-03-17")
	r.register(held.ID, "2026-03-12", "2026-03-13")
	r.accept(held.ID, "2026-03-16")
	r.take(held.ID, request.Hold, "2026-03-17")
	r.register(returned.ID, "2026-03-16", "2026-03-16")
	r.take(returned.ID, request.Return, "2026-03-17")

	require.Equal(t, stage.Swept{Open: 4, Written: 4}, r.sweep("2026-03-17"))
	require.Equal(t, "decision on_time 2026-03-17 0/0 1/1 -5", r.row(straight.ID))
	require.Equal(t, "letter on_time letter 2026-03-16 0/1 0/1 -3", r.row(slow.ID))
	require.Equal(t, "letter on_time applicant 2026-03-17 0/0 1/1 -3", r.row(returned.ID), "Friday evening counts from Monday")
	require.Equal(t, "personalisation on_time hold 2026-03-16 1/1 3/3 -4", r.row(held.ID))
	require.Equal(t, stage.Swept{Open: 4}, r.sweep("2026-03-17 23:59"), "nothing changed")
	require.Equal(t, stage.Swept{Open: 4}, r.sweep("2026-03-24"), "no hari kerja has passed")

	// The letter of the slow one is found on the 25th and had come on the 16th: at once it is warned of.
	r.state(slow.ID, request.FactLetterReceived, "2026-03-25", map[string]any{"received_on": "2026-03-16", "counts_from": "2026-03-16"})
	require.Equal(t, stage.Swept{Open: 4, Written: 4, Alarms: 1}, r.sweep("2026-03-25"))
	require.Equal(t, "letter warning 2026-03-16 2/2 2/2 -1", r.row(slow.ID))
	require.Equal(t, []string{"2026-03-25 letter warning 2/3"}, r.alarms(slow.ID))
	require.Equal(t, "letter on_time applicant 2026-03-17 0/1 1/2 -3", r.row(returned.ID), "the office's clock stands")
	require.Equal(t, "personalisation on_time hold 2026-03-16 1/2 3/4 -4", r.row(held.ID))

	require.Zero(t, r.sweep("2026-03-26").Alarms)
	require.Equal(t, 1, r.sweep("2026-03-27").Alarms)
	require.Zero(t, r.sweep("2026-03-27 18:00").Alarms, "an alarm is raised once")
	require.Equal(t, "letter late 2026-03-16 4/4 4/4 1", r.row(slow.ID))

	// The returned one comes back with another letter; the held one is released.
	r.take(returned.ID, request.Resubmit, "2026-03-30")
	r.take(held.ID, request.Release, "2026-03-30")
	r.accept(straight.ID, "2026-03-30")
	r.sweep("2026-03-31")
	require.Equal(t, "letter on_time letter 2026-03-17 0/5 1/6 -3", r.row(returned.ID), "it waits for its letter again")
	require.Equal(t, "personalisation on_time 2026-03-16 2/6 4/8 -3", r.row(held.ID))
	require.Equal(t, "personalisation on_time 2026-03-30 1/1 6/6 -4", r.row(straight.ID))
	r.register(returned.ID, "2026-03-31", "2026-04-01")
	r.sweep("2026-04-02")
	require.Equal(t, "decision on_time 2026-04-01 2/2 3/8 -3", r.row(returned.ID), "a day of the decision was before the return")

	// Done, signed and handed over on the eighth hari kerja.
	r.take(straight.ID, request.Schedule, "2026-03-31")
	r.take(straight.ID, request.Start, "2026-03-31")
	r.take(straight.ID, request.Finish, "2026-04-01")
	r.sweep("2026-04-02")
	require.Equal(t, "documents on_time 2026-04-01 1/1 8/8 -2", r.row(straight.ID))
	r.papers(straight.ID, "2026-04-01", "2026-04-02")
	r.sweep("2026-04-02")
	require.Equal(t, "handover on_time 2026-04-01 1/1 8/8 -10 2026-04-02", r.row(straight.ID))
	require.Equal(t, 3, r.sweep("2026-05-01").Open, "what has ended is left alone")
	require.Equal(t, "handover on_time 2026-04-01 1/1 8/8 -10 2026-04-02", r.row(straight.ID))

	// Its clock as the pages have it is the same.
	reckoner, err := stage.NewReckoner(t.Context(), r.db, at("2026-05-01"))
	require.NoError(t, err)
	clocks, err := reckoner.Clocks(t.Context(), r.db, []string{straight.ID, slow.ID})
	require.NoError(t, err)
	require.Equal(t, []any{8, 8, "2026-04-02", stage.OnTime}, []any{clocks[straight.ID].Office, clocks[straight.ID].Applicant, clocks[straight.ID].EndedOn.String(), clocks[straight.ID].Status})
	require.Equal(t, stage.Late, clocks[slow.ID].Status)

	// A card that a handover had, which was taken back, is still to be handed over.
	r.tx(func(ctx context.Context, tx *postgres.Tx) error {
		for _, q := range []string{`SET LOCAL session_replication_role = replica`,
			`INSERT INTO card (id, request_id, serial, state, chip_id, work_order_id, attempt, pcid, manifest_no)
			 SELECT gen_random_uuid(), request_id, 'SAM2', 'clear', 'C2', work_order_id, 1, repeat('1', 32), 'M2' FROM card WHERE serial = 'SAM'`,
			`INSERT INTO handover (id, request_id, ordinal, state, quantity, cancelled_at, cancel_reason, created_at)
			 SELECT gen_random_uuid(), request_id, 2, 'cancelled', 1, now(), 'keliru', now() FROM card WHERE serial = 'SAM'`,
		} {
			if _, err := tx.Exec(ctx, q); err != nil {
				return err
			}
		}
		return nil
	})
	clocks, err = reckoner.Clocks(t.Context(), r.db, []string{straight.ID})
	require.NoError(t, err)
	require.Equal(t, stage.Handover, clocks[straight.ID].Stage)
	require.Nil(t, clocks[straight.ID].EndedOn)

	r.take(slow.ID, request.Cancel, "2026-05-04")
	r.sweep("2026-05-04")
	require.Contains(t, r.row(slow.ID), "letter late 2026-03-16", "it ends late")
	require.Contains(t, r.row(slow.ID), "2026-05-04")
}

// papers signs both letters and hands a clear card over.
func (r *rig) papers(id, signed, delivered string) {
	r.t.Helper()
	r.tx(func(ctx context.Context, tx *postgres.Tx) error {
		for _, q := range []struct {
			query string
			args  []any
		}{
			{`SET LOCAL session_replication_role = replica`, nil},
			{`INSERT INTO document (id, kind, subject_id, request_id, state, number, dated, signed_on, scan_blob, created_at)
			  SELECT gen_random_uuid(), kind, $1, $1, 'issued', kind, $2, $2, gen_random_uuid(), now() FROM unnest(ARRAY['reply_letter', 'completion_letter']) AS kind`, []any{id, signed}},
			{`INSERT INTO card (id, request_id, serial, state, chip_id, work_order_id, attempt, pcid, manifest_no)
			  VALUES (gen_random_uuid(), $1, 'SAM', 'clear', 'C', gen_random_uuid(), 1, repeat('0', 32), 'M')`, []any{id}},
			{`INSERT INTO handover (id, request_id, ordinal, state, quantity, representative_of, delivered_on, created_at)
			  VALUES (gen_random_uuid(), $1, 1, 'delivered', 1, 'produsen', $2, now())`, []any{id, delivered}},
		} {
			if _, err := tx.Exec(ctx, q.query, q.args...); err != nil {
				return err
			}
		}
		return nil
	})
}

// TestListAndTallies finds the late and the warned, the latest first, page by page.
func TestListAndTallies(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	var late []string
	for _, from := range []string{"2026-09-01", "2026-09-02", "2026-09-03"} {
		one := r.submit(from)
		r.state(one.ID, request.FactLetterReceived, from, map[string]any{"counts_from": from})
		late = append(late, one.ID)
	}
	warned, fine := r.submit("2026-09-08"), r.submit("2026-09-10")
	r.state(warned.ID, request.FactLetterReceived, "2026-09-08", map[string]any{"counts_from": "2026-09-08"})
	r.sweep("2026-09-10")
	list := func(f stage.Filter) []string {
		if f.Limit == 0 {
			f.Limit = 50
		}
		ids, err := stage.List(t.Context(), r.db, f)
		require.NoError(t, err)
		return ids
	}
	require.Equal(t, append(append([]string{}, late...), warned.ID), list(stage.Filter{Statuses: []stage.Status{stage.Late, stage.Warning}}))
	require.Equal(t, late[:2], list(stage.Filter{Statuses: []stage.Status{stage.Late}, Limit: 2}))
	require.Equal(t, []string{late[2], warned.ID, fine.ID}, list(stage.Filter{After: late[1]}))
	require.Empty(t, list(stage.Filter{Stages: []stage.Stage{stage.Decision}}))
	require.Empty(t, list(stage.Filter{InstitutionID: late[0]}))
	require.Len(t, list(stage.Filter{InstitutionID: r.at.ID}), 5)
	tallies, err := stage.Tallies(t.Context(), r.db, "")
	require.NoError(t, err)
	require.ElementsMatch(t, []stage.Tally{
		{Stage: stage.Letter, Status: stage.Late, Requests: 3, Most: 7}, {Stage: stage.Letter, Status: stage.Warning, Requests: 1, Most: 2},
		{Stage: stage.Letter, Status: stage.OnTime, Requests: 1, Most: 0},
	}, tallies)

	// What is back with the applicant is counted, and hurries nobody.
	for _, id := range late {
		r.take(id, request.Validate, "2026-09-10")
		r.take(id, request.Return, "2026-09-10")
	}
	r.sweep("2026-09-10")
	tallies, err = stage.Tallies(t.Context(), r.db, "")
	require.NoError(t, err)
	require.Contains(t, tallies, stage.Tally{Stage: stage.Letter, Status: stage.Late, Requests: 3})
}

// TestAlarmsAreKept: what was raised is not taken back, and nobody but the
// scheduler writes.
func TestAlarmsAreKept(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	one := r.submit("2026-09-01")
	r.state(one.ID, request.FactLetterReceived, "2026-09-01", map[string]any{"counts_from": "2026-09-01"})
	r.sweep("2026-09-30")
	require.Equal(t, []string{"2026-09-30 letter late 21/3", "2026-09-30 total late 21/18"}, r.alarms(one.ID))
	err := r.db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		_, err := tx.Exec(ctx, `DELETE FROM stage_alarm`)
		return err
	})
	require.Equal(t, "stage_alarm_kept", postgres.Constraint(err))
}

// TestRulesAreShared: whoever reads has the rules that the scheduler kept last.
func TestRulesAreShared(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	rules, err := stage.CurrentRules(t.Context(), r.db)
	require.NoError(t, err)
	require.NotZero(t, rules.Hours.Regular.Closes)
	rules.Handover.Max = 4
	r.tx(func(ctx context.Context, tx *postgres.Tx) error { return stage.KeepRules(ctx, tx, rules) })
	again, err := stage.CurrentRules(t.Context(), r.db)
	require.NoError(t, err)
	require.Equal(t, rules, again)
	require.Equal(t, 2, mustReckon(t, r, at("2026-09-07")).Waited(at("2026-09-02 23:00")), "late on Wednesday counts from Thursday")
}

func mustReckon(t *testing.T, r *rig, when time.Time) stage.Reckoner {
	t.Helper()
	k, err := stage.NewReckoner(t.Context(), r.db, when)
	require.NoError(t, err)
	return k
}

// TestAReturnKeepsWhatWasCounted: the fact of the letter is taken back with the
// return, and what the office's clock had counted on it stays.
func TestAReturnKeepsWhatWasCounted(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	one := r.submit("2026-09-01")
	r.state(one.ID, request.FactLetterReceived, "2026-09-02", map[string]any{"received_on": "2026-09-01"})
	r.take(one.ID, request.Validate, "2026-09-02")
	r.take(one.ID, request.Return, "2026-09-03")
	r.sweep("2026-09-10")
	require.Equal(t, "letter warning applicant 2026-09-01 2/7 2/7 -1", r.row(one.ID))
}
