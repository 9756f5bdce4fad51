//go:build long

package main

import "testing"

// TestPulledInManyOrders is a part of the 24 orders in which four things are pulled, with
// the 24 in which they come back, and with networks that just fall silent.
func TestPulledInManyOrders(t *testing.T) { pulledInAnyOrder(t, pulling{rounds: 120, dead: true}) }
