package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	// fillBatch is how many requests of a backlog are written at once.
	fillBatch = 1000
	// intakeBatch is how many arrivals share a transaction at most.
	intakeBatch = 100
	burnLimit   = 5 * time.Minute
	warmLimit   = 30 * time.Second
	stopLimit   = 30 * time.Second
)

// burnDown works off a backlog.
func (p *peer) burnDown(ctx context.Context) (result, error) {
	p.expect(p.backlog)
	for from := 0; from < p.backlog; from += fillBatch {
		if err := p.submit(ctx, numbers(from, min(from+fillBatch, p.backlog))); err != nil {
			return result{}, err
		}
	}
	for _, statement := range []string{`VACUUM ANALYZE request, river_job`, `CHECKPOINT`} {
		if _, err := p.pool.Exec(ctx, statement); err != nil {
			return result{}, err
		}
	}
	if err := p.client.Start(ctx); err != nil {
		return result{}, err
	}
	if err := p.await(ctx, p.backlog, burnLimit); err != nil {
		return result{}, errors.Join(err, p.stop(ctx))
	}
	end := time.Now()
	return result{Seconds: end.Sub(time.Unix(0, p.began.Load())).Seconds(), Done: p.backlog}, p.stop(ctx)
}

// openLoop takes arrivals at a fixed rate, whether or not it can follow. Those
// that wait share a transaction: that is how it takes most.
func (p *peer) openLoop(ctx context.Context) (_ result, err error) {
	n := int(float64(p.rate) * p.span.Seconds())
	p.expect(p.warm + n)
	if err := p.client.Start(ctx); err != nil {
		return result{}, err
	}
	defer func() { err = errors.Join(err, p.stop(ctx)) }() // jobs are completed before the figures are believed
	if err := p.submit(ctx, numbers(0, p.warm)); err != nil {
		return result{}, err
	}
	if err := p.await(ctx, p.warm, warmLimit); err != nil {
		return result{}, err
	}
	began := time.Now()
	scheduled := func(i int) time.Time { return began.Add(time.Duration(i) * time.Second / time.Duration(p.rate)) }
	waiting := make(chan int, n)
	feeding, enough := context.WithCancel(ctx)
	defer enough()
	go func() {
		defer close(waiting)
		for i := range n {
			if pause(feeding, time.Until(scheduled(i))) != nil {
				return
			}
			waiting <- p.warm + i
		}
	}()
	written := make(chan error, 1)
	go func() { written <- p.intake(feeding, waiting) }()
	late := p.await(ctx, n, p.span+p.drain) != nil // those that are not through are not counted
	r := result{Seconds: time.Since(began).Seconds()}
	if err := ctx.Err(); err != nil {
		return result{}, err
	}
	enough()
	if err := <-written; err != nil && !late {
		return result{}, err
	}
	if late { // what is still on its way may be broken off
		if err := p.client.StopAndCancel(ctx); err != nil {
			return result{}, err
		}
	}
	for i := range n {
		if at := p.arrived[p.warm+i]; !at.IsZero() {
			r.Done++
			r.Latencies = append(r.Latencies, float64(at.Sub(scheduled(i)))/float64(time.Millisecond))
		}
	}
	return r, nil
}

// intake writes arrivals down until there are no more: each transaction takes
// those that have come meanwhile.
func (p *peer) intake(ctx context.Context, waiting <-chan int) error {
	for first := range waiting {
		batch := []int{first}
	more:
		for len(batch) < intakeBatch {
			select {
			case n, open := <-waiting:
				if !open {
					break more
				}
				batch = append(batch, n)
			default:
				break more
			}
		}
		if err := p.submit(ctx, batch); err != nil {
			return err
		}
	}
	return nil
}

// await waits until n further requests are through stage 3.
func (p *peer) await(ctx context.Context, n int, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for range n {
		select {
		case <-p.through:
		case <-ctx.Done():
			return fmt.Errorf("%d requests are through: %w", p.done.Load(), ctx.Err())
		}
	}
	return nil
}

// stop lets the jobs in hand end and be completed.
func (p *peer) stop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopLimit)
	defer cancel()
	return p.client.Stop(ctx)
}

func pause(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func numbers(from, to int) []int {
	all := make([]int, 0, to-from)
	for n := from; n < to; n++ {
		all = append(all, n)
	}
	return all
}
