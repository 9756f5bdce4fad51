package globalplatform

import (
	"context"
	"errors"
	"fmt"
)

// Transmitter carries one command APDU to a card and returns the answer with
// its two status bytes. It must not retry. An error means that nobody knows
// whether the card has seen the command.
type Transmitter interface {
	Transmit(ctx context.Context, command []byte) ([]byte, error)
}

// Channel sends commands and returns answers whose status word is 9000. Plain
// channels and secure sessions both are one, so that GET DATA and the like are
// written once.
type Channel interface {
	// Send returns a *StatusError for any status word other than 9000.
	Send(ctx context.Context, command Command) (Response, error)
}

var (
	// ErrOutcomeUnknown says that the command may or may not have taken effect on the
	// card. The only way on is to read the card's state.
	ErrOutcomeUnknown = errors.New("outcome of the card command is unknown")
	// ErrMalformed says that the card's answer does not have the form the specification
	// gives it.
	ErrMalformed = errors.New("malformed card data")
	// ErrCommand says that the command cannot be expressed as a short APDU.
	ErrCommand = errors.New("command does not fit a short APDU")
)

// MaxNe asks for all the data the card has in one short answer (Le byte 00).
const MaxNe = 256

// Command is a short command APDU (ISO 7816-4 5.1).
type Command struct {
	Name             string // shown in errors, such as "PUT KEY"
	CLA, INS, P1, P2 byte
	Data             []byte // at most 255 bytes; none when empty
	Ne               int    // largest answer expected, 0 (no Le byte) to MaxNe
}

// Bytes is the command as it goes over the wire.
func (c Command) Bytes() ([]byte, error) {
	if len(c.Data) > 255 || c.Ne < 0 || c.Ne > MaxNe {
		return nil, fmt.Errorf("%s: %w", c.title(), ErrCommand)
	}
	out := make([]byte, 0, 6+len(c.Data))
	out = append(out, c.CLA, c.INS, c.P1, c.P2)
	if len(c.Data) > 0 {
		out = append(out, byte(len(c.Data)))
		out = append(out, c.Data...)
	}
	if c.Ne > 0 {
		out = append(out, byte(c.Ne)) // 256 becomes 00
	}
	return out, nil
}

// ParseCommand reads a short command APDU of any of the four ISO cases.
func ParseCommand(raw []byte) (Command, error) {
	if len(raw) < 4 {
		return Command{}, fmt.Errorf("%w: %d bytes", ErrCommand, len(raw))
	}
	c := Command{CLA: raw[0], INS: raw[1], P1: raw[2], P2: raw[3]}
	body := raw[4:]
	switch {
	case len(body) == 0:
		return c, nil
	case len(body) == 1:
		c.Ne = le(body[0])
		return c, nil
	}
	lc := int(body[0])
	switch {
	case lc == 0:
		return Command{}, fmt.Errorf("%w: Lc is zero", ErrCommand)
	case len(body) == 1+lc:
	case len(body) == 2+lc:
		c.Ne = le(body[1+lc])
	default:
		return Command{}, fmt.Errorf("%w: Lc %d with %d bytes", ErrCommand, lc, len(body)-1)
	}
	c.Data = append([]byte(nil), body[1:1+lc]...)
	return c, nil
}

func le(b byte) int {
	if b == 0 {
		return MaxNe
	}
	return int(b)
}

func (c Command) title() string {
	if c.Name != "" {
		return c.Name
	}
	return fmt.Sprintf("command %02X%02X", c.CLA, c.INS)
}

// Response is a card's answer.
type Response struct {
	Data []byte
	SW   SW
}

// ParseResponse splits an answer into data and status word. Fewer than two
// bytes is ErrOutcomeUnknown: PC/SC drivers hand back an empty answer without
// an error when the card vanishes in the middle of a command.
func ParseResponse(raw []byte) (Response, error) {
	if len(raw) < 2 {
		return Response{}, fmt.Errorf("%w: answer of %d bytes", ErrOutcomeUnknown, len(raw))
	}
	n := len(raw) - 2
	return Response{Data: append([]byte(nil), raw[:n]...), SW: SW(uint16(raw[n])<<8 | uint16(raw[n+1]))}, nil
}

// Exchange sends one command as it stands and returns the answer whatever its
// status word. It collects the rest of a long answer (61xx, GET RESPONSE) and
// repeats a command once with the length the card asked for (6Cxx); the card
// has not executed a command it answers with 6Cxx (ISO 7816-4 5.1.3).
func Exchange(ctx context.Context, t Transmitter, command Command) (Response, error) {
	r, err := once(ctx, t, command)
	if err != nil {
		return Response{}, err
	}
	if r.SW.SW1() == 0x6C {
		command.Ne = le(r.SW.SW2())
		if r, err = once(ctx, t, command); err != nil {
			return Response{}, err
		}
	}
	return rest(ctx, t, command, r)
}

// maxContinuations bounds GET RESPONSE: a card that always has more to say
// must not hold the line for ever.
const maxContinuations = 64

func rest(ctx context.Context, t Transmitter, command Command, r Response) (Response, error) {
	for range maxContinuations {
		if r.SW.SW1() != 0x61 {
			return r, nil
		}
		more, err := once(ctx, t, Command{Name: command.title() + " (GET RESPONSE)", CLA: 0x00, INS: 0xC0, Ne: le(r.SW.SW2())})
		if err != nil && !errors.Is(err, ErrOutcomeUnknown) {
			// The command itself has run; only its answer was not fetched.
			err = fmt.Errorf("%w: %w", ErrOutcomeUnknown, err)
		}
		if err != nil {
			return Response{}, err
		}
		r = Response{Data: append(r.Data, more.Data...), SW: more.SW}
	}
	return Response{}, fmt.Errorf("%s: %w: %w: the answer does not end", command.title(), ErrOutcomeUnknown, ErrMalformed)
}

// once transmits without interpreting the status word. A context that is over
// before sending is reported as such: nothing reached the card.
func once(ctx context.Context, t Transmitter, command Command) (Response, error) {
	raw, err := command.Bytes()
	if err != nil {
		return Response{}, err
	}
	return transmitRaw(ctx, t, command.title(), raw)
}

func transmitRaw(ctx context.Context, t Transmitter, title string, raw []byte) (Response, error) {
	if err := ctx.Err(); err != nil {
		return Response{}, fmt.Errorf("%s: not sent: %w", title, err)
	}
	answer, err := t.Transmit(ctx, raw)
	if err != nil {
		return Response{}, fmt.Errorf("%s: %w: %w", title, ErrOutcomeUnknown, err)
	}
	r, err := ParseResponse(answer)
	if err != nil {
		return Response{}, fmt.Errorf("%s: %w", title, err)
	}
	return r, nil
}

type plain struct{ t Transmitter }

// Plain is the channel without secure messaging.
func Plain(t Transmitter) Channel { return plain{t} }

func (p plain) Send(ctx context.Context, command Command) (Response, error) {
	r, err := Exchange(ctx, p.t, command)
	if err != nil {
		return Response{}, err
	}
	if r.SW != OK {
		return r, &StatusError{SW: r.SW, Command: command.title()}
	}
	return r, nil
}
