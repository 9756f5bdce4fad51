package rabbit

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/rs/zerolog"

	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/postgres"
)

// Config says how to reach the broker.
type Config struct {
	// URL is an AMQP URI, or several with commas between them: the nodes of a
	// cluster, tried in turn.
	URL string `yaml:"url"`
	// PasswordFile holds the password, read again at each dial; it goes before
	// a password in the URL.
	PasswordFile string `yaml:"password_file"`
	// Name of this daemon: names the connections and is the source of the
	// events.
	Name string `yaml:"name"`
}

// Validate checks the section.
func (c Config) Validate() error {
	if c.URL == "" {
		return errors.New("url is missing")
	}
	return nil
}

var (
	// ErrDown says that there is no session with the broker now.
	ErrDown = errors.New("rabbit: no session with the broker")
	// ErrBlocked says that the broker takes no messages now: it is short of
	// memory or disk.
	ErrBlocked = errors.New("rabbit: the broker has blocked publishing")
)

// stopGrace bounds how long Run lets batches in hand and unconfirmed messages
// come to their end after its context ended.
const stopGrace = 10 * time.Second

// Broker is one daemon's sessions with RabbitMQ. Register consumers first, then
// Run.
type Broker struct {
	cfg   Config
	log   zerolog.Logger
	clock clock.Machine

	publish link
	consume link

	mu        sync.Mutex
	session   *publishSession // nil while there is none
	consumers []*consumer
	workers   sync.WaitGroup
}

var unfitForSource = regexp.MustCompile(`[^a-z0-9._-]+`)

// New returns a broker that does nothing until Run.
func New(cfg Config, log zerolog.Logger) *Broker {
	cfg.Name = strings.Trim(unfitForSource.ReplaceAllString(strings.ToLower(cfg.Name), "-"), "-._")
	if cfg.Name == "" {
		cfg.Name = "sifilma"
	}
	b := &Broker{cfg: cfg, log: log, clock: clock.Real()}
	b.publish.init(b, "publish")
	b.consume.init(b, "consume")
	return b
}

// Consume registers a handler for a queue: one of the Queue constants or a
// StationQueue, which is then declared too. It must be called before Run.
//
// The handler gets up to 100 events in one transaction; acknowledgement follows
// the commit. When a batch fails by its own fault the events are handled one by
// one; an event that fails by itself five times goes to the shelf. Faults that
// are not the events' own (postgres.Foreign, or marked by Hold) never count:
// the consumer holds its messages and tries again until the fault is gone.
// The handler can see an event again and must take it as a bell that rings
// twice.
func (b *Broker) Consume(db *postgres.DB, queue string, h Handler, opts ...ConsumeOption) {
	c := &consumer{b: b, db: db, queue: queue, handle: h, batch: maxBatch, classify: classifyEvent(queue)}
	for _, opt := range opts {
		opt(c)
	}
	b.register(c)
}

// ConsumeShelf registers the reader of the broker's dead-letter queue: each
// message there becomes a row of the shelf. The scheduler runs it.
func (b *Broker) ConsumeShelf(db *postgres.DB) {
	b.register(&consumer{b: b, db: db, queue: QueueShelf, batch: maxBatch, classify: classifyDead})
}

func (b *Broker) register(c *consumer) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.consumers = append(b.consumers, c)
}

// Run keeps the sessions alive until ctx ends; it returns an error only for a
// configuration that can never work. At the end it lets the batches in hand
// finish and be acknowledged, for a bounded time.
func (b *Broker) Run(ctx context.Context) error {
	if _, err := b.addresses(); err != nil {
		return err
	}
	// Work in hand outlives ctx: cancelling it would only fail commits and
	// acknowledgements that are nearly there.
	work, stopWork := context.WithCancel(context.WithoutCancel(ctx))
	defer stopWork()
	var links sync.WaitGroup
	links.Go(func() { b.publish.run(ctx, b.servePublishing) })
	if len(b.registered()) > 0 {
		links.Go(func() {
			b.consume.run(ctx, func(ctx context.Context, s *session) error { return b.serveConsuming(ctx, work, s) })
		})
	}
	links.Wait()
	stopWork()
	b.workers.Wait()
	return nil
}

func (b *Broker) registered() []*consumer {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.consumers)
}

// queues is the topology that this broker declares.
func (b *Broker) queues() []Queue {
	var names []string
	for _, c := range b.registered() {
		names = append(names, c.queue)
	}
	return Topology(names...)
}

// Check tells readyz whether the broker can be used now: nil, or why not.
func (b *Broker) Check(context.Context) error {
	if err := b.publish.check(); err != nil {
		return err
	}
	if len(b.registered()) == 0 {
		return nil
	}
	return b.consume.check()
}

// Depth is what waits in a queue.
type Depth struct {
	Messages  int `json:"messages"` // ready, without those in hand of consumers
	Consumers int `json:"consumers"`
}

// Depth asks the broker for the depth of a queue.
func (b *Broker) Depth(ctx context.Context, queue string) (Depth, error) {
	// A connection that never publishes is never blocked.
	conn := b.consume.connection()
	if conn == nil {
		conn = b.publish.connection()
	}
	if conn == nil {
		return Depth{}, ErrDown
	}
	type answer struct {
		depth Depth
		err   error
	}
	answers := make(chan answer, 1)
	go func() { // the library's calls know no context; they end with the session
		depth, err := depthOf(conn, queue)
		answers <- answer{depth, err}
	}()
	select {
	case a := <-answers:
		return a.depth, a.err
	case <-ctx.Done():
		return Depth{}, ctx.Err()
	}
}

func depthOf(conn *amqp.Connection, queue string) (Depth, error) {
	ch, err := conn.Channel() // its own: asking for a missing queue closes the channel
	if err != nil {
		return Depth{}, fmt.Errorf("rabbit: opening a channel: %w", err)
	}
	q, err := ch.QueueDeclarePassive(queue, true, false, false, false, nil)
	if err != nil {
		return Depth{}, fmt.Errorf("rabbit: asking for queue %s: %w", queue, err)
	}
	return Depth{Messages: q.Messages, Consumers: q.Consumers}, ch.Close()
}
