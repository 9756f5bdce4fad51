package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/lib/pq"
	amqp "github.com/rabbitmq/amqp091-go"

	"dukcapil.go.id/sifilma/pkg/rabbit"
)

const (
	floorQueue  = "bench.floor"
	floorWindow = 1000 // unconfirmed messages
	floorBody   = 1024 // bytes
)

// publishFloor is the broker alone: n persistent messages of 1 KB into a quorum
// queue, at most 1000 of them unconfirmed. Messages a second.
func (h *hopBench) publishFloor(ctx context.Context) (_ float64, err error) {
	conn, err := h.g.dial(hopVhost)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	ch, err := conn.Channel()
	if err != nil {
		return 0, err
	}
	if err := ch.Confirm(false); err != nil {
		return 0, err
	}
	if _, err := ch.QueueDeclare(floorQueue, true, false, false, false, amqp.Table{amqp.QueueTypeArg: amqp.QueueTypeQuorum}); err != nil {
		return 0, err
	}
	message := amqp.Publishing{DeliveryMode: amqp.Persistent, Body: make([]byte, floorBody)}
	flying := make([]*amqp.DeferredConfirmation, 0, h.n)
	land := func(c *amqp.DeferredConfirmation) error {
		acked, err := c.WaitContext(ctx)
		if err == nil && !acked {
			err = errors.New("the broker refused a message")
		}
		return err
	}
	began := time.Now()
	for i := range h.n {
		if i >= floorWindow {
			if err := land(flying[i-floorWindow]); err != nil {
				return 0, err
			}
		}
		c, err := ch.PublishWithDeferredConfirmWithContext(ctx, "", floorQueue, false, false, message)
		if err != nil {
			return 0, err
		}
		flying = append(flying, c)
	}
	for _, c := range flying[max(0, h.n-floorWindow):] {
		if err := land(c); err != nil {
			return 0, err
		}
	}
	rate := float64(h.n) / time.Since(began).Seconds()
	q, err := ch.QueueDeclarePassive(floorQueue, true, false, false, false, nil)
	if err != nil {
		return 0, err
	}
	if q.Messages != h.n {
		return 0, fmt.Errorf("%d messages were confirmed, %d are in the queue", h.n, q.Messages)
	}
	_, err = ch.QueueDelete(floorQueue, false, false, false)
	return rate, err
}

// insertFloor is the database alone: the rows that n hops write, history and
// outbox, 100 of each in a transaction, one connection, prepared statements.
// Messages a second.
func (h *hopBench) insertFloor(ctx context.Context) (_ float64, err error) {
	if err := h.clear(ctx); err != nil {
		return 0, err
	}
	db, err := h.g.admin(hopDatabase)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	conn, err := db.Conn(ctx)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	history, err := conn.PrepareContext(ctx, `
		INSERT INTO history (id, machine, subject, version, from_state, verb, to_state, actor, role, office_at)
		SELECT id, 'bench', subject, 2, 'waiting', 'do', 'done', 'bench', 'bench', $3
		FROM unnest($1::uuid[], $2::uuid[]) AS r (id, subject)`)
	if err != nil {
		return 0, err
	}
	defer func() { _ = history.Close() }()
	messages, err := conn.PrepareContext(ctx, `
		INSERT INTO outbox (id, type, subject, version)
		SELECT id, $3, subject, 2 FROM unnest($1::uuid[], $2::uuid[]) AS r (id, subject)`)
	if err != nil {
		return 0, err
	}
	defer func() { _ = messages.Close() }()
	began := time.Now()
	for left := h.n; left > 0; left -= min(left, hopBatch) {
		size := min(left, hopBatch)
		subjects := pq.Array(freshIDs(size))
		for _, do := range []func() error{
			func() error { _, err := conn.ExecContext(ctx, `BEGIN`); return err },
			func() error {
				_, err := history.ExecContext(ctx, pq.Array(freshIDs(size)), subjects, began)
				return err
			},
			func() error {
				_, err := messages.ExecContext(ctx, pq.Array(freshIDs(size)), subjects, rabbit.RequestAccepted)
				return err
			},
			func() error { _, err := conn.ExecContext(ctx, `COMMIT`); return err },
		} {
			if err := do(); err != nil {
				return 0, err
			}
		}
	}
	rate := float64(h.n) / time.Since(began).Seconds()
	var rows, bells int
	if err := db.QueryRowContext(ctx, `SELECT (SELECT count(*) FROM history), (SELECT count(*) FROM outbox)`).Scan(&rows, &bells); err != nil {
		return 0, err
	}
	if rows != h.n || bells != h.n {
		return 0, fmt.Errorf("%d and %d rows instead of %d", rows, bells, h.n)
	}
	return rate, nil
}

func freshIDs(n int) []string {
	ids := make([]string, n)
	for i := range ids {
		ids[i] = uuid.Must(uuid.NewV7()).String()
	}
	return ids
}
