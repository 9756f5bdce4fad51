package globalplatform

import (
	"context"
	"errors"
	"fmt"
)

// Select is SELECT by AID (GPC 2.3.1 11.9) and ends any secure channel on the
// card. A nil AID selects the issuer security domain. The answer is the file
// control information; FCI reads it.
func Select(ctx context.Context, t Transmitter, aid []byte) ([]byte, error) {
	r, err := Plain(t).Send(ctx, Command{Name: "SELECT", CLA: 0x00, INS: 0xA4, P1: 0x04, Data: aid, Ne: MaxNe})
	if err != nil {
		return nil, err
	}
	return r.Data, nil
}

// FCI is the AID the card names in its answer to SELECT (6F / 84, GPC 2.3.1
// table 11-77).
func FCI(data []byte) (aid []byte, err error) {
	template, err := findTLV(data, 0x6F)
	if err != nil {
		return nil, fmt.Errorf("SELECT: %w", err)
	}
	if aid, err = findTLV(template, 0x84); err != nil {
		return nil, fmt.Errorf("SELECT: %w", err)
	}
	return aid, nil
}

// LifeCycle is the life cycle state of the card, held by the issuer security
// domain (GPC 2.3.1 5.1.1, table 11-6).
type LifeCycle byte

// The card's states. All steps but SECURED <-> CARD_LOCKED are irreversible.
const (
	OPReady     LifeCycle = 0x01
	Initialized LifeCycle = 0x07 // some data is in, the card is not ready
	Secured     LifeCycle = 0x0F // all keys are in; the card may be issued
	CardLocked  LifeCycle = 0x7F
	Terminated  LifeCycle = 0xFF
)

// Life cycle states of a security domain other than the issuer's (GPC 2.3.1
// table 11-5).
const (
	DomainInstalled    byte = 0x03
	DomainSelectable   byte = 0x07
	DomainPersonalized byte = 0x0F
	DomainLocked       byte = 0x83
)

// String is the name the specification gives the state.
func (l LifeCycle) String() string {
	switch l {
	case OPReady:
		return "OP_READY"
	case Initialized:
		return "INITIALIZED"
	case Secured:
		return "SECURED"
	case CardLocked:
		return "CARD_LOCKED"
	case Terminated:
		return "TERMINATED"
	}
	return fmt.Sprintf("%02X", byte(l))
}

// CanBecome tells whether SET STATUS may lead from l to the next state (GPC
// 2.3.1 5.1.1 and figure 5-1). No state leads to itself.
func (l LifeCycle) CanBecome(next LifeCycle) bool {
	switch {
	case l == Terminated || l == next:
		return false
	case next == Terminated:
		return true
	case l == OPReady:
		return next == Initialized
	case l == Initialized:
		return next == Secured
	case l == Secured:
		return next == CardLocked
	case l == CardLocked:
		return next == Secured
	}
	return false
}

// ErrTransition says that the card's state does not lead to the one asked for; nothing
// was changed.
var ErrTransition = errors.New("life cycle step not allowed")

// DomainStatus is what GET STATUS says of the issuer security domain.
type DomainStatus struct {
	AID       []byte
	LifeCycle LifeCycle
}

// ParseStatus reads the answer of GET STATUS for the issuer security domain
// (GPC 2.3.1 11.4.3.1, TLV form: E3 with 4F and 9F70).
func ParseStatus(data []byte) (DomainStatus, error) {
	entries, err := ParseEntries(data)
	if err != nil {
		return DomainStatus{}, err
	}
	if len(entries) == 0 {
		return DomainStatus{}, fmt.Errorf("GET STATUS: %w: no entry", ErrMalformed)
	}
	return DomainStatus{AID: entries[0].AID, LifeCycle: LifeCycle(entries[0].LifeCycle)}, nil
}

// GetStatus is GET STATUS of the issuer security domain (GPC 2.3.1 11.4).
func GetStatus(ctx context.Context, ch Channel) (DomainStatus, error) {
	r, err := ch.Send(ctx, Command{
		Name: "GET STATUS", CLA: 0x80, INS: 0xF2, P1: 0x80, P2: 0x02, Data: []byte{0x4F, 0x00}, Ne: MaxNe,
	})
	if err != nil {
		return DomainStatus{}, err
	}
	return ParseStatus(r.Data)
}

// SetStatus brings the card's life cycle to the next state (GPC 2.3.1 11.10).
// The state is read first, because a card refuses the state it is already in
// (11.10.2.2): then changed is false and nothing is sent. ErrTransition when
// the present state does not lead there. The result is not read back.
func SetStatus(ctx context.Context, ch Channel, next LifeCycle) (changed bool, err error) {
	now, err := GetStatus(ctx, ch)
	if err != nil {
		return false, err
	}
	if now.LifeCycle == next {
		return false, nil
	}
	if !now.LifeCycle.CanBecome(next) {
		return false, fmt.Errorf("SET STATUS: %w: %s to %s", ErrTransition, now.LifeCycle, next)
	}
	_, err = ch.Send(ctx, Command{Name: "SET STATUS", CLA: 0x80, INS: 0xF0, P1: 0x80, P2: byte(next)})
	return err == nil, err
}
