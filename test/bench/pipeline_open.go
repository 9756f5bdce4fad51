package main

import (
	"context"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strings"
	"time"

	"dukcapil.go.id/sifilma/pkg/outbox"
	"dukcapil.go.id/sifilma/pkg/postgres"
)

const (
	loopSpan  = 4 * time.Second // of arrivals
	loopDrain = time.Second     // for what is on its way after the last
	loopWarm  = 50              // requests that go through before the first arrival
	// intakeBatch is how many arrivals share a transaction at most.
	intakeBatch = 100
	// loopPromise is the p99 at the fastest rate, in ms.
	loopPromise = 150.0
)

// loopRates are arrivals a second.
var loopRates = []int{20, 100, 300, 1000}

func arrivals(rate int) int { return int(float64(rate) * loopSpan.Seconds()) }

// loopResult is what an engine made of a run, as the peer's program prints it.
type loopResult struct {
	Seconds float64 `json:"seconds"`
	Done    int     `json:"done"` // of the arrivals
	// Latencies are milliseconds from the scheduled arrival to the commit of
	// stage 3.
	Latencies []float64 `json:"latencies_ms"`
}

// behind says that arrivals were left over: their latency says nothing but how
// long was measured, it rises all the time.
func (r loopResult) behind(rate int) bool { return r.Done < arrivals(rate) }

// percentile is the least value that a share of the values does not exceed.
func percentile(values []float64, share float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	if len(sorted) == 0 {
		return 0
	}
	return sorted[max(int(math.Ceil(share*float64(len(sorted)))), 1)-1]
}

// engine is what takes arrivals at a rate.
type engine struct {
	name string
	open func(ctx context.Context, rate int) (loopResult, error)
}

// openLoops gives each engine the same arrivals at each rate, in turns. One that
// fell behind is not asked again, nor at a faster rate.
func openLoops(ctx context.Context, rounds int, engines ...engine) error {
	lost := map[string]string{} // engine and its figure
	for _, rate := range loopRates {
		bench := fmt.Sprintf("pipeline-open-%d", rate)
		for _, e := range engines {
			if figures := lost[e.name]; figures != "" {
				fmt.Printf("note %s %s was not tried, it %s\n", bench, e.name, figures)
			}
		}
		p50, p99 := make([]result, len(engines)), make([]result, len(engines))
		for n := range rounds {
			told := []string{fmt.Sprintf("round %s %d/%d", bench, n+1, rounds)}
			for i, e := range engines {
				if lost[e.name] != "" {
					continue
				}
				r, err := e.open(ctx, rate)
				if err != nil {
					return fmt.Errorf("%s at %d a second: %w", e.name, rate, err)
				}
				low, high := percentile(r.Latencies, 0.50), percentile(r.Latencies, 0.99)
				if r.behind(rate) {
					lost[e.name] = fmt.Sprintf("fell behind at %d a second: %s a second done, those with p50/p99 of %s/%s ms and rising",
						rate, figure(float64(r.Done)/r.Seconds), figure(low), figure(high))
					fmt.Printf("note %s %s %s\n", bench, e.name, lost[e.name])
					continue
				}
				p50[i].name, p50[i].values = e.name, append(p50[i].values, low)
				p99[i].name, p99[i].values = e.name, append(p99[i].values, high)
				told = append(told, fmt.Sprintf("%s=%s/%s", e.name, figure(low), figure(high)))
			}
			fmt.Println(strings.Join(append(told, "unit=ms(p50/p99)", "load="+load()), " "))
		}
		if lost[engines[0].name] != "" {
			continue
		}
		carried := func(r result) bool { return r.name == "" || lost[r.name] != "" }
		compareLoop(os.Stdout, bench+"-p50", p50[0], slices.DeleteFunc(p50[1:], carried))
		references := slices.DeleteFunc(p99[1:], carried)
		if rate == loopRates[len(loopRates)-1] {
			references = append(references, limit("promise", loopPromise))
		}
		compareLoop(os.Stdout, bench+"-p99", p99[0], references)
	}
	return nil
}

