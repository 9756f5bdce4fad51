package globalplatform

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/subtle"
	"encoding/binary"
	"fmt"
)

// Derivation constants (Amendment D table 4-1).
const (
	kdfCardCryptogram = 0x00
	kdfHostCryptogram = 0x01
	kdfCardChallenge  = 0x02
	kdfSENC           = 0x04
	kdfSMAC           = 0x06
	kdfSRMAC          = 0x07
)

// macKey is the part of a key that key derivation needs.
type macKey interface {
	CMAC(ctx context.Context, data []byte) ([]byte, error)
}

// derive is the KDF of SP 800-108 in counter mode with AES-CMAC, in the form
// of Amendment D 4.1.5; size is in bytes, at most 32.
func derive(ctx context.Context, key macKey, constant byte, size int, context []byte) ([]byte, error) {
	var out []byte
	for counter := byte(1); len(out) < size; counter++ {
		in := make([]byte, 11, 16+len(context))
		in = append(in, constant, 0x00)
		in = binary.BigEndian.AppendUint16(in, uint16(size*8))
		in = append(in, counter)
		in = append(in, context...)
		block, err := key.CMAC(ctx, in)
		if err != nil {
			return nil, err
		}
		out = append(out, block...)
	}
	clear(out[size:])
	return out[:size], nil
}

// sessionKey is a key that lives in memory for one session.
type sessionKey struct {
	value []byte
	block cipher.Block
}

func newSessionKey(value []byte) (sessionKey, error) {
	block, err := aes.NewCipher(value)
	if err != nil {
		return sessionKey{}, fmt.Errorf("%w: session key of %d bytes", ErrKey, len(value))
	}
	return sessionKey{value: value, block: block}, nil
}

// CMAC implements macKey.
func (k sessionKey) CMAC(_ context.Context, data []byte) ([]byte, error) {
	return cmac(k.block, data), nil
}

func (k *sessionKey) forget() {
	clear(k.value)
	k.value, k.block = nil, nil
}

// Session is an authenticated secure channel to the card's selected security
// domain. It is for one goroutine. Any transport fault or unverifiable answer
// ends it: the MAC chain of host and card can no longer be equal.
type Session struct {
	t              Transmitter
	static         StaticKeys
	card           InitializeUpdate
	level          SecurityLevel
	open           bool
	enc, mac, rmac sessionKey
	chain          [aes.BlockSize]byte // MAC chaining value
	counter        uint64              // encryption counter (Amendment D 6.2.6)
}

// Close forgets the session keys. The card ends its side at the next SELECT,
// reset or unprotected INITIALIZE UPDATE.
func (s *Session) Close() {
	s.open = false
	s.enc.forget()
	s.mac.forget()
	s.rmac.forget()
	clear(s.chain[:])
}

// MaxData is how many bytes of command data fit one command at this level.
func (s *Session) MaxData() int {
	switch {
	case s.level.has(levelCDEC):
		return (255-8)/aes.BlockSize*aes.BlockSize - 1
	case s.level.has(levelCMAC):
		return 255 - 8
	}
	return 255
}

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
func (s *Session) Transmit(ctx context.Context, command Command) (Response, error) {
	if !s.open {
		return Response{}, fmt.Errorf("%s: %w", command.title(), ErrSessionOver)
	}
	if err := ctx.Err(); err != nil {
		return Response{}, fmt.Errorf("%s: not sent: %w", command.title(), err)
	}
	raw, err := s.wrap(command)
	if err != nil {
		return Response{}, err // nothing was sent, nothing was counted
	}
	r, err := transmitRaw(ctx, s.t, command.title(), raw)
	if err == nil {
		// GET RESPONSE belongs to the transport and is not protected.
		r, err = rest(ctx, s.t, command, r)
	}
	if err == nil {
		r, err = s.unwrap(command.title(), r)
	}
	if err != nil {
		s.Close()
		return Response{}, err
	}
	return r, nil
}

