package perso

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"dukcapil.go.id/sifilma/pkg/identity"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/postgres"
)

// Decision settles a card in doubt.
type Decision string

// Decisions. A station proposes one by reading the card.
const (
	DecideComplete Decision = "complete" // the card is finished: accept it
	DecideResume   Decision = "resume"   // write the rest, same content
	DecideSpoil    Decision = "spoil"    // set the card aside for good

	// DecideDoubt is about a card that is not in doubt yet: its station is not heard of
	// any more.
	DecideDoubt Decision = "doubt"
)

// DecisionLabels are the Indonesian names of the decisions.
var DecisionLabels = map[Decision]string{
	DecideComplete: "Terima sebagai selesai", DecideResume: "Lanjutkan penulisan", DecideSpoil: "Nyatakan rusak",
	DecideDoubt: "Nyatakan meragukan",
}

var (
	// ErrNotInDoubt says that there is nothing to decide on the card.
	ErrNotInDoubt = errors.New("perso: card is not in doubt")
	// ErrUnknownDecision says that there is no such decision.
	ErrUnknownDecision = errors.New("perso: unknown decision")
	// ErrNotObserved says that the station has not found the card to allow the
	// decision: only what was read from the card can be completed or resumed,
	// anything else can only be spoiled.
	ErrNotObserved = errors.New("perso: the card was not found to allow this decision")
	// ErrReasonMissing says that a decision wants a reason.
	ErrReasonMissing = errors.New("perso: reason missing")
	// ErrResolutionOpen says that another decision waits for its second person.
	ErrResolutionOpen = errors.New("perso: a decision waits for confirmation")
	// ErrNoResolution says that there is no decision to confirm.
	ErrNoResolution = errors.New("perso: no decision to confirm")
	// ErrVoided says that the decision to confirm has no force any more: the card was
	// read again since and is not as it was, or its result is known.
	ErrVoided = errors.New("perso: the decision is void, for the card was read again")
	// ErrSamePerson says that whoever decided cannot confirm.
	ErrSamePerson = errors.New("perso: the second person must be another one")
	// ErrSawPassword says that one of the two has seen the other's password for once,
	// so that they may be one person.
	ErrSawPassword = errors.New("perso: one of the two has seen the other's password")
	// ErrNotResolved says that two people have not decided this.
	ErrNotResolved = errors.New("perso: not decided by two people")
)

// Resolution is a decision on a card in doubt. It takes effect when a second
// person confirms it.
type Resolution struct {
	ID          string     `db:"id" json:"id"`
	CardID      string     `db:"card_id" json:"-"`
	CardVersion int64      `db:"card_version" json:"-"`
	Reading     string     `db:"reading" json:"-"` // of the card that it was decided on
	Decision    Decision   `db:"decision" json:"decision"`
	Reason      string     `db:"reason" json:"reason"`
	DecidedBy   string     `db:"decided_by" json:"decided_by"`
	ConfirmedBy *string    `db:"confirmed_by" json:"confirmed_by"`
	DecidedAt   time.Time  `db:"decided_at" json:"decided_at"`
	ConfirmedAt *time.Time `db:"confirmed_at" json:"confirmed_at"`
	// VoidedAt is when another reading of the card, or its result, took its force.
	VoidedAt *time.Time `db:"voided_at" json:"voided_at"`
}

const (
	resolutionColumns = `id, card_id, card_version, reading, decision, reason, decided_by, confirmed_by, decided_at, confirmed_at, voided_at `
	selectResolution  = `SELECT ` + resolutionColumns + `FROM card_resolution `
)

// ProposeResolution records the first person's decision on a card in doubt, or one that
// its station has abandoned, as it was seen. It changes nothing on the card. The same decision by the same person again is
// no error. postgres.ErrStale when the doubt, or what was read of the card, is another
// than was seen.
func ProposeResolution(ctx context.Context, tx *postgres.Tx, card Seen, d Decision, ch Change) (Resolution, error) {
	cardID := card.ID
	h, err := lockFor(ctx, tx, card, ch)
	if err != nil {
		return Resolution{}, err
	}
	if err := decidable(h.Card, d); err != nil {
		return Resolution{}, err
	}
	if h.Card.State == InDoubt && card.Reading != nil && *card.Reading != h.Attempt.Reading {
		return Resolution{}, postgres.ErrStale
	}
	switch d {
	case DecideSpoil:
	case DecideDoubt:
		if err := stationHeard(ctx, tx, cardID); err != nil {
			return Resolution{}, err
		}
	case DecideComplete, DecideResume:
		if h.Attempt.Proposal != d {
			return Resolution{}, ErrNotObserved
		}
	default:
		return Resolution{}, ErrUnknownDecision
	}
	if ch.Reason == "" {
		return Resolution{}, ErrReasonMissing
	}
	open, err := openResolution(ctx, tx, cardID)
	switch {
	case err == nil && open.allowed(h) && open.Decision == d && open.DecidedBy == ch.Actor.Name:
		return open, nil
	case err == nil && open.allowed(h):
		return Resolution{}, ErrResolutionOpen
	case err == nil: // about a doubt that is over
		if err := withdraw(ctx, tx, open); err != nil {
			return Resolution{}, err
		}
	case !errors.Is(err, ErrNoResolution):
		return Resolution{}, err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return Resolution{}, fmt.Errorf("perso: resolution id: %w", err)
	}
	r := Resolution{
		ID: id.String(), CardID: cardID, CardVersion: h.Card.Version, Reading: h.Attempt.Reading, Decision: d, Reason: ch.Reason,
		DecidedBy: ch.Actor.Name, DecidedAt: ch.OfficeAt.UTC(),
	}
	if err := tx.ExecOne(ctx, `
		INSERT INTO card_resolution (id, card_id, attempt, card_version, reading, decision, reason, decided_by, decided_at)
		VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9)`,
		r.ID, cardID, h.Card.Attempt, r.CardVersion, r.Reading, string(d), r.Reason, r.DecidedBy, r.DecidedAt); err != nil {
		return Resolution{}, fmt.Errorf("perso: decision: %w", err)
	}
	w := &walk{tx: tx, card: h.Card, change: ch}
	return r, w.note(ctx, "card.resolution.propose", map[string]any{"decision": d, "reason": ch.Reason, "attempt": h.Attempt.Number})
}

