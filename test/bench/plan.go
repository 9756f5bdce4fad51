package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"dukcapil.go.id/sifilma/configs"
	"dukcapil.go.id/sifilma/pkg/capacity"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/pkg/workday"
)

const (
	planName     = "bench_plan"
	planRequests = 2_000
	planCards    = 50 // of each request
	planAgain    = 15 // new requests of a round, of which the median counts

	nightPromise = 1000.0 // ms
	onePromise   = 5.0    // ms
)

// planBench is an office with a long queue: every request is in the plan.
type planBench struct {
	db *postgres.DB
	// aside is for what is not measured: to switch triggers off makes the server forget
	// the plans of that connection's statements, which in the office it keeps.
	aside *postgres.DB
	open  func() (*postgres.DB, error)
	in    capacity.PlanInput
	fresh []string // requests that were accepted and are not placed
}

func benchPlan(ctx context.Context, g *ground) (err error) {
	db, err := g.freshDatabase(ctx, planName)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	open := func() (*postgres.DB, error) { return postgres.Open(g.postgresConfig(planName)) }
	aside, err := open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, aside.Close()) }()
	calendar, err := shippedCalendar()
	if err != nil {
		return err
	}
	b := &planBench{db: db, aside: aside, open: open, in: capacity.PlanInput{Calendar: calendar, OfficeAt: clock.MustParseDate("2026-03-02").At(1, 0), Cause: "bench"}}
	if err := b.seed(ctx, (g.rounds+1)*(planAgain+1)); err != nil {
		return err
	}
	times, err := g.takeTurns(ctx, "plan-nightly", side{"nightly", b.nightly}, side{"count-cards", b.count}, side{"all-moved", b.moved})
	if err != nil {
		return err
	}
	compare(os.Stdout, "plan-nightly", "ms", times[0], limit("promise", nightPromise), times[1])
	compare(os.Stdout, "plan-all-moved", "ms", times[2], limit("promise", nightPromise))
	if times, err = g.takeTurns(ctx, "plan-one", side{"one", b.one}, side{"insert-rows", b.rows}, side{"one-cold", b.cold}); err != nil {
		return err
	}
	compare(os.Stdout, "plan-one", "ms", times[0], limit("promise", onePromise), times[1])
	compare(os.Stdout, "plan-one-cold", "ms", times[2], times[0])
	return b.pure(ctx, g)
}

func shippedCalendar() (*workday.Calendar, error) {
	body, err := configs.Holidays()
	if err != nil {
		return nil, err
	}
	data, err := workday.Parse(body)
	return data.Calendar(), err
}

