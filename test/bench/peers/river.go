package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"
)

const (
	stages = 3
	// Those with which River was fastest on two cores. More or fewer connections,
	// or polling instead of NOTIFY, change little.
	cooldown    = 5 * time.Millisecond
	workers     = 20 // of each queue
	connections = 40
	// eventBytes of text make a row of about 200 B of data.
	eventBytes = 150
)

var eventBody = strings.Repeat("e", eventBytes)

// stageArgs are the arguments of a job: the n-th request is due for its stage.
type stageArgs struct {
	Request string `json:"request"`
	N       int    `json:"n"`
	Stage   int    `json:"stage"`
}

// Kind is the same for all stages; their queues differ.
func (stageArgs) Kind() string { return "stage" }

// peer is a River client with workers for the three stages.
type peer struct {
	options
	pool   *pgxpool.Pool
	client *river.Client[pgx.Tx]

	ids     []string
	began   atomic.Int64 // unix nanoseconds of the first transaction of stage 1
	done    atomic.Int64
	arrived []time.Time   // of stage 3, by the number of the request
	through chan struct{} // gets one for each request at stage 3
}

func queue(stage int) string { return fmt.Sprintf("stage_%d", stage) }

func open(ctx context.Context, address string, o options) (*peer, error) {
	cfg, err := pgxpool.ParseConfig(address)
	if err != nil {
		return nil, err
	}
	cfg.MaxConns = connections
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return nil, err
	}
	p := &peer{options: o, pool: pool}
	if err := p.prepare(ctx); err != nil {
		pool.Close()
		return nil, err
	}
	return p, nil
}

// prepare makes the tables and the client.
func (p *peer) prepare(ctx context.Context) error {
	migrator, err := rivermigrate.New(riverpgxv5.New(p.pool), nil)
	if err != nil {
		return err
	}
	if _, err := migrator.Migrate(ctx, rivermigrate.DirectionUp, nil); err != nil {
		return err
	}
	if _, err := p.pool.Exec(ctx, `
		CREATE TABLE IF NOT EXISTS request (id uuid PRIMARY KEY, stage int NOT NULL, version bigint NOT NULL);
		CREATE TABLE IF NOT EXISTS event (
			id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, request_id uuid NOT NULL, stage int NOT NULL,
			at timestamptz NOT NULL DEFAULT now(), body text NOT NULL)`); err != nil {
		return err
	}
	all := river.NewWorkers()
	if err := river.AddWorkerSafely(all, &worker{p: p}); err != nil {
		return err
	}
	queues := map[string]river.QueueConfig{}
	for stage := 1; stage <= stages; stage++ {
		queues[queue(stage)] = river.QueueConfig{MaxWorkers: workers}
	}
	cfg := &river.Config{
		Queues: queues, Workers: all, FetchCooldown: cooldown,
		Logger: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError})),
	}
	p.client, err = river.NewClient(riverpgxv5.New(p.pool), cfg)
	return err
}

// clear empties what the last run left behind and forgets the debts at the disk.
func (p *peer) clear(ctx context.Context) error {
	for _, statement := range []string{`TRUNCATE request, event, river_job`, `VACUUM ANALYZE river_job`, `CHECKPOINT`} {
		if _, err := p.pool.Exec(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}

// expect makes room for n requests.
func (p *peer) expect(n int) {
	p.ids, p.arrived, p.through = make([]string, n), make([]time.Time, n), make(chan struct{}, n)
	for i := range p.ids {
		p.ids[i] = uuid.Must(uuid.NewV7()).String()
	}
}

// submit writes requests and the jobs of their first stage in one transaction.
func (p *peer) submit(ctx context.Context, numbers []int) error {
	ids, jobs := make([]string, len(numbers)), make([]river.InsertManyParams, len(numbers))
	for i, n := range numbers {
		ids[i] = p.ids[n]
		jobs[i] = river.InsertManyParams{Args: stageArgs{Request: p.ids[n], N: n, Stage: 1}, InsertOpts: &river.InsertOpts{Queue: queue(1)}}
	}
	return pgx.BeginFunc(ctx, p.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `INSERT INTO request SELECT id, 0, 1 FROM unnest($1::uuid[]) AS r (id)`, ids); err != nil {
			return err
		}
		_, err := p.client.InsertManyFastTx(ctx, tx, jobs)
		return err
	})
}

type worker struct {
	river.WorkerDefaults[stageArgs]
	p *peer
}

// Work takes a request through one stage: the change of its row by
// compare-and-set, the event, and the job of the next stage, in one transaction;
// with JobCompleteTx also the end of this job. Otherwise River's completer ends
// it afterwards, many at once, and the job may run again after a crash.
func (w *worker) Work(ctx context.Context, job *river.Job[stageArgs]) error {
	p, a := w.p, job.Args
	if a.Stage == 1 {
		p.began.CompareAndSwap(0, time.Now().UnixNano())
	}
	moved := false
	err := pgx.BeginFunc(ctx, p.pool, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `
			WITH moved AS (
				UPDATE request SET stage = $2::int, version = version + 1
				WHERE id = $1::uuid AND version = $2::int AND stage = $2::int - 1 RETURNING id)
			INSERT INTO event (request_id, stage, body) SELECT id, $2::int, $3 FROM moved`, a.Request, a.Stage, eventBody)
		if err != nil {
			return err
		}
		if moved = tag.RowsAffected() == 1; moved && a.Stage < stages {
			next := stageArgs{Request: a.Request, N: a.N, Stage: a.Stage + 1}
			if _, err := p.client.InsertTx(ctx, tx, next, &river.InsertOpts{Queue: queue(next.Stage)}); err != nil {
				return err
			}
		}
		if p.completeTx {
			_, err = river.JobCompleteTx[*riverpgxv5.Driver](ctx, tx, job)
		}
		return err
	})
	if err == nil && moved && a.Stage == stages {
		p.arrived[a.N] = time.Now()
		p.done.Add(1)
		p.through <- struct{}{}
	}
	return err
}
