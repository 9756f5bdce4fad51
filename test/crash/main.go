// Command crash runs the whole office as real processes, two of each daemon,
// under load, and breaks it in the order that a seed gives: killed and frozen
// daemons, services that restart, lines that are cut, slowed or swallowed, a
// full disk, days that are skipped. Then it lets the office come to rest and
// judges what it did.
//
// SIFILMA_CRASH_MINUTES (10) is how long it is broken, SIFILMA_CRASH_SEED
// repeats a run, SIFILMA_CRASH_CALM=1 breaks nothing, SIFILMA_CRASH_QUIET (6m) is
// how long it may take to come to rest.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"time"

	"dukcapil.go.id/sifilma/deploy/local"
	"dukcapil.go.id/sifilma/test/crash/chaos"
	"dukcapil.go.id/sifilma/test/crash/judge"
	"dukcapil.go.id/sifilma/test/crash/load"
	"dukcapil.go.id/sifilma/test/crash/office"
)

// What a run must have done at least, per minute, to prove anything.
const (
	dropsPerMinute = 3
	cardsPerMinute = 6
	killsPerMinute = 5
)

type settings struct {
	minutes float64
	quiet   time.Duration // nothing moves for so long: it never will
	seed    uint64
	calm    bool
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	s, err := read()
	if err == nil {
		err = run(ctx, s)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "crash:", err)
		fmt.Fprintf(os.Stderr, "SIFILMA_CRASH_SEED=%d\n", s.seed)
		os.Exit(1)
	}
}

func read() (settings, error) {
	s := settings{minutes: 10, quiet: 3 * time.Minute, seed: uint64(time.Now().UnixNano()), calm: os.Getenv("SIFILMA_CRASH_CALM") == "1"}
	var err error
	if text := os.Getenv("SIFILMA_CRASH_MINUTES"); text != "" {
		if s.minutes, err = strconv.ParseFloat(text, 64); err != nil || s.minutes <= 0 {
			return s, fmt.Errorf("SIFILMA_CRASH_MINUTES=%q: harus bilangan di atas nol", text)
		}
	}
	if text := os.Getenv("SIFILMA_CRASH_QUIET"); text != "" {
		if s.quiet, err = time.ParseDuration(text); err != nil || s.quiet <= 0 {
			return s, fmt.Errorf("SIFILMA_CRASH_QUIET=%q: harus lama waktu, misalnya 90s", text)
		}
	}
	if text := os.Getenv("SIFILMA_CRASH_SEED"); text != "" {
		if s.seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			return s, fmt.Errorf("SIFILMA_CRASH_SEED=%q: harus bilangan bulat", text)
		}
	}
	return s, nil
}

func run(ctx context.Context, s settings) (err error) {
	dir, err := local.RunDir("")
	if err != nil {
		return err
	}
	dir = filepath.Join(dir, "crash")
	self, err := os.Executable()
	if err != nil {
		return err
	}
	began := time.Now()
	say := func(text string) { fmt.Printf("[%6.1f] %s\n", time.Since(began).Seconds(), text) }
	fmt.Printf("SIFILMA_CRASH_SEED=%d SIFILMA_CRASH_MINUTES=%g\n", s.seed, s.minutes)
	of, err := office.Open(ctx, filepath.Dir(self), dir, s.seed, os.Stdout)
	if err != nil {
		return err
	}
	open := true
	defer func() {
		if open {
			err = errors.Join(err, of.Close(ctx))
		}
	}()
	w, err := load.Enter(ctx, of, s.seed)
	if err != nil {
		return err
	}
	defer func() { _ = w.Close() }()
	plan := chaos.Plan(s.seed, time.Duration(s.minutes*float64(time.Minute)))
	fmt.Printf("rencana: %d gangguan (%s), disk kecil untuk %s\n", len(plan), chaos.Hash(plan), of.SmallOf)
	storm := chaos.New(of, say, w.Skip)
	verdict, err := weather(ctx, s, of, w, storm, plan, say)
	if err != nil {
		return err
	}
	open = false
	if err := of.Close(ctx); err != nil {
		return err
	}
	return conclude(s, verdict, storm, os.Stdout)
}

