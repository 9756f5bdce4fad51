package globalplatform

import "fmt"

// Protocol is the number of a secure channel protocol.
type Protocol byte

// Protocols a session can speak.
const (
	SCP02 Protocol = 0x02
	SCP03 Protocol = 0x03
)

// String is the protocol's name, such as SCP03.
func (p Protocol) String() string { return fmt.Sprintf("SCP%02X", byte(p)) }

// InitializeUpdate is the card's answer to INITIALIZE UPDATE (GPC 2.3.1 table
// E-8, Amendment D table 7-2). Nothing in it is secret.
type InitializeUpdate struct {
	Diversification []byte // 10 bytes
	KeyVersion      byte
	Protocol        Protocol
	I               byte   // implementation options; SCP02 cards do not tell them here
	CardChallenge   []byte // 8 bytes, 6 for SCP02
	CardCryptogram  []byte // 8 bytes
	SequenceCounter []byte // 2 bytes for SCP02, 3 for SCP03 with i&10, else empty
}

// ParseInitializeUpdate reads the answer of an SCP02 card or of an SCP03 card in
// S8 mode.
func ParseInitializeUpdate(data []byte) (InitializeUpdate, error) {
	const head, cryptogram = 10 + 2, 8
	if len(data) < head+1 {
		return InitializeUpdate{}, fmt.Errorf("%w: INITIALIZE UPDATE answer of %d bytes", ErrMalformed, len(data))
	}
	u := InitializeUpdate{KeyVersion: data[10], Protocol: Protocol(data[11])}
	u.Diversification = append([]byte(nil), data[:10]...)
	rest := data[head:]
	before, challenge, after := 0, 0, 0 // the sequence counter stands before the challenge or at the end
	switch u.Protocol {
	case SCP02:
		before, challenge = 2, 6
	case SCP03:
		u.I, rest = rest[0], rest[1:]
		if u.I&scp03S16 != 0 {
			return InitializeUpdate{}, fmt.Errorf("%w: S16 mode", ErrProtocol)
		}
		challenge = 8
		if u.I&scp03PseudoRandom != 0 {
			after = 3
		}
	default:
		return InitializeUpdate{}, fmt.Errorf("%w: %s", ErrProtocol, u.Protocol)
	}
	if want := before + challenge + cryptogram + after; len(rest) != want {
		return InitializeUpdate{}, fmt.Errorf("%w: INITIALIZE UPDATE answer of %d bytes, %s i=%02X asks for %d",
			ErrMalformed, len(data), u.Protocol, u.I, len(data)-len(rest)+want)
	}
	u.SequenceCounter = append(append([]byte(nil), rest[:before]...), rest[len(rest)-after:]...)
	rest = rest[before:]
	u.CardChallenge = append([]byte(nil), rest[:challenge]...)
	u.CardCryptogram = append([]byte(nil), rest[challenge:challenge+cryptogram]...)
	return u, nil
}
