package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime/pprof"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/lib/pq"
	"github.com/rs/zerolog"

	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/outbox"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/rabbit"
)

const (
	hopDatabase = "bench_hop"
	hopVhost    = "bench-hop"
	hopMessages = 20_000
	hopBatch    = 100 // as rabbit.Consume has it
	hopLimit    = 5 * time.Minute
)

// work is the state machine of the rows that are handed on.
var work = machine.Table{Name: "bench", Steps: []machine.Step{
	{From: "", Verb: "make", To: "waiting"},
	{From: "waiting", Verb: "do", To: "done", Message: rabbit.RequestAccepted},
}}

// hopBench measures one stage of the line with everything on: a delivered
// message, its state change, its line of history and the next message in one
// transaction with those of its batch, and that next message confirmed.
type hopBench struct {
	g       *ground
	db      *postgres.DB
	n       int
	profile *os.File
}

func benchHop(ctx context.Context, g *ground) (err error) {
	h := &hopBench{g: g, n: hopMessages}
	if h.db, err = g.freshDatabase(ctx, hopDatabase); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.db.Close()) }()
	if err := g.freshVhost(ctx, hopVhost); err != nil {
		return err
	}
	if err := machine.Sync(ctx, h.db, &work); err != nil {
		return err
	}
	if err := h.exec(ctx, `
		CREATE TABLE bench_work (id uuid PRIMARY KEY, state text NOT NULL, version bigint NOT NULL);
		CREATE TRIGGER bench_work_transition BEFORE INSERT OR UPDATE ON bench_work
			FOR EACH ROW EXECUTE FUNCTION check_transition('bench')`); err != nil {
		return err
	}
	if g.profile != "" {
		if h.profile, err = os.Create(g.profile); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, h.profile.Close()) }()
	}
	results, err := g.takeTurns(ctx, "hop",
		side{"hop", h.subject}, side{"publish-confirm", h.publishFloor}, side{"batched-insert", h.insertFloor})
	if err != nil {
		return err
	}
	compare(os.Stdout, "hop", "msg/s", results[0], results[1:]...)
	return nil
}

// exec runs statements without parameters, several at once.
func (h *hopBench) exec(ctx context.Context, statements string) (err error) {
	db, err := h.g.admin(hopDatabase)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	_, err = db.ExecContext(ctx, statements)
	return err
}

// clear empties what the last round left behind. The outbox is known to be empty
// afterwards, as after a long holiday: statements must be fast without a
// statistic that speaks for it.
func (h *hopBench) clear(ctx context.Context) error {
	if err := h.exec(ctx, `TRUNCATE history, outbox, bench_work`); err != nil {
		return err
	}
	if err := h.exec(ctx, `VACUUM ANALYZE outbox`); err != nil {
		return err
	}
	return h.g.settleDown(ctx)
}

// subject runs n messages through a hop and returns how many a second.
func (h *hopBench) subject(ctx context.Context) (_ float64, err error) {
	if err := h.clear(ctx); err != nil {
		return 0, err
	}
	if err := h.fill(ctx); err != nil {
		return 0, err
	}
	broker := rabbit.New(h.g.rabbitConfig(hopVhost, "bench"), zerolog.Nop())
	broker.Consume(h.db, rabbit.QueueValidator, hear)
	relay := outbox.NewRelay(h.db, broker, zerolog.Nop())
	if h.profile != nil && h.g.profile != "" {
		if err := pprof.StartCPUProfile(h.profile); err != nil {
			return 0, err
		}
	}
	before := h.g.spent()
	began := time.Now()
	stop := start(ctx, broker.Run, relay.Run)
	defer stop()
	err = until(ctx, 5*time.Millisecond, hopLimit, "the hops", func() (bool, error) {
		return broker.Consumers()[0].Done >= int64(h.n), nil
	})
	if err == nil {
		err = until(ctx, 20*time.Millisecond, hopLimit, "the relay", func() (sent bool, err error) {
			err = h.db.Get(ctx, &sent, `SELECT NOT EXISTS (SELECT FROM outbox WHERE sent_at IS NULL)`)
			return sent, err
		})
	}
	rate := float64(h.n) / time.Since(began).Seconds()
	h.g.spent().tell("hop", before, h.n)
	if h.profile != nil && h.g.profile != "" {
		pprof.StopCPUProfile()
		h.g.profile = "" // the first round's
	}
	if err != nil {
		return 0, err
	}
	if err := h.verify(ctx, broker); err != nil {
		return 0, err
	}
	stop()
	return rate, h.drain()
}

