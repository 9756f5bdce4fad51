package report

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"dukcapil.go.id/sifilma/pkg/capacity"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/postgres"
)

// What became of a number.
const (
	NumberPresent = "present" // it is the card's
	NumberBurnt   = "burnt"   // it is the card's, which failed, is spoiled or was taken off
	NumberWiped   = "wiped"   // it was taken from the card before it was written, and is given to no other
)

// NumberLabels are the Indonesian names of what became of a number.
var NumberLabels = map[string]string{
	NumberPresent: "Berlaku", NumberBurnt: "Hangus bersama kartunya", NumberWiped: "Dihapus dan hangus",
}

// ChipNumber is a number that a card was given.
type ChipNumber struct {
	Kind       string    `db:"kind" json:"kind"` // ByPCID or ByManifest
	KindLabel  string    `db:"-" json:"kind_label"`
	Value      string    `db:"value" json:"value"`
	State      string    `db:"-" json:"state"`
	StateLabel string    `db:"-" json:"state_label"`
	GivenAt    time.Time `db:"allocated_at" json:"given_at"` // office time
}

// ChipDay is a work order on whose day a card was worked on, waited in vain, or is to be
// worked on. Orders are of a request's part, not of cards: a card that waits is of any of
// them.
type ChipDay struct {
	ID           string        `db:"id" json:"id"`
	Day          clock.Date    `db:"day" json:"day"`
	Mode         string        `db:"mode" json:"mode"`
	ModeLabel    string        `db:"-" json:"mode_label"`
	State        machine.State `db:"state" json:"state"`
	StateLabel   string        `db:"-" json:"state_label"`
	Quantity     int           `db:"quantity" json:"quantity"`
	ClosedAt     *time.Time    `db:"closed_at" json:"closed_at"`         // office time
	NotPresented *int          `db:"not_presented" json:"not_presented"` // of the order's cards, by its close; null before
	Worked       bool          `db:"-" json:"worked"`                    // the card was attempted under it
	CarriedOver  bool          `db:"-" json:"carried_over"`              // it closed with cards that were not presented while this one waited
}

// outcomeLabels are the Indonesian names of how an attempt ended.
var outcomeLabels = map[string]string{
	"": "Belum berakhir", "clear": "Berhasil", "failed": "Gagal", "in_doubt": "Meragukan", "spoiled": "Dinyatakan rusak", "released": "Dilepas sebelum ditulis",
}

// ChipAttempt is one try to personalise a card.
type ChipAttempt struct {
	ID           string     `db:"id" json:"id"` // the marker on the card
	Number       int        `db:"attempt" json:"attempt"`
	Order        string     `db:"work_order_id" json:"work_order_id"`
	Day          clock.Date `db:"day" json:"day"` // of the work order
	ByHand       bool       `db:"by_hand" json:"by_hand"`
	Station      string     `db:"station" json:"station"` // that had it last; empty by hand
	Reader       string     `db:"reader" json:"reader"`
	Profile      string     `db:"profile" json:"profile"`   // code/edition, as the next two
	SAMType      string     `db:"sam_type" json:"sam_type"` // empty by hand, and before these were kept
	KeyCode      string     `db:"key_code" json:"key_code"`
	StartedAt    *time.Time `db:"-" json:"started_at"` // office time, as EndedAt
	EndedAt      *time.Time `db:"-" json:"ended_at"`
	Outcome      string     `db:"outcome" json:"outcome"`
	OutcomeLabel string     `db:"-" json:"outcome_label"`
	Reason       string     `db:"-" json:"reason"`
	Cause        string     `db:"cause" json:"cause"` // in words that are the same for the same cause

	Hand *ChipHandResult `db:"-" json:"hand_result"` // where people entered the result

	HandState   *machine.State `db:"hand_state" json:"-"`
	HandReason  *string        `db:"hand_reason" json:"-"`
	EnteredBy   *string        `db:"entered_by" json:"-"`
	EnteredAt   *time.Time     `db:"entered_at" json:"-"`
	ConfirmedBy *string        `db:"confirmed_by" json:"-"`
	ConfirmedAt *time.Time     `db:"confirmed_at" json:"-"`
	WithdrawnBy *string        `db:"withdrawn_by" json:"-"`
	WithdrawnAt *time.Time     `db:"withdrawn_at" json:"-"`
}

