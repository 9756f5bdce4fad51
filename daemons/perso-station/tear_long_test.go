//go:build long

package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/machine"
)

// mostCommands is more than a card of any profile is sent.
const mostCommands = 60

// roundsOfAChild is how often children are killed under one station: it waits longer
// before each new one.
const roundsOfAChild = 2

// TestEveryTear has each cause happen at each command of each profile, on real PC/SC, on
// as many readers at once as there are.
func TestEveryTear(t *testing.T) {
	var table strings.Builder
	cells := 0
	for _, profile := range tearProfiles {
		for _, by := range causes {
			t.Run(profile+"/"+by.name, func(t *testing.T) {
				all := everyCommand(t, profile, by)
				cells += len(all)
				row := fmt.Sprintf("%-13s %-34s %3d cells; right after: %-52s in the end: %s", profile, by.name, len(all),
					sum(all, func(c *cell) machine.State {
						if !c.held {
							return "not torn"
						}
						return c.torn
					}), sum(all, func(c *cell) machine.State { return c.end }))
				t.Log(row)
				table.WriteString(row + "\n")
			})
		}
	}
	t.Logf("%d cells\n%s", cells, table.String())
}

// everyCommand tears a card at each command, until one comes through.
func everyCommand(t *testing.T, profile string, by cause) (all []*cell) {
	const readers = 4
	h, script := newTearHall(t, profile, readers, mostCommands+readers)
	require.Less(t, len(script), mostCommands)
	for n := 1; ; n += readers {
		var at []int
		for i := range readers {
			at = append(at, n+i)
		}
		cells := h.cells(profile, at...)
		h.tear(by, cells)
		all = append(all, cells...)
		if !cells[readers-1].held {
			break
		}
		if strings.HasPrefix(by.name, "child") && n/readers%roundsOfAChild == roundsOfAChild-1 {
			h.restart()
		}
	}
	for i, c := range all {
		require.Equal(t, i < len(script), c.held, "%s of %d", c, len(script))
	}
	h.balance()
	return all
}

// sum counts cells by a state.
func sum(all []*cell, of func(*cell) machine.State) string {
	counts := map[machine.State]int{}
	for _, c := range all {
		counts[of(c)]++
	}
	var parts []string
	for _, s := range slices.Sorted(maps.Keys(counts)) {
		parts = append(parts, fmt.Sprintf("%s %d", s, counts[s]))
	}
	return strings.Join(parts, ", ")
}