// seed makes the requests with their cards, and the plan of them.
func (b *planBench) seed(ctx context.Context, fresh int) error {
	if err := machine.Sync(ctx, b.db, request.Machine, capacity.Machine, perso.Machine); err != nil {
		return err
	}
	make := func(state string, first, n int) error {
		return b.aside.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
			for _, q := range []string{
				`SET LOCAL session_replication_role = replica`, // how requests get here is not measured
				`INSERT INTO institution (id, kind, name) VALUES ('00000000-0000-7000-8000-000000000001', 'produsen', 'Produsen Contoh') ON CONFLICT DO NOTHING`,
				`INSERT INTO machine_type (code, name, uses_reader, sam_pattern, reader_pattern) VALUES ('BENCH', 'Mesin uji', false, '.*', '') ON CONFLICT DO NOTHING`,
				fmt.Sprintf(`INSERT INTO request (id, ticket, kind, institution_id, reference, title, sam_function, card_count, machine_type,
					letter_sender, letter_post, letter_number, letter_date, letter_subject, state, disposition_date, created_by, created_at)
					SELECT gen_random_uuid(), 'PSAM-2026-' || lpad(n::text, 6, '0'), 'reader', '00000000-0000-7000-8000-000000000001', 'R-' || n, 'Uji', 'R', %d, 'BENCH',
					       'x', 'x', 'x', '2026-02-01', 'x', '%s', '2026-03-01', 'uji', now() FROM generate_series(%d, %d) AS n`, planCards, state, first, first+n-1),
				fmt.Sprintf(`INSERT INTO listed_card (id, request_id, row, serial)
					SELECT gen_random_uuid(), r.id, n, r.ticket || '-' || n FROM request r, generate_series(1, %d) AS n
					WHERE NOT EXISTS (SELECT FROM listed_card l WHERE l.request_id = r.id)`, planCards),
				`INSERT INTO card (id, request_id, serial, state)
				 SELECT l.id, l.request_id, l.serial, 'listed' FROM listed_card l WHERE NOT EXISTS (SELECT FROM card c WHERE c.id = l.id)`,
			} {
				if _, err := tx.Exec(ctx, q); err != nil {
					return fmt.Errorf("%s: %w", q, err)
				}
			}
			return nil
		})
	}
	if err := make("scheduled", 1, planRequests); err != nil {
		return err
	}
	if done, err := b.replan(ctx, b.in.Calendar); err != nil || done.Estimates != planRequests {
		return fmt.Errorf("%d of %d requests have an estimate: %w", done.Estimates, planRequests, err)
	}
	// After the first plan: the new ones wait outside of it until it is their turn.
	if err := make("approved", planRequests+1, fresh); err != nil {
		return err
	}
	return errors.Join(b.analyze(ctx), b.db.Select(ctx, &b.fresh, `SELECT id FROM request WHERE state = 'approved' ORDER BY ticket`))
}

func (b *planBench) analyze(ctx context.Context) error {
	return b.db.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error { _, err := tx.Exec(ctx, `ANALYZE`); return err })
}

func (b *planBench) replan(ctx context.Context, calendar *workday.Calendar) (done capacity.Changes, err error) {
	in := b.in
	in.Calendar = calendar
	err = b.db.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) (err error) {
		done, err = capacity.Replan(ctx, tx, in)
		return err
	})
	return done, err
}

// nightly is a replanning that nothing calls for. It writes no row.
func (b *planBench) nightly(ctx context.Context) (float64, error) {
	const written = `SELECT sum(n_tup_ins + n_tup_upd + n_tup_del)::int FROM pg_stat_xact_user_tables` // with what the session has not told yet
	var before, after int
	var took time.Duration
	err := b.db.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		if err := tx.Get(ctx, &before, written); err != nil {
			return err
		}
		began := time.Now()
		if _, err := capacity.Replan(ctx, tx, b.in); err != nil {
			return err
		}
		took = time.Since(began)
		return tx.Get(ctx, &after, written)
	})
	if err == nil && after != before {
		err = fmt.Errorf("%d rows were written without a cause", after-before)
	}
	return milliseconds(took), err
}

// count is what cannot be done without: the cards of each request.
func (b *planBench) count(ctx context.Context) (float64, error) {
	began := time.Now()
	var n []int
	err := b.db.Select(ctx, &n, `SELECT count(*) FROM card WHERE state = 'listed' GROUP BY request_id`)
	return milliseconds(time.Since(began)), err
}

// moved is a replanning that moves every order but those of the first days, for a
// day off near the front, and another that takes it back, of which one is measured.
func (b *planBench) moved(ctx context.Context) (float64, error) {
	off := workday.Holiday{Date: b.in.Calendar.Next(clock.DateOf(b.in.OfficeAt)), Kind: workday.National, Name: "Libur", Decree: "uji"}
	began := time.Now()
	done, err := b.replan(ctx, workday.New(append(b.holidays(), off)))
	took := milliseconds(time.Since(began))
	if err == nil && done.Estimates < planRequests/10*9 {
		err = fmt.Errorf("only %d estimates moved", done.Estimates)
	}
	if err == nil {
		_, err = b.replan(ctx, b.in.Calendar)
	}
	return took, errors.Join(err, b.analyze(ctx))
}

