package rabbit

import (
	"fmt"
	"slices"
	"strings"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

// Exchanges and queues of the office.
const (
	Exchange     = "sifilma"      // topic exchange; the routing key is the message type
	DeadExchange = "sifilma.dead" // fanout exchange of what the broker gave up on

	QueueValidator         = "validator"
	QueueScheduler         = "scheduler"
	QueueDocumentGenerator = "document-generator"
	QueueShelf             = "shelf"
	// QueueStationSink keeps the newest bells for stations. Nobody consumes it:
	// it makes those types routable while no station has declared its queue, so
	// that an unroutable message stays what it is, a configuration fault.
	// Nothing is lost by dropping its oldest: a station looks the released work
	// orders up when it starts and on each card.
	QueueStationSink = "station.default"
)

// Types of messages.
const (
	RequestSubmitted       = "request.submitted"
	RequestResubmitted     = "request.resubmitted"
	RequestAccepted        = "request.accepted"
	RequestCancelled       = "request.cancelled"
	RequestHeld            = "request.held"
	RequestReleased        = "request.released"
	RequestDone            = "request.done"
	CalendarChanged        = "calendar.changed"
	CapacityChanged        = "capacity.changed"
	StationDowntimeChanged = "station.downtime_changed"
	ReplacementRegistered  = "replacement.registered"
	CardsReduced           = "cards.reduced"
	CardsDestroyed         = "cards.destroyed"
	WorkorderReleased      = "workorder.released"
	WorkorderRevoked       = "workorder.revoked"
	WorkorderClosed        = "workorder.closed"
	WorkorderFinished      = "workorder.finished"
	CardResolved           = "card.resolved"
	HandoverOpened         = "handover.opened"
	ActivationSubmitted    = "activation.submitted"
	ActivationAccepted     = "activation.accepted"
	ActivationRevoked      = "activation.revoked"
	ManifestsReleased      = "manifests.released"
)

const (
	// deliveryLimit is generous: a lost connection counts for every prefetched
	// message too. The true count is delivery_attempt in Postgres.
	deliveryLimit = 50
	// shelfDeliveryLimit is as good as none: the shelf has no shelf.
	shelfDeliveryLimit = 1_000_000
	sinkLength         = 100
	// stationExpiry removes the queue of a station that was taken away.
	stationExpiry = 30 * 24 * time.Hour

	stationPrefix = "station."
)

// Queue is one row of the topology table: a durable quorum queue, the message
// types bound to it, and its arguments.
type Queue struct {
	Name  string
	Types []string
	Args  amqp.Table
}

// stationTypes are heard by every station.
var stationTypes = []string{WorkorderReleased, WorkorderRevoked, WorkorderClosed, CardResolved}

// topology is the whole of it, but for the stations' own queues.
var topology = []Queue{
	{Name: QueueValidator, Args: workArgs(), Types: []string{
		RequestSubmitted, RequestResubmitted, ActivationSubmitted,
	}},
	{Name: QueueScheduler, Args: workArgs(), Types: []string{
		RequestAccepted, RequestCancelled, RequestHeld, RequestReleased,
		CalendarChanged, CapacityChanged, StationDowntimeChanged, ReplacementRegistered, CardsReduced,
		CardResolved, WorkorderFinished,
	}},
	{Name: QueueDocumentGenerator, Args: workArgs(), Types: []string{
		RequestDone, HandoverOpened, CardsDestroyed, ActivationAccepted, ActivationRevoked, ManifestsReleased,
	}},
	{Name: QueueStationSink, Types: stationTypes, Args: amqp.Table{
		amqp.QueueTypeArg:     amqp.QueueTypeQuorum,
		amqp.QueueMaxLenArg:   int64(sinkLength),
		amqp.QueueOverflowArg: amqp.QueueOverflowDropHead,
	}},
	{Name: QueueShelf, Args: amqp.Table{ // bound to the dead-letter exchange
		amqp.QueueTypeArg:  amqp.QueueTypeQuorum,
		"x-delivery-limit": int64(shelfDeliveryLimit),
	}},
}

// workArgs are the arguments of a queue whose messages matter: dead-lettering
// at least once to the shelf needs reject-publish.
func workArgs() amqp.Table {
	return amqp.Table{
		amqp.QueueTypeArg:        amqp.QueueTypeQuorum,
		"x-delivery-limit":       int64(deliveryLimit),
		"x-dead-letter-exchange": DeadExchange,
		"x-dead-letter-strategy": "at-least-once",
		amqp.QueueOverflowArg:    amqp.QueueOverflowRejectPublish,
	}
}

// StationQueue is the name of a station's own queue.
func StationQueue(station string) string { return stationPrefix + station }

// Topology returns the queues that a broker with these consumed queues
// declares: the table, and a row for each station queue among them.
func Topology(consumed ...string) []Queue {
	queues := slices.Clone(topology)
	for _, name := range consumed {
		known := slices.ContainsFunc(queues, func(q Queue) bool { return q.Name == name })
		if known || !strings.HasPrefix(name, stationPrefix) {
			continue
		}
		args := workArgs()
		args[amqp.QueueTTLArg] = stationExpiry.Milliseconds()
		queues = append(queues, Queue{Name: name, Types: stationTypes, Args: args})
	}
	return queues
}

// Types returns every message type of the table once, sorted.
func Types() []string {
	var types []string
	for _, q := range topology {
		types = append(types, q.Types...)
	}
	slices.Sort(types)
	return slices.Compact(types)
}

// declare brings the broker's topology in line with the table. It is
// idempotent; a queue or exchange that exists with other arguments gives a
// *MismatchError. It uses a channel of its own, since a failure closes it.
func declare(conn *amqp.Connection, queues []Queue) error {
	ch, err := conn.Channel()
	if err != nil {
		return fmt.Errorf("opening a channel for the topology: %w", err)
	}
	if err := declareExchange(ch, Exchange, amqp.ExchangeTopic); err != nil {
		return err
	}
	if err := declareExchange(ch, DeadExchange, amqp.ExchangeFanout); err != nil {
		return err
	}
	for _, q := range queues {
		if _, err := ch.QueueDeclare(q.Name, true, false, false, false, q.Args); err != nil {
			return mismatch("queue", q.Name, err)
		}
		for _, key := range q.Types {
			if err := ch.QueueBind(q.Name, key, Exchange, false, nil); err != nil {
				return fmt.Errorf("binding %s to queue %s: %w", key, q.Name, err)
			}
		}
	}
	if err := ch.QueueBind(QueueShelf, "", DeadExchange, false, nil); err != nil {
		return fmt.Errorf("binding the shelf: %w", err)
	}
	return ch.Close()
}

func declareExchange(ch *amqp.Channel, name, kind string) error {
	return mismatch("exchange", name, ch.ExchangeDeclare(name, kind, true, false, false, false, nil))
}

// MismatchError says that the broker has a queue or exchange of that name with
// other arguments than the topology table. Waiting does not mend it: an
// operator must empty and delete the old one.
type MismatchError struct {
	Kind, Name string
	Err        error
}

func (e *MismatchError) Error() string {
	return fmt.Sprintf("%s %q exists on the broker with other arguments than this build declares; empty it, delete it, and it is declared anew: %v",
		e.Kind, e.Name, e.Err)
}

// Unwrap returns the broker's own error.
func (e *MismatchError) Unwrap() error { return e.Err }

func mismatch(kind, name string, err error) error {
	if err == nil {
		return nil
	}
	if codeOf(err) == amqp.PreconditionFailed {
		return &MismatchError{Kind: kind, Name: name, Err: err}
	}
	return fmt.Errorf("declaring %s %s: %w", kind, name, err)
}
