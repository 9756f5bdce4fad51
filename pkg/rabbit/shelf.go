package rabbit

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	amqp "github.com/rabbitmq/amqp091-go"

	"dukcapil.go.id/sifilma/pkg/postgres"
)

// Reasons of shelf rows; the detail follows after a colon.
const (
	ReasonFailed     = "failed"      // failed by itself too often
	ReasonInvalid    = "invalid"     // does not match its JSON Schema
	ReasonDeadLetter = "dead_letter" // given up by the broker
)

// maxReason bounds the text kept of an error, in bytes.
const maxReason = 2000

// entry is what goes to the shelf.
type entry struct {
	consumer, kind, subject string
	reason                  string
	event                   Event // as far as it is one, for the log
	body                    []byte
	attempts                int
}

// ShelfRow is a message that waits, or waited, for a person. The JSON names are
// the portal's API.
type ShelfRow struct {
	ID       string          `db:"id" json:"id"`
	Consumer string          `db:"consumer" json:"consumer"`
	Type     string          `db:"type" json:"type"`
	Subject  string          `db:"subject" json:"subject"`
	Reason   string          `db:"reason" json:"reason"`
	Payload  json.RawMessage `db:"payload" json:"payload"`
	Attempts int             `db:"attempts" json:"attempts"`
	OpenedAt time.Time       `db:"opened_at" json:"opened_at"`
	// Replays is how often the same bell was replayed from the shelf before.
	Replays  int        `db:"replays" json:"replays"`
	ClosedAt *time.Time `db:"closed_at" json:"closed_at"`
	ClosedBy *string    `db:"closed_by" json:"closed_by"`
	Replayed bool       `db:"replayed" json:"replayed"` // closed by a replay
	Note     string     `db:"note" json:"note"`         // why it was closed otherwise
}

const selectShelf = `
	SELECT s.id, s.consumer, s.type, s.subject, s.reason, s.payload, s.attempts, s.opened_at, s.closed_at, s.closed_by,
	       s.replayed, s.note,
	       (SELECT count(*) FROM shelf o WHERE o.replayed AND o.id <> s.id
	        AND (o.consumer, o.type, o.subject) = (s.consumer, s.type, s.subject)) AS replays
	FROM shelf s `

// OpenShelf returns the open rows of the shelf, oldest first.
func OpenShelf(ctx context.Context, r postgres.Reader) ([]ShelfRow, error) {
	var rows []ShelfRow
	err := r.Select(ctx, &rows, selectShelf+`WHERE s.closed_at IS NULL ORDER BY s.opened_at, s.id`)
	return rows, err
}

// LatestShelf returns the newest rows of the shelf, open or closed.
func LatestShelf(ctx context.Context, r postgres.Reader, most int) ([]ShelfRow, error) {
	var rows []ShelfRow
	err := r.Select(ctx, &rows, selectShelf+`ORDER BY s.opened_at DESC, s.id DESC LIMIT $1`, most)
	return rows, err
}

// CountShelf counts the open rows of the shelf.
func CountShelf(ctx context.Context, r postgres.Reader) (n int, err error) {
	err = r.Get(ctx, &n, `SELECT count(*) FROM shelf WHERE closed_at IS NULL`)
	return n, err
}

// Shelved returns one row of the shelf; sql.ErrNoRows when there is none.
func Shelved(ctx context.Context, r postgres.Reader, id string) (ShelfRow, error) {
	var row ShelfRow
	err := r.Get(ctx, &row, selectShelf+`WHERE s.id = $1`, id)
	return row, err
}

// CloseShelf closes an open row in the name of by, with the reason why nothing
// is left to do, and returns it; postgres.ErrStale when somebody else closed it
// before.
func CloseShelf(ctx context.Context, tx *postgres.Tx, id, by, note string) (ShelfRow, error) {
	return closeShelf(ctx, tx, id, by, note, false)
}

// TakeShelf closes an open row in the name of by because its bell is rung again
// in the same transaction, and returns it; postgres.ErrStale when somebody else
// closed it before.
func TakeShelf(ctx context.Context, tx *postgres.Tx, id, by string) (ShelfRow, error) {
	return closeShelf(ctx, tx, id, by, "", true)
}

func closeShelf(ctx context.Context, tx *postgres.Tx, id, by, note string, replayed bool) (ShelfRow, error) {
	if err := tx.ExecOne(ctx, `
		UPDATE shelf SET closed_at = now(), closed_by = $2, note = $3, replayed = $4
		WHERE id = $1 AND closed_at IS NULL`, id, by, clean(note), replayed); err != nil {
		return ShelfRow{}, err
	}
	return Shelved(ctx, tx, id)
}

// Event reads the shelved event; an error when the payload is no event, as with
// ReasonInvalid.
func (s ShelfRow) Event() (Event, error) { return decode(s.Type, s.Payload) }

// classifyEvent is the classification of a working queue: what is no valid
// event goes to the shelf at once, since trying again cannot mend it.
func classifyEvent(queue string) func(amqp.Delivery) (Event, *entry) {
	return func(d amqp.Delivery) (Event, *entry) {
		e, err := received(d)
		if err == nil {
			return e, nil
		}
		return Event{}, misfit(d, queue, reason(ReasonInvalid, err.Error()))
	}
}

