package smartcard

import "sync"

// eventQueue keeps events for a consumer that may be busy, so that the reading
// of answers never waits for it. The queue is short by nature: cards are moved
// by hands.
type eventQueue struct {
	out  chan Event
	more chan struct{}
	quit chan struct{}

	mu      sync.Mutex
	pending []Event
}

func newEventQueue() *eventQueue {
	q := &eventQueue{out: make(chan Event), more: make(chan struct{}, 1), quit: make(chan struct{})}
	go q.pump()
	return q
}

func (q *eventQueue) put(e Event) {
	q.mu.Lock()
	q.pending = append(q.pending, e)
	q.mu.Unlock()
	select {
	case q.more <- struct{}{}:
	default:
	}
}

// end closes the consumer's channel; events it has not taken are dropped.
func (q *eventQueue) end() { close(q.quit) }

func (q *eventQueue) pump() {
	defer close(q.out)
	for {
		q.mu.Lock()
		batch := q.pending
		q.pending = nil
		q.mu.Unlock()
		for _, e := range batch {
			select {
			case q.out <- e:
			case <-q.quit:
				return
			}
		}
		if len(batch) > 0 {
			continue
		}
		select {
		case <-q.more:
		case <-q.quit:
			return
		}
	}
}