// ChipHandResult is a result that one person entered and another confirmed, or one took
// back. Times are office time.
type ChipHandResult struct {
	Result      machine.State `json:"result"`
	ResultLabel string        `json:"result_label"`
	Reason      string        `json:"reason"`
	EnteredBy   string        `json:"entered_by"`
	EnteredAt   time.Time     `json:"entered_at"`
	ConfirmedBy *string       `json:"confirmed_by"`
	ConfirmedAt *time.Time    `json:"confirmed_at"`
	WithdrawnBy *string       `json:"withdrawn_by"`
	WithdrawnAt *time.Time    `json:"withdrawn_at"`
}

// ChipDecision is a decision on a card in doubt, with the attempt that it is about.
type ChipDecision struct {
	perso.Resolution
	Attempt       int    `db:"attempt" json:"attempt"`
	DecisionLabel string `db:"-" json:"decision_label"`
}

// ChipHold says that a lot waited for people because of a card. Times are office time.
type ChipHold struct {
	ID        string         `db:"id" json:"id"`
	Order     string         `db:"work_order_id" json:"work_order_id"`
	Kind      perso.HoldKind `db:"kind" json:"kind"`
	KindLabel string         `db:"-" json:"kind_label"`
	Cause     string         `db:"cause" json:"cause"` // empty for a first card
	Station   string         `db:"station" json:"station"`
	OfficeAt  time.Time      `db:"office_at" json:"office_at"`
	LiftedBy  *string        `db:"lifted_by" json:"lifted_by"` // null while it waits
	Reason    *string        `db:"lifted_reason" json:"lifted_reason"`
	LiftedAt  *time.Time     `db:"lifted_office_at" json:"lifted_at"`
}

const mostLooks = 100 // that are shown of a card

// readNumbers reads every number that the card was given.
func (l *life) readNumbers(ctx context.Context, rd postgres.Reader, _ bool) error {
	if err := rd.Select(ctx, &l.Numbers, `
		SELECT kind, value, allocated_at FROM card_number WHERE card_id = $1 ORDER BY allocated_at DESC, kind DESC`, l.ID); err != nil {
		return fmt.Errorf("report: numbers of a card: %w", err)
	}
	l.Numbers = notNil(l.Numbers)
	lost := slices.Contains([]machine.State{perso.Failed, perso.Spoiled, perso.Reduced}, l.State)
	for i := range l.Numbers {
		n := &l.Numbers[i]
		switch {
		case n.Value != l.PCID && n.Value != l.ManifestNo:
			n.State = NumberWiped
		case lost:
			n.State = NumberBurnt
		default:
			n.State = NumberPresent
		}
		n.KindLabel, n.StateLabel = FoundByLabels[n.Kind], NumberLabels[n.State]
		for _, t := range l.own { // of the same transaction: they have its time
			if t.Verb == perso.NumberVerb && t.At.Equal(n.GivenAt) {
				n.GivenAt = t.OfficeAt
				break
			}
		}
	}
	return nil
}

// readLine reads what happened to the card on the line: the office's own business.
func (l *life) readLine(ctx context.Context, rd postgres.Reader, outside bool) error {
	if outside {
		return nil
	}
	if err := l.readAttempts(ctx, rd); err != nil {
		return err
	}
	if err := rd.Select(ctx, &l.Decided, `
		SELECT id, card_id, card_version, reading, decision, reason, decided_by, confirmed_by, decided_at, confirmed_at, voided_at, attempt
		FROM card_resolution WHERE card_id = $1 ORDER BY id`, l.ID); err != nil {
		return fmt.Errorf("report: decisions on a card: %w", err)
	}
	l.Decided = notNil(l.Decided)
	for i := range l.Decided {
		l.Decided[i].DecisionLabel = perso.DecisionLabels[l.Decided[i].Decision]
	}
	looks, err := perso.Observations(ctx, rd, l.ID, mostLooks)
	if err != nil {
		return err
	}
	l.Looks = notNil(looks)
	if err := rd.Select(ctx, &l.Holds, `
		SELECT id, work_order_id, kind, cause, station, office_at, lifted_by, lifted_reason, lifted_office_at
		FROM lot_hold WHERE card_id = $1 AND work_order_id IN (SELECT id FROM work_order WHERE request_id = $2) ORDER BY at, id`, l.ID, l.row.RequestID); err != nil {
		return fmt.Errorf("report: lots that a card held: %w", err)
	}
	l.Holds = notNil(l.Holds)
	for i := range l.Holds {
		l.Holds[i].KindLabel = perso.HoldLabels[l.Holds[i].Kind]
	}
	return l.readDays(ctx, rd)
}

