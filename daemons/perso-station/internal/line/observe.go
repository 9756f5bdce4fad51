package line

import (
	"context"
	"encoding/hex"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/smartcard"
)

// Observer is told what the line does, while it does it. Its methods return at once
// and may be called from any goroutine; the line does not care what comes of them.
type Observer interface {
	// Slot says whether a card is in a reader now: true for each that is put in.
	Slot(reader string, present bool)
	// Shown says that a reader shows something else now.
	Shown(ReaderStatus)
	// Sent says that a command was sent to the card in a reader.
	Sent(reader string, x Exchange)
	// Gone says that a reader is not served any more.
	Gone(reader string)
}

// Exchange is a command to a card and its answer as people may see them: neither the
// data of the one nor of the other is in it, whatever the command.
type Exchange struct {
	At       time.Time `json:"at"`
	Step     string    `json:"step"`     // of the profile; empty while the card is looked at
	Header   string    `json:"header"`   // CLA INS P1 P2 in hexadecimal
	Sent     int       `json:"sent"`     // bytes of the whole command
	Received int       `json:"received"` // bytes of the answer, without the status word
	Status   string    `json:"status"`   // SW1 SW2 in hexadecimal; empty without an answer
	Micros   int64     `json:"micros"`   // how long it took
	Fault    string    `json:"fault"`    // why there is no answer: outcome_unknown, card_gone, reader_gone, time_out, other; or empty
}

// slotIs tells the observer whether there is a card.
func (r *runner) slotIs(present bool) {
	if o := r.line.Observer; o != nil {
		o.Slot(r.reader.Name(), present)
	}
}

// observed is a card of whose commands an observer is told.
type observed struct {
	Card
	to   Observer
	slot *slot
}

// watched has the observer, if there is one, told of what is sent to a card.
func (r *runner) watched(c Card) Card {
	if r.line.Observer == nil {
		return c
	}
	return &observed{Card: c, to: r.line.Observer, slot: r.slot}
}

// Transmit implements smartcard.Transmitter.
func (c *observed) Transmit(ctx context.Context, command []byte) ([]byte, error) {
	x := Exchange{At: time.Now().UTC(), Step: c.slot.shown().Step, Header: header(command), Sent: len(command)}
	answer, err := c.Card.Transmit(ctx, command)
	x.Micros = time.Since(x.At).Microseconds()
	if n := len(answer); err == nil && n >= 2 {
		x.Received, x.Status = n-2, strings.ToUpper(hex.EncodeToString(answer[n-2:]))
	}
	x.Fault = faultCode(err)
	c.to.Sent(c.slot.name, x)
	return answer, err
}

// header is the part of a command that is never secret (ISO 7816-4 section 5.1).
func header(command []byte) string {
	return strings.ToUpper(hex.EncodeToString(command[:min(4, len(command))]))
}

func faultCode(err error) string {
	switch {
	case err == nil:
		return ""
	case errors.Is(err, smartcard.ErrOutcomeUnknown):
		return "outcome_unknown"
	case errors.Is(err, smartcard.ErrCardGone):
		return "card_gone"
	case errors.Is(err, smartcard.ErrReaderGone):
		return "reader_gone"
	case errors.Is(err, context.DeadlineExceeded):
		return "time_out"
	}
	return "other"
}

// Orders are what people want of the station.
type Orders interface {
	// Begin is asked in each transaction that begins a card: nil, or a *Held.
	Begin(ctx context.Context, tx *postgres.Tx) error
	// Touch is asked before a card that was put in is spoken to: nil, or a *Held.
	Touch() error
}

// Held says that people do not want the station to go on.
type Held struct{ Text string } // for them, in Indonesian

func (h *Held) Error() string { return "line: held: " + h.Text }

// mayBegin is nil when people let a new card be begun.
func (l *Line) mayBegin(ctx context.Context, tx *postgres.Tx) error {
	if l.Orders == nil {
		return nil
	}
	return l.Orders.Begin(ctx, tx)
}

// untouched says why no card is spoken to, or is nil.
func (l *Line) untouched() *Held {
	var held *Held
	if l.Orders != nil && errors.As(l.Orders.Touch(), &held) {
		return held
	}
	return nil
}

// attend notes that a card may be spoken to, until what it returns is called. It comes
// before people's wish is asked, so that whoever finds nobody attending after the wish
// was made known knows that it is kept.
func (l *Line) attend() (done func()) {
	l.attending.Add(1)
	return func() { l.attending.Add(-1) }
}

// Still says that no card is spoken to or worked on.
func (l *Line) Still() bool { return l.attending.Load() == 0 }

// InHand returns the ids of the cards that the line works on.
func (l *Line) InHand() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Sorted(maps.Keys(l.busy))
}
