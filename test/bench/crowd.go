package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"dukcapil.go.id/sifilma/pkg/identity"
	"dukcapil.go.id/sifilma/pkg/institution"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
)

const (
	crowdName  = "bench_crowd"
	crowdVhost = "bench-crowd"
	// crowdClients drop at once, each for a produsen of its own; crowdCopies more
	// send one and the same drop under one Idempotency-Key.
	crowdClients = 200
	crowdCopies  = 20
	crowdCards   = 250
	crowdPaper   = 100 << 10 // bytes of a scan
	crowdPromise = 30        // s until all are in
	crowdMemory  = 300       // MB
	// crowdRate and crowdBurst are those of a key as delivered.
	crowdRate, crowdBurst = 5, 20
	// crowdPatience is how long clients go on that obey the limits.
	crowdPatience = 5 * time.Minute
)

// crowdBench lets many clients drop at the same moment.
type crowdBench struct {
	g    *ground
	db   *postgres.DB
	drop parcel
	peak float64 // MB
}

func benchCrowd(ctx context.Context, g *ground) (err error) {
	b := &crowdBench{g: g}
	if b.db, err = g.freshDatabase(ctx, crowdName); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.db.Close()) }()
	if err := g.freshVhost(ctx, crowdVhost); err != nil {
		return err
	}
	if err := machine.Sync(ctx, b.db, request.Machine); err != nil {
		return err
	}
	if b.drop, err = newParcel(crowdCards, crowdPaper); err != nil {
		return err
	}
	results, err := g.takeTurns(ctx, "crowd", side{"crowd", b.lifted})
	if err != nil {
		return err
	}
	compare(os.Stdout, "crowd", "s", results[0], limit("promise", crowdPromise))
	compare(os.Stdout, "crowd-memory", "MB", limit("peak", b.peak), limit("promise", crowdMemory))
	took, err := b.obeying(ctx)
	if err != nil {
		return err
	}
	compare(os.Stdout, "crowd-obeying", "s", limit("one-key", took), limit("its-rate", float64(crowdClients-crowdBurst)/crowdRate))
	return nil
}

// keys makes a produsen and an API key for each of n clients.
func (b *crowdBench) keys(ctx context.Context, n int) (keys []string, err error) {
	err = b.db.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		keys = nil
		for range n {
			in, err := institution.Ensure(ctx, tx, institution.Institution{Kind: institution.Produsen, Name: "PT Produsen Contoh " + uuid.NewString()})
			if err != nil {
				return err
			}
			key, err := identity.NewAPIKey(ctx, tx, in.ID, "bench", []string{identity.ScopeRequestWrite}, time.Now().Add(24*time.Hour))
			if err != nil {
				return err
			}
			keys = append(keys, key)
		}
		return institution.SeedMachineType(ctx, tx, institution.MachineType{
			Code: "GSX-01", Name: "GSX-01", UsesReader: true, SAMPattern: `SAM-[0-9]{6}`, ReaderPattern: `R-[0-9]{6}`,
		})
	})
	return keys, err
}

// lifted has the crowd drop at once at an intake without limits, and returns the
// seconds until the last has its ticket. Each has one of its own, the copies one
// together, and all are in the database.
func (b *crowdBench) lifted(ctx context.Context) (seconds float64, err error) {
	d, keys, err := b.open(ctx, crowdClients+1, fmt.Sprintf("rate_per_second: 1000000, rate_burst: 1000000, uploads: %d, answer_time: 1m", 4*crowdClients))
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, d.stop()) }()
	before, err := storedDrops(ctx, b.db)
	if err != nil {
		return 0, err
	}
	client := crowdClient()
	defer client.CloseIdleConnections()
	common := uuid.NewString()
	tickets, faults := make([]string, crowdClients+crowdCopies), make([]error, crowdClients+crowdCopies)
	var all sync.WaitGroup
	began := time.Now()
	for i := range tickets {
		key, reference, idempotency := keys[min(i, crowdClients)], fmt.Sprintf("R-%d", i), uuid.NewString()
		if i >= crowdClients {
			reference, idempotency = "R-SALINAN", common
		}
		all.Go(func() { tickets[i], _, faults[i] = b.accepted(ctx, client, d.address, key, reference, idempotency) })
	}
	all.Wait()
	took := time.Since(began)
	if mb, ok := resident(d.cmd.Process.Pid, "VmHWM"); ok {
		b.peak = max(b.peak, mb)
	}
	if err := errors.Join(faults...); err != nil {
		return 0, err
	}
	different := map[string]bool{}
	for _, t := range tickets {
		different[t] = true
	}
	after, err := storedDrops(ctx, b.db)
	if err != nil {
		return 0, err
	}
	if len(different) != crowdClients+1 || after-before != crowdClients+1 {
		return 0, fmt.Errorf("%d drops became %d tickets and %d requests", crowdClients+1, len(different), after-before)
	}
	return took.Seconds(), nil
}

