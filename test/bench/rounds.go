package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

// side is what is measured, or what it is measured against.
type side struct {
	name string
	run  func(context.Context) (float64, error)
}

// result holds a side's figure of every round.
type result struct {
	name   string
	values []float64
}

func (r result) median() float64 {
	sorted := slices.Sorted(slices.Values(r.values))
	n := len(sorted)
	if n == 0 {
		return 0
	}
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// maxSwing is how far apart a reference's rounds may lie before a ratio to it
// says nothing.
const maxSwing = 2.0

func (r result) steady() bool {
	least, most := slices.Min(r.values), slices.Max(r.values)
	return least > 0 && most <= maxSwing*least
}

// takeTurns lets the sides take turns, subject first, and prints every round.
func (g *ground) takeTurns(ctx context.Context, bench string, sides ...side) ([]result, error) {
	results := make([]result, len(sides))
	for i, s := range sides {
		results[i].name = s.name
	}
	for n := range g.rounds {
		line := []string{fmt.Sprintf("round %s %d/%d", bench, n+1, g.rounds)}
		for i, s := range sides {
			v, err := s.run(ctx)
			if err != nil {
				return nil, fmt.Errorf("round %d of %s: %w", n+1, s.name, err)
			}
			results[i].values = append(results[i].values, v)
			line = append(line, s.name+"="+figure(v))
		}
		fmt.Println(strings.Join(append(line, "load="+load()), " "))
	}
	return results, nil
}

// compare prints a line for the subject against each reference.
func compare(w io.Writer, bench, unit string, subject result, references ...result) {
	for _, r := range references {
		ratio := "unsteady"
		if r.steady() {
			ratio = fmt.Sprintf("%.3f", subject.median()/r.median())
		}
		_, _ = fmt.Fprintf(w, "bench %s value=%s unit=%s reference=%s:%s ratio=%s\n",
			bench, figure(subject.median()), unit, r.name, figure(r.median()), ratio)
	}
}

// limit is a reference that is a promise, not a measurement.
func limit(name string, value float64) result { return result{name: name, values: []float64{value}} }

func figure(v float64) string {
	if v < 100 {
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.0f", v)
}

// load is the machine's load average of the last minute.
func load() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	first, _, _ := strings.Cut(string(text), " ")
	return first
}
