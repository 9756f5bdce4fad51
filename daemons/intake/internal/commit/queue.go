package commit

import (
	"cmp"
	"slices"
	"sync"
	"sync/atomic"
)

// waiter is a drop on its way into the database.
type waiter struct {
	Entry
	size   int64
	number uint64       // in the order of arrival
	done   chan outcome // holds one: nobody need be there to take it
	// held says that the drop's last try found its key in another's hands.
	held atomic.Bool
	// gone says that nobody waits for it any more.
	gone atomic.Bool
}

func (w *waiter) finish(o outcome) {
	w.Drop.Close()
	w.done <- o
}

// queue holds the drops that wait for the next transaction, a line for each
// client. The clients take turns, so that many drops of one do not hold up the
// one drop of another.
type queue struct {
	bell chan struct{} // rings when there is something to take

	mu     sync.Mutex
	lines  map[string][]*waiter // by institution, none of them empty
	turns  []string             // the institutions that have a line
	count  uint64
	closed bool
}

func newQueue() *queue {
	return &queue{bell: make(chan struct{}, 1), lines: map[string][]*waiter{}}
}

// put adds a drop; false when the queue takes no more.
func (q *queue) put(w *waiter) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return false
	}
	q.count++
	w.number = q.count
	of := w.Client.InstitutionID
	if len(q.lines[of]) == 0 {
		q.turns = append(q.turns, of)
	}
	q.lines[of] = append(q.lines[of], w)
	q.ring()
	return true
}

func (q *queue) ring() {
	select {
	case q.bell <- struct{}{}:
	default:
	}
}

// withdraw takes a drop back that nobody has taken yet.
func (q *queue) withdraw(w *waiter) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	of := w.Client.InstitutionID
	i := slices.Index(q.lines[of], w)
	if i < 0 {
		return false
	}
	q.lines[of] = slices.Delete(q.lines[of], i, i+1)
	if len(q.lines[of]) == 0 {
		q.leave(of)
	}
	return true
}

func (q *queue) leave(of string) {
	delete(q.lines, of)
	q.turns = slices.DeleteFunc(q.turns, func(s string) bool { return s == of })
}

// take returns up to most drops, whose files are up to size bytes together, in
// the order of their arrival. Whose turn it was when they were full is the first
// the next time. One drop is taken however large it is.
func (q *queue) take(most int, size int64) []*waiter {
	q.mu.Lock()
	defer q.mu.Unlock()
	var taken []*waiter
	for len(q.turns) > 0 && len(taken) < most {
		of := q.turns[0]
		next := q.lines[of][0]
		if size -= next.size; size < 0 && len(taken) > 0 {
			break
		}
		taken = append(taken, next)
		q.lines[of] = q.lines[of][1:]
		if len(q.lines[of]) == 0 {
			q.leave(of)
		} else {
			q.turns = append(q.turns[1:], of)
		}
	}
	if len(q.turns) > 0 {
		q.ring() // for another writer
	}
	slices.SortFunc(taken, func(a, b *waiter) int { return cmp.Compare(a.number, b.number) })
	return taken
}

// close has put refuse whatever comes.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
}

func (q *queue) len() (n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, line := range q.lines {
		n += len(line)
	}
	return n
}
