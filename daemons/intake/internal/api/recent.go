package api

import (
	"sync"
	"time"
)

const (
	recentFor  = 10 * time.Second
	recentMost = 1000
)

// recent remembers what was found in the database a moment ago, so that it is
// not asked the same for every drop. Only what exists is remembered.
type recent[K comparable, V any] struct {
	mu  sync.Mutex
	all map[K]seen[V]
}

type seen[V any] struct {
	value V
	until time.Time
}

func (r *recent[K, V]) get(key K, now time.Time) (V, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s, ok := r.all[key]
	if !ok || !now.Before(s.until) {
		var none V
		return none, false
	}
	return s.value, true
}

func (r *recent[K, V]) put(key K, value V, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.all == nil || len(r.all) >= recentMost {
		r.all = map[K]seen[V]{} // asking again is cheaper than keeping an order
	}
	r.all[key] = seen[V]{value, now.Add(recentFor)}
}

func (r *recent[K, V]) forget(key K) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.all, key)
}