// weather runs the load, with the storm first and calm after it, and judges.
func weather(ctx context.Context, s settings, of *office.Office, w *load.World, storm *chaos.Chaos, plan []chaos.Blow, say func(string)) (*judge.Verdict, error) {
	working, rest := context.WithCancel(ctx)
	defer rest()
	dropping, stopDropping := context.WithTimeout(working, time.Duration(s.minutes*float64(time.Minute)))
	defer stopDropping()
	var all sync.WaitGroup
	all.Go(func() { w.Run(working, dropping) })
	if s.calm {
		<-dropping.Done()
	} else {
		storm.Run(dropping, plan)
	}
	say("tenang: tidak ada gangguan dan permohonan baru lagi")
	err := settle(ctx, of, w, s.quiet, say)
	rest()
	all.Wait()
	if err != nil {
		return nil, err
	}
	return judge.Judge(ctx, of, w, storm.Emptied())
}

// settleMost bounds the time to come to rest, in times of that without a move.
const settleMost = 3

// settle waits until nothing is left to do, or nothing has moved for so long; what
// is left then, the judge finds. A machine with much else to do is slow, not stuck.
func settle(ctx context.Context, of *office.Office, w *load.World, still time.Duration, say func(string)) error {
	latest := time.Now().Add(settleMost * still)
	deadline := time.Now().Add(still)
	told, seen := time.Now(), ""
	quiet := func() bool {
		settled, unanswered, waiting := w.Rest()
		slices.Sort(waiting)
		if now := fmt.Sprint(settled, unanswered, waiting); now != seen {
			seen, deadline = now, time.Now().Add(still)
		}
		return unanswered == 0 && len(waiting) == 0 && judge.AtRest(ctx, of)
	}
	for !quiet() {
		if time.Since(told) > 15*time.Second {
			settled, unanswered, waiting := w.Rest()
			say(fmt.Sprintf("%d permohonan selesai, %d belum, %d belum dijawab", settled, len(waiting), unanswered))
			told = time.Now()
		}
		if now := time.Now(); now.After(deadline) || now.After(latest) {
			_, _, waiting := w.Rest()
			for _, line := range waiting {
				say("belum selesai: " + line)
			}
			return nil
		}
		select {
		case err := <-of.Down():
			return fmt.Errorf("kantor berhenti sendiri: %w", err)
		default:
		}
		if err := office.Pause(ctx, 500*time.Millisecond); err != nil {
			return err
		}
	}
	return nil
}

// conclude prints what was found; its last line is for programs.
func conclude(s settings, v *judge.Verdict, storm *chaos.Chaos, out io.Writer) error {
	for _, f := range v.Faults {
		_, _ = fmt.Fprintln(out, f)
	}
	for _, d := range v.Desks {
		_, _ = fmt.Fprintln(out, d)
	}
	errs := storm.Failed()
	floor := func(what string, n int, perMinute float64) {
		if float64(n) < perMinute*s.minutes {
			errs = append(errs, fmt.Errorf("terlalu sedikit %s: %d dalam %g menit", what, n, s.minutes))
		}
	}
	floor("permohonan", v.Requests, dropsPerMinute)
	floor("kartu", v.Cards, cardsPerMinute)
	if !s.calm {
		floor("gangguan", storm.Kills(), killsPerMinute)
	}
	if !v.Good() {
		errs = append(errs, errors.New("kantor tidak utuh"))
	}
	_, _ = fmt.Fprintf(out, "bel yang dibunyikan lagi: %d\n", v.Rings)
	line := fmt.Sprintf("crash: minutes=%g kills=%d requests=%d cards=%d lost=%d doubled=%d stuck=%d",
		s.minutes, storm.Kills(), v.Requests, v.Cards, v.Lost, v.Doubled, v.Stuck)
	_, _ = fmt.Fprintln(out, line)
	return errors.Join(errs...) // and the seed, on the error output
}
