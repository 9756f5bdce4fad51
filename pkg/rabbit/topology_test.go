package rabbit

import (
	"io/fs"
	"slices"
	"strings"
	"testing"

	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/schema"
)

func TestEveryTypeHasAQueueAndASchema(t *testing.T) {
	t.Parallel()
	files, err := fs.Glob(schema.Messages(), "*.json")
	require.NoError(t, err)
	var withSchema []string
	for _, name := range files {
		if name != "envelope.json" {
			withSchema = append(withSchema, strings.TrimSuffix(name, ".json"))
		}
	}
	slices.Sort(withSchema)
	require.Equal(t, withSchema, Types(), "the types with a schema are the types with a binding")
	for _, kind := range Types() {
		require.Contains(t, schemas(), kind)
	}
}

// The table of design.md section 3, as far as its types exist.
func TestWhoHearsWhat(t *testing.T) {
	t.Parallel()
	heard := map[string][]string{}
	for _, q := range Topology(StationQueue("perso-1")) {
		for _, kind := range q.Types {
			heard[kind] = append(heard[kind], q.Name)
		}
	}
	const station, sink = "station.perso-1", QueueStationSink
	require.Equal(t, map[string][]string{
		RequestSubmitted:       {QueueValidator},
		RequestResubmitted:     {QueueValidator},
		RequestAccepted:        {QueueScheduler},
		RequestCancelled:       {QueueScheduler},
		RequestHeld:            {QueueScheduler},
		RequestReleased:        {QueueScheduler},
		CalendarChanged:        {QueueScheduler},
		CapacityChanged:        {QueueScheduler},
		StationDowntimeChanged: {QueueScheduler},
		ReplacementRegistered:  {QueueScheduler},
		CardsReduced:           {QueueScheduler},
		WorkorderFinished:      {QueueScheduler},
		CardResolved:           {QueueScheduler, sink, station},
		WorkorderReleased:      {sink, station},
		WorkorderRevoked:       {sink, station},
		WorkorderClosed:        {sink, station},
		RequestDone:            {QueueDocumentGenerator},
		HandoverOpened:         {QueueDocumentGenerator},
		ActivationSubmitted:    {QueueValidator},
		ActivationAccepted:     {QueueDocumentGenerator},
		ActivationRevoked:      {QueueDocumentGenerator},
		ManifestsReleased:      {QueueDocumentGenerator},
		CardsDestroyed:         {QueueDocumentGenerator},
	}, heard)
}

func TestNoQueueLosesMessages(t *testing.T) {
	t.Parallel()
	for _, q := range Topology(StationQueue("perso-1")) {
		require.Equal(t, amqp.QueueTypeQuorum, q.Args[amqp.QueueTypeArg], q.Name)
		require.NoError(t, q.Args.Validate(), q.Name)
		switch q.Name {
		case QueueShelf, QueueStationSink: // the end of the road, and a sink; see their comments
			require.NotContains(t, q.Args, "x-dead-letter-exchange", q.Name)
			continue
		}
		require.Equal(t, DeadExchange, q.Args["x-dead-letter-exchange"], q.Name)
		require.Equal(t, "at-least-once", q.Args["x-dead-letter-strategy"], q.Name)
		require.Equal(t, amqp.QueueOverflowRejectPublish, q.Args[amqp.QueueOverflowArg], q.Name)
		require.EqualValues(t, 50, q.Args["x-delivery-limit"], q.Name)
	}
}

func TestTopologyAddsOnlyStationQueues(t *testing.T) {
	t.Parallel()
	require.Len(t, Topology(QueueValidator, QueueStationSink, "nobody"), len(topology))
	require.Len(t, Topology(StationQueue("a"), StationQueue("b"), StationQueue("a")), len(topology)+2)
}
