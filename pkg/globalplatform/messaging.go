package globalplatform

import (
	"context"
	"fmt"
)

// Session is an authenticated secure channel to the card's selected security
// domain. It is for one goroutine. Any transport fault or unverifiable answer
// ends it: the MAC chain of host and card can no longer be equal.
type Session struct {
	t       Transmitter
	card    InitializeUpdate
	level   SecurityLevel
	open    bool
	channel secureChannel
}

// Card is what the card said of itself in INITIALIZE UPDATE; for SCP02 with the
// options the session was opened with.
func (s *Session) Card() InitializeUpdate { return s.card }

// Level is the security level the session was opened with.
func (s *Session) Level() SecurityLevel { return s.level }

// Close forgets the session keys. The card ends its side at the next SELECT,
// reset or unprotected INITIALIZE UPDATE.
func (s *Session) Close() {
	s.open = false
	s.channel.forget()
}

// MaxData is how many bytes of command data fit one command at this level.
func (s *Session) MaxData() int { return s.channel.maxData() }

// Send implements Channel: it protects the command, sends it, verifies and
// opens the answer. A status word other than 9000 is a *StatusError; the
// session goes on after it.
func (s *Session) Send(ctx context.Context, command Command) (Response, error) {
	r, err := s.Transmit(ctx, command)
	if err != nil {
		return Response{}, err
	}
	if r.SW != OK {
		return r, &StatusError{SW: r.SW, Command: command.title()}
	}
	return r, nil
}

// Transmit is Send for callers that want to judge the status word themselves.
// A command that the card answers with 6Cxx goes out once more with the length
// the card asked for, as a new command of the session: the card has not
// executed the first one (ISO 7816-4 5.1.3).
func (s *Session) Transmit(ctx context.Context, command Command) (Response, error) {
	r, err := s.exchange(ctx, command)
	if err != nil || r.SW.SW1() != 0x6C {
		return r, err
	}
	command.Ne = le(r.SW.SW2())
	return s.exchange(ctx, command)
}

func (s *Session) exchange(ctx context.Context, command Command) (Response, error) {
	if !s.open {
		return Response{}, fmt.Errorf("%s: %w", command.title(), ErrSessionOver)
	}
	if err := ctx.Err(); err != nil {
		return Response{}, fmt.Errorf("%s: not sent: %w", command.title(), err)
	}
	raw, err := s.protect(command)
	if err != nil {
		return Response{}, err // nothing was sent, nothing was counted
	}
	r, err := transmitRaw(ctx, s.t, command.title(), raw)
	if err == nil {
		// GET RESPONSE belongs to the transport and is not protected.
		r, err = rest(ctx, s.t, command, r)
	}
	if err == nil && s.level.has(levelRMAC) {
		if r, err = s.channel.unwrap(r); err != nil {
			err = fmt.Errorf("%s: %w: %w", command.title(), ErrOutcomeUnknown, err)
		}
	}
	if err != nil {
		s.Close()
		return Response{}, err
	}
	return r, nil
}

// protect is the command as it goes over the wire. What does not fit is refused
// before the session's counters move.
func (s *Session) protect(command Command) ([]byte, error) {
	if len(command.Data) > s.MaxData() || command.Ne < 0 || command.Ne > MaxNe {
		return nil, fmt.Errorf("%s: %w", command.title(), ErrCommand)
	}
	if !s.level.has(levelCMAC) {
		return command.Bytes()
	}
	return s.channel.wrap(command)
}

const macLength = 8

// protectedHeader is the header with the secure messaging bit and with the
// length that counts the MAC (GPC 2.3.1 E.4.4, Amendment D 6.2.4).
func protectedHeader(command Command) []byte {
	return []byte{command.CLA | 0x04, command.INS, command.P1, command.P2, byte(len(command.Data) + macLength)}
}

// assemble puts a protected command together.
func assemble(head, data, mac []byte, ne int) ([]byte, error) {
	if len(data)+len(mac) > 255 {
		return nil, ErrCommand
	}
	out := make([]byte, 0, len(head)+len(data)+len(mac)+1)
	out = append(append(append(out, head...), data...), mac...)
	if ne > 0 {
		out = append(out, byte(ne))
	}
	return out, nil
}

// forget overwrites session keys, as far as they were made.
func forget(keys ...*SoftwareKey) {
	for _, k := range keys {
		if k != nil {
			clear(k.value)
		}
	}
}
