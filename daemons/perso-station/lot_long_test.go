//go:build long

package main

import (
	"testing"
	"time"
)

// TestADayUnderKills is a day's cards in four readers, one in twenty with a fault, and a
// station that is killed every 20 s.
func TestADayUnderKills(t *testing.T) {
	lotUnderKills(t, lotPlan{cards: 250, readers: 4, faulty: 0.05, every: 20 * time.Second})
}
