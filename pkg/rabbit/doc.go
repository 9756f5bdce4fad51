// Package rabbit is the office's use of RabbitMQ: the topology table, the
// sessions with the broker, publishing with confirms, and consuming in batches.
//
// A message is a doorbell: it names a row and its version. Postgres is the
// truth, so a bell may ring twice or late without harm; it must only never be
// lost while its outbox row says "sent".
//
// A Broker keeps two connections, one to publish and one to consume, so that
// back-pressure on publishing never stops acknowledgements. It dials for ever,
// declares the whole topology at each session start and throws everything of a
// session away when the session ends: amqp091-go's own recovery would
// acknowledge a stranger's message with an old delivery tag.
package rabbit
