// Package outbox keeps the promise that a committed change is announced: the
// message is a row of the table outbox, written in the transaction of the
// change, and a relay hands it to the broker afterwards, as often as it takes.
//
// How a row travels:
//
//   - Put writes it. Where the process has a relay with room, whose broker takes
//     messages, the row is born leased to that relay for 10 s, and a place is
//     kept for it in the relay's memory.
//   - The commit hands it over in memory: it is published at once, without
//     being read back. A rollback gives the place back. When nobody knows
//     whether the commit came about, when the process dies, or when the row
//     waited too long for its turn, nothing is handed over or sent; the lease
//     runs out, and then any relay of any daemon takes the row.
//   - A row that found no room, or no relay, is born free. The bell wakes the
//     relay of the process; every relay also looks for free rows 10 times a
//     second. It leases up to 500 in a short transaction, the oldest first.
//     While there are such rows nothing new is handed over, so that they get
//     their turn.
//   - The broker's confirms are collected and the rows marked sent, many in one
//     transaction. Without a confirm the row is free again after 200 ms. A row
//     that no queue takes waits longer and longer.
//
// The same message may be sent twice (a confirm that was lost, a process that
// died before it marked), never not at all. At most 4000 rows are in a relay's
// memory. No lock is held while the broker is spoken to.
package outbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/google/uuid"
	"github.com/lib/pq"

	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/rabbit"
	"dukcapil.go.id/sifilma/pkg/trace"
)

// bellName is the in-process bell that wakes the relay.
const bellName = "outbox"

// Message announces a change of one row.
type Message struct {
	Type    string // one of rabbit's message types
	Subject string // id of the row to look at
	Version int64  // its version after the change
	Request string // id of the request concerned, or empty
	// Data is optional and small, single values only: a message is a doorbell
	// and carries no state.
	Data map[string]any
	// TraceParent goes before the one in the context, for handlers of batches.
	TraceParent string
}

// Put adds messages to the outbox, in the transaction of the changes that they
// announce; one statement, however many. Each is checked against the JSON
// Schema of its type. The relay gets them when the transaction commits.
func Put(ctx context.Context, tx *postgres.Tx, m ...Message) error {
	if len(m) == 0 {
		return nil
	}
	n := len(m)
	events := make([]rabbit.Event, n)
	ids, kinds, subjects, requests := make([]string, n), make([]string, n), make([]string, n), make([]string, n)
	versions, data, traces := make([]int64, n), make([]string, n), make([]string, n)
	for i, message := range m {
		id, err := uuid.NewV7()
		if err != nil {
			return fmt.Errorf("outbox: message id: %w", err)
		}
		event := rabbit.Event{
			ID: id.String(), Type: message.Type, Subject: message.Subject, Request: message.Request,
			Version: message.Version, Data: message.Data, TraceParent: message.TraceParent,
		}
		if err := event.Validate(); err != nil {
			return fmt.Errorf("outbox: message %s: %w", message.Type, err)
		}
		data[i] = "{}"
		if len(message.Data) > 0 {
			text, err := json.Marshal(message.Data)
			if err != nil {
				return fmt.Errorf("outbox: data of %s: %w", message.Type, err)
			}
			data[i] = string(text)
			event.Data = maps.Clone(message.Data)
		}
		if event.TraceParent == "" {
			event.TraceParent = trace.From(ctx)
		}
		events[i] = event
		ids[i], kinds[i], subjects[i], requests[i] = event.ID, message.Type, message.Subject, message.Request
		versions[i], traces[i] = message.Version, event.TraceParent
	}
	hand := reserve(tx, n)
	var written struct {
		postgres.Mark
		At time.Time `db:"at"` // the rows' created_at
	}
	err := tx.Get(ctx, &written, `
		WITH put AS (
			INSERT INTO outbox (id, type, subject, version, request_id, data, traceparent, leased_by, leased_until, attempts)
			SELECT id, type, subject, version, nullif(request, '')::uuid, data, traceparent,
			       $8::uuid, clock_timestamp() + make_interval(secs => $9), CASE WHEN $8::uuid IS NULL THEN 0 ELSE 1 END
			FROM unnest($1::uuid[], $2::text[], $3::uuid[], $4::bigint[], $5::text[], $6::jsonb[], $7::text[])
			     AS m (id, type, subject, version, request, data, traceparent))
		SELECT now() AS at, `+postgres.MarkColumns,
		pq.Array(ids), pq.Array(kinds), pq.Array(subjects), pq.Array(versions), pq.Array(requests),
		pq.Array(data), pq.Array(traces), hand.owner(), hand.seconds())
	if err != nil {
		return fmt.Errorf("outbox: writing messages: %w", err)
	}
	tx.Know(written.Mark)
	hand.onCommit(tx, events, written.At)
	return nil
}

// ErrNotReplayable says that what lies on the shelf never was an event.
var ErrNotReplayable = errors.New("outbox: the shelf row holds no event")

// Replay closes a row of the shelf in the name of by and announces its subject
// anew. A message that never was an event cannot be replayed (ErrNotReplayable);
// closing it is rabbit.CloseShelf.
func Replay(ctx context.Context, tx *postgres.Tx, shelfID, by string) error {
	row, err := rabbit.TakeShelf(ctx, tx, shelfID, by)
	if err != nil {
		return err
	}
	event, err := row.Event()
	if err != nil {
		return fmt.Errorf("%w: %s: %w", ErrNotReplayable, shelfID, err)
	}
	return Put(ctx, tx, Message{
		Type: event.Type, Subject: event.Subject, Version: event.Version, Request: event.Request, Data: event.Data,
	})
}

// Backlog is what the outbox still has to send.
type Backlog struct {
	Count  int           // rows not sent yet
	Oldest time.Duration // age of the oldest, 0 when there is none
}

// MarshalJSON shows the age in seconds, for status pages.
func (b Backlog) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Count   int     `json:"count"`
		Seconds float64 `json:"oldest_seconds"`
	}{b.Count, b.Oldest.Seconds()})
}

// Pending returns the backlog of the whole office, by the database's clock.
func Pending(ctx context.Context, r postgres.Reader) (Backlog, error) {
	var row struct {
		Count   int     `db:"count"`
		Seconds float64 `db:"seconds"`
	}
	err := r.Get(ctx, &row, `
		SELECT count(*) AS count, coalesce(extract(epoch FROM now() - min(created_at)), 0)::float8 AS seconds
		FROM outbox WHERE sent_at IS NULL`)
	return Backlog{Count: row.Count, Oldest: time.Duration(row.Seconds * float64(time.Second))}, err
}

// pruneChunk bounds the rows of one DELETE, so that no transaction is long.
const pruneChunk = 5000

// Prune deletes the rows that were sent more than olderThan ago and returns how
// many.
func Prune(ctx context.Context, db *postgres.DB, olderThan time.Duration) (int64, error) {
	var total int64
	for {
		var gone int64
		err := db.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
			var err error
			gone, err = tx.Exec(ctx, `
				DELETE FROM outbox WHERE id IN (
					SELECT id FROM outbox WHERE sent_at < now() - make_interval(secs => $1)
					ORDER BY sent_at LIMIT $2)`, olderThan.Seconds(), pruneChunk)
			return err
		})
		total += gone
		if err != nil || gone < pruneChunk {
			return total, err
		}
	}
}