// SeenDecision is a decision that waits, as somebody had it before their eyes.
type SeenDecision struct {
	Card Seen
	ID   string // of the Resolution
}

// WithdrawResolution takes back the decision that was seen and is not confirmed.
// Whoever may decide may do so, so that a wrong decision cannot block a card.
func WithdrawResolution(ctx context.Context, tx *postgres.Tx, seen SeenDecision, ch Change) error {
	h, open, err := seen.open(ctx, tx, ch)
	if err != nil {
		return err
	}
	if err := withdraw(ctx, tx, open); err != nil {
		return err
	}
	w := &walk{tx: tx, card: h.Card, change: ch}
	return w.note(ctx, "card.resolution.withdraw", map[string]any{"decision": open.Decision, "decided_by": open.DecidedBy})
}

func withdraw(ctx context.Context, tx *postgres.Tx, open Resolution) error {
	if err := tx.ExecOne(ctx, `DELETE FROM card_resolution WHERE id=$1 AND confirmed_by IS NULL AND voided_at IS NULL`, open.ID); err != nil {
		return fmt.Errorf("perso: withdrawing: %w", err)
	}
	return nil
}

// allowed says whether the card is still in the doubt that was decided on, as it was
// read then, and allows the decision.
func (r Resolution) allowed(h Hand) bool {
	return r.CardVersion == h.Card.Version && r.Reading == h.Attempt.Reading && (r.Decision == DecideSpoil || r.Decision == DecideDoubt || r.Decision == h.Attempt.Proposal)
}

// open locks the card and returns the decision that waits, if it is the one that was
// seen, about the doubt that was seen: postgres.ErrStale or ErrVoided otherwise.
func (s SeenDecision) open(ctx context.Context, tx *postgres.Tx, ch Change) (Hand, Resolution, error) {
	h, err := lockFor(ctx, tx, s.Card, ch)
	if err != nil {
		return Hand{}, Resolution{}, err
	}
	open, err := openResolution(ctx, tx, s.Card.ID)
	switch {
	case err == nil && open.ID != s.ID:
		err = postgres.ErrStale
	case errors.Is(err, ErrNoResolution) && s.ID != "":
		var void bool
		if gerr := tx.Get(ctx, &void, `SELECT EXISTS (SELECT FROM card_resolution WHERE id = $1 AND card_id = $2 AND voided_at IS NOT NULL)`, s.ID, s.Card.ID); gerr != nil {
			err = fmt.Errorf("perso: decision: %w", gerr)
		} else if void {
			err = ErrVoided
		}
	}
	return h, open, err
}

// ConfirmResolution is the second person's word on the decision that was seen:
// complete, spoil and doubt move the card now; resume leaves it in doubt for the station that
// has the card in a slot. Each rings card.resolved, so that stations and scheduler look.
func ConfirmResolution(ctx context.Context, tx *postgres.Tx, seen SeenDecision, ch Change) (Card, error) {
	h, open, err := seen.open(ctx, tx, ch)
	if err != nil {
		return Card{}, err
	}
	if open.DecidedBy == ch.Actor.Name {
		return Card{}, ErrSamePerson
	}
	if saw, err := identity.SawPassword(ctx, tx, open.DecidedBy, ch.Actor.Name, ch.OfficeAt); err != nil {
		return Card{}, err
	} else if saw {
		return Card{}, ErrSawPassword
	}
	if !open.allowed(h) {
		return Card{}, ErrNotObserved
	}
	if open.Decision == DecideDoubt {
		if err := stationHeard(ctx, tx, h.Card.ID); err != nil {
			return Card{}, err
		}
	}
	if err := tx.ExecOne(ctx, `
		UPDATE card_resolution SET confirmed_by=$2, confirmed_at=$3 WHERE id=$1 AND confirmed_by IS NULL AND voided_at IS NULL`,
		open.ID, ch.Actor.Name, ch.OfficeAt.UTC()); err != nil {
		return Card{}, fmt.Errorf("perso: confirming: %w", err)
	}
	if ch.Reason == "" {
		ch.Reason = open.Reason
	}
	w := &walk{tx: tx, card: h.Card, change: ch}
	detail := map[string]any{"decision": open.Decision, "decided_by": open.DecidedBy}
	if err := w.note(ctx, "card.resolution.confirm", map[string]any{
		"decision": open.Decision, "decided_by": open.DecidedBy, "reason": ch.Reason, "attempt": h.Attempt.Number,
	}); err != nil {
		return Card{}, err
	}
	switch open.Decision {
	case DecideComplete:
		err = w.take(ctx, CompleteVerb, detail, ``)
	case DecideSpoil:
		if err = w.take(ctx, SpoilVerb, detail, `, finished_at=$6`, ch.OfficeAt.UTC()); err == nil {
			err = endAttempt(ctx, tx, h.Attempt.ID, "spoiled")
		}
	case DecideResume:
		// Not a step yet; the message is what the station waits for.
		w.ring(resolvedMessage)
	case DecideDoubt:
		return abandon(ctx, w, h, detail)
	}
	if err != nil {
		return Card{}, err
	}
	return w.card, w.done(ctx)
}