func (l *life) readAttempts(ctx context.Context, rd postgres.Reader) error {
	if err := rd.Select(ctx, &l.Tries, `
		SELECT a.id, a.attempt, a.work_order_id, w.day, a.by_hand, a.station, a.reader, a.profile, a.outcome, a.cause,
		       coalesce(s.code || '/' || s.edition, '') AS sam_type, coalesce(k.code || '/' || k.edition, '') AS key_code,
		       h.result AS hand_state, h.reason AS hand_reason, h.entered_by, h.entered_at, h.confirmed_by, h.confirmed_at, h.withdrawn_by, h.withdrawn_at
		FROM perso_attempt a JOIN work_order w ON w.id = a.work_order_id
		LEFT JOIN order_recipe o ON o.work_order_id = a.work_order_id AND NOT a.by_hand
		LEFT JOIN recipe s ON s.id = o.sam_type_id LEFT JOIN recipe k ON k.id = o.key_code_id
		LEFT JOIN hand_result h ON h.card_id = a.card_id AND h.attempt = a.attempt
		WHERE a.card_id = $1 ORDER BY a.attempt`, l.ID); err != nil {
		return fmt.Errorf("report: attempts of a card: %w", err)
	}
	l.Tries = notNil(l.Tries)
	for i := range l.Tries {
		a := &l.Tries[i]
		a.OutcomeLabel = cmp.Or(outcomeLabels[a.Outcome], a.Outcome)
		if a.HandState != nil {
			a.Hand = &ChipHandResult{
				Result: *a.HandState, ResultLabel: perso.Machine.Label(*a.HandState), Reason: *a.HandReason, EnteredBy: *a.EnteredBy, EnteredAt: *a.EnteredAt,
				ConfirmedBy: a.ConfirmedBy, ConfirmedAt: a.ConfirmedAt, WithdrawnBy: a.WithdrawnBy, WithdrawnAt: a.WithdrawnAt,
			}
		}
		l.dated(a)
	}
	return nil
}

// attemptEnds are the verbs that end an attempt.
var attemptEnds = []machine.Verb{perso.ClearVerb, perso.FailVerb, perso.DoubtVerb, perso.SpoilVerb, perso.ReleaseVerb}

// dated finds in the card's steps when an attempt began and ended last, and why.
func (l *life) dated(a *ChipAttempt) {
	n := 0
	for _, t := range l.own {
		if t.Verb == perso.ClaimVerb || t.Verb == perso.EnterVerb {
			n++
			if n == a.Number {
				at := t.OfficeAt
				a.StartedAt = &at
			}
		}
		if n == a.Number && slices.Contains(attemptEnds, t.Verb) {
			at := t.OfficeAt
			a.EndedAt, a.Reason = &at, t.Reason
		}
	}
	if a.Outcome == "" {
		a.EndedAt = nil
	}
}

// readDays reads the work orders that concern the card.
func (l *life) readDays(ctx context.Context, rd postgres.Reader) error {
	var all []ChipDay
	if err := rd.Select(ctx, &all, `
		SELECT w.id, w.day, w.mode, w.state, w.quantity, w.closed_at, b.not_presented
		FROM work_order w LEFT JOIN day_balance b ON b.work_order_id = w.id WHERE w.request_id = $1 ORDER BY w.day, w.id`, l.row.RequestID); err != nil {
		return fmt.Errorf("report: work orders of a card: %w", err)
	}
	for _, d := range all {
		d.ModeLabel, d.StateLabel = capacity.ModeLabels[d.Mode], capacity.Machine.Label(d.State)
		d.Worked = slices.ContainsFunc(l.Tries, func(a ChipAttempt) bool { return a.Order == d.ID })
		open := slices.Contains([]machine.State{capacity.Planned, capacity.Released, capacity.Closing}, d.State)
		d.CarriedOver = d.State == capacity.Closed && d.NotPresented != nil && *d.NotPresented > 0 && d.ClosedAt != nil && l.waitedAt(*d.ClosedAt)
		if d.Worked || d.CarriedOver || open && toBePresented(l.State) {
			l.Days = append(l.Days, d)
		}
	}
	return nil
}

// toBePresented says of a card on the line that it is to be presented.
func toBePresented(s machine.State) bool {
	return slices.Contains([]machine.State{perso.Listed, perso.Bound, perso.Numbered}, s)
}

// waitedAt says whether the card was to be presented at a moment of the office's clock.
func (l *life) waitedAt(at time.Time) bool {
	var state machine.State
	for _, t := range l.own {
		if !t.OfficeAt.After(at) {
			state = t.To
		}
	}
	return toBePresented(state)
}