// classifyDead is the classification of the dead-letter queue: all of it goes
// to the shelf, in the name of the queue that gave it up.
func classifyDead(d amqp.Delivery) (Event, *entry) {
	text := func(header string) string { s, _ := d.Headers[header].(string); return s }
	queue := text("x-first-death-queue")
	if queue == "" {
		queue = QueueShelf
	}
	return Event{}, misfit(d, queue, reason(ReasonDeadLetter, text("x-first-death-reason")))
}

func misfit(d amqp.Delivery, queue, why string) *entry {
	var named struct {
		Subject string `json:"subject"`
	}
	_ = json.Unmarshal(d.Body, &named) // what cannot be read is named by its content below
	id, err := uuid.Parse(named.Subject)
	if err != nil {
		id = uuid.NewSHA1(uuid.Nil, d.Body)
	}
	event := Event{ID: clean(d.MessageId), Request: clean(d.CorrelationId), TraceParent: parentOf(d)}
	return &entry{consumer: queue, kind: clean(d.RoutingKey), subject: id.String(), event: event, reason: why, body: d.Body}
}

func reason(code, detail string) string {
	text := clean(code + ": " + detail)
	if len(text) > maxReason {
		text = strings.ToValidUTF8(text[:maxReason], "")
	}
	return text
}

// clean makes text that Postgres can store.
func clean(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}

// countFailure records one failure of an event and, with the last one, opens
// its shelf row in the same transaction. It returns the true count.
func (w *worker) countFailure(ctx context.Context, it item, cause error) (int, error) {
	var attempts int
	count := func(body []byte) error {
		return w.db.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
			why := reason(ReasonFailed, cause.Error())
			if err := tx.Get(ctx, &attempts, `
				INSERT INTO delivery_attempt AS a (consumer, message_id, attempts, last_error, at)
				VALUES ($1, $2, 1, $3, now())
				ON CONFLICT (consumer, message_id)
				DO UPDATE SET attempts = a.attempts + 1, last_error = excluded.last_error, at = excluded.at
				RETURNING attempts`, w.queue, it.event.ID, why); err != nil {
				return fmt.Errorf("counting a failure: %w", err)
			}
			if attempts < maxFailures {
				return nil
			}
			return w.openRow(ctx, tx, entry{
				consumer: w.queue, kind: it.event.Type, subject: it.event.Subject,
				event: it.event, reason: why, body: body, attempts: attempts,
			})
		})
	}
	err := storable(it.delivery.Body, count)
	return attempts, err
}

// shelve opens the shelf row of a message that is no event.
func (w *worker) shelve(ctx context.Context, e entry) error {
	return Hold(storable(e.body, func(body []byte) error {
		e.body = body
		return w.db.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error { return w.openRow(ctx, tx, e) })
	}))
}

// storable runs write with the payload as JSON, and once more with the payload
// wrapped when Postgres would not have it: jsonb refuses some valid JSON, such
// as \u0000.
func storable(body []byte, write func([]byte) error) error {
	wrapped := fmt.Appendf(nil, `{"base64": %q}`, base64.StdEncoding.EncodeToString(body))
	if !json.Valid(body) || len(bytes.TrimSpace(body)) == 0 {
		return write(wrapped)
	}
	err := write(body)
	if err == nil || postgres.Foreign(err) {
		return err
	}
	return write(wrapped)
}

func (w *worker) openRow(ctx context.Context, tx *postgres.Tx, e entry) error {
	id, err := uuid.NewV7()
	if err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, `
		INSERT INTO shelf (id, consumer, type, subject, reason, payload, attempts, opened_at)
		VALUES ($1, $2, $3, $4, $5, $6::jsonb, $7, now())
		ON CONFLICT (consumer, type, subject) WHERE closed_at IS NULL
		DO UPDATE SET reason = excluded.reason, payload = excluded.payload, attempts = excluded.attempts`,
		id, e.consumer, e.kind, e.subject, e.reason, string(e.body), e.attempts); err != nil {
		return fmt.Errorf("opening a shelf row: %w", err)
	}
	tx.OnCommit(func() {
		handled.WithLabelValues(w.queue, "shelved").Inc()
		w.note(func(s *ConsumerStatus) { s.Shelved++; s.LastError, s.ErrorAt = e.reason, time.Now() })
		named := Event{ID: e.event.ID, Type: e.kind, Subject: e.subject, Request: e.event.Request, TraceParent: e.event.TraceParent}
		w.b.log.Error().Func(named.mark).Str("queue", e.consumer).Str("reason", e.reason).Int("attempts", e.attempts).
			Msg("message put on the shelf")
	})
	return nil
}

// PruneAttempts forgets the failures recorded before olderThan ago.
func PruneAttempts(ctx context.Context, db *postgres.DB, olderThan time.Duration) (gone int64, err error) {
	for {
		var n int64
		err = db.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
			n, err = tx.Exec(ctx, `
				DELETE FROM delivery_attempt WHERE (consumer, message_id) IN (
					SELECT consumer, message_id FROM delivery_attempt WHERE at < now() - make_interval(secs => $1)
					ORDER BY at LIMIT $2)`, olderThan.Seconds(), pruneChunk)
			return err
		})
		if gone += n; err != nil || n < pruneChunk {
			return gone, err
		}
	}
}

// pruneChunk bounds the rows of one DELETE.
const pruneChunk = 1000
