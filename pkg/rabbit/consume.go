package rabbit

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"dukcapil.go.id/sifilma/pkg/postgres"
)

const (
	// leastPrefetch is how many deliveries a consumer holds at least; a quorum
	// queue is slow with few.
	leastPrefetch = 200
	// prefetchBatches is how many batches it holds at least: what was
	// acknowledged is replaced while others are at work.
	prefetchBatches = 4
	// maxBatch is how many events share a transaction at most.
	maxBatch = 100
)

// Handler does in tx what the events ask for. It may be called again with the
// same events, also after it returned nil. The events of a batch are in the
// order of the queue and can name the same row more than once.
//
// ctx carries the trace when there is one event; what a larger batch puts into
// the outbox takes Event.TraceParent along.
type Handler func(ctx context.Context, tx *postgres.Tx, events []Event) error

// ConsumeOption changes how a queue is consumed.
type ConsumeOption func(*consumer)

// Batch limits how many events share a transaction; the default is 100.
func Batch(n int) ConsumeOption {
	return func(c *consumer) { c.batch = max(1, min(n, maxBatch)) }
}

// holdError marks a fault that is not the events' own.
type holdError struct{ err error }

func (h *holdError) Error() string { return h.err.Error() }
func (h *holdError) Unwrap() error { return h.err }

// Hold marks err, from a Handler, as a fault that is not the events' own, such
// as an HSM or LibreOffice that is away: the consumer holds its messages and
// tries again until the fault is gone, and no attempt is counted.
func Hold(err error) error {
	if err == nil {
		return nil
	}
	return &holdError{err}
}

func foreign(err error) bool {
	var hold *holdError
	return errors.As(err, &hold) || postgres.Foreign(err)
}

// consumer is one queue's handler and what it is doing.
type consumer struct {
	b      *Broker
	db     *postgres.DB
	queue  string
	handle Handler
	batch  int
	// classify turns a delivery into an event, or into what goes to the shelf.
	classify func(amqp.Delivery) (Event, *entry)

	// turn lets one worker at a time handle this queue's messages: the last of
	// an old session may still be busy when a new session starts.
	turn sync.Mutex

	mu     sync.Mutex
	status ConsumerStatus
}

// ConsumerStatus is what a consumer shows on a status page.
type ConsumerStatus struct {
	Queue     string    `json:"queue"`
	Holding   bool      `json:"holding"` // waiting for something that is away
	LastError string    `json:"last_error,omitempty"`
	ErrorAt   time.Time `json:"error_at,omitzero"`
	Done      int64     `json:"done"`    // events since the start of the process
	Shelved   int64     `json:"shelved"` // of which to the shelf
	DoneAt    time.Time `json:"done_at,omitzero"`
}

// Consumers reports on each registered consumer.
func (b *Broker) Consumers() []ConsumerStatus {
	var all []ConsumerStatus
	for _, c := range b.registered() {
		c.mu.Lock()
		c.status.Queue = c.queue
		all = append(all, c.status)
		c.mu.Unlock()
	}
	return all
}

// serveConsuming starts a worker per consumer and waits for the end of the
// session. At the end of the process it lets the workers finish their batch and
// acknowledge it before the connection goes; when only the session is lost it
// leaves them to themselves: their acknowledgements fail, their commits hold.
// work is the context of the handlers.
func (b *Broker) serveConsuming(ctx, work context.Context, s *session) error {
	var workers sync.WaitGroup
	for _, c := range b.registered() {
		if err := c.start(ctx, work, s, &workers); err != nil {
			return fmt.Errorf("consuming %s: %w", c.queue, err)
		}
	}
	s.ready()
	<-ctx.Done()
	finished := make(chan struct{})
	go func() { workers.Wait(); close(finished) }()
	grace := b.clock.NewTimer(stopGrace)
	defer grace.Stop()
	select {
	case <-finished:
	case <-s.dead:
	case <-grace.C():
	}
	return context.Cause(ctx)
}

// start opens the consumer's channel, pumps deliveries into a buffer and starts
// a worker on it.
func (c *consumer) start(ctx, work context.Context, s *session, workers *sync.WaitGroup) error {
	ch, err := s.conn.Channel()
	if err != nil {
		return err
	}
	prefetch := max(leastPrefetch, prefetchBatches*c.batch)
	if err := ch.Qos(prefetch, 0, false); err != nil {
		return err
	}
	canceled := ch.NotifyCancel(make(chan string, 1))
	closed := ch.NotifyClose(make(chan *amqp.Error, 1))
	deliveries, err := ch.Consume(c.queue, c.b.cfg.Name, false, false, false, false, nil)
	if err != nil {
		return err
	}
	go func() {
		select {
		case <-ctx.Done():
		case <-canceled:
			s.end(fmt.Errorf("the broker cancelled the consumer of %s", c.queue))
		case reason := <-closed:
			err := fmt.Errorf("the channel of %s closed", c.queue)
			if reason != nil {
				err = fmt.Errorf("%w: %w", err, reason)
			}
			s.end(err)
		}
	}()
	// The library hands deliveries over one by one, unbuffered: without a
	// buffer of our own a batch would never grow. There are never more than
	// prefetch unacknowledged, so the pump does not block.
	buffer := make(chan amqp.Delivery, prefetch)
	go func() {
		defer close(buffer)
		for d := range deliveries {
			buffer <- d
		}
	}()
	w := &worker{consumer: c, ctx: ctx, work: work, buffer: buffer}
	workers.Add(1)
	c.b.workers.Add(1)
	go func() {
		defer c.b.workers.Done()
		defer workers.Done()
		c.turn.Lock()
		defer c.turn.Unlock()
		w.run()
	}()
	return nil
}

// note keeps what a status page shows.
func (c *consumer) note(change func(*ConsumerStatus)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change(&c.status)
}
