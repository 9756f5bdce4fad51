package perso

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"dukcapil.go.id/sifilma/pkg/audit"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
)

// HoldKind is why a lot, the part of a request that one work order is, waits for
// people.
type HoldKind string

// Kinds of holds.
const (
	FirstCardHold     HoldKind = "first_card"     // its first card is to be looked at
	EqualFailuresHold HoldKind = "equal_failures" // cards in a row failed for one cause
	StatusWordHold    HoldKind = "status_word"    // a card's answer says that the others would fail too
)

// HoldLabels are the kinds as people read them.
var HoldLabels = map[HoldKind]string{
	FirstCardHold: "Kartu pertama menunggu persetujuan", EqualFailuresHold: "Kartu gagal berturut-turut dengan sebab yang sama",
	StatusWordHold: "Jawaban kartu menghentikan seluruh lot",
}

// Hold keeps a station from beginning further cards of a lot.
type Hold struct {
	ID          string        `db:"id" json:"id"`
	WorkOrderID string        `db:"work_order_id" json:"work_order_id"`
	Kind        HoldKind      `db:"kind" json:"kind"`
	CardID      string        `db:"card_id" json:"card_id"` // the first card, or the last that failed
	Serial      string        `db:"serial" json:"serial"`   // of that card
	CardState   machine.State `db:"card_state" json:"card_state"`
	RequestID   string        `db:"request_id" json:"request_id"`
	Ticket      string        `db:"ticket" json:"ticket"`
	Cause       string        `db:"cause" json:"cause"` // in words for people; empty for a first card
	Station     string        `db:"station" json:"station"`
	OfficeAt    time.Time     `db:"office_at" json:"office_at"`
	LiftedBy    *string       `db:"lifted_by" json:"lifted_by"`
	Reason      *string       `db:"lifted_reason" json:"lifted_reason"`
	LiftedAt    *time.Time    `db:"lifted_office_at" json:"lifted_at"` // office time
}

var (
	// ErrNoHold says that there is no such hold.
	ErrNoHold = errors.New("perso: no such hold of a lot")
	// ErrLifted says that the hold was lifted already.
	ErrLifted = errors.New("perso: the lot is not held by it any more")
	// ErrFirstNotClear says that a first card is not clear yet, so that nobody can have
	// looked at it.
	ErrFirstNotClear = errors.New("perso: the first card is not clear")
	// ErrLiftReason says that whoever lifts a hold must say what was found.
	ErrLiftReason = errors.New("perso: a hold is lifted with a reason")
)

const selectHold = `
	SELECT h.id, h.work_order_id, h.kind, h.card_id, c.serial, c.state AS card_state, c.request_id, r.ticket, h.cause, h.station, h.office_at,
	       h.lifted_by, h.lifted_reason, h.lifted_office_at
	FROM lot_hold h JOIN card c ON c.id = h.card_id JOIN request r ON r.id = c.request_id `

// holdsShown is how many lifted holds are shown.
const holdsShown = 50

// Holds returns the open holds, oldest first, and behind them the newest lifted ones.
func Holds(ctx context.Context, r postgres.Reader) ([]Hold, error) {
	all := []Hold{}
	if err := r.Select(ctx, &all, selectHold+`WHERE h.lifted_by IS NULL ORDER BY h.at, h.id`); err != nil {
		return nil, fmt.Errorf("perso: holds: %w", err)
	}
	var lifted []Hold
	if err := r.Select(ctx, &lifted, selectHold+`WHERE h.lifted_by IS NOT NULL ORDER BY h.lifted_at DESC, h.id LIMIT $1`, holdsShown); err != nil {
		return nil, fmt.Errorf("perso: lifted holds: %w", err)
	}
	return append(all, lifted...), nil
}

// CountHolds is how many holds are open.
func CountHolds(ctx context.Context, r postgres.Reader) (n int, err error) {
	if err := r.Get(ctx, &n, `SELECT count(*) FROM lot_hold WHERE lifted_by IS NULL`); err != nil {
		return 0, fmt.Errorf("perso: counting holds: %w", err)
	}
	return n, nil
}

// LiftHold has a lot go on: somebody has looked at the first card, or has done
// something about the cause; the reason says what. Errors: ErrNoHold, ErrLifted,
// ErrFirstNotClear, ErrLiftReason, *machine.RoleError.
func LiftHold(ctx context.Context, tx *postgres.Tx, id string, ch Change) (Hold, error) {
	if ch.Actor.Role != request.Operator && ch.Actor.Role != request.Kasubdit {
		return Hold{}, &machine.RoleError{Machine: "lot_hold", Verb: "lift", Role: ch.Actor.Role}
	}
	if ch.Reason = strings.TrimSpace(ch.Reason); ch.Reason == "" {
		return Hold{}, ErrLiftReason
	}
	var h Hold
	err := tx.Get(ctx, &h, selectHold+`WHERE h.id = $1 FOR UPDATE OF h`, id)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return h, ErrNoHold
	case err != nil:
		return h, fmt.Errorf("perso: hold: %w", err)
	case h.LiftedBy != nil:
		return h, ErrLifted
	case h.Kind == FirstCardHold && h.CardState != Clear:
		return h, ErrFirstNotClear
	}
	if err := tx.ExecOne(ctx, `UPDATE lot_hold SET lifted_by=$2, lifted_reason=$3, lifted_office_at=$4, lifted_at=clock_timestamp() WHERE id=$1`,
		id, ch.Actor.Name, ch.Reason, ch.OfficeAt.UTC()); err != nil {
		return h, fmt.Errorf("perso: lifting a hold: %w", err)
	}
	at := ch.OfficeAt.UTC()
	h.LiftedBy, h.Reason, h.LiftedAt = &ch.Actor.Name, &ch.Reason, &at
	return h, audit.Record(ctx, tx, audit.Entry{
		Actor: ch.Actor.Name, Action: "lot.released", Subject: h.WorkOrderID, Request: h.RequestID,
		Detail: map[string]any{"kind": h.Kind, "cause": h.Cause, "serial": h.Serial, "reason": ch.Reason},
	})
}

