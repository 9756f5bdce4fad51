// Package gate slows strangers down: so many calls a minute from one network, before
// anything of them reaches the database.
package gate

import (
	"sync"
	"time"

	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/identity"
)

const (
	// Window is the span in which the calls of a network are counted, and so the
	// longest that somebody waits.
	Window     = time.Minute
	maxEntries = 20_000 // bounds the memory that strangers can take
)

// Gate counts calls by network.
type Gate struct {
	clock clock.Machine
	most  int // in a Window

	mu     sync.Mutex
	places map[string]*window
}

type window struct {
	count int
	until time.Time
}

// New returns a gate that lets so many calls through in a Window from one network.
func New(c clock.Machine, most int) *Gate {
	return &Gate{clock: c, most: most, places: map[string]*window{}}
}

// Allow counts a call from an address and says whether it may be made.
func (g *Gate) Allow(address string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.clock.Now()
	if len(g.places) > maxEntries {
		g.sweep(now)
	}
	place := identity.NetworkOf(address)
	w := g.places[place]
	if w == nil || !now.Before(w.until) {
		w = &window{until: now.Add(Window)}
		g.places[place] = w
	}
	w.count++
	return w.count <= g.most
}

// sweep forgets what is over, and everything when that is not enough: a gate slows
// down, it does not keep accounts.
func (g *Gate) sweep(now time.Time) {
	for key, w := range g.places {
		if !now.Before(w.until) {
			delete(g.places, key)
		}
	}
	if len(g.places) > maxEntries {
		g.places = map[string]*window{}
	}
}
