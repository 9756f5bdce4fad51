package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

const (
	peerDatabase = "bench_pipeline_river"
	peerProgram  = "bench-peers"
	peerGrace    = 30 * time.Second
)

// River ends a job in the transaction of its work, or afterwards, many at once:
// then a job may run again after a crash, and only the compare-and-set keeps its
// effect to once.
const (
	completeInTx  = true
	completeLater = false
)

// peerBurnDown lets the peer work off the same backlog.
func (b *pipelineBench) peerBurnDown(completeTx bool) func(context.Context) (float64, error) {
	return func(ctx context.Context) (float64, error) {
		r, err := b.runPeer(ctx, completeTx, "-backlog", strconv.Itoa(pipelineRequests))
		if err != nil {
			return 0, err
		}
		return pipelineRequests / r.Seconds, b.verifyPeer(ctx, pipelineRequests)
	}
}

// peerOpenLoop gives the peer the same arrivals.
func (b *pipelineBench) peerOpenLoop(completeTx bool) func(context.Context, int) (loopResult, error) {
	return func(ctx context.Context, rate int) (loopResult, error) {
		r, err := b.runPeer(ctx, completeTx, "-rate", strconv.Itoa(rate), "-for", loopSpan.String(),
			"-warm", strconv.Itoa(loopWarm), "-drain", loopDrain.String())
		if err == nil && !r.behind(rate) {
			err = b.verifyPeer(ctx, loopWarm+arrivals(rate))
		}
		return r, err
	}
}

// runPeer runs the peer's program to its end.
func (b *pipelineBench) runPeer(ctx context.Context, completeTx bool, args ...string) (_ loopResult, err error) {
	address, err := b.g.services.Postgres.URL(peerDatabase)
	if err != nil {
		return loopResult{}, err
	}
	log, err := os.Create(filepath.Join(b.g.dir, peerProgram+".log"))
	if err != nil {
		return loopResult{}, err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	var out bytes.Buffer
	cmd := exec.CommandContext(ctx, filepath.Join(b.g.bin, peerProgram), append(args, "-complete-tx="+strconv.FormatBool(completeTx))...)
	cmd.Env = append(os.Environ(), "BENCH_PEERS_DATABASE="+address, b.g.services.Mark(peerProgram))
	cmd.Stdout, cmd.Stderr = &out, log
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = peerGrace
	if err := cmd.Run(); err != nil {
		return loopResult{}, fmt.Errorf("%s: %w; see %s", peerProgram, err, log.Name())
	}
	var r loopResult
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		return loopResult{}, fmt.Errorf("%s printed %q: %w", peerProgram, out.String(), err)
	}
	return r, nil
}

// verifyPeer finds in the peer's tables what it must have done.
func (b *pipelineBench) verifyPeer(ctx context.Context, n int) (err error) {
	db, err := b.g.admin(peerDatabase)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	var through, events, distinct, least, unfinished int
	if err := db.QueryRowContext(ctx, `
		SELECT (SELECT count(*) FROM request WHERE stage = 3 AND version = 4),
		       count(*), count(DISTINCT (request_id, stage)), coalesce(min(pg_column_size(e)), 0),
		       (SELECT count(*) FROM river_job WHERE state <> 'completed')
		FROM event AS e`).Scan(&through, &events, &distinct, &least, &unfinished); err != nil {
		return err
	}
	if want := len(stages) * n; through != n || events != want || distinct != want || least < leastRow || unfinished != 0 {
		return fmt.Errorf("the peer has of %d requests %d through, %d events (%d distinct, of %d B), %d jobs unfinished",
			n, through, events, distinct, least, unfinished)
	}
	return nil
}