// wrap protects a command: C-DECRYPTION (6.2.6), then C-MAC (6.2.4). The
// session's counters move only when it succeeds.
func (s *Session) wrap(command Command) ([]byte, error) {
	if !s.level.has(levelCMAC) {
		return command.Bytes()
	}
	if len(command.Data) > s.MaxData() || command.Ne < 0 || command.Ne > MaxNe {
		return nil, fmt.Errorf("%s: %w", command.title(), ErrCommand)
	}
	// The counter moves for every command, also one without data.
	s.counter++
	data := command.Data
	if s.level.has(levelCDEC) && len(data) > 0 {
		padded := pad80(data)
		cipher.NewCBCEncrypter(s.enc.block, s.icv(0x00)).CryptBlocks(padded, padded)
		data = padded
	}
	return s.sign(command, data)
}

// sign adds the secure messaging bit and the C-MAC over chaining value, header
// and data as sent (Amendment D 6.2.4).
func (s *Session) sign(command Command, data []byte) ([]byte, error) {
	if len(data)+8 > 255 {
		return nil, fmt.Errorf("%s: %w", command.title(), ErrCommand)
	}
	out := make([]byte, 0, 6+len(data)+8)
	out = append(out, command.CLA|0x04, command.INS, command.P1, command.P2, byte(len(data)+8))
	out = append(out, data...)
	s.chain = [aes.BlockSize]byte(cmac(s.mac.block, append(s.chain[:], out...)))
	out = append(out, s.chain[:8]...)
	if command.Ne > 0 {
		out = append(out, byte(command.Ne))
	}
	return out, nil
}

// icv is the encrypted counter that starts a CBC chain: first byte 00 for
// commands, 80 for responses (Amendment D 6.2.6, 6.2.7).
func (s *Session) icv(first byte) []byte {
	block := make([]byte, aes.BlockSize)
	block[0] = first
	binary.BigEndian.PutUint64(block[8:], s.counter)
	s.enc.block.Encrypt(block, block)
	return block
}

// unwrap verifies and opens an answer: R-MAC (6.2.5), then R-ENCRYPTION
// (6.2.7). An error status comes without R-MAC and must come without data.
func (s *Session) unwrap(title string, r Response) (Response, error) {
	if !s.level.has(levelRMAC) {
		return r, nil
	}
	if r.SW != OK && !r.SW.Warning() {
		if len(r.Data) != 0 {
			return Response{}, fmt.Errorf("%s: %w: %w: data with an error status", title, ErrOutcomeUnknown, ErrResponseMAC)
		}
		return r, nil
	}
	if len(r.Data) < 8 {
		return Response{}, fmt.Errorf("%s: %w: %w: no MAC in the answer", title, ErrOutcomeUnknown, ErrResponseMAC)
	}
	data, sent := r.Data[:len(r.Data)-8], r.Data[len(r.Data)-8:]
	in := append(append([]byte(nil), s.chain[:]...), data...)
	in = append(in, r.SW.SW1(), r.SW.SW2())
	if subtle.ConstantTimeCompare(cmac(s.rmac.block, in)[:8], sent) != 1 {
		return Response{}, fmt.Errorf("%s: %w: %w", title, ErrOutcomeUnknown, ErrResponseMAC)
	}
	if !s.level.has(levelRENC) || len(data) == 0 {
		return Response{Data: data, SW: r.SW}, nil
	}
	if len(data)%aes.BlockSize != 0 {
		return Response{}, fmt.Errorf("%s: %w: %w: encrypted answer of %d bytes", title, ErrOutcomeUnknown, ErrMalformed, len(data))
	}
	opened := make([]byte, len(data))
	cipher.NewCBCDecrypter(s.enc.block, s.icv(0x80)).CryptBlocks(opened, data)
	clean, ok := unpad80(opened)
	if !ok {
		return Response{}, fmt.Errorf("%s: %w: %w: padding of the answer", title, ErrOutcomeUnknown, ErrMalformed)
	}
	return Response{Data: clean, SW: r.SW}, nil
}