// Resolved returns what two people decided about the present doubt of a card, as it was
// read last; the newest decision if there are several; empty if nothing.
func Resolved(ctx context.Context, r postgres.Reader, c Card) (Decision, error) {
	var d Decision
	err := r.Get(ctx, &d, `
		SELECT decision FROM card_resolution
		WHERE card_id = $1 AND card_version = $2 AND confirmed_by IS NOT NULL AND voided_at IS NULL ORDER BY id DESC LIMIT 1`, c.ID, c.Version)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("perso: decision: %w", err)
	}
	return d, nil
}

// OpenDecision is the decision on a card that waits for its second person, as it is
// now, for whoever looks and acts in one breath. Errors: ErrNotFound, ErrNotInDoubt,
// ErrNoResolution.
func OpenDecision(ctx context.Context, r postgres.Reader, cardID string) (SeenDecision, error) {
	c, err := Get(ctx, r, cardID)
	if err != nil {
		return SeenDecision{}, err
	}
	if c.State != InDoubt && !slices.Contains(abandonable, c.State) {
		return SeenDecision{}, ErrNotInDoubt
	}
	open, err := openResolution(ctx, r, cardID)
	return SeenDecision{Card: Seen{ID: c.ID, Version: c.Version}, ID: open.ID}, err
}

// lockFor locks a card that is in doubt, or that a station has, for a person who may
// decide on it.
func lockFor(ctx context.Context, tx *postgres.Tx, seen Seen, ch Change) (Hand, error) {
	if !slices.Contains(resolvers, ch.Actor.Role) {
		return Hand{}, &machine.RoleError{Machine: Machine.Name, Verb: SpoilVerb, Role: ch.Actor.Role}
	}
	c, err := getCard(ctx, tx, `WHERE id = $1 FOR UPDATE`, seen.ID)
	if err != nil {
		return Hand{}, err
	}
	if c.State != InDoubt && !slices.Contains(abandonable, c.State) {
		return Hand{}, ErrNotInDoubt
	}
	if c.Version != seen.Version {
		return Hand{}, postgres.ErrStale
	}
	return hand(ctx, tx, c, selectPublicAttempt)
}

func openResolution(ctx context.Context, r postgres.Reader, cardID string) (Resolution, error) {
	var one Resolution
	err := r.Get(ctx, &one, selectResolution+`WHERE card_id = $1 AND confirmed_by IS NULL AND voided_at IS NULL`, cardID)
	if errors.Is(err, sql.ErrNoRows) {
		return Resolution{}, ErrNoResolution
	}
	if err != nil {
		return Resolution{}, fmt.Errorf("perso: decision: %w", err)
	}
	return one, nil
}

// presentResolutions are the newest decisions on cards that are in doubt, about the
// doubt they are in; each is in force or void.
func presentResolutions(ctx context.Context, r postgres.Reader, where string, arg any) (valid, void map[string]Resolution, err error) {
	var all []Resolution
	if err := r.Select(ctx, &all, `
		SELECT DISTINCT ON (s.card_id, s.voided_at IS NULL) s.id, s.card_id, s.card_version, s.reading, s.decision, s.reason, s.decided_by,
		       s.confirmed_by, s.decided_at, s.confirmed_at, s.voided_at
		FROM card_resolution s JOIN card c ON c.id = s.card_id AND c.version = s.card_version
		WHERE `+where+` ORDER BY s.card_id, s.voided_at IS NULL, s.id DESC`, arg); err != nil {
		return nil, nil, fmt.Errorf("perso: decisions: %w", err)
	}
	valid, void = map[string]Resolution{}, map[string]Resolution{}
	for _, one := range all {
		if one.VoidedAt == nil {
			valid[one.CardID] = one
		} else {
			void[one.CardID] = one
		}
	}
	for id, one := range void { // decided anew since
		if now, is := valid[id]; is && now.ID > one.ID {
			delete(void, id)
		}
	}
	return valid, void, nil
}