// fill makes the rows and puts a message for each into the queue.
func (h *hopBench) fill(ctx context.Context) error {
	ids := freshIDs(h.n)
	if err := h.db.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO bench_work SELECT id, 'waiting', 1 FROM unnest($1::uuid[]) AS w (id)`, pq.Array(ids))
		return err
	}); err != nil {
		return err
	}
	if err := h.exec(ctx, `ANALYZE bench_work`); err != nil { // as autovacuum would, some time
		return err
	}
	feeder := rabbit.New(h.g.rabbitConfig(hopVhost, "bench-feeder"), zerolog.Nop())
	stop := start(ctx, feeder.Run)
	defer stop()
	if err := feeder.WaitPublish(ctx); err != nil {
		return err
	}
	outcomes := make(chan rabbit.Outcome, h.n)
	for _, id := range ids {
		if err := feeder.Publish(ctx, rabbit.Event{
			ID: uuid.NewString(), Type: rabbit.RequestSubmitted, Subject: id, Request: id, Version: 1, Time: time.Now(),
		}, func(o rabbit.Outcome) { outcomes <- o }); err != nil {
			return err
		}
	}
	for range ids {
		if o := <-outcomes; o != rabbit.Sent {
			return fmt.Errorf("a message of the filling is %s", o)
		}
	}
	return h.g.settleDown(ctx)
}

// hear is the handler: one statement each for state, history and outbox.
func hear(ctx context.Context, tx *postgres.Tx, events []rabbit.Event) error {
	ids, versions := make([]string, len(events)), make([]int64, len(events))
	for i, e := range events {
		ids[i], versions[i] = e.Subject, e.Version
	}
	var moved []string
	if err := tx.Select(ctx, &moved, `
		UPDATE bench_work AS w SET state = 'done', version = w.version + 1
		FROM unnest($1::uuid[], $2::bigint[]) AS e (id, version)
		WHERE w.id = e.id AND w.version = e.version
		RETURNING w.id`, pq.Array(ids), pq.Array(versions)); err != nil {
		return err
	}
	step := work.Steps[1]
	now := time.Now()
	records, next := make([]machine.Record, len(moved)), make([]outbox.Message, len(moved))
	for i, id := range moved {
		records[i] = machine.Record{Subject: id, Version: 2, Step: step, Actor: machine.Actor{Name: "bench", Role: "bench"}, OfficeAt: now}
		next[i] = outbox.Message{Type: step.Message, Subject: id, Request: id, Version: 2}
	}
	if err := work.Write(ctx, tx, records...); err != nil {
		return err
	}
	return outbox.Put(ctx, tx, next...)
}

// verify finds each effect exactly once.
func (h *hopBench) verify(ctx context.Context, broker *rabbit.Broker) error {
	var got struct {
		Done    int `db:"done"`
		History int `db:"history"`
		Sent    int `db:"sent"`
	}
	if err := h.db.Get(ctx, &got, `
		SELECT (SELECT count(*) FROM bench_work WHERE state = 'done' AND version = 2) AS done,
		       (SELECT count(DISTINCT subject) FROM history) AS history,
		       (SELECT count(DISTINCT subject) FROM outbox WHERE sent_at IS NOT NULL) AS sent`); err != nil {
		return err
	}
	if got.Done != h.n || got.History != h.n || got.Sent != h.n {
		return fmt.Errorf("of %d messages %d were done, %d recorded, %d announced", h.n, got.Done, got.History, got.Sent)
	}
	for _, queue := range []string{rabbit.QueueValidator, rabbit.QueueShelf} {
		depth, err := broker.Depth(ctx, queue)
		if err != nil {
			return err
		}
		if depth.Messages != 0 {
			return fmt.Errorf("%d messages are left in the queue %s", depth.Messages, queue)
		}
	}
	// A bell may ring twice, where a lease ran out on a machine that stood still;
	// it may not be missing.
	next, err := broker.Depth(ctx, rabbit.QueueScheduler)
	if err != nil {
		return err
	}
	if next.Messages < h.n {
		return fmt.Errorf("%d messages were handed on instead of %d", next.Messages, h.n)
	}
	if next.Messages > h.n {
		fmt.Printf("note hop repeated_messages=%d\n", next.Messages-h.n)
	}
	return nil
}

// drain empties the queue that nobody reads here.
func (h *hopBench) drain() (err error) {
	conn, err := h.g.dial(hopVhost)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	ch, err := conn.Channel()
	if err != nil {
		return err
	}
	_, err = ch.QueuePurge(rabbit.QueueScheduler, false)
	return err
}

// start runs what it is given until the returned function is called, which
// waits for its end.
func start(ctx context.Context, runs ...func(context.Context) error) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var all sync.WaitGroup
	for _, run := range runs {
		all.Go(func() { _ = run(ctx) }) // they end when told to
	}
	return func() { cancel(); all.Wait() }
}
