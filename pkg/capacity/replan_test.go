package capacity_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/capacity"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/institution"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/test/harness"
)

// cardMachine lets the tests put cards into states without the package that
// owns them, which builds on this one.
var cardMachine = &machine.Table{Name: "card", Steps: []machine.Step{{From: "", Verb: "list", To: "listed"}, {From: "listed", Verb: "bind", To: "bound"},
	{From: "bound", Verb: "number", To: "numbered"}, {From: "numbered", Verb: "claim", To: "claimed"}}}

type office struct {
	db       *postgres.DB
	produsen string
	day      clock.Date // of the decisions
	n        int
}

func newOffice(t *testing.T) *office {
	db := harness.DB(t)
	require.NoError(t, machine.Sync(t.Context(), db, request.Machine, capacity.Machine, cardMachine))
	o := &office{db: db, day: clock.MustParseDate("2026-11-23")}
	o.tx(t, func(ctx context.Context, tx *postgres.Tx) error {
		in, err := institution.Ensure(ctx, tx, institution.Institution{Kind: institution.Produsen, Name: "PT Produsen Contoh"})
		if err != nil {
			return err
		}
		o.produsen = in.ID
		if _, err := capacity.SetParameters(ctx, tx, capacity.Parameters{Usual: 10}); err != nil {
			return err
		}
		return institution.SeedMachineType(ctx, tx, institution.MachineType{Code: "uji", Name: "Uji", SAMPattern: ".*", ReaderPattern: ".*"})
	})
	o.begin(t, o.day)
	return o
}