func (b *planBench) holidays() (all []workday.Holiday) {
	for year := 2025; year <= 2027; year++ {
		all = append(all, b.in.Calendar.Year(year)...)
	}
	return all
}

// one places new requests, each in a transaction of its own, as when its bell rings.
func (b *planBench) one(ctx context.Context) (float64, error) {
	var took []float64
	for range planAgain {
		ms, err := b.place(ctx, b.db)
		if err != nil {
			return 0, err
		}
		took = append(took, ms)
	}
	slices.Sort(took)
	return took[len(took)/2], nil
}

// cold places one through a connection that has done nothing yet.
func (b *planBench) cold(ctx context.Context) (ms float64, err error) {
	db, err := b.open()
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	var n int
	if err := db.Get(ctx, &n, `SELECT 1`); err != nil {
		return 0, err
	}
	return b.place(ctx, db)
}

func (b *planBench) place(ctx context.Context, db *postgres.DB) (ms float64, err error) {
	id := b.fresh[0]
	b.fresh = b.fresh[1:]
	if err := b.aside.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		if _, err := tx.Exec(ctx, `SET LOCAL session_replication_role = replica`); err != nil {
			return err
		}
		return tx.ExecOne(ctx, `UPDATE request SET state = 'accepted' WHERE id = $1`, id)
	}); err != nil {
		return 0, err
	}
	began := time.Now()
	var done capacity.Changes
	var ok bool
	err = db.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) (err error) {
		done, ok, err = capacity.Extend(ctx, tx, b.in, []string{id})
		return err
	})
	ms = milliseconds(time.Since(began))
	if err != nil || !ok || done.Estimates != 1 {
		return 0, fmt.Errorf("a new request was not placed (%+v, %t): %w", done, ok, err)
	}
	return ms, nil
}

// rows is the transaction of as many small rows as placing a request writes.
func (b *planBench) rows(ctx context.Context) (float64, error) {
	var took []float64
	if err := b.db.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		_, err := tx.Exec(ctx, `CREATE TABLE IF NOT EXISTS bench_floor (id uuid PRIMARY KEY, text text)`)
		return err
	}); err != nil {
		return 0, err
	}
	for range planAgain {
		began := time.Now()
		if err := b.db.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
			for range 6 { // day, order, estimate, move, request, history
				if _, err := tx.Exec(ctx, `INSERT INTO bench_floor VALUES (gen_random_uuid(), $1)`, planName); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			return 0, err
		}
		took = append(took, milliseconds(time.Since(began)))
	}
	slices.Sort(took)
	return took[len(took)/2], nil
}

// pure is the planner alone: nanoseconds of a card, of more and more cards.
func (b *planBench) pure(ctx context.Context, g *ground) error {
	sizes := []int{10_000, 100_000, 1_000_000}
	var sides []side
	for _, n := range sizes {
		demands := make([]capacity.Demand, n/planCards)
		for i := range demands {
			demands[i] = capacity.Demand{RequestID: fmt.Sprint(i), Disposition: clock.MustParseDate("2026-03-01").AddDays(-i % 5), Ticket: fmt.Sprintf("%06d", i), Cards: planCards}
		}
		days := capacity.Days{Calendar: b.in.Calendar, First: clock.MustParseDate("2026-03-03")}
		sides = append(sides, side{fmt.Sprint("cards-", n), func(context.Context) (float64, error) {
			again := sizes[len(sizes)-1] / n
			began := time.Now()
			for range again {
				if spans := capacity.Plan(demands, days); len(spans) < len(demands) {
					return 0, fmt.Errorf("%d spans of %d requests", len(spans), len(demands))
				}
			}
			return float64(time.Since(began).Nanoseconds()) / float64(n*again), nil
		}})
	}
	results, err := g.takeTurns(ctx, "plan-pure", sides...)
	if err != nil {
		return err
	}
	compare(os.Stdout, "plan-pure", "ns/card", results[2], results[0], results[1])
	return nil
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
