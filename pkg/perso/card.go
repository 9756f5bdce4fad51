package perso

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"dukcapil.go.id/sifilma/pkg/audit"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/outbox"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
)

// ErrNotFound says that there is no such card.
var ErrNotFound = errors.New("perso: card not found")

// Change is who takes a step, why, and at what office time.
type Change = request.Change

// Card is a listed card as it stands on the line.
type Card struct {
	ID          string        `db:"id"`
	RequestID   string        `db:"request_id"`
	Serial      string        `db:"serial"` // as printed on the card's body
	State       machine.State `db:"state"`
	Version     int64         `db:"version"`
	ChipID      string        `db:"chip_id"`       // empty until bound
	WorkOrderID string        `db:"work_order_id"` // empty until claimed
	Attempt     int           `db:"attempt"`       // of the last claim, from 1
	PCID        string        `db:"pcid"`          // 32 hexadecimal digits; empty until numbered
	ManifestNo  string        `db:"manifest_no"`
	Reason      string        `db:"reason"`      // of a failure or doubt, for people
	ByHand      bool          `db:"by_hand"`     // numbered or given a result by people, for a manual work order
	TraceParent string        `db:"traceparent"` // of the request
}

// Attempt is one try to write a card. Its id is the marker on the card.
type Attempt struct {
	ID            string          `db:"id"`
	CardID        string          `db:"card_id"`
	Number        int             `db:"attempt"`
	WorkOrderID   string          `db:"work_order_id"`
	Station       string          `db:"station"`
	Reader        string          `db:"reader"`
	ChipID        string          `db:"chip_id"`
	Profile       string          `db:"profile"`
	ProfileSHA256 []byte          `db:"profile_sha256"`
	ProfileID     string          `db:"profile_id"` // empty for attempts of before profiles were in the database
	Sealed        []byte          `db:"sealed"`     // the card's secrets, wrapped by the HSM
	Intent        json.RawMessage `db:"intent"`
	Proposal      Decision        `db:"proposal"` // what the station found the card to allow
	Observed      json.RawMessage `db:"observed"`
	Reading       string          `db:"reading"` // fingerprint of what was observed; empty while nothing was
	Outcome       string          `db:"outcome"`
	Counted       bool            `db:"counted"` // the work order has counted this card
}

// Hand is a card in a station's hand with the attempt it is written by.
type Hand struct {
	Card    Card
	Attempt Attempt
}

const selectCard = `
	SELECT id, request_id, serial, state, version, coalesce(chip_id, '') AS chip_id,
	       coalesce(work_order_id::text, '') AS work_order_id, attempt, coalesce(pcid, '') AS pcid,
	       coalesce(manifest_no, '') AS manifest_no, reason, by_hand,
	       (SELECT r.traceparent FROM request r WHERE r.id = request_id) AS traceparent
	FROM card `

const selectAttempt = `
	SELECT id, card_id, attempt, work_order_id, station, reader, chip_id, profile, profile_sha256, coalesce(profile_id::text, '') AS profile_id,
	       coalesce(sealed, '') AS sealed, intent, proposal, observed, reading, outcome, counted
	FROM perso_attempt `

// selectPublicAttempt leaves out what only stations may read.
const selectPublicAttempt = `
	SELECT id, card_id, attempt, work_order_id, station, reader, chip_id, profile, profile_sha256, coalesce(profile_id::text, '') AS profile_id,
	       '\x'::bytea AS sealed, intent, proposal, observed, reading, outcome
	FROM perso_attempt `

func getCard(ctx context.Context, r postgres.Reader, where string, args ...any) (Card, error) {
	var c Card
	err := r.Get(ctx, &c, selectCard+where, args...)
	if errors.Is(err, sql.ErrNoRows) {
		return Card{}, ErrNotFound
	}
	if err != nil {
		return Card{}, fmt.Errorf("perso: reading card: %w", err)
	}
	return c, nil
}

// Get returns a card.
func Get(ctx context.Context, r postgres.Reader, cardID string) (Card, error) {
	return getCard(ctx, r, `WHERE id = $1`, cardID)
}

// CardRequest returns the request a card belongs to.
func CardRequest(ctx context.Context, r postgres.Reader, cardID string) (requestID string, err error) {
	c, err := Get(ctx, r, cardID)
	return c.RequestID, err
}

// hand adds the newest attempt to a card; a card never claimed has none. For
// people, query is selectPublicAttempt.
func hand(ctx context.Context, r postgres.Reader, c Card, query string) (Hand, error) {
	h := Hand{Card: c}
	if c.Attempt == 0 {
		return h, nil
	}
	if err := r.Get(ctx, &h.Attempt, query+`WHERE card_id = $1 AND attempt = $2`, c.ID, c.Attempt); err != nil {
		return Hand{}, fmt.Errorf("perso: reading attempt: %w", err)
	}
	return h, nil
}

// Reload reads a hand again, after a commit of unknown outcome for instance.
func Reload(ctx context.Context, r postgres.Reader, cardID string) (Hand, error) {
	c, err := Get(ctx, r, cardID)
	if err != nil {
		return Hand{}, err
	}
	return hand(ctx, r, c, selectAttempt)
}

// walk takes steps with one card inside one transaction: each a
// compare-and-set on id, state, version and attempt; the timeline and the
// messages are written once, by done.
type walk struct {
	tx       *postgres.Tx
	card     Card
	change   Change
	records  []machine.Record
	messages []outbox.Message
}

// take does one verb. set adds assignments to the UPDATE, with parameters from
// $6 on.
func (w *walk) take(ctx context.Context, verb machine.Verb, detail map[string]any, set string, args ...any) error {
	step, err := Machine.Step(w.card.State, verb, w.change.Actor.Role)
	if err != nil {
		return err
	}
	c := &w.card
	err = w.tx.ExecOne(ctx, `
		UPDATE card SET state=$5, version=version+1`+set+`
		WHERE id=$1 AND state=$2 AND version=$3 AND attempt=$4`,
		append([]any{c.ID, string(c.State), c.Version, c.Attempt, string(step.To)}, args...)...)
	if err != nil {
		return fmt.Errorf("perso: %s: %w", verb, err)
	}
	c.State, c.Version = step.To, c.Version+1
	w.records = append(w.records, machine.Record{
		Subject: c.ID, Request: c.RequestID, Version: c.Version, Step: step, Actor: w.change.Actor,
		Reason: w.change.Reason, Detail: detail, OfficeAt: w.change.OfficeAt, TraceParent: c.TraceParent,
	})
	if step.Message != "" {
		w.ring(step.Message)
	}
	return nil
}

// ring announces the card by a message, once however many steps ask for it.
func (w *walk) ring(messageType string) {
	m := outbox.Message{
		Type: messageType, Subject: w.card.ID, Version: w.card.Version, Request: w.card.RequestID, TraceParent: w.card.TraceParent,
	}
	for i := range w.messages {
		if w.messages[i].Type == messageType {
			w.messages[i] = m
			return
		}
	}
	w.messages = append(w.messages, m)
}

func (w *walk) done(ctx context.Context) error {
	if err := Machine.Write(ctx, w.tx, w.records...); err != nil {
		return err
	}
	if len(w.messages) == 0 {
		return nil
	}
	return outbox.Put(ctx, w.tx, w.messages...)
}

// note puts the card's fate into the audit.
func (w *walk) note(ctx context.Context, action string, detail map[string]any) error {
	return audit.Record(ctx, w.tx, audit.Entry{
		Actor: w.change.Actor.Name, Action: action, Subject: w.card.ID, Request: w.card.RequestID, Detail: detail,
	})
}