// begin has the release of a day run, with nothing to release.
func (o *office) begin(t *testing.T, day clock.Date) {
	t.Helper()
	o.tx(t, func(ctx context.Context, tx *postgres.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO schedule_run (job, window_start, effects) VALUES ('release', $1, '{"released": 0}')`, day.At(7, 30).UTC())
		return err
	})
}

// next is the first day that can be planned.
func (o *office) next() clock.Date { return o.day.AddDays(1) }

func (o *office) tx(t *testing.T, fn func(ctx context.Context, tx *postgres.Tx) error) {
	t.Helper()
	require.NoError(t, o.db.InTx(t.Context(), fn))
}

func by(role machine.Role, at time.Time) request.Change {
	return request.Change{Actor: machine.Actor{Name: string(role), Role: role}, OfficeAt: at}
}

// accepted makes a request with so many cards and brings it to accepted.
func (o *office) accepted(t *testing.T, cards int) request.Request {
	t.Helper()
	o.n++
	at := o.day.At(9, 0)
	var r request.Request
	o.tx(t, func(ctx context.Context, tx *postgres.Tx) (err error) {
		r, err = request.Create(ctx, tx, request.New{InstitutionID: o.produsen, Actor: machine.Actor{Name: "pic", Role: request.Produsen}, OfficeAt: at,
			Form: request.Form{Kind: request.KindReader, Reference: fmt.Sprint("R", o.n), Title: "Uji", SAMFunction: "R", CardCount: cards,
				MachineType: "uji", Letter: request.Letter{Date: o.day}, Lines: []request.Line{{Lembaga: "Lembaga", Quantity: cards}}}})
		if err != nil {
			return err
		}
		if r, err = request.Take(ctx, tx, r, request.Validate, by(request.Validator, at)); err != nil {
			return err
		}
		for fact, role := range map[string]machine.Role{request.FactValidated: request.Validator, request.FactLetterReceived: request.Persuratan, request.FactCompared: request.Operator} {
			if _, err := request.State(ctx, tx, r.ID, fact, nil, by(role, at)); err != nil {
				return err
			}
		}
		if r, err = request.State(ctx, tx, r.ID, request.FactBlanksCounted, map[string]any{"count": cards}, by(request.Persuratan, at)); err != nil {
			return err
		}
		if r, err = request.Take(ctx, tx, r, request.Approve, by(request.Dirjen, at)); err != nil {
			return err
		}
		if _, err = request.State(ctx, tx, r.ID, request.FactDisposed, nil, by(request.Direktur, at)); err != nil {
			return err
		}
		if r, err = request.Take(ctx, tx, r, request.Accept, by(request.Kasubdit, at)); err != nil {
			return err
		}
		for row := 1; row <= cards; row++ {
			id := uuid.NewString()
			if _, err := tx.Exec(ctx, `INSERT INTO listed_card (id, request_id, row, serial) VALUES ($1,$2,$3,$4)`, id, r.ID, row, fmt.Sprintf("%s-%d", r.Ticket, row)); err != nil {
				return err
			}
			if _, err := tx.Exec(ctx, `INSERT INTO card (id, request_id, serial, state) SELECT id, request_id, serial, 'listed' FROM listed_card WHERE id=$1`, id); err != nil {
				return err
			}
		}
		return nil
	})
	return r
}

func (o *office) replan(t *testing.T, at time.Time) (c capacity.Changes) {
	t.Helper()
	o.tx(t, func(ctx context.Context, tx *postgres.Tx) (err error) {
		c, err = capacity.Replan(ctx, tx, capacity.PlanInput{Calendar: shipped(t), OfficeAt: at, Cause: "uji"})
		return err
	})
	return c
}

func TestReplanSchedulesAndThenWritesNothing(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	first, second := o.accepted(t, 7), o.accepted(t, 8)

	c := o.replan(t, o.day.At(10, 0))
	require.Equal(t, capacity.Changes{Placed: 3, Estimates: 2, Scheduled: 2}, c)
	require.Zero(t, o.replan(t, o.day.At(11, 0)), "a second replanning changes nothing")

	e, err := capacity.EstimateOf(t.Context(), o.db, second.ID)
	require.NoError(t, err)
	require.Equal(t, "2026-11-24", e.Start.String(), "the day after the acceptance at the earliest")
	require.Equal(t, "2026-11-25", e.Finish.String())

	r, err := request.Get(t.Context(), o.db, first.ID)
	require.NoError(t, err)
	require.Equal(t, request.Scheduled, r.State)
}

func TestADayOverItsCapacityIsImpossible(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	r := o.accepted(t, 10)
	o.replan(t, o.day.At(10, 0))
	insert := func(slots string) error {
		return o.db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
			_, err := tx.Exec(ctx, `INSERT INTO work_order (id, request_id, day, capacity, slots, remaining, state)
				VALUES ($1,$2,$3,10,$4::int4range,1,'planned')`, uuid.NewString(), r.ID, o.next(), slots)
			return err
		})
	}
	require.True(t, postgres.IsExclusion(insert("[10,11)"), ""), "a slot given twice")
	require.True(t, postgres.IsCheck(insert("[11,12)"), ""), "a slot beyond the capacity")
}

func TestReleaseClaimCountDownAndClose(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	r := o.accepted(t, 3)
	o.replan(t, o.day.At(10, 0))
	at := o.next().At(7, 30)
	require.Zero(t, o.replan(t, o.next().At(0, 5)), "the day's own plan is frozen")
	o.tx(t, func(ctx context.Context, tx *postgres.Tx) error {
		n, err := capacity.ReleaseDay(ctx, tx, o.next(), at)
		require.Equal(t, 1, n)
		return err
	})
	var order capacity.WorkOrder
	o.tx(t, func(ctx context.Context, tx *postgres.Tx) (err error) {
		order, err = capacity.ClaimOrder(ctx, tx, r.ID, o.next())
		return err
	})
	require.Equal(t, 3, order.Remaining)
	station := machine.Actor{Name: "stasiun", Role: request.Station}
	for range 2 {
		o.tx(t, func(ctx context.Context, tx *postgres.Tx) error {
			return capacity.CountDown(ctx, tx, order.ID, station, at)
		})
	}
	// The day ends with one card not presented: it goes back to the queue.
	o.tx(t, func(ctx context.Context, tx *postgres.Tx) error {
		end, err := capacity.CloseDays(ctx, tx, o.next(), o.next().At(16, 0), o.next().At(16, 0))
		require.Equal(t, 1, end.Orders)
		return err
	})
	err := o.db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		_, err := capacity.ClaimOrder(ctx, tx, r.ID, o.next())
		return err
	})
	require.ErrorIs(t, err, capacity.ErrNoOrder)
}

func TestLastCardsOfAnOrderCloseItOnce(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	r := o.accepted(t, 8)
	o.replan(t, o.day.At(6, 0))
	o.tx(t, func(ctx context.Context, tx *postgres.Tx) error {
		_, err := capacity.ReleaseDay(ctx, tx, o.next(), o.next().At(7, 30))
		return err
	})
	var order capacity.WorkOrder
	require.NoError(t, o.db.Get(t.Context(), &order.ID, `SELECT id FROM work_order WHERE request_id=$1`, r.ID))
	var wg sync.WaitGroup
	errs := make(chan error, 8)
	for range 8 {
		wg.Go(func() {
			errs <- o.db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
				return capacity.CountDown(ctx, tx, order.ID, machine.Actor{Name: "stasiun", Role: request.Station}, o.day.At(8, 0))
			})
		})
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		require.NoError(t, err)
	}
	var state string
	require.NoError(t, o.db.Get(t.Context(), &state, `SELECT state FROM work_order WHERE id=$1`, order.ID))
	require.Equal(t, "closed", state)
	var bells int
	require.NoError(t, o.db.Get(t.Context(), &bells, `SELECT count(*) FROM outbox WHERE type='workorder.finished' AND subject=$1`, order.ID))
	require.Equal(t, 1, bells)
}

func TestAWindowRunsOnceByTwoSchedulers(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	schedule, err := capacity.ParseSchedule("30 7 * * *")
	require.NoError(t, err)
	var mu sync.Mutex
	var windows []string
	jobs := []capacity.Job{{Name: "uji", Schedule: schedule, Do: func(_ context.Context, _ *postgres.Tx, w, _ time.Time) (any, error) {
		mu.Lock()
		defer mu.Unlock()
		windows = append(windows, w.In(clock.Jakarta).Format("01-02 15:04"))
		return nil, nil
	}}}
	run := func(at time.Time) {
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() {
				_, err := capacity.RunDue(t.Context(), o.db, jobs, at)
				require.NoError(t, err)
			})
		}
		wg.Wait()
	}
	run(o.day.At(7, 29))
	run(o.day.At(7, 30))
	run(o.day.At(7, 31))
	run(o.day.AddDays(3).At(12, 0)) // three nights missed
	run(o.day.At(8, 0))             // the clock was set back
	run(o.day.AddDays(3).At(12, 1)) // and forth
	require.Equal(t, []string{"11-22 07:30", "11-23 07:30", "11-24 07:30", "11-25 07:30", "11-26 07:30"}, windows)
}
