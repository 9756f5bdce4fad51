// Command bench measures the ground of the system beside a named floor or peer,
// on private services in a run directory of its own, and prints for each figure
//
//	bench <name> value=<v> unit=<u> reference=<name>:<v> ratio=<r>
//
// Subject and reference take turns for several rounds; the figures are medians
// and every round is printed. Each round checks what it did before it counts.
//
// SIFILMA_BENCH chooses by name (comma-separated), SIFILMA_BENCH_ROUNDS sets the
// rounds, and SIFILMA_BENCH_PROFILE names a file for a CPU profile of the first
// round of the hop, or of the pipeline where that runs without it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// defaultRounds is how often subject and reference take turns, unless
// roundsVariable says otherwise.
const (
	defaultRounds  = 5
	roundsVariable = "SIFILMA_BENCH_ROUNDS"
)

// benches in the order in which they run. The last takes the services down and
// up again, which is why it is last.
var benches = []struct {
	name string
	run  func(context.Context, *ground) error
}{
	{"hop", benchHop},
	{"pipeline", benchPipeline},
	{"intake", benchIntake},
	{"crowd", benchCrowd},
	{"validate", benchValidate},
	{"plan", benchPlan},
	{"perso", benchPerso},
	{"manifest", benchManifest},
	{"fill", benchFill},
	{"papers", benchPapers},
	{"start", benchStart},
}

func main() {
	dir := flag.String("dir", ".run/bench", "run directory")
	bin := flag.String("bin", "bin", "directory of the programs")
	flag.Parse()
	if task := os.Getenv(validateVariable); task != "" {
		validateChild(task)
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	err := run(ctx, *dir, *bin)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, dir, bin string) (err error) {
	chosen, err := choose(os.Getenv("SIFILMA_BENCH"))
	if err != nil {
		return err
	}
	rounds := defaultRounds
	if text := os.Getenv(roundsVariable); text != "" {
		if rounds, err = strconv.Atoi(text); err != nil || rounds < 1 {
			return fmt.Errorf("%s=%q: a number from 1 is needed", roundsVariable, text)
		}
	}
	g := &ground{dir: dir, bin: bin, rounds: rounds, profile: os.Getenv("SIFILMA_BENCH_PROFILE")}
	if err := g.open(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, g.close(context.WithoutCancel(ctx))) }()
	if err := g.describe(ctx); err != nil {
		return err
	}
	for _, b := range benches {
		if !slices.Contains(chosen, b.name) {
			continue
		}
		if err := b.run(ctx, g); err != nil {
			return fmt.Errorf("%s: %w", b.name, err)
		}
	}
	return nil
}

// choose reads a list of names; an empty one means all.
func choose(list string) ([]string, error) {
	var all, chosen []string
	for _, b := range benches {
		all = append(all, b.name)
	}
	for name := range strings.SplitSeq(list, ",") {
		name = strings.TrimSpace(name)
		if name == "" {
			continue
		}
		if !slices.Contains(all, name) {
			return nil, fmt.Errorf("no bench is called %q; there are %s", name, strings.Join(all, ", "))
		}
		chosen = append(chosen, name)
	}
	if len(chosen) == 0 {
		return all, nil
	}
	return chosen, nil
}