// obeying has as many clients of one key drop at once at an intake as delivered;
// whoever is sent away comes back when he was told to. It returns the seconds
// until all are in.
func (b *crowdBench) obeying(ctx context.Context) (seconds float64, err error) {
	d, keys, err := b.open(ctx, 1, "")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, d.stop()) }()
	before, err := storedDrops(ctx, b.db)
	if err != nil {
		return 0, err
	}
	client := crowdClient()
	defer client.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(ctx, crowdPatience)
	defer cancel()
	faults := make([]error, crowdClients)
	var away atomic.Int64
	var all sync.WaitGroup
	began := time.Now()
	for i := range faults {
		reference, idempotency := fmt.Sprintf("R-%d", i), uuid.NewString()
		all.Go(func() {
			for {
				_, wait, err := b.accepted(ctx, client, d.address, keys[0], reference, idempotency)
				if wait == 0 {
					faults[i] = err
					return
				}
				away.Add(1)
				select {
				case <-time.After(wait):
				case <-ctx.Done():
					faults[i] = ctx.Err()
					return
				}
			}
		})
	}
	all.Wait()
	took := time.Since(began)
	if err := errors.Join(faults...); err != nil {
		return 0, err
	}
	after, err := storedDrops(context.WithoutCancel(ctx), b.db)
	if err != nil {
		return 0, err
	}
	if after-before != crowdClients || away.Load() == 0 {
		return 0, fmt.Errorf("%d drops became %d requests, and %d times a client was sent away", crowdClients, after-before, away.Load())
	}
	fmt.Printf("note crowd-obeying sent_away=%d clients=%d\n", away.Load(), crowdClients)
	return took.Seconds(), nil
}

// open makes keys and starts an intake.
func (b *crowdBench) open(ctx context.Context, n int, settings string) (*process, []string, error) {
	keys, err := b.keys(ctx, n)
	if err != nil {
		return nil, nil, err
	}
	if err := b.g.settleDown(ctx); err != nil {
		return nil, nil, err
	}
	d, err := b.g.launchIntake(ctx, crowdName, crowdVhost, settings)
	return d, keys, err
}

func crowdClient() *http.Client {
	return &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: crowdClients + crowdCopies}, Timeout: 2 * time.Minute}
}

// accepted sends one drop and returns its ticket, or how long to wait before it is
// sent again.
func (b *crowdBench) accepted(ctx context.Context, client *http.Client, address, key, reference, idempotency string) (ticket string, wait time.Duration, err error) {
	a, err := b.drop.send(ctx, client, address, key, reference, idempotency)
	if err != nil {
		return "", 0, err
	}
	switch a.code {
	case http.StatusAccepted:
		var told struct{ Ticket string }
		if err := json.Unmarshal(a.text, &told); err != nil || told.Ticket == "" {
			return "", 0, fmt.Errorf("no ticket in %s: %w", a.text, err)
		}
		return told.Ticket, 0, nil
	case http.StatusTooManyRequests:
		n, err := strconv.Atoi(a.header.Get("Retry-After"))
		if err != nil || n < 1 {
			return "", 0, fmt.Errorf("429 without a good Retry-After: %q", a.header.Get("Retry-After"))
		}
		return "", time.Duration(n) * time.Second, errors.New(a.String())
	}
	return "", 0, errors.New(a.String())
}
