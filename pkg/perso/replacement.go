package perso

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"dukcapil.go.id/sifilma/pkg/audit"
	"dukcapil.go.id/sifilma/pkg/cardlist"
	"dukcapil.go.id/sifilma/pkg/outbox"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/pkg/stock"
)

var (
	// ErrNotReplaceable says that only a failed or spoiled card is replaced, and
	// only once.
	ErrNotReplaceable = errors.New("perso: card cannot be replaced")
	// ErrSerialTwice says that two replacements of one call have the same serial.
	ErrSerialTwice = errors.New("perso: serial number twice in one call")
	// ErrNoReplacement says that a call names none.
	ErrNoReplacement = errors.New("perso: no replacement")
)

// Replacement is a new blank in the place of a failed or spoiled card.
type Replacement struct {
	CardID string // that is replaced
	Serial string // of the blank, as typed
	Reason string // empty: the card's own
}

// ReplacementFaults are what is wrong with replacements, by their place in the call.
// No replacement of the call was registered.
type ReplacementFaults map[int]error

// Error makes it an error.
func (f ReplacementFaults) Error() string {
	texts := make([]string, 0, len(f))
	for i, err := range f {
		texts = append(texts, fmt.Sprintf("%d: %s", i, err))
	}
	return "perso: replacements: " + strings.Join(texts, ", ")
}

// RegisterReplacements puts new blanks in the places of failed or spoiled cards of a
// request, all of them or none: new serials linked to the old rows, cards of their
// own, and the message that makes the scheduler plan them (features.md N21). Blanks
// that were not booked before are booked as received with it. It returns the ids of the
// new cards in the order of the call. Errors: *machine.RoleError, ErrNoReplacement,
// ErrNotFound, request.ErrNotFound, and ReplacementFaults of
// ErrNotReplaceable, ErrSerialTwice, ErrSerialTaken and the errors of cardlist.AddReplacement.
func RegisterReplacements(ctx context.Context, tx *postgres.Tx, requestID string, all []Replacement, c Change) ([]string, error) {
	if err := Machine.May("", EnlistVerb, c.Actor.Role); err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, ErrNoReplacement
	}
	// Before the cards: whoever books blanks of the request waits for it.
	r, err := request.Lock(ctx, tx, requestID)
	if err != nil {
		return nil, err
	}
	seen := make([]Seen, len(all))
	for i, one := range all {
		seen[i].ID = one.CardID
	}
	cards, err := lockCards(ctx, tx, requestID, seen)
	if err != nil {
		return nil, err
	}
	old := make(map[string]Card, len(cards))
	for _, card := range cards {
		old[card.ID] = card
	}
	ids := make([]string, len(all))
	wrong, typed := ReplacementFaults{}, map[string]bool{}
	for i, one := range all {
		if ids[i], err = replace(ctx, tx, old[one.CardID], one.Serial, typed); err != nil {
			if !replaceable(err) {
				return nil, err
			}
			wrong[i] = err
		}
	}
	if len(wrong) > 0 {
		return nil, wrong
	}
	n, err := Enlist(ctx, tx, requestID, c.Actor, c.OfficeAt)
	if errors.Is(err, ErrSerialTaken) { // which of them, the aborted transaction cannot tell
		return nil, ReplacementFaults{0: err}
	}
	if err != nil {
		return nil, err
	}
	if n != len(all) {
		return nil, fmt.Errorf("perso: %d replacements enlisted %d cards", len(all), n)
	}
	for i, one := range all {
		if err := noteReplacement(ctx, tx, old[one.CardID], ids[i], one, c); err != nil {
			return nil, err
		}
	}
	if err := stock.ReceiveReplacements(ctx, tx, requestID, c); err != nil {
		return nil, err
	}
	return ids, outbox.Put(ctx, tx, outbox.Message{
		Type: "replacement.registered", Subject: r.ID, Version: r.Version, Request: r.ID, TraceParent: r.TraceParent,
	})
}

// RegisterReplacement is RegisterReplacements of one card; its fault is the error.
func RegisterReplacement(ctx context.Context, tx *postgres.Tx, cardID, newSerial string, c Change) (newID string, err error) {
	requestID, err := CardRequest(ctx, tx, cardID)
	if err != nil {
		return "", err
	}
	ids, err := RegisterReplacements(ctx, tx, requestID, []Replacement{{CardID: cardID, Serial: newSerial, Reason: c.Reason}}, c)
	var wrong ReplacementFaults
	if errors.As(err, &wrong) {
		return "", wrong[0]
	}
	if err != nil {
		return "", err
	}
	return ids[0], nil
}

// replace lists one blank. typed are the serials of the call so far.
func replace(ctx context.Context, tx *postgres.Tx, old Card, serial string, typed map[string]bool) (string, error) {
	if old.State != Failed && old.State != Spoiled {
		return "", ErrNotReplaceable
	}
	serial = cardlist.Normalise(serial)
	if typed[serial] && serial != "" {
		return "", ErrSerialTwice
	}
	typed[serial] = true
	id, err := cardlist.AddReplacement(ctx, tx, old.RequestID, old.ID, serial)
	if errors.Is(err, cardlist.ErrReplaced) {
		return "", ErrNotReplaceable
	}
	return id, err
}

// replaceable says of an error that it is about a replacement, not about the
// database: the others of the call are still looked at.
func replaceable(err error) bool {
	for _, known := range []error{
		ErrNotReplaceable, ErrSerialTwice, cardlist.ErrSerialForm, cardlist.ErrSerialLive, cardlist.ErrSerialAlike,
	} {
		if errors.Is(err, known) {
			return true
		}
	}
	return false
}

func noteReplacement(ctx context.Context, tx *postgres.Tx, old Card, newID string, one Replacement, c Change) error {
	reason := one.Reason
	if reason == "" {
		reason = old.Reason
	}
	return audit.Record(ctx, tx, audit.Entry{
		Actor: c.Actor.Name, Action: "card.replace", Subject: old.ID, Request: old.RequestID,
		Detail: map[string]any{"replacement": newID, "serial": cardlist.Normalise(one.Serial), "reason": reason},
	})
}
