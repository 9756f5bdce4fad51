package main

import (
	"context"
	"errors"
	"os"

	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/rabbit"
)

const (
	pipelineDatabase = "bench_pipeline"
	pipelineVhost    = "bench-pipeline"
	pipelineRequests = 4000
	// Two peers at some hundred requests a second take long: fewer rounds than
	// elsewhere, unless rounds are asked for.
	pipelineRounds     = 3
	pipelineOpenRounds = 2
)

// path is the state machine of the requests that go through three stages.
var path = machine.Table{Name: "bench-path", Steps: []machine.Step{
	{From: "", Verb: "submit", To: "submitted", Message: rabbit.RequestSubmitted},
	{From: "submitted", Verb: "check", To: "checked", Message: rabbit.RequestAccepted},
	{From: "checked", Verb: "plan", To: "planned", Message: rabbit.RequestDone},
	{From: "planned", Verb: "print", To: "printed"},
}}

// stages are the queues that form a chain, each with the step that is taken
// there.
var stages = []struct {
	queue string
	step  machine.Step
}{
	{rabbit.QueueValidator, path.Steps[1]},
	{rabbit.QueueScheduler, path.Steps[2]},
	{rabbit.QueueDocumentGenerator, path.Steps[3]},
}

// pipelineBench takes requests through three stages, on the ground as the
// daemons use it and on its peers. In each stage a request's row is changed by
// compare-and-set and an event of about 200 B is written, with effect exactly
// once, and the next stage is handed on.
type pipelineBench struct {
	g       *ground
	db      *postgres.DB
	profile *os.File
}

func benchPipeline(ctx context.Context, g *ground) (err error) {
	own, openRounds := *g, g.rounds
	if os.Getenv(roundsVariable) == "" {
		own.rounds, openRounds = pipelineRounds, pipelineOpenRounds
	}
	b := &pipelineBench{g: &own}
	if b.db, err = g.freshDatabase(ctx, pipelineDatabase); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.db.Close()) }()
	if err := b.prepare(ctx); err != nil {
		return err
	}
	if err := g.emptyDatabase(ctx, peerDatabase); err != nil {
		return err
	}
	if own.profile != "" {
		if b.profile, err = os.Create(own.profile); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, b.profile.Close()) }()
	}
	results, err := own.takeTurns(ctx, "pipeline",
		side{"sifilma", b.burnDown},
		side{"river-tx", b.peerBurnDown(completeInTx)},
		side{"river-async", b.peerBurnDown(completeLater)})
	if err != nil {
		return err
	}
	compare(os.Stdout, "pipeline", "req/s", results[0], results[1:]...)
	return openLoops(ctx, openRounds,
		engine{"sifilma", b.openLoop},
		engine{"river-tx", b.peerOpenLoop(completeInTx)},
		engine{"river-async", b.peerOpenLoop(completeLater)})
}

func (b *pipelineBench) prepare(ctx context.Context) error {
	if err := machine.Sync(ctx, b.db, &path); err != nil {
		return err
	}
	return b.exec(ctx, `
		CREATE TABLE bench_path (id uuid PRIMARY KEY, state text NOT NULL, version bigint NOT NULL);
		CREATE TRIGGER bench_path_transition BEFORE INSERT OR UPDATE ON bench_path
			FOR EACH ROW EXECUTE FUNCTION check_transition('bench-path')`)
}

// exec runs statements without parameters, several at once, as the owner.
func (b *pipelineBench) exec(ctx context.Context, statements string) (err error) {
	db, err := b.g.admin(pipelineDatabase)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	_, err = db.ExecContext(ctx, statements)
	return err
}

// clear empties what the last run left behind.
func (b *pipelineBench) clear(ctx context.Context) error {
	for _, statements := range []string{`TRUNCATE history, outbox, bench_path`, `VACUUM ANALYZE outbox`} {
		if err := b.exec(ctx, statements); err != nil {
			return err
		}
	}
	if err := b.g.freshVhost(ctx, pipelineVhost); err != nil {
		return err
	}
	return b.g.settleDown(ctx)
}
