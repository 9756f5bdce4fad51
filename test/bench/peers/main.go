// Command bench-peers carries the work of the bench "pipeline" on River: the
// same three stages for the same requests on the same PostgreSQL. It is a module
// of its own so that its dependencies stay out of the system's.
//
// It empties its tables, works off a backlog (-backlog) or takes arrivals at a
// fixed rate (-rate, -for), and prints one JSON object of what it saw (result).
// Whether that is true is judged by the bench, in the database. The address of
// the database, which holds a password, comes in BENCH_PEERS_DATABASE.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// result is what a run prints.
type result struct {
	// Seconds from the first transaction of stage 1, or from the first arrival,
	// until the end.
	Seconds float64 `json:"seconds"`
	Done    int     `json:"done"` // of the requests that count, through stage 3
	// Latencies are milliseconds from the scheduled arrival to the commit of
	// stage 3, of those done; none for a backlog.
	Latencies []float64 `json:"latencies_ms,omitempty"`
}

func main() {
	o := options{}
	flag.BoolVar(&o.completeTx, "complete-tx", false, "complete a job in the transaction of its work (JobCompleteTx)")
	flag.IntVar(&o.backlog, "backlog", 0, "requests that wait")
	flag.IntVar(&o.rate, "rate", 0, "arrivals a second")
	flag.IntVar(&o.warm, "warm", 0, "requests that go through before the first arrival")
	flag.DurationVar(&o.span, "for", 0, "time of the arrivals")
	flag.DurationVar(&o.drain, "drain", 0, "time for what is on its way after the last arrival")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	err := run(ctx, o)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench-peers:", err)
		os.Exit(1)
	}
}

type options struct {
	completeTx          bool
	backlog, rate, warm int
	span, drain         time.Duration
}

func run(ctx context.Context, o options) error {
	address := os.Getenv("BENCH_PEERS_DATABASE")
	if address == "" {
		return errors.New("BENCH_PEERS_DATABASE is empty")
	}
	p, err := open(ctx, address, o)
	if err != nil {
		return err
	}
	defer p.pool.Close()
	if err := p.clear(ctx); err != nil {
		return err
	}
	work := p.burnDown
	if o.rate > 0 {
		work = p.openLoop
	}
	r, err := work(ctx)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(r)
}
