//go:build long

package main

import "testing"

// TestPulledInManyOrders pulls four things in each of the 24 orders that there are, and
// brings them back in each, twice, also with networks that just fall silent.
func TestPulledInManyOrders(t *testing.T) { pulledInAnyOrder(t, pulling{rounds: 48, dead: true}) }