// admit says, as a *Refusal, that a lot is held; and makes a card the first of a lot
// that wants one to be looked at. A first card that did not become one gives its
// place to the next.
func admit(ctx context.Context, tx *postgres.Tx, orderID string, c Card, p Place, ch Change) error {
	var stopped bool
	if err := tx.Get(ctx, &stopped, `
		SELECT EXISTS (SELECT FROM lot_hold WHERE work_order_id = $1 AND kind <> 'first_card' AND lifted_by IS NULL)`, orderID); err != nil {
		return fmt.Errorf("perso: holds of an order: %w", err)
	}
	if stopped {
		return &Refusal{Why: LotStopped, CardID: c.ID}
	}
	if !p.FirstCard {
		return nil
	}
	id, err := uuid.NewV7()
	if err != nil {
		return fmt.Errorf("perso: hold id: %w", err)
	}
	// Two readers with the first two cards meet here: the second waits for the first.
	n, err := tx.Exec(ctx, `
		INSERT INTO lot_hold (id, work_order_id, kind, card_id, station, office_at) VALUES ($1,$2,'first_card',$3,$4,$5)
		ON CONFLICT (work_order_id) WHERE kind = 'first_card' DO NOTHING`, id.String(), orderID, c.ID, p.Station, ch.OfficeAt.UTC())
	if err != nil {
		return fmt.Errorf("perso: first card: %w", err)
	}
	if n == 1 {
		return nil
	}
	var first struct {
		ID     string        `db:"id"`
		CardID string        `db:"card_id"`
		Lifted bool          `db:"lifted"`
		State  machine.State `db:"state"`
	}
	if err := tx.Get(ctx, &first, `
		SELECT h.id, h.card_id, h.lifted_by IS NOT NULL AS lifted, c.state FROM lot_hold h JOIN card c ON c.id = h.card_id
		WHERE h.work_order_id = $1 AND h.kind = 'first_card' FOR UPDATE OF h`, orderID); err != nil {
		return fmt.Errorf("perso: first card: %w", err)
	}
	switch {
	case first.Lifted, first.CardID == c.ID:
		return nil
	case first.State == Failed, first.State == Spoiled, first.State == Reduced, first.State == Numbered:
	default:
		return &Refusal{Why: FirstCardWaits, CardID: c.ID}
	}
	if err := tx.ExecOne(ctx, `UPDATE lot_hold SET card_id=$2, station=$3, office_at=$4 WHERE id=$1`,
		first.ID, c.ID, p.Station, ch.OfficeAt.UTC()); err != nil {
		return fmt.Errorf("perso: another first card: %w", err)
	}
	return nil
}

// Blame is why an attempt did not make a SAM of its card.
type Blame struct {
	Cause string // in the same words for the same cause
	Limit int    // so many cards of the lot in a row with this cause stop it; 0 never
	Lot   bool   // the others would fail too: the lot stops now
}

// Lay keeps why an attempt that has just ended failed, and stops the lot where that
// is asked for: a wrong key or a bad batch would use up one blank after the other.
func Lay(ctx context.Context, tx *postgres.Tx, h Hand, b Blame, ch Change) error {
	if err := tx.ExecOne(ctx, `UPDATE perso_attempt SET cause=$2 WHERE id=$1`, h.Attempt.ID, b.Cause); err != nil {
		return fmt.Errorf("perso: cause: %w", err)
	}
	kind := StatusWordHold
	if !b.Lot {
		if b.Limit <= 0 || b.Cause == "" {
			return nil
		}
		kind = EqualFailuresHold
		var equal int
		// The newest attempt of each card since the lot was let go last.
		if err := tx.Get(ctx, &equal, `
			SELECT count(*) FILTER (WHERE cause = $2) FROM (
				SELECT cause FROM (
					SELECT DISTINCT ON (card_id) cause, ended_at, id FROM perso_attempt
					WHERE work_order_id = $1 AND ended_at > coalesce((SELECT max(lifted_at) FROM lot_hold WHERE work_order_id = $1), '-infinity')
					ORDER BY card_id, attempt DESC) AS newest
				ORDER BY ended_at DESC, id DESC LIMIT $3) AS last`, h.Attempt.WorkOrderID, b.Cause, b.Limit); err != nil {
			return fmt.Errorf("perso: equal failures: %w", err)
		}
		if equal < b.Limit {
			return nil
		}
	}
	id, err := uuid.NewV7()
	if err != nil {
		return fmt.Errorf("perso: hold id: %w", err)
	}
	n, err := tx.Exec(ctx, `
		INSERT INTO lot_hold (id, work_order_id, kind, card_id, cause, station, office_at) VALUES ($1,$2,$3,$4,$5,$6,$7)
		ON CONFLICT (work_order_id, kind) WHERE lifted_by IS NULL DO NOTHING`,
		id.String(), h.Attempt.WorkOrderID, string(kind), h.Card.ID, b.Cause, h.Attempt.Station, ch.OfficeAt.UTC())
	if err != nil {
		return fmt.Errorf("perso: stopping a lot: %w", err)
	}
	if n == 0 {
		return nil
	}
	return audit.Record(ctx, tx, audit.Entry{
		Actor: ch.Actor.Name, Action: "lot.stopped", Subject: h.Attempt.WorkOrderID, Request: h.Card.RequestID,
		Detail: map[string]any{"kind": kind, "cause": b.Cause, "serial": h.Card.Serial},
	})
}
