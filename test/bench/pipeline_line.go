package main

import (
	"context"
	"fmt"
	"runtime/pprof"
	"strings"
	"sync/atomic"
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
	// lineLimit bounds what is waited for where nothing is measured.
	lineLimit = time.Minute
	burnLimit = 5 * time.Minute
	// eventNote makes a row of history about 200 B of data.
	eventNote = 80
	leastRow  = 200 // bytes of an event
)

// line is one run of the subject: the consumers of the three stages and the
// relay, in one process.
type line struct {
	b      *pipelineBench
	broker *rabbit.Broker
	relay  *outbox.Relay
	detail map[string]any

	ids     []string
	numbers map[string]int // of the ids
	began   atomic.Int64   // unix nanoseconds of the first transaction of stage 1
	arrived []time.Time    // at stage 3, by number
	through chan int       // how many more are through
}

func (b *pipelineBench) newLine(n int) *line {
	l := &line{
		b: b, broker: rabbit.New(b.g.rabbitConfig(pipelineVhost, "bench"), zerolog.Nop()),
		detail: map[string]any{"note": strings.Repeat("e", eventNote)},
		ids:    freshIDs(n), numbers: make(map[string]int, n), arrived: make([]time.Time, n), through: make(chan int, n),
	}
	for i, id := range l.ids {
		l.numbers[id] = i
	}
	for i, s := range stages {
		l.broker.Consume(b.db, s.queue, l.hear(i, s.step))
	}
	l.relay = outbox.NewRelay(b.db, l.broker, zerolog.Nop())
	return l
}

// hear is the handler of a stage: one statement each for state, history and
// outbox.
func (l *line) hear(stage int, step machine.Step) rabbit.Handler {
	before := int64(stage + 1)
	return func(ctx context.Context, tx *postgres.Tx, events []rabbit.Event) error {
		if stage == 0 {
			l.began.CompareAndSwap(0, time.Now().UnixNano())
		}
		ids := make([]string, len(events))
		for i, e := range events {
			ids[i] = e.Subject
		}
		var moved []string
		if err := tx.Select(ctx, &moved, `
			UPDATE bench_path SET state = $2, version = version + 1
			WHERE id = ANY ($1::uuid[]) AND version = $3 AND state = $4
			RETURNING id`, pq.Array(ids), step.To, before, step.From); err != nil {
			return err
		}
		now := time.Now()
		records, next := make([]machine.Record, len(moved)), make([]outbox.Message, len(moved))
		for i, id := range moved {
			records[i] = machine.Record{
				Subject: id, Request: id, Version: before + 1, Step: step, Actor: machine.Actor{Name: "bench", Role: "bench"},
				Detail: l.detail, OfficeAt: now,
			}
			next[i] = outbox.Message{Type: step.Message, Subject: id, Request: id, Version: before + 1}
		}
		if err := path.Write(ctx, tx, records...); err != nil {
			return err
		}
		if step.Message != "" {
			return outbox.Put(ctx, tx, next...)
		}
		tx.OnCommit(func() {
			now := time.Now()
			for _, id := range moved {
				l.arrived[l.numbers[id]] = now
			}
			l.through <- len(moved)
		})
		return nil
	}
}

// await waits until n further requests are through.
func (l *line) await(ctx context.Context, n int, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for left := n; left > 0; {
		select {
		case more := <-l.through:
			left -= more
		case <-ctx.Done():
			return fmt.Errorf("%d of %d requests are not through: %w", left, n, ctx.Err())
		}
	}
	return nil
}

// burnDown works off a backlog and returns requests a second, from the first
// transaction of stage 1 to the last of stage 3.
func (b *pipelineBench) burnDown(ctx context.Context) (_ float64, err error) {
	if err := b.clear(ctx); err != nil {
		return 0, err
	}
	l := b.newLine(pipelineRequests)
	if err := l.fill(ctx); err != nil {
		return 0, err
	}
	if b.profile != nil && b.g.profile != "" {
		b.g.profile = "" // the first round's
		if err := pprof.StartCPUProfile(b.profile); err != nil {
			return 0, err
		}
		defer pprof.StopCPUProfile()
	}
	stop := start(ctx, l.broker.Run, l.relay.Run)
	defer stop()
	if err := l.await(ctx, len(l.ids), burnLimit); err != nil {
		return 0, err
	}
	took := time.Since(time.Unix(0, l.began.Load()))
	return float64(len(l.ids)) / took.Seconds(), l.verify(ctx)
}

// fill makes the requests and puts the message of the first stage into its
// queue for each.
func (l *line) fill(ctx context.Context) error {
	if err := l.b.db.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error { return l.write(ctx, tx, l.ids) }); err != nil {
		return err
	}
	feeder := rabbit.New(l.b.g.rabbitConfig(pipelineVhost, "bench-feeder"), zerolog.Nop())
	stop := start(ctx, feeder.Run)
	defer stop()
	if err := feeder.WaitPublish(ctx); err != nil {
		return err
	}
	outcomes := make(chan rabbit.Outcome, len(l.ids))
	for _, id := range l.ids {
		if err := feeder.Publish(ctx, rabbit.Event{
			ID: uuid.NewString(), Type: path.Steps[0].Message, Subject: id, Request: id, Version: 1, Time: time.Now(),
		}, func(o rabbit.Outcome) { outcomes <- o }); err != nil {
			return err
		}
	}
	for range l.ids {
		if o := <-outcomes; o != rabbit.Sent {
			return fmt.Errorf("a message of the filling is %s", o)
		}
	}
	return l.b.g.settleDown(ctx)
}

// write makes the rows of new requests.
func (l *line) write(ctx context.Context, tx *postgres.Tx, ids []string) error {
	_, err := tx.Exec(ctx, `INSERT INTO bench_path SELECT id, $2, 1 FROM unnest($1::uuid[]) AS r (id)`, pq.Array(ids), path.Steps[0].To)
	return err
}

// verify finds each request at the end, each effect exactly once and nothing
// left to do.
func (l *line) verify(ctx context.Context) error {
	n := len(l.ids)
	if err := until(ctx, 5*time.Millisecond, lineLimit, "the relay", func() (sent bool, err error) {
		err = l.b.db.Get(ctx, &sent, `SELECT NOT EXISTS (SELECT FROM outbox WHERE sent_at IS NULL)`)
		return sent, err
	}); err != nil {
		return err
	}
	var got struct {
		Printed  int `db:"printed"`
		Events   int `db:"events"`
		Distinct int `db:"distinct"`
		Least    int `db:"least"`
		Shelf    int `db:"shelf"`
	}
	if err := l.b.db.Get(ctx, &got, `
		SELECT (SELECT count(*) FROM bench_path WHERE state = 'printed' AND version = 4) AS printed,
		       count(*) AS events, count(DISTINCT (subject, version)) AS distinct,
		       coalesce(min(pg_column_size(h)), 0) AS least, (SELECT count(*) FROM shelf) AS shelf
		FROM history AS h`); err != nil {
		return err
	}
	if want := len(stages) * n; got.Printed != n || got.Events != want || got.Distinct != want || got.Least < leastRow || got.Shelf != 0 {
		return fmt.Errorf("of %d requests: %+v", n, got)
	}
	// A message that was handed on twice is on its way until the last stage has
	// seen it.
	return until(ctx, 5*time.Millisecond, lineLimit, "empty queues", func() (bool, error) {
		for _, s := range stages {
			depth, err := l.broker.Depth(ctx, s.queue)
			if err != nil || depth.Messages > 0 {
				return false, err
			}
		}
		return true, nil
	})
}
