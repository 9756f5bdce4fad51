package signin

import (
	"sync"
	"time"

	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/identity"
)

const (
	perPlace   = 60          // attempts a minute from one network, whatever the user name
	placeFor   = time.Minute // the window of perPlace
	maxEntries = 20_000      // bounds the memory that strangers can take
)

// limiter slows down guessing over many names, before anything of it reaches the
// database, where the attempts on each name are counted.
type limiter struct {
	clock clock.Machine

	mu     sync.Mutex
	places map[string]*window
}

type window struct {
	count int
	until time.Time
}

func newLimiter(c clock.Machine) *limiter {
	return &limiter{clock: c, places: map[string]*window{}}
}

// allow counts an attempt from an address and says whether it may be made.
func (l *limiter) allow(address string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.clock.Now()
	if len(l.places) > maxEntries {
		l.sweep(now)
	}
	place := identity.NetworkOf(address)
	w := l.places[place]
	if w == nil || !now.Before(w.until) {
		w = &window{until: now.Add(placeFor)}
		l.places[place] = w
	}
	w.count++
	return w.count <= perPlace
}

// sweep forgets what is over, and everything when that is not enough: what counts
// is in the database.
func (l *limiter) sweep(now time.Time) {
	for key, w := range l.places {
		if !now.Before(w.until) {
			delete(l.places, key)
		}
	}
	if len(l.places) > maxEntries {
		l.places = map[string]*window{}
	}
}
