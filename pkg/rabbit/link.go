package rabbit

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/rs/zerolog"

	"dukcapil.go.id/sifilma/pkg/clock"
)

const (
	firstWait = 100 * time.Millisecond
	// lastWait keeps the return to a returned broker below 5 s.
	lastWait = 3 * time.Second
	// mismatchWait is slow: only an operator can mend a mismatch.
	mismatchWait = 10 * time.Second
	// lasting is how long a session must have lived for the next wait to be
	// short again.
	lasting = 5 * time.Second
)

var errStarting = errors.New("no session with the broker yet")

// link is one supervised connection: it dials for ever, declares the topology
// and serves, session after session.
type link struct {
	b       *Broker
	purpose string
	log     zerolog.Logger

	mu      sync.Mutex
	conn    *amqp.Connection // nil while down
	fault   error            // why it is down
	blocked string           // why the broker blocks publishing, or empty
	since   time.Time        // of the present state
	told    map[string]bool  // the causes logged since it is down
	changed chan struct{}    // closed and replaced at each change
}

// session is one life of a connection.
type session struct {
	conn *amqp.Connection
	// dead is closed when the connection is gone; until then what is in flight
	// may still be settled.
	dead <-chan struct{}
	// end ends the session from inside.
	end context.CancelCauseFunc
	// ready is called when the session can do its work.
	ready func()
}

func (l *link) init(b *Broker, purpose string) {
	l.b, l.purpose = b, purpose
	l.log = b.log.With().Str("link", purpose).Logger()
	sessionBlocked.WithLabelValues(purpose).Set(0)
	l.fault, l.since, l.changed = errStarting, b.clock.Now(), make(chan struct{})
}

// run keeps a session alive until ctx ends. serve is called with a context that
// ends with the session, and returns when it has let go of it.
func (l *link) run(ctx context.Context, serve func(context.Context, *session) error) {
	wait := firstWait
	for attempt := 0; ctx.Err() == nil; attempt++ {
		began := l.b.clock.Now()
		err := l.once(ctx, attempt, serve)
		if ctx.Err() != nil {
			break
		}
		l.down(err)
		if l.b.clock.Now().Sub(began) > lasting {
			wait = firstWait
		}
		pause := jittered(wait)
		var mismatch *MismatchError
		if errors.As(err, &mismatch) {
			pause = mismatchWait
		}
		if clock.Sleep(ctx, l.b.clock, pause) != nil {
			break
		}
		wait = min(2*wait, lastWait)
	}
	l.down(context.Canceled)
}

// once is one session from dial to hang-up.
func (l *link) once(ctx context.Context, attempt int, serve func(context.Context, *session) error) error {
	conn, raw, err := l.b.dial(ctx, l.purpose, attempt)
	if err != nil {
		return err
	}
	defer hangUp(conn, raw)
	breakOff := context.AfterFunc(ctx, func() { _ = raw.Close() }) // the topology calls know no context
	if err := declare(conn, l.b.queues()); err != nil {
		breakOff()
		return err
	}
	if !breakOff() {
		return ctx.Err()
	}
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	dead := make(chan struct{})
	go l.watch(conn, dead, end)
	return serve(ctx, &session{conn: conn, dead: dead, end: end, ready: func() { l.up(conn) }})
}

// watch follows the connection until it is closed.
func (l *link) watch(conn *amqp.Connection, dead chan<- struct{}, end context.CancelCauseFunc) {
	closed := conn.NotifyClose(make(chan *amqp.Error, 1))
	blocked := conn.NotifyBlocked(make(chan amqp.Blocking, 16))
	for {
		select {
		case b, ok := <-blocked:
			if !ok {
				blocked = nil
				continue
			}
			l.block(b)
		case reason := <-closed: // nil when it was closed from here, or before we listened
			err := errors.New("connection closed")
			if reason != nil {
				err = reason
			}
			end(err)
			close(dead)
			return
		}
	}
}

// hangUp closes the connection in bounded time.
func hangUp(conn *amqp.Connection, raw *patientConn) {
	stop := time.AfterFunc(hangUpLimit, func() { _ = raw.Close() })
	defer stop.Stop()
	_ = conn.Close() // the session is over whatever this says
	_ = raw.Close()
}

func (l *link) up(conn *amqp.Connection) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conn, l.fault, l.blocked, l.told = conn, nil, "", nil
	l.change()
	sessionUp.WithLabelValues(l.purpose).Set(1)
	l.log.Info().Msg("broker session is up")
}

// down notes and logs that the session is gone, or could not be had: once per
// cause, not per attempt; a broker that is away can fail attempts in turn by two
// causes. Telling it twice does no harm.
func (l *link) down(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	lost := l.conn != nil
	l.conn, l.fault, l.blocked = nil, err, ""
	sessionBlocked.WithLabelValues(l.purpose).Set(0)
	sessionUp.WithLabelValues(l.purpose).Set(0)
	l.change()
	if errors.Is(err, context.Canceled) { // the process ends
		if lost {
			l.log.Info().Msg("broker session ended")
		}
		return
	}
	if lost {
		sessionsLost.WithLabelValues(l.purpose).Inc()
	}
	if cause := causeOf(err); !l.told[cause] {
		if l.told == nil {
			l.told = map[string]bool{}
		}
		l.told[cause] = true
		l.log.Warn().Err(err).Msg("broker session is down; trying until it is back")
	}
}

func (l *link) block(b amqp.Blocking) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !b.Active {
		l.blocked = ""
		sessionBlocked.WithLabelValues(l.purpose).Set(0)
		l.log.Info().Msg("broker takes messages again")
	} else {
		l.blocked = b.Reason
		if l.blocked == "" {
			l.blocked = "no reason given"
		}
		sessionBlocked.WithLabelValues(l.purpose).Set(1)
		l.log.Warn().Str("reason", b.Reason).Msg("broker has blocked publishing")
	}
	l.change()
}

// change wakes whoever waits for another state; the caller holds mu.
func (l *link) change() {
	l.since = l.b.clock.Now()
	close(l.changed)
	l.changed = make(chan struct{})
}

// check says why the link cannot be used now, or nil.
func (l *link) check() error {
	_, err := l.state()
	return err
}

// state is check, and a channel that closes at the next change.
func (l *link) state() (<-chan struct{}, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.conn == nil:
		return l.changed, fmt.Errorf("%w (%s): %w", ErrDown, l.purpose, l.fault)
	case l.blocked != "":
		return l.changed, fmt.Errorf("%w: %s", ErrBlocked, l.blocked)
	}
	return l.changed, nil
}

func (l *link) connection() *amqp.Connection {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.conn
}

// causeOf is what stays the same between two attempts that fail alike: the
// reply code, or the text after the addresses, which hold a fresh port.
func causeOf(err error) string {
	if err == nil {
		return ""
	}
	if code := codeOf(err); code != 0 {
		return fmt.Sprint("reply ", code)
	}
	text := err.Error()
	return text[strings.LastIndex(text, ": ")+1:]
}

// jittered spreads the waits of many, so that they do not all come at once.
func jittered(d time.Duration) time.Duration {
	return d/2 + rand.N(d/2) //nolint:gosec // a spread, no secret
}