// compareLoop prints a line for each reference, and one without when no
// reference could follow.
func compareLoop(w io.Writer, bench string, subject result, references []result) {
	if len(references) == 0 {
		_, _ = fmt.Fprintf(w, "bench %s value=%s unit=ms reference=none ratio=none\n", bench, figure(subject.median()))
		return
	}
	compare(w, bench, "ms", subject, references...)
}

// openLoop takes arrivals at a fixed rate. A writer puts them into the database,
// those that have come meanwhile together, without lingering.
func (b *pipelineBench) openLoop(ctx context.Context, rate int) (r loopResult, err error) {
	if err := b.clear(ctx); err != nil {
		return r, err
	}
	n := arrivals(rate)
	l := b.newLine(loopWarm + n)
	stop := start(ctx, l.broker.Run, l.relay.Run)
	defer stop()
	if err := until(ctx, 5*time.Millisecond, lineLimit, "the broker", func() (bool, error) { return l.broker.Check(ctx) == nil, nil }); err != nil {
		return r, err
	}
	if err := l.submit(ctx, l.ids[:loopWarm]); err != nil {
		return r, err
	}
	if err := l.await(ctx, loopWarm, lineLimit); err != nil {
		return r, err
	}
	began := time.Now()
	scheduled := func(i int) time.Time { return began.Add(time.Duration(i) * time.Second / time.Duration(rate)) }
	feeding, enough := context.WithCancel(ctx)
	defer enough()
	waiting, written := make(chan string, n), make(chan error, 1)
	go arrive(feeding, l.ids[loopWarm:], scheduled, waiting)
	go func() { written <- l.intake(feeding, waiting) }()
	late := l.await(ctx, n, loopSpan+loopDrain)
	r.Seconds = time.Since(began).Seconds()
	enough()
	if err := <-written; err != nil && late == nil {
		return r, err
	}
	if late != nil {
		if ctx.Err() != nil {
			return r, late
		}
	} else if err := l.verify(ctx); err != nil {
		return r, err
	}
	stop()
	for i, at := range l.arrived[loopWarm:] {
		if !at.IsZero() {
			r.Done++
			r.Latencies = append(r.Latencies, float64(at.Sub(scheduled(i)))/float64(time.Millisecond))
		}
	}
	return r, nil
}

// arrive lets the ids come at their times.
func arrive(ctx context.Context, ids []string, scheduled func(int) time.Time, waiting chan<- string) {
	defer close(waiting)
	due := time.NewTimer(0)
	defer due.Stop()
	for i, id := range ids {
		if wait := time.Until(scheduled(i)); wait > 0 {
			due.Reset(wait)
			select {
			case <-due.C:
			case <-ctx.Done():
				return
			}
		}
		waiting <- id // has room for all
	}
}

// intake writes arrivals down until there are no more.
func (l *line) intake(ctx context.Context, waiting <-chan string) error {
	for first := range waiting {
		batch := append(make([]string, 0, intakeBatch), first)
		for more := true; more && len(batch) < intakeBatch; {
			select {
			case id, open := <-waiting:
				if more = open; open {
					batch = append(batch, id)
				}
			default:
				more = false
			}
		}
		if err := l.submit(ctx, batch); err != nil {
			return err
		}
	}
	return nil
}

// submit writes requests and their first messages in one transaction.
func (l *line) submit(ctx context.Context, ids []string) error {
	messages := make([]outbox.Message, len(ids))
	for i, id := range ids {
		messages[i] = outbox.Message{Type: path.Steps[0].Message, Subject: id, Request: id, Version: 1}
	}
	return l.b.db.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		if err := l.write(ctx, tx, ids); err != nil {
			return err
		}
		return outbox.Put(ctx, tx, messages...)
	})
}
