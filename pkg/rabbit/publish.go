package rabbit

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"dukcapil.go.id/sifilma/pkg/trace"
)

const (
	// window is how many messages may be unconfirmed at once.
	window = 1000
	// confirmLimit is how long one confirm may take on a broker that is not
	// blocked; then the session is given up. It is shorter than the relay's
	// lease, so that a row is not published twice while it is still in hand.
	confirmLimit = 8 * time.Second
	// drainLimit bounds the wait for confirms at the end of the process.
	drainLimit = 3 * time.Second
)

// Outcome is what became of a published message.
type Outcome int

const (
	// Unknown means that no confirm came: the message may or may not have
	// reached its queues. It must be published again.
	Unknown Outcome = iota
	// Sent means that every queue bound to the type has it safe.
	Sent
	// Returned means that no queue is bound to the type: a configuration fault.
	Returned
)

// String names the outcome for logs and metrics.
func (o Outcome) String() string {
	switch o {
	case Sent:
		return "sent"
	case Returned:
		return "returned"
	}
	return "unknown"
}

var errNoConfirm = errors.New("the broker left a message unconfirmed for too long")

// publishSession is the confirm channel of one session.
type publishSession struct {
	link *link
	end  context.CancelCauseFunc
	dead <-chan struct{}

	mu     sync.Mutex // owns ch and closed
	ch     *amqp.Channel
	closed bool

	slots    chan struct{} // one per message in flight
	inflight chan pending  // in order of publishing; never blocks, as slots bound it
	returns  chan amqp.Return
}

type pending struct {
	confirm *amqp.DeferredConfirmation
	id      string
	done    func(Outcome)
}

// WaitPublish waits until messages can be published, or ctx ends.
func (b *Broker) WaitPublish(ctx context.Context) error {
	for {
		changed, err := b.publish.state()
		if err == nil {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Publish sends an event, persistent and mandatory, and calls done once with
// what became of it: from another goroutine, in the order of publishing. done
// must not block. Publish itself waits only while too many messages are
// unconfirmed. When it returns an error, done is never called and the outcome
// is Unknown.
func (b *Broker) Publish(ctx context.Context, e Event, done func(Outcome)) error {
	if err := b.publish.check(); err != nil {
		return err
	}
	s := b.publishing()
	if s == nil {
		return ErrDown
	}
	body, err := e.Encode(b.cfg.Name)
	if err != nil {
		return err
	}
	message := amqp.Publishing{
		ContentType: mediaType, DeliveryMode: amqp.Persistent,
		MessageId: e.ID, CorrelationId: e.Request, Type: e.Type, Timestamp: e.Time, AppId: b.cfg.Name, Body: body,
	}
	if e.TraceParent != "" {
		message.Headers = amqp.Table{trace.Header: e.TraceParent}
	}
	select {
	case s.slots <- struct{}{}:
	case <-s.dead:
		return ErrDown
	case <-ctx.Done():
		return ctx.Err()
	}
	if err := s.send(e, message, done); err != nil {
		<-s.slots
		return err
	}
	return nil
}

func (s *publishSession) send(e Event, message amqp.Publishing, done func(Outcome)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrDown
	}
	confirm, err := s.ch.PublishWithDeferredConfirm(Exchange, e.Type, true, false, message)
	if err != nil {
		s.end(err)
		return fmt.Errorf("%w: %w", ErrDown, err)
	}
	s.inflight <- pending{confirm: confirm, id: e.ID, done: done}
	return nil
}

func (b *Broker) publishing() *publishSession {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.session
}

func (b *Broker) setPublishing(s *publishSession) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.session = s
}

// servePublishing opens the confirm channel and collects confirms until the
// session ends.
func (b *Broker) servePublishing(ctx context.Context, from *session) error {
	ch, err := from.conn.Channel()
	if err != nil {
		return fmt.Errorf("opening the publish channel: %w", err)
	}
	if err := ch.Confirm(false); err != nil {
		return fmt.Errorf("asking for confirms: %w", err)
	}
	s := &publishSession{
		link: &b.publish, end: from.end, dead: from.dead, ch: ch,
		slots: make(chan struct{}, window), inflight: make(chan pending, window),
		// Room for a return of every message in flight: a full listener would
		// stall the connection and then lose returns.
		returns: ch.NotifyReturn(make(chan amqp.Return, window)),
	}
	closed := ch.NotifyClose(make(chan *amqp.Error, 1))
	collected := make(chan struct{})
	go func() { defer close(collected); s.collect() }()
	b.setPublishing(s)
	from.ready()

	select {
	case <-ctx.Done():
	case reason := <-closed:
		err := errors.New("publish channel closed")
		if reason != nil {
			err = reason
		}
		from.end(err)
	}
	b.publish.down(context.Cause(ctx)) // at once: nobody is to try to publish
	b.setPublishing(nil)
	s.close()
	drained := b.clock.NewTimer(drainLimit)
	defer drained.Stop()
	select {
	case <-collected:
	case <-drained.C(): // hanging up settles what is left as unknown
	}
	return context.Cause(ctx)
}

// close ends the taking of messages; what is in flight can still be confirmed.
func (s *publishSession) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	close(s.inflight)
}

// collect settles the messages in flight one after the other.
//
// The broker sends a return before its confirm, and the connection's reader
// hands both over in that order; so when a confirm is seen, its return is in
// the buffer already.
func (s *publishSession) collect() {
	returned := map[string]int{} // by message id; one id can be in flight twice
	for p := range s.inflight {
		acked := s.await(p.confirm)
		<-s.slots
		s.noteReturns(returned)
		outcome := Unknown
		switch {
		case !acked:
		case returned[p.id] > 0:
			outcome = Returned
		default:
			outcome = Sent
		}
		if returned[p.id]--; returned[p.id] <= 0 {
			delete(returned, p.id)
		}
		published.WithLabelValues(outcome.String()).Inc()
		p.done(outcome)
	}
}

func (s *publishSession) noteReturns(returned map[string]int) {
	for {
		select {
		case r, ok := <-s.returns:
			if !ok {
				s.returns = nil
				return
			}
			returned[r.MessageId]++
		default:
			return
		}
	}
}

// await waits for a confirm; false means nack, loss of the session, or silence
// for too long.
func (s *publishSession) await(confirm *amqp.DeferredConfirmation) bool {
	select {
	case <-confirm.Done():
		return confirm.Acked()
	default:
	}
	limit := s.link.b.clock.NewTimer(confirmLimit)
	defer limit.Stop()
	for {
		select {
		case <-confirm.Done():
			return confirm.Acked()
		case <-s.dead:
			return confirm.Acked()
		case <-limit.C():
			if !errors.Is(s.link.check(), ErrBlocked) {
				s.end(errNoConfirm)
				return false
			}
			limit.Reset(confirmLimit) // a blocked broker answers when it is free again
		}
	}
}
