package signin

import (
	"strings"
	"sync"
	"time"

	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/identity"
)

const (
	perPlace   = 60          // attempts a minute from one address, whatever the user name
	placeFor   = time.Minute // the window of perPlace
	maxEntries = 20_000      // bounds the memory that strangers can take
)

// limiter slows down guessing. It counts attempts before they are judged, so
// that many at once do not slip through, and treats unknown user names like
// known ones.
type limiter struct {
	clock clock.Machine

	mu     sync.Mutex
	places map[string]*window
	pairs  map[string]*window
}

type window struct {
	count int
	until time.Time
}

func newLimiter(c clock.Machine) *limiter {
	return &limiter{clock: c, places: map[string]*window{}, pairs: map[string]*window{}}
}

func pair(place, username string) string { return place + " " + strings.ToLower(username) }

// allow counts an attempt and says whether it may be made.
func (l *limiter) allow(place, username string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.clock.Now()
	if len(l.places)+len(l.pairs) > maxEntries {
		l.sweep(now)
	}
	return count(l.places, place, perPlace, now, placeFor) &&
		count(l.pairs, pair(place, username), identity.MaxFailures, now, identity.LockFor)
}

// forgive takes back what a good login was counted for.
func (l *limiter) forgive(place, username string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.pairs, pair(place, username))
}

func count(in map[string]*window, key string, most int, now time.Time, length time.Duration) bool {
	w := in[key]
	if w == nil || !now.Before(w.until) {
		w = &window{until: now.Add(length)}
		in[key] = w
	}
	w.count++
	return w.count <= most
}

// sweep forgets what is over, and everything when that is not enough: the lock
// of the account itself is in the database.
func (l *limiter) sweep(now time.Time) {
	for _, in := range []map[string]*window{l.places, l.pairs} {
		for key, w := range in {
			if !now.Before(w.until) {
				delete(in, key)
			}
		}
	}
	if len(l.places)+len(l.pairs) > maxEntries {
		l.places, l.pairs = map[string]*window{}, map[string]*window{}
	}
}
