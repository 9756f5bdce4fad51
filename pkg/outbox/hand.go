package outbox

import (
	"sync"
	"time"

	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/rabbit"
)

const (
	// handRows is how many rows a relay has in hand at most.
	handRows = 4000
	// fresh is how long after it was leased a row may still be published. With
	// the wait for its confirm, which rabbit bounds by 8 s, it stays within the
	// lease.
	fresh = 2 * time.Second
)

// relays holds the running relay of a pool: *postgres.DB to *Relay. Of several
// it is the first.
var relays sync.Map

// parcel is a row in hand: leased to this relay and not settled yet.
type parcel struct {
	event    rabbit.Event
	attempts int
	at       time.Time // of the lease or a moment before, by the machine's clock
}

// place is room kept in a relay for the rows of one transaction; nil when there
// was none.
type place struct {
	r  *Relay
	n  int
	at time.Time
}

// reserve keeps room for n rows until the transaction ends.
func reserve(tx *postgres.Tx, n int) *place {
	found, ok := relays.Load(tx.DB())
	if !ok {
		return nil
	}
	r := found.(*Relay)
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.open || r.behind {
		return nil
	}
	if r.inHand+n > handRows {
		r.behind = true // these go first, before what is written next
		return nil
	}
	r.inHand += n
	p := &place{r: r, n: n, at: r.clock.Now()}
	tx.OnFail(func() { r.letGo(n) })
	return p
}

// owner is for the column leased_by.
func (p *place) owner() *string {
	if p == nil {
		return nil
	}
	return &p.r.owner
}

// seconds are the length of the lease; nil for none.
func (p *place) seconds() *float64 {
	if p == nil {
		return nil
	}
	s := lease.Seconds()
	return &s
}

// onCommit has the events handed over when tx commits, or the bell rung for
// those that nobody keeps a place for. at is when they were made.
func (p *place) onCommit(tx *postgres.Tx, events []rabbit.Event, at time.Time) {
	if p == nil {
		tx.OnCommit(tx.DB().Bell(bellName).Ring)
		return
	}
	for i := range events {
		events[i].Time = at
	}
	tx.OnCommit(func() { p.r.hand(events, p.at) })
}

// hand gives the relay rows that it has kept a place for. It never blocks.
func (r *Relay) hand(events []rabbit.Event, at time.Time) {
	parcels := make([]parcel, len(events))
	for i, e := range events {
		parcels[i] = parcel{event: e, attempts: 1, at: at}
	}
	r.mu.Lock()
	open := r.open
	if open {
		r.handed = append(r.handed, parcels...)
	}
	r.mu.Unlock()
	if !open {
		r.giveBack(parcels)
		return
	}
	wake(r.arrived)
}

// takeHanded returns what was handed over.
func (r *Relay) takeHanded() []parcel {
	r.mu.Lock()
	defer r.mu.Unlock()
	handed := r.handed
	r.handed = nil
	return handed
}

// setOpen says whether rows may be handed over.
func (r *Relay) setOpen(open bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.behind = r.behind || open && !r.open // there may be rows of the time between
	r.open = open
}

// letGo counts n rows as no longer in hand. When that makes room for free rows
// that wait, it rings.
func (r *Relay) letGo(n int) {
	r.mu.Lock()
	r.inHand -= n
	ring := r.behind && r.inHand < leaseRows
	r.mu.Unlock()
	if ring {
		r.db.Bell(bellName).Ring()
	}
}

// wake leaves one token in c.
func wake(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
