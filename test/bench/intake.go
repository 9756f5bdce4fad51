package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"dukcapil.go.id/sifilma/pkg/identity"
	"dukcapil.go.id/sifilma/pkg/institution"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
)

const (
	intakeName    = "bench_intake"
	intakeVhost   = "bench-intake"
	intakeClients = 64
	// intakeProdusen spreads the clients: one produsen has a quarter of the
	// intake's places at most.
	intakeProdusen = 8
	intakeTime     = 5 * time.Second
)

// intakeBench sends drops to the real intake, as delivered but for the rate of
// a key, and counts those that were accepted and are in the database.
type intakeBench struct {
	g    *ground
	db   *postgres.DB
	keys []string
	peak float64 // MB, the largest resident memory under the clients' load
	drop parcel
}

// Further settings of the section api: the intake as delivered, and the same
// handler with a transaction for each drop.
const (
	intakeSettings    = ""
	oneTransactionPer = ", drops_per_commit: 1"
)

func benchIntake(ctx context.Context, g *ground) (err error) {
	b := &intakeBench{g: g}
	if b.db, err = g.freshDatabase(ctx, intakeName); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.db.Close()) }()
	if err := g.freshVhost(ctx, intakeVhost); err != nil {
		return err
	}
	if err := b.seed(ctx); err != nil {
		return err
	}
	if b.drop, err = newParcel(3, 0); err != nil {
		return err
	}
	results, err := g.takeTurns(ctx, "intake",
		side{"intake", b.with(intakeSettings)}, side{"tx-per-request", b.with(oneTransactionPer)})
	if err != nil {
		return err
	}
	compare(os.Stdout, "intake", "drops/s", results[0], results[1])
	compare(os.Stdout, "intake-memory", "MB", limit("peak", b.peak), limit("promise-idle", idlePromise))
	return nil
}

func (b *intakeBench) seed(ctx context.Context) error {
	if err := machine.Sync(ctx, b.db, request.Machine); err != nil {
		return err
	}
	return b.db.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		b.keys = nil
		for i := range intakeProdusen {
			in, err := institution.Ensure(ctx, tx, institution.Institution{Kind: institution.Produsen, Name: fmt.Sprintf("PT Produsen Contoh %d", i+1)})
			if err != nil {
				return err
			}
			key, err := identity.NewAPIKey(ctx, tx, in.ID, "bench", []string{identity.ScopeRequestWrite}, time.Now().Add(24*time.Hour))
			if err != nil {
				return err
			}
			b.keys = append(b.keys, key)
		}
		return institution.SeedMachineType(ctx, tx, institution.MachineType{
			Code: "GSX-01", Name: "GSX-01", UsesReader: true, SAMPattern: `SAM-[0-9]{6}`, ReaderPattern: `R-[0-9]{6}`,
		})
	})
}

// with measures the intake under further settings.
func (b *intakeBench) with(settings string) func(context.Context) (float64, error) {
	return func(ctx context.Context) (rate float64, err error) {
		d, err := b.g.launchIntake(ctx, intakeName, intakeVhost, "rate_per_second: 1000000, rate_burst: 1000000"+settings)
		if err != nil {
			return 0, err
		}
		defer func() { err = errors.Join(err, d.stop()) }()
		if err := b.g.settleDown(ctx); err != nil {
			return 0, err
		}
		rate, err = b.rush(ctx, d)
		if mb, ok := resident(d.cmd.Process.Pid, "VmHWM"); ok {
			b.peak = max(b.peak, mb)
		}
		return rate, err
	}
}

// rush lets the clients send for a while and returns the accepted drops a
// second, after it has found each of them in the database.
func (b *intakeBench) rush(ctx context.Context, d *process) (float64, error) {
	before, err := storedDrops(ctx, b.db)
	if err != nil {
		return 0, err
	}
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: intakeClients}, Timeout: time.Minute}
	defer client.CloseIdleConnections()
	counts, faults := make([]int, intakeClients), make([]error, intakeClients)
	spentBefore, daemonBefore := b.g.spent(), familyTime(d.cmd.Process.Pid)
	began := time.Now()
	var all sync.WaitGroup
	for i := range intakeClients {
		all.Go(func() {
			for time.Since(began) < intakeTime && ctx.Err() == nil && faults[i] == nil {
				if faults[i] = b.send(ctx, client, d.address, b.keys[i%len(b.keys)]); faults[i] == nil {
					counts[i]++
				}
			}
		})
	}
	all.Wait()
	took := time.Since(began)
	if err := errors.Join(faults...); err != nil {
		return 0, err
	}
	accepted := 0
	for _, n := range counts {
		accepted += n
	}
	daemon := familyTime(d.cmd.Process.Pid) - daemonBefore
	b.g.spent().tell("intake", spentBefore, accepted)
	fmt.Printf("note intake cpu_us_per_drop intake=%.0f (go above: the clients)\n", float64(daemon.Microseconds())/float64(max(accepted, 1)))
	after, err := storedDrops(ctx, b.db)
	if err != nil {
		return 0, err
	}
	if after-before != accepted {
		return 0, fmt.Errorf("%d drops were accepted, %d are in the database", accepted, after-before)
	}
	return float64(accepted) / took.Seconds(), nil
}

func (b *intakeBench) send(ctx context.Context, client *http.Client, address, key string) error {
	a, err := b.drop.send(ctx, client, address, key, strings.ToUpper(uuid.NewString()[:18]), uuid.NewString())
	if err == nil && a.code != http.StatusAccepted {
		err = errors.New(a.String())
	}
	return err
}
